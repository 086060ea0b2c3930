"""Requests to the Assistants API: a body becomes the members that it sets, all of them checked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from llmrouter.endpoints.assistants import members, refusals
from llmrouter.endpoints.assistants.members import Fields
from llmrouter.endpoints.request_members import kind_of
from llmrouter.errors import InvalidRequest

_MOST_MESSAGES = 1000
_LONGEST_TEXT = 256_000
_MOST_PARTS = 100
_LONGEST_LIST = 100
_USUAL_LIST = 20


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message that a client adds; `content` is as the API gives it back."""

    role: str
    content: list[dict[str, Any]]
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True)
class NewThread:
    """A thread with its first messages."""

    messages: list[NewMessage]
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run as it was asked for: `overrides` are the assistant's members that it replaces, `settings` its own."""

    assistant_id: str
    stream: bool
    overrides: dict[str, Any]
    settings: dict[str, Any]
    additional_instructions: str | None
    additional_messages: list[NewMessage]


@dataclass(frozen=True, slots=True)
class ToolOutputs:
    """What a client's functions gave, by the ids of the calls, in the order given."""

    outputs: list[tuple[str, str]]
    stream: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """Which part of a list is wanted."""

    limit: int
    descending: bool
    after: str | None
    before: str | None


def read_body(body: bytes) -> dict[str, Any]:
    """A request's JSON object; no body is an empty one. Raises `InvalidRequest`."""
    if not body.strip():
        return {}
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The request's body is not valid JSON: {error}.") from None
    if not isinstance(value, dict):
        raise InvalidRequest(f"The request's body must be a JSON object, not {kind_of(value)}.")
    return value


def assistant(fields: Fields) -> dict[str, Any]:
    """The members of an assistant that a request sets; null sets one to nothing."""
    members.refuse_files(fields)
    return _common(fields) | {name: members.text(fields, name) for name in ("name", "description") if name in fields}


def _common(fields: Fields) -> dict[str, Any]:
    """What an assistant and a run that overrides it have in common."""
    readers: dict[str, Callable[[], Any]] = {
        "model": lambda: members.text(fields, "model"),
        "instructions": lambda: members.text(fields, "instructions"),
        "tools": lambda: members.tools(fields) or [],
        "metadata": lambda: members.metadata(fields) or {},
        "temperature": lambda: members.number(fields, "temperature", 2),
        "top_p": lambda: members.number(fields, "top_p", 1),
        "response_format": lambda: members.response_format(fields),
        "reasoning_effort": lambda: members.effort(fields),
    }
    return {name: read() for name, read in readers.items() if name in fields}


def thread(fields: Fields, prefix: str = "") -> NewThread:
    """A thread to create."""
    members.refuse_files(fields, prefix)
    metadata = members.metadata(fields, f"{prefix}metadata") or {}
    return NewThread(_messages(fields, "messages", f"{prefix}messages"), metadata)


def _messages(fields: Fields, name: str, param: str) -> list[NewMessage]:
    given = members.items(fields, name, param) or []
    if len(given) > _MOST_MESSAGES:
        raise InvalidRequest(f"'{param}' has too many items: at most {_MOST_MESSAGES}.", param=param)
    return [message(item, f"{param}[{number}].") for number, item in enumerate(given)]


def message(fields: Fields, prefix: str = "") -> NewMessage:
    """A message to add; `prefix` is where it stands in the request."""
    members.refuse_files(fields, prefix)
    role = fields.get("role")
    if role is None:
        raise refusals.missing(f"{prefix}role")
    if role not in ("user", "assistant"):
        raise refusals.wrong_value(f"{prefix}role", role, "'user' or 'assistant'")
    metadata = members.metadata(fields, f"{prefix}metadata") or {}
    return NewMessage(role, _content(fields.get("content"), f"{prefix}content"), metadata)


def _content(value: Any, param: str) -> list[dict[str, Any]]:
    if value is None:
        raise refusals.missing(param)
    if isinstance(value, str):
        return [_text_part(value, param)]
    if not isinstance(value, list):
        raise refusals.wrong_type(param, "a string or an array of content parts", kind_of(value))
    if not value:
        raise InvalidRequest("Message content must be non-empty.", param=param)
    if len(value) > _MOST_PARTS:
        raise InvalidRequest(f"'{param}' has too many parts: at most {_MOST_PARTS}, not {len(value)}.", param=param)
    return [_part(part, f"{param}[{number}]") for number, part in enumerate(value)]


