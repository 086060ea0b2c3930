"""Tools and the choice among them, which Responses tells flat where chat completions nest them (section 10.1)."""

from typing import Any

from llmrouter.brands.dialect import Dialect
from llmrouter.providers.openai_responses.items import untold
from llmrouter.providers.wire import Job

TOOL_MEMBERS = frozenset({"tools", "tool_choice"})

_WITHOUT_PARAMETERS = {"type": "object", "properties": {}}


def tool_members(job: Job, withheld: frozenset[str]) -> dict[str, Any]:
    """The body's `tools` and `tool_choice`, where the call has them; raises `AttemptFailed` with NOT_TRANSLATABLE."""
    body, dialect = job.call.body, job.dialect
    tools = body.get("tools") if "tools" not in withheld else None
    choice = body.get("tool_choice") if "tool_choice" not in withheld else None
    if tools and not dialect.takes_custom_tools and isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        tools, choice = _allowed(tools, choice)
    told: dict[str, Any] = {}
    if tools:
        told["tools"] = [_tool(tool, f"tools[{number}]", dialect) for number, tool in enumerate(tools)]
    if choice is not None:
        told["tool_choice"] = _choice(choice, dialect)
    return told


def _tool(tool: Any, where: str, dialect: Dialect) -> dict[str, Any]:
    kind, inner = _inside(tool, where)
    if kind == "custom":
        if not dialect.takes_custom_tools:
            raise untold("the target knows no tools of the type 'custom'")
        return _custom(inner, where)
    told = {"type": "function", "name": inner["name"], "parameters": inner.get("parameters") or _WITHOUT_PARAMETERS}
    if inner.get("description"):
        told["description"] = inner["description"]
    if dialect.takes_strict:
        # Responses takes a function for strict where nothing is said, chat completions do not.
        told["strict"] = inner.get("strict") is True
    return told


def _custom(inner: dict[str, Any], where: str) -> dict[str, Any]:
    told = {"type": "custom", **{name: inner[name] for name in ("name", "description") if inner.get(name)}}
    form = inner.get("format")
    if not isinstance(form, dict):
        return told
    if form.get("type") == "grammar":
        grammar = form.get("grammar")
        if not isinstance(grammar, dict):
            raise untold(f"'{where}' has a grammar that is no object")
        form = {"type": "grammar", **{name: grammar[name] for name in ("definition", "syntax") if name in grammar}}
    return {**told, "format": form}


def _inside(tool: Any, where: str) -> tuple[str, dict[str, Any]]:
    """The kind of a tool, or of the name of one, and what is told of it."""
    kind = tool.get("type") if isinstance(tool, dict) else None
    if kind in ("function", "custom") and isinstance(inner := tool.get(kind), dict):
        if isinstance(inner.get("name"), str):
            return kind, inner
        raise untold(f"'{where}' has no name")
    raise untold(f"'{where}' is neither a function nor a custom tool")


def _choice(choice: Any, dialect: Dialect) -> Any:
    if isinstance(choice, str):
        return dict(dialect.tool_choices).get(choice, choice)
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        allowed = _list_of_allowed(choice)
        tools = [_named(tool) for tool in allowed["tools"]]
        return {"type": "allowed_tools", "mode": allowed.get("mode") or "auto", "tools": tools}
    return _named(choice)


def _named(tool: Any) -> dict[str, Any]:
    kind, inner = _inside(tool, "tool_choice")
    return {"type": kind, "name": inner["name"]}


def _list_of_allowed(choice: dict[str, Any]) -> dict[str, Any]:
    allowed = choice.get("allowed_tools")
    if not isinstance(allowed, dict) or not isinstance(allowed.get("tools"), list):
        raise untold("'tool_choice' lists no tools")
    return allowed


def _allowed(tools: list[Any], choice: dict[str, Any]) -> tuple[list[Any], Any]:
    """The tools that the model may choose from and how, for a target that knows no such choice."""
    allowed = _list_of_allowed(choice)
    names = [_named(tool)["name"] for tool in allowed["tools"]]
    chosen = [tool for tool in tools if _inside(tool, "tools")[1]["name"] in names]
    return chosen, allowed.get("mode") or "auto"
