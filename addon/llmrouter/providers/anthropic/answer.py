"""What stands in Anthropic's answers, whole or streamed: ends, refusals, tool calls and usage.

All of it is from the provider reference, sections 9.2 to 9.5, 2026-11-23. Every member's type is checked: an answer in
another shape is a bad reply, never a defect of the router.
"""

from typing import Any

import orjson

from llmrouter.providers.bodies import bad, parsed
from llmrouter.providers.failures import classify_inside
from llmrouter.providers.wire import Job
from llmrouter.replies import Usage

_ENDS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "compaction": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""Section 9.3; `pause_turn` belongs to server tools, which are never asked for, and is `stop` as all unknown ones."""

_REFUSED = "The model refused to answer."
_LARGEST_COUNT = 2**53


def object_in(data: bytes) -> dict[str, Any]:
    """The JSON object in a body; raises `AttemptFailed` for what is none, and for an error, what that tells."""
    fields = parsed(data)
    if not isinstance(fields, dict) or fields.get("type") == "error" or fields.get("error"):
        raise classify_inside(fields)
    return fields


def finish_reason(stop_reason: str, *, has_calls: bool) -> str:
    """Why an answer ended, in OpenAI's word."""
    reason = _ENDS.get(stop_reason, "stop")
    if reason == "tool_calls" and not has_calls:
        return "stop"
    return "tool_calls" if reason == "stop" and has_calls else reason


def refusal_of(stop_reason: str, details: Any) -> str | None:
    """What the client is told where the model refused; None where it did not."""
    if stop_reason != "refusal":
        return None
    explanation = details.get("explanation") if isinstance(details, dict) else None
    return explanation if isinstance(explanation, str) and explanation else _REFUSED


def tool_use_of(block: dict[str, Any], number: int, job: Job) -> tuple[str, str]:
    """Id and name of a block of a tool call, which is the answer's call of this number, counted from 0."""
    id, name = block.get("id"), block.get("name")
    if not isinstance(name, str) or not name:
        raise bad("the provider's answer has a tool call without a name")
    return id if isinstance(id, str) and id else f"call_{job.call.id}_{number}", name


def json_text(value: Any) -> str:
    """A tool's input as JSON text; nothing is an empty object."""
    if value is None:
        return "{}"
    try:
        if isinstance(value, dict):
            return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        pass
    raise bad("the provider's answer has a tool call whose input is no object")


def custom_input(arguments: str) -> str:
    """The text that a custom tool is called with, out of the object that a function had to be called with."""
    try:
        value = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return arguments
    text = value.get("input") if isinstance(value, dict) else None
    return text if isinstance(text, str) else arguments


def usage_of(fields: Any) -> Usage | None:
    """OpenAI's counts from an object `usage`, in which cached tokens are no part of the input.

    Where an answer took several iterations it is their sum that is billed. None where nothing is counted.
    """
    if not isinstance(fields, dict):
        return None
    iterations = fields.get("iterations")
    parts = [part for part in iterations if isinstance(part, dict)] if isinstance(iterations, list) else []
    parts = parts or [fields]
    if all(_count(part, "input_tokens") is None and _count(part, "output_tokens") is None for part in parts):
        return None
    read, written = _sum(parts, "cache_read_input_tokens"), _sum(parts, "cache_creation_input_tokens")
    return Usage(
        input_tokens=_sum(parts, "input_tokens") + read + written,
        output_tokens=_sum(parts, "output_tokens"),
        cached_tokens=read,
        reasoning_tokens=sum(map(_thinking, parts)) or _thinking(fields),
        cache_write_tokens=written,
    )


def _sum(parts: list[dict[str, Any]], name: str) -> int:
    return sum(_count(part, name) or 0 for part in parts)


def _thinking(part: dict[str, Any]) -> int:
    details = part.get("output_tokens_details")
    return (_count(details, "thinking_tokens") or 0) if isinstance(details, dict) else 0


def _count(fields: dict[str, Any], name: str) -> int | None:
    value = fields.get(name)
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST_COUNT
    return value if is_count else None
