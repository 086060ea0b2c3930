"""Reads the members of requests to the Assistants API and says what is wrong with them.

The limits are those of OpenAI's own reference and of openai-python's `types/beta/*_params.py`.
"""

from collections.abc import Mapping
from typing import Any

from llmrouter.endpoints.assistants import refusals
from llmrouter.endpoints.request_members import kind_of
from llmrouter.errors import InvalidRequest

_LONGEST_INSTRUCTIONS = 256_000
_MOST_TOOLS = 128
_MOST_PAIRS = 16
_LONGEST_KEY = 64
_LONGEST_VALUE = 512
_LEAST_TOKENS = 256
_MOST_TOKENS = 10_000_000
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_HOSTED = ("code_interpreter", "file_search")
LONGEST = {"name": 256, "description": 512, "instructions": _LONGEST_INSTRUCTIONS, "model": 256}
LONGEST["additional_instructions"] = _LONGEST_INSTRUCTIONS

type Fields = Mapping[str, Any]


def text(fields: Fields, name: str) -> str | None:
    """A string within its limit, None where it is absent or null."""
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise refusals.wrong_type(name, "a string", kind_of(value))
    if len(value) > LONGEST.get(name, _LONGEST_VALUE):
        most = LONGEST.get(name, _LONGEST_VALUE)
        raise InvalidRequest(f"'{name}' is too long: at most {most} characters, not {len(value)}.", param=name)
    return value


def flag(fields: Fields, name: str) -> bool | None:
    """A boolean, None where it is absent or null."""
    value = fields.get(name)
    if value is not None and not isinstance(value, bool):
        raise refusals.wrong_type(name, "a boolean", kind_of(value))
    return value


def number(fields: Fields, name: str, most: float) -> float | None:
    """A number from 0 to `most`, None where it is absent or null."""
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refusals.wrong_type(name, "a number", kind_of(value))
    if not 0 <= value <= most:
        raise refusals.wrong_value(name, value, f"a number from 0 to {most:g}")
    return float(value)


def tokens(fields: Fields, name: str) -> int | None:
    """A limit of tokens for a run, at least 256."""
    value = whole(fields, name, name, _LEAST_TOKENS)
    return None if value is None else min(value, _MOST_TOKENS)


def whole(fields: Fields, name: str, param: str, least: int) -> int | None:
    """An integer that is `least` or more, None where it is absent or null."""
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise refusals.wrong_type(param, "an integer", kind_of(value))
    if value < least:
        raise refusals.wrong_value(param, value, f"an integer of at least {least}")
    return value


def metadata(fields: Fields, param: str = "metadata") -> dict[str, str] | None:
    """At most 16 pairs of strings, keys up to 64 and values up to 512 characters; None where absent or null."""
    value = fields.get("metadata")
    if value is None:
        return None
    if not isinstance(value, dict):
        raise refusals.wrong_type(param, "an object", kind_of(value))
    if len(value) > _MOST_PAIRS:
        raise InvalidRequest(f"'{param}' has too many pairs: at most {_MOST_PAIRS}, not {len(value)}.", param=param)
    for key, text in value.items():
        shown = f"{param}.{key[:_LONGEST_KEY]}"
        if len(key) > _LONGEST_KEY:
            raise InvalidRequest(f"A key of '{param}' is longer than {_LONGEST_KEY} characters.", param=param)
        if not isinstance(text, str):
            raise refusals.wrong_type(shown, "a string", kind_of(text))
        if len(text) > _LONGEST_VALUE:
            raise InvalidRequest(f"'{shown}' is longer than {_LONGEST_VALUE} characters.", param=shown)
    return value


def items(fields: Fields, name: str, param: str | None = None) -> list[dict[str, Any]] | None:
    """An array of objects, None where it is absent or null."""
    param = param or name
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, list):
        raise refusals.wrong_type(param, "an array of objects", kind_of(value))
    for number, item in enumerate(value):
        if not isinstance(item, dict):
            raise refusals.wrong_type(f"{param}[{number}]", "an object", kind_of(item))
    return value


