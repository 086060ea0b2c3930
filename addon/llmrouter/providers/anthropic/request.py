"""The body of a Messages request (provider reference, section 9.1)."""

from dataclasses import dataclass
from typing import Any

import orjson

from llmrouter.brands.dialect import Structured
from llmrouter.providers.anthropic.content import text_block
from llmrouter.providers.anthropic.messages import Prompt, is_prefilled, prompt_of
from llmrouter.providers.anthropic.notes import Notes, ToolNames, untold
from llmrouter.providers.anthropic.options import sampling, service_tier, stop_sequences, user_id
from llmrouter.providers.anthropic.schema import NotInSubsetError, cleaned
from llmrouter.providers.anthropic.thinking import Effort, effort_of
from llmrouter.providers.anthropic.tools import Toolbox, answer_tool, earlier_tools, toolbox_of
from llmrouter.providers.structured import Emulation, wanted
from llmrouter.providers.wire import Job

_FORM = "response_format"
_LIMITS = frozenset({"max_completion_tokens", "max_tokens"})
_TOLD = _LIMITS | {
    *("parallel_tool_calls", "reasoning_effort", "response_format", "safety_identifier", "service_tier", "stop"),
    *("stream", "stream_options", "temperature", "tool_choice", "tools", "top_k", "top_p", "user"),
}
"""The members of a call that are told here in some way."""

_NEVER_LOST = _LIMITS | {_FORM, "parallel_tool_calls", "stream", "stream_options", "tool_choice", "tools"}
"""Of these what is done in place of a refused member, where that is a loss at all."""

_NAMES = {
    "disable_parallel_tool_use": "parallel_tool_calls",
    "metadata": "user",
    "output_config.format": "response_format",
    "service_tier": "service_tier",
    "stop_sequences": "stop",
    "temperature": "temperature",
    "tool_choice": "tool_choice",
    "tools": "tools",
    "top_k": "top_k",
    "top_p": "top_p",
}
"""Anthropic's names of members, and whose they are; those of `thinking` and `max_tokens` depend on the call."""


@dataclass(frozen=True, slots=True)
class Expected:
    """How the answer has to be read.

    With `by_tool` the input of the one tool is the answer's text. With `must_call` an answer without a tool call is
    none, because the call demanded one and the model could only be asked.
    """

    names: ToolNames
    by_tool: bool = False
    must_call: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """A body, what was changed, Anthropic's names of the call's members, and what the answer has to be checked for."""

    body: bytes
    changes: tuple[str, ...]
    members: dict[str, str]
    emulation: Emulation | None
    expected: Expected


@dataclass(slots=True)
class _Form:
    """How the form of the answer is asked for: by `schema`, by the tool of `box`, or by `instruction`."""

    emulation: Emulation | None = None
    schema: dict[str, Any] | None = None
    box: Toolbox | None = None
    instruction: str | None = None


def write_body(job: Job) -> Written:
    """The request's body for this job; raises `AttemptFailed` with NOT_TRANSLATABLE."""
    try:
        return _write(job)
    except (RecursionError, orjson.JSONEncodeError) as error:
        raise untold("it holds objects inside objects that are too many to write") from error


def _write(job: Job) -> Written:
    notes, names = Notes(), ToolNames()
    withheld = job.dialect.drops | job.unsupported
    for name in _left_out(job, withheld):
        notes.add(f"without {name}")
    effort = effort_of(job, withheld, notes, is_prefilled=is_prefilled(job))
    form = _form(job, withheld, notes, is_forceable=not effort.is_told)
    box = form.box or toolbox_of(job, names, notes, thinks=effort.is_told)
    prompt = prompt_of(job, names, notes, brings_thinking=not effort.goes_without or effort.is_told)
    if not box.tools and any(names):
        box = earlier_tools(names, notes)
    prompt.system += [text_block(text) for text in (form.instruction, box.instruction) if text]
    body = _told(job, effort, prompt, box)
    body |= sampling(job, withheld, notes, thinks=effort.is_told) | stop_sequences(job, withheld, notes)
    body |= service_tier(job, withheld, notes) | user_id(job, withheld, notes) | _output_config(effort, form)
    body |= {name: value for name, value in job.dialect.extras if name not in body}
    notes.limit_marks()
    expected = Expected(names, by_tool=form.box is not None, must_call=box.must_call)
    return Written(orjson.dumps(body), notes.changes, _members(job, effort, body), form.emulation, expected)


