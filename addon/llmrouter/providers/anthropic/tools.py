"""The tools of a call and how freely the model may use them (provider reference, section 9.1)."""

from dataclasses import dataclass, field
from typing import Any

import orjson
from cachetools import LRUCache
from jsonschema.exceptions import SchemaError
from jsonschema.validators import Draft202012Validator

from llmrouter.brands.dialect import Structured
from llmrouter.providers.anthropic.notes import Notes, ToolNames, untold
from llmrouter.providers.anthropic.schema import Cleaned, NotInSubsetError, cleaned
from llmrouter.providers.structured import TOOL_NAME, Emulation
from llmrouter.providers.wire import Job

_JOINING = ("anyOf", "oneOf", "allOf")
_known: LRUCache[bytes, Cleaned | None] = LRUCache(512)
_INPUT_SCHEMA = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}


@dataclass(slots=True)
class Toolbox:
    """`tools` and `tool_choice` as Anthropic is told them.

    `instruction` demands in words what could not be forced, and then `must_call` says that an answer without a tool
    call is none.
    """

    tools: list[dict[str, Any]] = field(default_factory=list)
    choice: dict[str, Any] | None = None
    instruction: str | None = None
    must_call: bool = False


def toolbox_of(job: Job, names: ToolNames, notes: Notes, *, thinks: bool) -> Toolbox:
    """The call's own tools; empty where it has none.

    `thinks` tells that the model is told to think, and so cannot be forced. Raises `AttemptFailed` with
    NOT_TRANSLATABLE for a choice that cannot be said.
    """
    if "tools" not in job.call.members:
        return Toolbox()
    tools, choice = job.call.body["tools"], job.call.body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        tools, choice = _allowed(tools, choice.get("allowed_tools"))
    box = Toolbox([_tool(tool, job, names, notes) for tool in tools])
    _choose(box, choice, names)
    if box.choice is not None and box.choice["type"] in ("any", "tool") and (thinks or not job.dialect.forces_tools):
        _ask_instead(box, notes)
    wants_one = job.call.body.get("parallel_tool_calls") is False and (box.choice or {}).get("type") != "none"
    if wants_one and "parallel_tool_calls" in job.unsupported:
        notes.add("without parallel_tool_calls")
    elif wants_one:
        box.choice = {**(box.choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    return box


def answer_tool(emulation: Emulation) -> Toolbox:
    """The forced tool whose input is the answer, for models that know no schema of their own."""
    tool = {"name": TOOL_NAME, "input_schema": emulation.schema}
    told = emulation.description
    description = told if isinstance(told, str) and told else "Gives the answer. Its input is the whole answer."
    choice = {"type": "tool", "name": TOOL_NAME, "disable_parallel_tool_use": True}
    return Toolbox([{**tool, "description": description}], choice)


def earlier_tools(names: ToolNames, notes: Notes) -> Toolbox:
    """The tools that earlier turns called, which the model may not call now.

    Anthropic's API has refused messages with tool calls where no tools are defined.
    """
    notes.add("the tools of earlier turns with tool_choice none")
    tools = [{"name": name, "input_schema": {"type": "object", "properties": {}}} for name in names]
    return Toolbox(tools, {"type": "none"})


def _allowed(tools: list[Any], allowed: Any) -> tuple[list[Any], str]:
    """The tools that `allowed_tools` lets the model choose from; where it lets it choose none, all with `none`."""
    listed = allowed.get("tools") if isinstance(allowed, dict) else None
    if not isinstance(allowed, dict) or not isinstance(listed, list):
        raise untold("its 'tool_choice.allowed_tools' lists no tools")
    wanted = {_inner(tool, "'tool_choice.allowed_tools'")["name"] for tool in listed}
    left = [tool for tool in tools if _inner(tool, "'tools'")["name"] in wanted]
    mode = "required" if allowed.get("mode") == "required" else "auto"
    if left:
        return left, mode
    if mode == "required":
        raise untold("its 'tool_choice.allowed_tools' names none of the tools")
    return tools, "none"


def _choose(box: Toolbox, choice: Any, names: ToolNames) -> None:
    match choice:
        case None | "auto":
            return
        case "none":
            box.choice = {"type": "none"}
        case "required":
            box.choice = {"type": "any"}
        case {"type": "function" | "custom"}:
            box.choice = {"type": "tool", "name": names.told(_inner(choice, "'tool_choice'")["name"])}
        case _:
            raise untold("it knows no such 'tool_choice'")


def _ask_instead(box: Toolbox, notes: Notes) -> None:
    """Words in place of force, for models that refuse force always or while they think (sections 3.2 and 9.1)."""
    name = (box.choice or {}).get("name")
    which = f"the tool '{name}'" if name else "at least one of the tools"
    box.instruction = f"You must call {which} now. Do not answer with text instead."
    box.choice = {"type": "auto"}
    box.must_call = True
    notes.add("a forced tool by the prompt")


def _inner(tool: Any, where: str) -> dict[str, Any]:
    """The object that holds a tool's name, of both types of tools."""
    kind = tool.get("type") if isinstance(tool, dict) else None
    inner = tool.get(kind) if isinstance(kind, str) else None
    if kind not in ("function", "custom") or not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
        raise untold(f"{where} must hold functions and custom tools with a name")
    return inner


def _tool(tool: Any, job: Job, names: ToolNames, notes: Notes) -> dict[str, Any]:
    inner = _inner(tool, "'tools'")
    told: dict[str, Any] = {"name": names.told(inner["name"])}
    description = inner.get("description")
    words = [description] if isinstance(description, str) and description.strip() else []
    if tool["type"] == "custom":
        names.custom.add(inner["name"])
        words += _grammar(inner.get("format"), notes)
        told["input_schema"] = _INPUT_SCHEMA
    else:
        told |= _input_schema(inner, job, notes)
    if words:
        told["description"] = "\n\n".join(words)
    return told


def _grammar(form: Any, notes: Notes) -> list[str]:
    """The grammar of a custom tool's input in words, as Anthropic cannot be bound to one."""
    grammar = form.get("grammar") if isinstance(form, dict) and form.get("type") == "grammar" else None
    if not isinstance(grammar, dict):
        return []
    notes.add("the grammar of a custom tool by its description")
    return [f"`input` must be valid under this {grammar.get('syntax')} grammar:\n{grammar.get('definition')}"]


def _input_schema(function: dict[str, Any], job: Job, notes: Notes) -> dict[str, Any]:
    """`input_schema`, and `strict` where the schema can be enforced."""
    parameters = function.get("parameters")
    schema = _object_schema(parameters if isinstance(parameters, dict) else {}, notes)
    if function.get("strict") is not True:
        return {"input_schema": schema}
    if not job.dialect.takes_strict or job.dialect.structured is not Structured.SCHEMA:
        notes.add("without strict tools")
        return {"input_schema": schema}
    strict = _strict(schema)
    if strict is None or strict.schema.get("type") != "object":
        notes.add("without strict tools")
        return {"input_schema": schema}
    if strict.lost:
        notes.add(f"{', '.join(strict.lost)} of strict tools by descriptions")
    return {"input_schema": strict.schema, "strict": True}


def _strict(schema: dict[str, Any]) -> Cleaned | None:
    """The schema as Anthropic can enforce it, None where it cannot; apps send the same ones with every request."""
    key = orjson.dumps(schema)
    if key not in _known:
        try:
            Draft202012Validator.check_schema(schema)
            _known[key] = cleaned({"additionalProperties": False, **schema})
        except (NotInSubsetError, SchemaError):
            _known[key] = None
    return _known.get(key)


def _object_schema(parameters: dict[str, Any], notes: Notes) -> dict[str, Any]:
    """The parameters as a schema of an object, without alternatives at its top, which Anthropic refuses there."""
    schema = {**parameters}
    if not isinstance(schema.get("type"), str):
        schema["type"] = "object"
    if "properties" not in schema:
        schema["properties"] = {}
    joined = {name: schema.pop(name) for name in _JOINING if name in schema}
    if joined:
        notes.add("alternatives in a tool's parameters by its description")
        words = [schema["description"]] if isinstance(schema.get("description"), str) else []
        pieces = ", ".join(f"{name}: {value}" for name, value in joined.items())
        schema["description"] = "\n\n".join([*words, "{" + pieces + "}"])
    return schema
