"""A provider's complete chat completion, put right where it is not OpenAI's shape."""

from typing import Any

from llmrouter.calls import JsonObject
from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.bodies import bad, parsed
from llmrouter.providers.failures import classify_inside
from llmrouter.providers.openai_compatible.normal import (
    finish_reason,
    native_reason,
    whole_tool_calls,
    with_plain_content,
)
from llmrouter.providers.openai_compatible.splice import with_model
from llmrouter.providers.openai_compatible.usage import usage_in
from llmrouter.providers.wire import Job
from llmrouter.replies import Reply


def read_reply(data: bytes, job: Job) -> Reply:
    """The complete answer in this body; white space before the JSON is keep-alive, and is dropped.

    Raises `AttemptFailed`: BAD_REPLY where the body is empty, no JSON, or has no choices, else what an error inside it
    tells.
    """
    data = data.removeprefix(b"\xef\xbb\xbf").strip()
    fields = parsed(data)
    if not isinstance(fields, dict) or fields.get("error"):
        raise classify_inside(fields)
    choices = fields.get("choices")
    if not isinstance(choices, list) or not choices:
        raise _without_choices(fields)
    fixed = [_choice(choice, number, job) for number, choice in enumerate(choices)]
    changes = _frame(fields, job)
    if any(new is not old for new, old in zip(fixed, choices, strict=True)):
        changes["choices"] = fixed
    usage = usage_in(fields, job.dialect)
    if changes:
        return Reply(JsonObject(data).encode({**changes, "model": job.call.model}), usage)
    return Reply(with_model(data, fields, job.call.model), usage)


def _frame(fields: dict[str, Any], job: Job) -> dict[str, Any]:
    """What the completion itself lacks."""
    changes: dict[str, Any] = {}
    if not fields.get("id") or not isinstance(fields["id"], str):
        changes["id"] = f"chatcmpl-{job.call.id}"
    if fields.get("object") != "chat.completion":
        changes["object"] = "chat.completion"
    if not isinstance(fields.get("created"), int):
        changes["created"] = job.created
    return changes


def _choice(choice: Any, number: int, job: Job) -> dict[str, Any]:
    """The choice itself where it is OpenAI's shape."""
    if not isinstance(choice, dict) or not isinstance(message := choice.get("message"), dict):
        raise bad("the provider's answer has a choice without a message")
    fixed = with_plain_content(message)
    calls = fixed.get("tool_calls")
    if isinstance(calls, list) and calls:
        only_first = job.call.body.get("parallel_tool_calls") is False
        whole = whole_tool_calls(calls, job.call.id, only_first)
        if whole is not calls:
            fixed = {**fixed, "tool_calls": whole}
        _remember(whole, fixed.get("reasoning_content"), job)
    if fixed.get("role") != "assistant" or "content" not in fixed:
        fixed = {"content": None, **fixed, "role": "assistant"}
    reason = finish_reason(choice)
    if reason is None or (reason == "stop" and calls and not _is_named(job)):
        reason = "tool_calls" if calls else "stop"
    changes: dict[str, Any] = {} if fixed is message else {"message": fixed}
    if choice.get("finish_reason") != reason:
        changes |= {"finish_reason": reason, **native_reason(choice, reason)}
    if not isinstance(choice.get("index"), int):
        changes["index"] = number
    return {**choice, **changes} if changes else choice


def _is_named(job: Job) -> bool:
    """Whether the client named the tool to call: OpenAI then ends with `stop`."""
    return isinstance(job.call.body.get("tool_choice"), dict)


def _remember(calls: list[Any], reasoning: Any, job: Job) -> None:
    if job.dialect.wants_reasoning_back and reasoning:
        for call in calls:
            if isinstance(call, dict) and isinstance(call.get("id"), str):
                job.memory.keep(job.call, job.target, call["id"], reasoning)


def _without_choices(fields: dict[str, Any]) -> AttemptFailed:
    failed = classify_inside(fields)
    if failed.outcome is Outcome.BAD_REPLY:
        failed.message = f"the provider sent an answer without choices: {failed.message}"
    return failed