def _part(part: Any, param: str) -> dict[str, Any]:
    match part:
        case {"type": "text", "text": str(text)}:
            return _text_part(text, f"{param}.text")
        case {"type": "image_url", "image_url": {"url": str(url), **rest}}:
            detail = rest.get("detail") or "auto"
            if detail not in ("auto", "low", "high"):
                raise refusals.wrong_value(f"{param}.image_url.detail", detail, "'auto', 'low' or 'high'")
            return {"type": "image_url", "image_url": {"url": url, "detail": detail}}
        case _:
            raise _wrong_part(part, param)


def _wrong_part(part: Any, param: str) -> InvalidRequest:
    match part:
        case {"type": "image_file"}:
            return refusals.hosted_files(f"{param}.image_file")
        case {"type": "text"}:
            return refusals.wrong_type(f"{param}.text", "a string", kind_of(part.get("text")))
        case {"type": "image_url"}:
            return refusals.missing(f"{param}.image_url.url")
        case {"type": kind}:
            return refusals.wrong_value(f"{param}.type", kind, "'text' or 'image_url'")
        case dict():
            return refusals.missing(f"{param}.type")
        case _:
            return refusals.wrong_type(param, "an object", kind_of(part))


def _text_part(text: str, param: str) -> dict[str, Any]:
    if not text:
        raise InvalidRequest("Message content must be non-empty.", param=param)
    if len(text) > _LONGEST_TEXT:
        raise InvalidRequest(f"'{param}' is too long: at most {_LONGEST_TEXT} characters.", param=param)
    return {"type": "text", "text": {"value": text, "annotations": []}}


def run(fields: Fields) -> NewRun:
    """A run to create."""
    assistant_id = members.text(fields, "assistant_id")
    if not assistant_id:
        raise refusals.missing("assistant_id")
    members.refuse_files(fields)
    overrides = {name: value for name, value in _common(fields).items() if name != "metadata"}
    parallel = members.flag(fields, "parallel_tool_calls")
    settings = {
        "metadata": members.metadata(fields) or {},
        "max_prompt_tokens": members.tokens(fields, "max_prompt_tokens"),
        "max_completion_tokens": members.tokens(fields, "max_completion_tokens"),
        "truncation_strategy": members.truncation(fields),
        "tool_choice": members.tool_choice(fields) or "auto",
        "parallel_tool_calls": True if parallel is None else parallel,
    }
    return NewRun(
        assistant_id,
        bool(members.flag(fields, "stream")),
        # A null overrides nothing.
        {name: value for name, value in overrides.items() if fields.get(name) is not None},
        settings,
        members.text(fields, "additional_instructions"),
        _messages(fields, "additional_messages", "additional_messages"),
    )


def thread_of_run(fields: Fields) -> NewThread:
    """The thread of a request that creates a thread and runs it."""
    value = fields.get("thread")
    if value is None:
        return NewThread([], {})
    if not isinstance(value, dict):
        raise refusals.wrong_type("thread", "an object", kind_of(value))
    return thread(value, "thread.")


def tool_outputs(fields: Fields) -> ToolOutputs:
    """What a client's functions gave; an output that is absent or null is empty."""
    given = members.items(fields, "tool_outputs")
    if given is None:
        raise refusals.missing("tool_outputs")
    outputs = []
    for number, item in enumerate(given):
        id, output = item.get("tool_call_id"), item.get("output")
        if not isinstance(id, str):
            raise refusals.missing(f"tool_outputs[{number}].tool_call_id")
        if output is not None and not isinstance(output, str):
            raise refusals.wrong_type(f"tool_outputs[{number}].output", "a string", kind_of(output))
        outputs.append((id, output or ""))
    return ToolOutputs(outputs, bool(members.flag(fields, "stream")))


def only_metadata(fields: Fields) -> dict[str, Any]:
    """The one member that threads, messages and runs let be changed."""
    members.refuse_files(fields)
    return {"metadata": members.metadata(fields) or {}} if "metadata" in fields else {}


def listing(query: Mapping[str, str]) -> Listing:
    """Which part of a list a query asks for."""
    limit = query.get("limit", str(_USUAL_LIST))
    digits = limit if limit.isascii() and limit.isdigit() and len(limit) <= 3 else "0"
    if not 1 <= int(digits) <= _LONGEST_LIST:
        raise refusals.wrong_value("limit", limit, f"an integer from 1 to {_LONGEST_LIST}")
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise refusals.wrong_value("order", order, "'asc' or 'desc'")
    return Listing(int(digits), order == "desc", query.get("after") or None, query.get("before") or None)