def tools(fields: Fields) -> list[dict[str, Any]] | None:
    """Function tools; those that ran at OpenAI are refused."""
    value = items(fields, "tools")
    if value is None:
        return None
    if len(value) > _MOST_TOOLS:
        raise InvalidRequest(f"'tools' has too many items: at most {_MOST_TOOLS}, not {len(value)}.", param="tools")
    for number, tool in enumerate(value):
        _check_tool(tool, f"tools[{number}]")
    return value


def _check_tool(tool: Fields, param: str) -> None:
    kind = tool.get("type")
    if kind is None:
        raise refusals.missing(f"{param}.type")
    if kind in _HOSTED:
        raise refusals.hosted_tool(kind, f"{param}.type")
    if kind != "function":
        raise refusals.wrong_value(f"{param}.type", kind, "'function'")
    _check_named(tool, "function", f"{param}.function")


def _check_named(holder: Fields, member: str, param: str) -> None:
    """An object in `holder` with a `name`."""
    inner = holder.get(member)
    if inner is None:
        raise refusals.missing(param)
    if not isinstance(inner, dict):
        raise refusals.wrong_type(param, "an object", kind_of(inner))
    name = inner.get("name")
    if name is None:
        raise refusals.missing(f"{param}.name")
    if not isinstance(name, str):
        raise refusals.wrong_type(f"{param}.name", "a string", kind_of(name))


def refuse_files(fields: Fields, prefix: str = "") -> None:
    """Refuses what refers to files at OpenAI; empty ones ask for nothing."""
    resources = fields.get("tool_resources")
    if isinstance(resources, dict) and any(resources.values()):
        raise refusals.hosted_files(f"{prefix}tool_resources")
    for name in ("attachments", "file_ids"):
        if fields.get(name):
            raise refusals.hosted_files(f"{prefix}{name}")


def tool_choice(fields: Fields) -> str | dict[str, Any] | None:
    """What the model must call; None where it is absent or null."""
    value = fields.get("tool_choice")
    match value:
        case None | "auto" | "none" | "required":
            return value
        case {"type": "code_interpreter" | "file_search" as kind}:
            raise refusals.hosted_tool(kind, "tool_choice")
        case {"type": "function"}:
            _check_named(value, "function", "tool_choice.function")
            return dict(value)
        case _:
            pass
    raise refusals.wrong_value("tool_choice", value, "'auto', 'none', 'required' or a function")


def response_format(fields: Fields) -> str | dict[str, Any] | None:
    """`auto`, or an object as chat completions take it; None where it is absent or null."""
    value = fields.get("response_format")
    match value:
        case None | "auto":
            return value
        case {"type": "text" | "json_object"}:
            return dict(value)
        case {"type": "json_schema"}:
            _check_named(value, "json_schema", "response_format.json_schema")
            return dict(value)
        case _:
            pass
    raise refusals.wrong_value("response_format", value, "'auto' or a type 'text', 'json_object' or 'json_schema'")


def effort(fields: Fields) -> str | None:
    """How long a reasoning model thinks."""
    value = text(fields, "reasoning_effort")
    if value is not None and value not in _EFFORTS:
        raise refusals.wrong_value("reasoning_effort", value, f"one of {', '.join(_EFFORTS)}")
    return value


def truncation(fields: Fields) -> dict[str, Any]:
    """How much of the thread a run reads; all that fits where nothing is said."""
    value = fields.get("truncation_strategy")
    if value is None:
        return {"type": "auto", "last_messages": None}
    if not isinstance(value, dict):
        raise refusals.wrong_type("truncation_strategy", "an object", kind_of(value))
    last = whole(value, "last_messages", "truncation_strategy.last_messages", 1)
    kind = value.get("type")
    if kind not in ("auto", "last_messages"):
        raise refusals.wrong_value("truncation_strategy.type", kind, "'auto' or 'last_messages'")
    if kind == "last_messages" and last is None:
        raise refusals.missing("truncation_strategy.last_messages")
    if kind == "auto" and last is not None:
        raise InvalidRequest(
            "'truncation_strategy.last_messages' needs 'truncation_strategy.type' to be 'last_messages'.",
            param="truncation_strategy.last_messages",
        )
    return {"type": kind, "last_messages": last}
