"""What a well-behaved provider says, as bytes and JSON: completions, chunks, whole streams."""

import json
import re
from collections.abc import Mapping
from typing import Any

DONE = b"data: [DONE]\n\n"
MODEL = "fake-model"


def completion(text: str, model: str = MODEL, **extra: Any) -> dict[str, Any]:
    """A `chat.completion` that says `text`; usage counts words. `extra` replaces or adds members."""
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    whole = {"id": "chatcmpl-fake", "object": "chat.completion", "created": 1_700_000_000, "model": model}
    return whole | {"choices": [choice], "usage": usage_of(text)} | extra


def usage_of(text: str) -> dict[str, int]:
    """The usage that the fake reports for an answer: 7 tokens in, one out for each word."""
    words = len(text.split())
    return {"prompt_tokens": 7, "completion_tokens": words, "total_tokens": 7 + words}


def sse(payload: Any) -> bytes:
    """One server-sent event; text and bytes go out as they are, all else as JSON."""
    if isinstance(payload, bytes):
        return b"data: " + payload + b"\n\n"
    text = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
    return f"data: {text}\n\n".encode()


def sse_chunk(
    content: str | None = None, *, finish: str | None = None, usage: Mapping[str, Any] | None = None, **extra: Any
) -> bytes:
    """One `chat.completion.chunk` event; with nothing but `usage` it has no choices, as at OpenAI.

    `extra` replaces or adds members of the chunk; `delta` adds to the choice's delta.
    """
    delta = dict(extra.pop("delta", {}))
    if content is not None:
        delta["content"] = content
    is_usage_only = usage is not None and finish is None and not delta
    choices = [] if is_usage_only else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
    chunk = {"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": MODEL}
    return sse(chunk | {"choices": choices} | ({} if usage is None else {"usage": usage}) | extra)


def answer_events(text: str, *, with_usage: bool) -> list[bytes]:
    """The events of a good stream: role, words, end, usage where asked for, `[DONE]`."""
    words = [sse_chunk(word) for word in re.findall(r"\s*\S+", text)]
    usage = [sse_chunk(usage=usage_of(text))] if with_usage else []
    return [sse_chunk("", delta={"role": "assistant"}), *words, sse_chunk(finish="stop"), *usage, DONE]
