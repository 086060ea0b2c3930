"""The body of a chat completion request: the client's own, with what must differ at the target."""

from dataclasses import dataclass
from typing import Any

from llmrouter.brands.dialect import Structured
from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.openai_compatible.messages import messages_for
from llmrouter.providers.structured import Emulation, wanted
from llmrouter.providers.wire import Job

_LIMITS = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
_FUNCTIONS = frozenset({"functions", "function_call"})
_TOLD_OTHERWISE = frozenset({"stream_options", "parallel_tool_calls", *_LIMITS})
"""What is done by the router itself, or sent under another name: it is no loss where the target does not take it."""


@dataclass(frozen=True, slots=True)
class Written:
    """A body, what was changed, the wire names of the call's members, and what the answer has to be checked for."""

    body: bytes
    changes: tuple[str, ...]
    members: dict[str, str]
    emulation: Emulation | None


class _Draft:
    """A body while it is written: members to `replace` or add, members to leave out, and notes of both."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.body = job.call.body
        self.replace: dict[str, Any] = {"model": job.target.model}
        self.without: set[str] = set()
        self.changes: list[str] = []
        self.members = {name: name for name in self.body}

    def leave_out(self, name: str) -> None:
        self.without.add(name)
        if name in self.job.call.members and name not in _TOLD_OTHERWISE:
            self.changes.append(f"without {name}")


def write_body(job: Job) -> Written:
    """The request's body for this job; raises `AttemptFailed` with NOT_TRANSLATABLE."""
    draft = _Draft(job)
    dialect, body = job.dialect, job.call.body
    for name in sorted(body.keys() & (dialect.drops | (job.unsupported - _LIMITS.keys()) - {"response_format"})):
        draft.leave_out(name)
    draft.without |= (body.keys() & dialect.refuses) - job.call.members
    if not dialect.takes_functions:
        draft.without |= body.keys() & _FUNCTIONS
    _rename(draft)
    _set_stream_options(draft)
    _set_effort(draft)
    _set_tools(draft)
    emulation = _set_response_format(draft)
    messages = messages_for(job, None if emulation is None else emulation.instruction)
    if messages is not None:
        draft.replace["messages"] = messages
    draft.replace |= {name: value for name, value in dialect.extras if name not in body}
    text = body.encode(draft.replace, frozenset(draft.without))
    return Written(text, tuple(draft.changes), draft.members, emulation)


def _rename(draft: _Draft) -> None:
    """Tells members by the target's names; the token limit by its other name, where the usual one was refused."""
    renames = dict(draft.job.dialect.renames)
    for name in draft.job.unsupported & _LIMITS.keys():
        if renames.pop(name, None) is None:
            renames[name] = _LIMITS[name]
    for name, other_name in renames.items():
        if name in draft.body and name not in draft.without:
            draft.without.add(name)
            if not draft.body.is_null(name):
                draft.replace[other_name] = draft.body[name]
                draft.members[other_name] = name


def _set_stream_options(draft: _Draft) -> None:
    if not draft.job.dialect.asks_for_usage or "stream_options" in draft.job.unsupported:
        draft.without.add("stream_options")
    elif draft.job.call.stream:
        options = draft.body.get("stream_options")
        draft.replace["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
        draft.members["stream_options"] = "stream_options"


def _set_effort(draft: _Draft) -> None:
    name, dialect = "reasoning_effort", draft.job.dialect
    if name not in draft.job.call.members or name in draft.without:
        return
    asked = draft.body[name]
    if asked == "none" and dialect.no_thinking:
        draft.without.add(name)
        draft.replace |= dict(dialect.no_thinking)
        return
    effort = dict(dialect.efforts).get(asked, asked) if isinstance(asked, str) else asked
    if effort == "":
        draft.leave_out(name)
    elif effort != asked:
        draft.replace[name] = effort
        draft.changes.append(f"reasoning_effort {asked} as {effort}")


def _set_tools(draft: _Draft) -> None:
    if "tools" not in draft.job.call.members or "tools" not in draft.body or "tools" in draft.without:
        return
    dialect, tools, choice = draft.job.dialect, draft.body["tools"], draft.body.get("tool_choice")
    changed = tools
    if not dialect.takes_custom_tools:
        if any(isinstance(tool, dict) and tool.get("type") == "custom" for tool in tools):
            raise AttemptFailed(Outcome.NOT_TRANSLATABLE, "it knows no tools of the type 'custom'")
        if isinstance(choice, dict) and isinstance(allowed := choice.get("allowed_tools"), dict):
            changed = _allowed(tools, allowed)
            choice = draft.replace["tool_choice"] = allowed.get("mode", "auto")
    if not dialect.takes_strict:
        changed = [_without_strict(tool) for tool in changed]
    if changed != tools:
        draft.replace["tools"] = changed
    if isinstance(choice, str) and (other := dict(dialect.tool_choices).get(choice)) is not None:
        draft.replace["tool_choice"] = other


def _allowed(tools: list[Any], allowed: dict[str, Any]) -> list[Any]:
    """The tools that `allowed_tools` lets the model choose from, for targets that know no such choice."""
    listed = allowed.get("tools")
    names = [_tool_name(tool) for tool in listed] if isinstance(listed, list) else []
    left = [tool for tool in tools if _tool_name(tool) in names]
    if not left:
        raise AttemptFailed(Outcome.NOT_TRANSLATABLE, "'tool_choice.allowed_tools' names no tool of the request")
    return left


def _tool_name(tool: Any) -> Any:
    function = tool.get("function") if isinstance(tool, dict) else None
    return function.get("name") if isinstance(function, dict) else None


def _without_strict(tool: Any) -> Any:
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict) or "strict" not in function:
        return tool
    return {**tool, "function": {name: value for name, value in function.items() if name != "strict"}}


def _set_response_format(draft: _Draft) -> Emulation | None:
    """Leaves `response_format` as it is, or emulates it in the way that the target's dialect says."""
    name, job = "response_format", draft.job
    if name not in job.call.members:
        return None
    kind = draft.body[name].get("type")
    has_schema = kind == "json_schema"
    is_refused = name in job.unsupported
    structured = job.dialect.structured
    if not is_refused and (structured is Structured.SCHEMA or (structured is Structured.OBJECT and not has_schema)):
        return None
    emulation = wanted(job.call)
    if emulation is None:
        return None
    if structured is Structured.OBJECT and not is_refused:
        draft.replace[name] = {"type": "json_object"}
    else:
        draft.without.add(name)
    draft.changes.append(f"{kind} by the prompt")
    return emulation
