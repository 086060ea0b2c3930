"""The body of a Responses request for a chat completion (provider reference, section 10.1, read backwards)."""

from dataclasses import dataclass
from typing import Any

import orjson

from llmrouter.brands.dialect import Structured
from llmrouter.providers.openai_responses.items import items_of, untold
from llmrouter.providers.openai_responses.tools import tool_members
from llmrouter.providers.structured import Emulation, wanted
from llmrouter.providers.wire import Job

_SAME = (
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "temperature",
    "top_p",
    "user",
)
_LIMITS = ("max_completion_tokens", "max_tokens")
_TOLD_OTHERWISE = frozenset({"stream", "stream_options", "parallel_tool_calls"})
"""What the router does itself where the target does not take it, so that it is no loss."""

_ENCRYPTED = "reasoning.encrypted_content"
_WITH_LOGPROBS = "message.output_text.logprobs"


@dataclass(frozen=True, slots=True)
class Written:
    """A body, what was changed, the wire names of the call's members, and what the answer has to be checked for."""

    body: bytes
    changes: tuple[str, ...]
    members: dict[str, str]
    emulation: Emulation | None


class _Draft:
    """A body while it is written, notes of what is told in another way, and wire names of the call's members.

    `settled` are members of the call whose wish is met.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.withheld = job.dialect.drops | job.unsupported
        self.body: dict[str, Any] = {"model": job.target.model}
        self.changes: list[str] = []
        self.members = {"input": "messages"}
        self.settled: set[str] = set(_TOLD_OTHERWISE)
        self.emulation: Emulation | None = None

    def asked(self, name: str) -> Any:
        """The value of a member of the call; None where there is none, or where the target must not be told it."""
        if name in self.withheld or name in self.job.dialect.refuses:
            return None
        return self.job.call.body.get(name)

    def tell(self, wire_name: str, value: Any, member: str) -> None:
        """Adds a member of the call to the body."""
        outer, _, inner = wire_name.partition(".")
        if inner:
            self.body.setdefault(outer, {})[inner] = value
            self.members.setdefault(outer, member)
        else:
            self.body[outer] = value
        self.members[wire_name] = member
        self.settled.add(member)


def write_body(job: Job) -> Written:
    """The request's body for this job; raises `AttemptFailed` with NOT_TRANSLATABLE."""
    draft = _Draft(job)
    _set_response_format(draft)
    draft.body["input"] = items_of(job, None if draft.emulation is None else draft.emulation.instruction)
    for name, value in tool_members(job, draft.withheld | job.dialect.refuses).items():
        draft.tell(name, value, name)
    for name in _SAME:
        if (value := draft.asked(name)) is not None:
            draft.tell(name, value, name)
    _set_limit(draft)
    _set_effort(draft)
    if (verbosity := draft.asked("verbosity")) is not None:
        draft.tell("text.verbosity", verbosity, "verbosity")
    _set_stream(draft)
    _set_what_is_kept(draft)
    draft.body |= {name: value for name, value in job.dialect.extras if name not in draft.body}
    changes = (*_left_out(draft), *draft.changes)
    return Written(_encoded(draft.body), changes, draft.members, draft.emulation)


def _set_limit(draft: _Draft) -> None:
    for name in _LIMITS:
        if (limit := draft.asked(name)) is not None:
            draft.tell("max_output_tokens", limit, name)
            draft.settled.update(_LIMITS)
            return


def _set_effort(draft: _Draft) -> None:
    asked, dialect = draft.asked("reasoning_effort"), draft.job.dialect
    if asked is None:
        return
    if asked == "none" and dialect.no_thinking:
        draft.body |= dict(dialect.no_thinking)
        draft.settled.add("reasoning_effort")
        return
    effort = dict(dialect.efforts).get(asked, asked) if isinstance(asked, str) else asked
    if effort == "":
        return
    draft.tell("reasoning.effort", effort, "reasoning_effort")
    if effort != asked:
        draft.changes.append(f"reasoning_effort {asked} as {effort}")


def _set_stream(draft: _Draft) -> None:
    if not draft.job.call.stream:
        return
    draft.body["stream"] = True
    options = draft.asked("stream_options")
    # Usage always comes, and `include_usage` is no member of these options.
    if isinstance(options, dict) and isinstance(obscured := options.get("include_obfuscation"), bool):
        draft.tell("stream_options", {"include_obfuscation": obscured}, "stream_options")


def _set_what_is_kept(draft: _Draft) -> None:
    """Nothing is stored, so that reasoning has to come with the answer, and go back with the results of its tools."""
    draft.body["store"] = False
    include = [] if "include" in draft.withheld else [_ENCRYPTED]
    draft.members["include"] = "include"
    if draft.asked("logprobs") is True:
        include.append(_WITH_LOGPROBS)
        draft.members["include"] = "logprobs"
        draft.settled.add("logprobs")
        if (top := draft.asked("top_logprobs")) is not None:
            draft.tell("top_logprobs", top, "top_logprobs")
    if include:
        draft.body["include"] = include


def _set_response_format(draft: _Draft) -> None:
    """Tells the form of the answer, or has it emulated in the way that the target's dialect says."""
    name, job = "response_format", draft.job
    form = job.call.body.get(name)
    if name not in job.call.members or not isinstance(form, dict):
        return
    kind, structured = form.get("type"), job.dialect.structured
    if kind not in ("json_object", "json_schema"):
        raise untold("it knows no such 'response_format'")
    is_refused = name in draft.withheld
    if not is_refused and structured is Structured.SCHEMA and kind == "json_schema":
        draft.tell("text.format", _schema(form.get("json_schema")), name)
        return
    if not is_refused and structured in (Structured.SCHEMA, Structured.OBJECT):
        draft.tell("text.format", {"type": "json_object"}, name)
        if kind == "json_object":
            return
    draft.settled.add(name)
    draft.emulation = wanted(job.call)
    draft.changes.append(f"{kind} by the prompt")


def _schema(inner: Any) -> dict[str, Any]:
    if not isinstance(inner, dict) or not isinstance(inner.get("schema"), dict):
        raise untold("'response_format.json_schema.schema' must be an object")
    told = {"type": "json_schema", "name": inner.get("name"), "schema": inner["schema"]}
    if inner.get("description"):
        told["description"] = inner["description"]
    return {**told, "strict": inner.get("strict") is True}


def _left_out(draft: _Draft) -> list[str]:
    """Notes of what the call asked for and the target is not told; `:` stands in the name of a value."""
    call = draft.job.call
    notes = [f"without {name}" for name in sorted(call.members - draft.settled) if ":" not in name]
    if any(message.get("name") for message in call.body["messages"] if message["role"] != "tool"):
        notes.append("without messages.name")
    return notes


def _encoded(body: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError as error:
        raise untold("it holds objects inside objects that are too many to write") from error
