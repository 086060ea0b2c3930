"""The wire format `echo`: a provider inside the router that repeats the last user message, for demos and tests."""

import re
from typing import Any

from llmrouter.calls import Call
from llmrouter.providers.chunk_writer import ChunkWriter, choice_json, completion_json
from llmrouter.replies import Chunk, Reply, Usage

_MOST_PIECES = 2000
"""A stream has at most this many pieces of text, so that a large message does not become millions of chunks."""


def completion(call: Call, now: float) -> Reply:
    """A chat completion that repeats the last user message; `now` is Unix seconds, usage counts words."""
    text = _last_user_text(call)
    return completion_json(call, int(now), [choice_json({"content": text}, "stop")], _usage(call, text))


def chunks(call: Call, now: float) -> list[Chunk]:
    """The same as a stream: word by word, the end, and the usage."""
    text = _last_user_text(call)
    writer = ChunkWriter(call, int(now))
    return [*map(writer.text, _pieces(text)), writer.end("stop"), writer.usage(_usage(call, text))]


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


def _usage(call: Call, text: str) -> Usage:
    return Usage(sum(len(_text(message.get("content")).split()) for message in _messages(call)), len(text.split()))
