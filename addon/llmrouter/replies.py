"""What a client gets: complete replies, stream chunks, and the usage they report."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer, counted as OpenAI counts: cached tokens are part of the input, reasoning of the output."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    @classmethod
    def from_openai(cls, usage: Any) -> Self | None:
        """Reads OpenAI's `usage` object; None where it is missing or has no counts."""
        if not isinstance(usage, dict):
            return None
        given, made = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
        if given is None or made is None:
            return None
        cached = _count(usage.get("prompt_tokens_details"), "cached_tokens") or 0
        reasoning = _count(usage.get("completion_tokens_details"), "reasoning_tokens") or 0
        return cls(given, made, cached, reasoning)


def _count(source: Any, name: str) -> int | None:
    value = source.get(name) if isinstance(source, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete answer: `data` is the chat completion's JSON text as the client gets it."""

    data: bytes
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """One `chat.completion.chunk` of a stream.

    `data` is its JSON text as the client gets it, empty where the client must not see the chunk (a usage chunk that
    it did not ask for). `is_content` tells that it carries text, a tool call, or the end of a choice: from then on
    the answer has begun. `fields` is the parsed chunk.
    """

    data: bytes
    is_content: bool
    usage: Usage | None
    fields: Mapping[str, Any]
