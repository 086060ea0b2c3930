"""The tools of a call and how freely the model may use them, in Gemini's members."""

from typing import Any

from llmrouter.providers.gemini.media import untold
from llmrouter.providers.wire import Job

TOOL_MEMBERS = frozenset({"parallel_tool_calls", "tool_choice", "tools"})
"""The members of a call that are told here; that only one tool is called at a time, the reply sees to."""


def tool_members(job: Job, withheld: frozenset[str]) -> dict[str, Any]:
    """`tools` and `toolConfig` (provider reference, section 3.8); empty for a call without tools.

    `withheld` are members that are not sent. Raises `AttemptFailed` with NOT_TRANSLATABLE for tools that are no
    functions.
    """
    if "tools" not in job.call.members - withheld:
        return {}
    tools = job.call.body["tools"]
    choice = None if "tool_choice" in withheld else job.call.body.get("tool_choice")
    functions = [_function(tool) for tool in tools]
    mode, allowed = _mode(choice)
    if mode == "AUTO" and allowed is not None:
        # Names go with ANY only: what the model may not choose it is not told of.
        functions = [function for function in functions if function["name"] in allowed]
        allowed = None
    if not functions:
        return {}
    if mode == "AUTO" and job.dialect.takes_strict and any(_is_strict(tool) for tool in tools):
        mode = "VALIDATED"
    told = {"tools": [{"functionDeclarations": [_declaration(function) for function in functions]}]}
    if mode == "AUTO":
        return told
    config: dict[str, Any] = {"mode": mode}
    if allowed is not None:
        config["allowedFunctionNames"] = allowed
    return {**told, "toolConfig": {"functionCallingConfig": config}}


def _function(tool: Any) -> dict[str, Any]:
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise untold("it knows no tools but functions with a name")
    return function


def _is_strict(tool: dict[str, Any]) -> bool:
    return tool["function"].get("strict") is True


def _declaration(function: dict[str, Any]) -> dict[str, Any]:
    declaration = {"name": function["name"]}
    if function.get("description"):
        declaration["description"] = function["description"]
    if function.get("parameters"):
        declaration["parametersJsonSchema"] = function["parameters"]
    return declaration


_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


def _mode(choice: Any) -> tuple[str, list[str] | None]:
    """The mode for a `tool_choice`, and the names of the only functions that it allows, None where it allows all."""
    if choice is None:
        return "AUTO", None
    if isinstance(choice, str) and choice in _MODES:
        return _MODES[choice], None
    if isinstance(choice, dict) and isinstance(function := choice.get("function"), dict):
        return "ANY", [_name(function)]
    allowed = choice.get("allowed_tools") if isinstance(choice, dict) else None
    if not isinstance(allowed, dict) or not isinstance(tools := allowed.get("tools"), list):
        raise untold("it knows no such 'tool_choice'")
    names = [_name(_function(tool)) for tool in tools]
    if allowed.get("mode") != "required":
        return "AUTO", names
    if not names:
        raise untold("'tool_choice' demands a tool and allows none")
    return "ANY", names


def _name(function: dict[str, Any]) -> str:
    name = function.get("name")
    if not isinstance(name, str):
        raise untold("'tool_choice' names no function")
    return name
