"""The items of a request's input: which are right, in their full form, and what of them only OpenAI understands."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from llmrouter.endpoints.request_members import kind_of
from llmrouter.errors import InvalidRequest

Item = dict[str, Any]

_ROLES = ("user", "assistant", "system", "developer")
_TEXT_PARTS: Mapping[str, str] = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}
_SOURCES: Mapping[str, str] = {"input_image": "image_url", "input_file": "file_data"}
_SHOWN = frozenset({"input_image", "input_file", "input_audio"})
_MEMBERS: Mapping[str, tuple[str, ...]] = {
    "function_call": ("call_id", "name", "arguments"),
    "custom_tool_call": ("call_id", "name", "input"),
    "function_call_output": ("call_id",),
    "custom_tool_call_output": ("call_id",),
    "item_reference": ("id",),
    "reasoning": (),
}
"""The members that must be strings, by the kinds of items that the router understands."""


def checked_items(given: Sequence[Any]) -> tuple[list[Item], list[str]]:
    """The items in their full form, and the names of what only OpenAI has; raises `InvalidRequest`."""
    items: list[Item] = []
    hosted: list[str] = []
    for number, item in enumerate(given):
        where = f"input[{number}]"
        if not isinstance(item, dict):
            text = f"Invalid type for '{where}': expected an object, but got {kind_of(item)}."
            raise InvalidRequest(text, param=where)
        kind = item.get("type") or ("message" if "role" in item else "item_reference")
        if not isinstance(kind, str):
            raise InvalidRequest(f"'{where}.type' must be a string.", param=f"{where}.type")
        if kind == "message":
            hosted += _check_message(item, where)
        elif kind in _MEMBERS:
            hosted += _check_members(item, kind, where)
        else:
            # Kinds come and go with OpenAI's own tools: whichever this is, OpenAI has to say what it thinks of it.
            hosted.append(kind)
        items.append({**item, "type": kind})
    return items, hosted


def held_elsewhere(items: Iterable[Item]) -> list[str]:
    """Pictures and files of checked items that only OpenAI can see."""
    contents = (item.get("content") or item.get("output") for item in items)
    parts = (part for content in contents if isinstance(content, list) for part in content)
    return [name for part in parts if (name := _place_of(part, str(part.get("type")))) is not None]


def _check_members(item: Item, kind: str, where: str) -> list[str]:
    for name in _MEMBERS[kind]:
        if not isinstance(item.get(name), str):
            raise InvalidRequest(f"Missing required parameter: '{where}.{name}'.", param=f"{where}.{name}")
    if kind == "reasoning":
        _check_thought(item, where)
    return _check_output(item, where) if kind.endswith("_output") else []


def _check_thought(item: Item, where: str) -> None:
    for name in ("content", "summary"):
        if not isinstance(item.get(name), list | None):
            text = f"Invalid type for '{where}.{name}': expected an array, but got {kind_of(item[name])}."
            raise InvalidRequest(text, param=f"{where}.{name}")


def _check_output(item: Item, where: str) -> list[str]:
    output = item.get("output")
    if isinstance(output, str):
        return []
    if not isinstance(output, list):
        text = f"Invalid type for '{where}.output': expected a string or an array, but got {kind_of(output)}."
        raise InvalidRequest(text, param=f"{where}.output")
    return _check_parts(output, f"{where}.output")


def _check_message(item: Item, where: str) -> list[str]:
    role, content = item.get("role"), item.get("content")
    if role not in _ROLES:
        told = ", ".join(f"'{name}'" for name in _ROLES)
        text = f"Invalid value: '{str(role)[:100]}'. Supported values are: {told}."
        raise InvalidRequest(text, param=f"{where}.role")
    if isinstance(content, str):
        return []
    if not isinstance(content, list):
        wanted = "a string or an array of content parts"
        text = f"Invalid type for '{where}.content': expected {wanted}, but got {kind_of(content)}."
        raise InvalidRequest(text, param=f"{where}.content")
    hosted = _check_parts(content, f"{where}.content")
    if role == "assistant":
        _check_said(content, f"{where}.content")
    return hosted


def _check_said(parts: Sequence[Item], where: str) -> None:
    """What the model said is text, or that it says nothing."""
    for number, part in enumerate(parts):
        if part["type"] in _SHOWN:
            text = f"Invalid value: '{part['type']}'. Supported values are: 'output_text' and 'refusal'."
            raise InvalidRequest(text, param=f"{where}[{number}].type")


def _check_parts(parts: Sequence[Any], where: str) -> list[str]:
    hosted: list[str] = []
    for number, part in enumerate(parts):
        at = f"{where}[{number}]"
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            raise InvalidRequest(f"Missing required parameter: '{at}.type'.", param=f"{at}.type")
        hosted += _check_part(part, part["type"], at)
    return hosted


def _check_part(part: Item, kind: str, at: str) -> list[str]:
    if (member := _TEXT_PARTS.get(kind)) is not None:
        if not isinstance(part.get(member), str):
            raise InvalidRequest(f"'{at}.{member}' must be a string.", param=f"{at}.{member}")
        return []
    match kind:
        case "input_image" | "input_file":
            return _check_source(part, at, kind, _SOURCES[kind])
        case "input_audio":
            if not isinstance(part.get("input_audio"), dict):
                raise InvalidRequest(f"'{at}.input_audio' must be an object.", param=f"{at}.input_audio")
            return []
        case _:
            return [kind]


def _check_source(part: Item, at: str, kind: str, local: str) -> list[str]:
    """Where a picture or a file comes from: what OpenAI holds, or would fetch, nobody else can see."""
    if isinstance(part.get(local), str):
        return []
    if (place := _place_of(part, kind)) is not None:
        return [place]
    raise InvalidRequest(f"Missing required parameter: '{at}.{local}'.", param=f"{at}.{local}")


def _place_of(part: Item, kind: str) -> str | None:
    """The name of a picture or a file that is elsewhere."""
    local = _SOURCES.get(kind)
    if local is None or isinstance(part.get(local), str):
        return None
    return next((f"{kind} by {name}" for name in ("file_id", "file_url") if isinstance(part.get(name), str)), None)
