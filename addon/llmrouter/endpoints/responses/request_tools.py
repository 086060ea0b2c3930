"""The tools of a request: which are right, and which only OpenAI runs."""

from collections.abc import Sequence
from typing import Any

from llmrouter.endpoints.request_members import kind_of
from llmrouter.errors import InvalidRequest

_CHOICES = ("none", "auto", "required")
APP_TOOLS = ("function", "custom")
"""Tools that the app runs itself."""


def check_tools(tools: Sequence[Any]) -> list[str]:
    """The kinds of tools that run at OpenAI; raises `InvalidRequest`."""
    hosted: list[str] = []
    names: set[str] = set()
    for number, tool in enumerate(tools):
        where = f"tools[{number}]"
        if not isinstance(tool, dict):
            text = f"Invalid type for '{where}': expected an object, but got {kind_of(tool)}."
            raise InvalidRequest(text, param=where)
        kind = tool.get("type")
        if not isinstance(kind, str):
            raise InvalidRequest(f"Missing required parameter: '{where}.type'.", param=f"{where}.type")
        if kind not in APP_TOOLS:
            hosted.append(kind)
            hosted += _in_account(tool, kind)
            continue
        _check_own(tool, where, names)
    return hosted


def _in_account(tool: dict[str, Any], kind: str) -> list[str]:
    """What a hosted tool works on that lies in the app's own account at OpenAI."""
    if kind != "code_interpreter":
        return []
    container = tool.get("container")
    is_new = container is None or (isinstance(container, dict) and not container.get("file_ids"))
    return [] if is_new else ["code_interpreter with files"]


def _check_own(tool: dict[str, Any], where: str, names: set[str]) -> None:
    name = tool.get("name")
    if not isinstance(name, str) or not name:
        is_of_chat = isinstance(tool.get("function"), dict)
        hint = " In Responses it stands beside 'type', not in 'function'." if is_of_chat else ""
        raise InvalidRequest(f"Missing required parameter: '{where}.name'.{hint}", param=f"{where}.name")
    if name in names:
        raise InvalidRequest(f"Two tools are named '{name[:100]}'.", param=f"{where}.name")
    names.add(name)
    for member in ("parameters", "format"):
        if not isinstance(tool.get(member), dict | None):
            raise InvalidRequest(f"'{where}.{member}' must be an object.", param=f"{where}.{member}")


def check_choice(choice: Any, tools: Sequence[Any]) -> list[str]:
    """The kind of a chosen tool that runs at OpenAI; raises `InvalidRequest` where it is no choice of `tools`."""
    if choice is None or choice in _CHOICES:
        if choice == "required" and not tools:
            raise InvalidRequest("'tool_choice' is 'required', but there are no 'tools'.", param="tool_choice")
        return []
    if not isinstance(choice, dict) or not isinstance(choice.get("type"), str):
        told = ", ".join(f"'{name}'" for name in _CHOICES)
        raise InvalidRequest(f"'tool_choice' must be one of {told}, or an object with a 'type'.", param="tool_choice")
    if choice["type"] == "allowed_tools":
        _check_allowed(choice, tools)
        return []
    if choice["type"] not in APP_TOOLS:
        return [choice["type"]]
    if not isinstance(choice.get("name"), str):
        raise InvalidRequest("Missing required parameter: 'tool_choice.name'.", param="tool_choice.name")
    _check_known(choice, tools, "tool_choice")
    return []


def _check_allowed(choice: dict[str, Any], tools: Sequence[Any]) -> None:
    if choice.get("mode", "auto") not in ("auto", "required"):
        raise InvalidRequest("'tool_choice.mode' must be 'auto' or 'required'.", param="tool_choice.mode")
    allowed = choice.get("tools")
    if not isinstance(allowed, list) or not allowed:
        raise InvalidRequest("Missing required parameter: 'tool_choice.tools'.", param="tool_choice.tools")
    for number, tool in enumerate(allowed):
        where = f"tool_choice.tools[{number}]"
        if not isinstance(tool, dict):
            text = f"Invalid type for '{where}': expected an object, but got {kind_of(tool)}."
            raise InvalidRequest(text, param=where)
        if tool.get("type") in APP_TOOLS:
            _check_known(tool, tools, where)


def _check_known(tool: dict[str, Any], tools: Sequence[Any], where: str) -> None:
    if all(tool.get("name") != known.get("name") for known in tools):
        raise InvalidRequest(f"'{where}' names a tool that is not in 'tools'.", param=where)
