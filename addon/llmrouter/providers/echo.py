"""The wire format `echo`: a provider inside the router that repeats the last user message, for demos and tests."""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from llmrouter.calls import Call
from llmrouter.replies import Chunk, Reply, Usage

_MOST_PIECES = 2000
"""A stream has at most this many pieces of text, so that a large message does not become millions of chunks."""


def completion(call: Call, now: float, reply_id: str) -> Reply:
    """A chat completion that repeats the last user message; `now` is Unix seconds, usage counts words."""
    text = _last_user_text(call)
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    usage = _usage(call, text)
    fields = {
        "id": reply_id,
        "object": "chat.completion",
        "created": int(now),
        "model": call.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": usage,
    }
    return Reply(orjson.dumps(fields), Usage.from_openai(usage))


def chunks(call: Call, now: float, reply_id: str) -> list[Chunk]:
    """The same as a stream: the role, then word by word, the end, and the usage.

    The usage chunk is always there, and hidden from a client that did not ask for it.
    """
    text = _last_user_text(call)
    frame = {"id": reply_id, "object": "chat.completion.chunk", "created": int(now), "model": call.model}
    deltas = [{"role": "assistant", "content": ""}, *({"content": piece} for piece in _pieces(text))]
    stream = [_chunk(call, frame, delta, None) for delta in deltas]
    stream.append(_chunk(call, frame, {}, "stop"))
    usage = _usage(call, text)
    fields = {**frame, "choices": [], "usage": usage}
    stream.append(Chunk(orjson.dumps(fields) if call.include_usage else b"", False, Usage.from_openai(usage), fields))
    return stream


def _chunk(call: Call, frame: Mapping[str, Any], delta: Mapping[str, str], reason: str | None) -> Chunk:
    fields = {**frame, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]}
    if call.include_usage:
        fields["usage"] = None
    return Chunk(orjson.dumps(fields), bool(delta.get("content") or reason), None, fields)


def _pieces(text: str) -> list[str]:
    words = re.findall(r"\S+\s*|\s+", text)
    size = -(-len(words) // _MOST_PIECES) or 1
    return ["".join(words[start : start + size]) for start in range(0, len(words), size)]


def _last_user_text(call: Call) -> str:
    messages = [message for message in _messages(call) if message.get("role") == "user"]
    return _text(messages[-1].get("content")) if messages else ""


def _messages(call: Call) -> list[dict[str, Any]]:
    messages = call.body.get("messages")
    return [message for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []


def _text(content: Any) -> str:
    """The text of a message's content; the text parts of a list are joined by line feeds."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))


def _usage(call: Call, text: str) -> dict[str, int]:
    given = sum(len(_text(message.get("content")).split()) for message in _messages(call))
    made = len(text.split())
    return {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made}