def _left_out(job: Job, withheld: frozenset[str]) -> list[str]:
    """The members that the call asked for and that Anthropic is not told; `:` stands in the name of a value."""
    lost = {name for name in job.call.members if name not in _TOLD or name in withheld - _NEVER_LOST}
    return sorted(name for name in lost if ":" not in name)


def _form(job: Job, withheld: frozenset[str], notes: Notes, *, is_forceable: bool) -> _Form:
    """How `response_format` is told: by Anthropic's own member, by a forced tool, or else by words."""
    if _FORM not in job.call.members or job.call.body[_FORM].get("type") == "text":
        return _Form()
    emulation = wanted(job.call)
    if emulation is None:
        raise untold("it knows no such 'response_format'")
    is_prefill = is_prefilled(job)
    is_native = job.dialect.structured is Structured.SCHEMA and _FORM not in withheld and not is_prefill
    if is_native and (form := _by_schema(emulation, notes)) is not None:
        return form
    kind = job.call.body[_FORM]["type"]
    if is_forceable and not is_prefill and _is_tool_like(job, emulation):
        notes.add(f"{kind} by a forced tool")
        return _Form(emulation, box=answer_tool(emulation))
    notes.add(f"{kind} by the prompt")
    return _Form(emulation, instruction=emulation.instruction)


def _by_schema(emulation: Emulation, notes: Notes) -> _Form | None:
    """The cleaned schema; the answer is validated where it is weaker than the client's. None where it cannot be."""
    if emulation.schema is None:
        return None
    schema = emulation.schema
    if emulation.description and "description" not in schema and "$ref" not in schema:
        schema = {**schema, "description": emulation.description}
    try:
        clean = cleaned(schema)
    except NotInSubsetError:
        return None
    if clean.lost:
        notes.add(f"{', '.join(clean.lost)} of the schema by descriptions")
    return _Form(emulation if clean.lost else None, clean.schema)


def _is_tool_like(job: Job, emulation: Emulation) -> bool:
    """Whether a tool can stand for the schema: Anthropic's tools take objects, and a second tool would be confusing."""
    schema, dialect = emulation.schema, job.dialect
    is_object = (
        schema is not None and schema.get("type") == "object" and not schema.keys() & {"anyOf", "oneOf", "allOf"}
    )
    is_wanted = dialect.structured in (Structured.SCHEMA, Structured.TOOL)
    return is_object and is_wanted and dialect.forces_tools and "tools" not in job.call.members


def _told(job: Job, effort: Effort, prompt: Prompt, box: Toolbox) -> dict[str, Any]:
    body: dict[str, Any] = {"model": job.target.model, "max_tokens": effort.max_tokens}
    if prompt.system:
        body["system"] = prompt.system
    body["messages"] = prompt.messages
    if box.tools:
        body["tools"] = box.tools
    if box.choice is not None:
        body["tool_choice"] = box.choice
    if effort.thinking is not None:
        body["thinking"] = effort.thinking
    if job.call.stream:
        body["stream"] = True
    return body


def _output_config(effort: Effort, form: _Form) -> dict[str, Any]:
    config: dict[str, Any] = {}
    if effort.level is not None:
        config["effort"] = effort.level
    if form.schema is not None:
        config["format"] = {"type": "json_schema", "schema": form.schema}
    return {"output_config": config} if config else {}


def _members(job: Job, effort: Effort, body: dict[str, Any]) -> dict[str, str]:
    names = {theirs: ours for theirs, ours in _NAMES.items() if ours in job.call.members}
    if "safety_identifier" in job.call.members:
        names["metadata"] = "safety_identifier"
    config = body.get("output_config", {})
    if "format" not in config:
        names.pop("output_config.format", None)
    if len(config) == 1:
        names["output_config"] = "reasoning_effort" if "effort" in config else "response_format"
    return names | effort.names
