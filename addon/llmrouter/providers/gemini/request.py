"""The body of a `generateContent` request."""

from dataclasses import dataclass
from typing import Any

import orjson

from llmrouter.providers.gemini.contents import prompt_of
from llmrouter.providers.gemini.media import untold
from llmrouter.providers.gemini.options import OPTIONS, Options
from llmrouter.providers.gemini.tools import TOOL_MEMBERS, tool_members
from llmrouter.providers.structured import Emulation
from llmrouter.providers.wire import Job

_TOLD_OTHERWISE = frozenset({"stream", "stream_options", "parallel_tool_calls"})
"""What the URL says, or what the router does itself: it is no loss."""

_TOLD = OPTIONS | TOOL_MEMBERS
_EMULATED = frozenset({"response_format"})


@dataclass(frozen=True, slots=True)
class Written:
    """A body, what was changed, Gemini's names of the call's members, and what the answer has to be checked for."""

    body: bytes
    changes: tuple[str, ...]
    members: dict[str, str]
    emulation: Emulation | None


def write_body(job: Job) -> Written:
    """The request's body for this job; raises `AttemptFailed` with NOT_TRANSLATABLE."""
    withheld = job.dialect.drops | job.unsupported
    options = Options(job, withheld)
    prompt = prompt_of(job, None if options.emulation is None else options.emulation.instruction)
    tools = tool_members(job, withheld)
    body: dict[str, Any] = {"contents": prompt.contents, **tools}
    if prompt.system:
        body["systemInstruction"] = {"parts": prompt.system}
    if options.config:
        body["generationConfig"] = options.config
    changes = (*_left_out(job, withheld), *options.changes, *prompt.changes)
    members = _both_spellings(options.names | _tool_names(tools))
    return Written(_encoded(body), changes, members, options.emulation)


def _left_out(job: Job, withheld: frozenset[str]) -> list[str]:
    """Notes of the members that the call asked for and that Gemini is not told; `:` stands in the name of a value."""
    lost = {name for name in job.call.members if name not in _TOLD or name in withheld - _EMULATED}
    return [f"without {name}" for name in sorted(lost - _TOLD_OTHERWISE) if ":" not in name]


def _tool_names(tools: dict[str, Any]) -> dict[str, str]:
    return {name: {"tools": "tools", "toolConfig": "tool_choice"}[name] for name in tools}


def _both_spellings(names: dict[str, str]) -> dict[str, str]:
    """The names with their spelling with underscores, which Gemini's errors use."""
    return names | {_with_underscores(name): member for name, member in names.items()}


def _with_underscores(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _encoded(body: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError as error:
        raise untold("it holds objects inside objects that are too many to write") from error
