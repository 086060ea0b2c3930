"""A complete response as a chat completion."""

from typing import Any

from llmrouter.providers.bodies import bad, parsed
from llmrouter.providers.chunk_writer import choice_json, completion_json, tool_call_json
from llmrouter.providers.openai_responses.answer import (
    BETWEEN_THOUGHTS,
    Answer,
    ToolCall,
    answer_of,
    created_of,
    failed,
    finish_reason,
    remember,
    usage_of,
    without_output,
)
from llmrouter.providers.wire import Job
from llmrouter.replies import Reply

_TIERS = ("auto", "default", "flex", "scale", "priority", "fast")
"""The tiers that chat completions know (provider reference, section 2.1); Responses has others, too."""


def read_reply(data: bytes, job: Job) -> Reply:
    """The complete answer in this body.

    Raises `AttemptFailed`: BAD_REPLY where the body is empty, no JSON, or no response that ended, else what the error
    of a failed response tells.
    """
    response = parsed(data.removeprefix(b"\xef\xbb\xbf").strip())
    if not isinstance(response, dict):
        raise bad("the provider's answer is no object")
    output = response.get("output")
    if not isinstance(output, list):
        raise failed(response["error"]) if response.get("error") else without_output(response)
    answer = answer_of(output, job)
    reason = finish_reason(response, response.get("status"), bool(answer.calls))
    remember(answer.calls, job)
    logprobs = {"content": answer.logprobs, "refusal": None} if answer.logprobs else None
    choice = choice_json(_message(answer), reason, logprobs=logprobs)
    members = {"service_tier": response["service_tier"]} if response.get("service_tier") in _TIERS else {}
    created = created_of(response, job.created)
    return completion_json(job.call, created, [choice], usage_of(response), **members)


def _message(answer: Answer) -> dict[str, Any]:
    """The message; its content is null where there is something else in its place."""
    message: dict[str, Any] = {"content": answer.text}
    if not answer.text and (answer.calls or answer.refusal):
        message["content"] = None
    if answer.refusal:
        message["refusal"] = answer.refusal
    if answer.thoughts:
        message["reasoning_content"] = BETWEEN_THOUGHTS.join(answer.thoughts)
    if answer.annotations:
        message["annotations"] = answer.annotations
    if answer.calls:
        message["tool_calls"] = [_tool_call(call) for call in answer.calls]
    return message


def _tool_call(call: ToolCall) -> dict[str, Any]:
    if call.is_custom:
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    return tool_call_json(call.id, call.name, call.arguments)
