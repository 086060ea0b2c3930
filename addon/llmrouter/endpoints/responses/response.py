"""The response object (provider reference, section 10.3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmrouter.replies import Usage

_MERGED = ("reasoning", "text")
"""Members whose own members have defaults."""

_SECRET = frozenset({"authorization", "headers"})
"""Members of MCP tools (OpenAI's SDK, `Mcp` in `tool_param.py`)."""


def _defaults() -> dict[str, Any]:
    """What a response repeats of its request, with what OpenAI takes for a member that is missing or null."""
    return {
        "conversation": None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt": None,
        "prompt_cache_key": None,
        "prompt_cache_retention": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "auto",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "user": None,
    }


@dataclass(frozen=True, slots=True)
class ResponseShape:
    """What is known of a response before its answer.

    `created_at` is Unix seconds. `echoed` are the request's own members that the response repeats. `custom_tools` are
    the names of custom tools that the model got as functions with one string parameter, `input`.
    """

    id: str
    created_at: float
    model: str
    echoed: Mapping[str, Any] = field(default_factory=dict)
    custom_tools: frozenset[str] = frozenset()
    background: bool = False


def response_object(
    shape: ResponseShape,
    status: str,
    output: Sequence[Mapping[str, Any]],
    usage: Mapping[str, Any] | None = None,
    error: Mapping[str, Any] | None = None,
    incomplete_details: Mapping[str, Any] | None = None,
    completed_at: float | None = None,
) -> dict[str, Any]:
    """The response with this status, output items and usage (see `usage_of`); `completed_at` is Unix seconds."""
    return {
        "id": shape.id,
        "object": "response",
        "created_at": int(shape.created_at),
        "status": status,
        "background": shape.background,
        "completed_at": None if completed_at is None else int(completed_at),
        "error": error,
        "incomplete_details": incomplete_details,
        "model": shape.model,
        "output": list(output),
        **{name: _echo(name, shape.echoed.get(name), default) for name, default in _defaults().items()},
        "usage": usage,
    }


def _echo(name: str, sent: Any, default: Any) -> Any:
    if sent is None:
        return default
    if name == "conversation" and isinstance(sent, str):
        return {"id": sent}
    if name == "tools":
        return without_secrets(sent)
    if name in _MERGED and isinstance(sent, dict):
        return {**default, **{inner: value for inner, value in sent.items() if value is not None}}
    return sent


def without_secrets(tools: Any) -> Any:
    """Tools without what opens other people's servers: a response is kept, and shown to whoever has its id."""
    if not isinstance(tools, list):
        return tools
    return [{k: v for k, v in tool.items() if k not in _SECRET} if isinstance(tool, dict) else tool for tool in tools]


def usage_of(told: Any) -> dict[str, Any] | None:
    """A chat completion's `usage` in the words of Responses; None where it has no counts."""
    usage = Usage.from_openai(told)
    if usage is None:
        return None
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
