"""What a client gets: complete replies, stream chunks, and the usage they report."""

from dataclasses import dataclass
from typing import Any, Self

_LARGEST_COUNT = 2**53
"""What JavaScript can count to; a provider that tells more is wrong."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer, counted as OpenAI counts.

    Tokens read from and written to the provider's prompt cache are part of the input, reasoning is part of the output.
    `cost_usd` is what the provider says that it charges, None where it does not say.
    """

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_tokens: int = 0
    cost_usd: float | None = None

    @classmethod
    def from_openai(cls, usage: Any) -> Self | None:
        """Reads OpenAI's `usage` object, or DeepSeek's, which counts cached tokens in a member of its own (provider
        reference, section 3.10); None where it is missing or has no counts."""
        if not isinstance(usage, dict):
            return None
        given, made = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
        if given is None or made is None:
            return None
        inputs = usage.get("prompt_tokens_details")
        cached = _count(inputs, "cached_tokens") or _count(usage, "prompt_cache_hit_tokens") or 0
        reasoning = _count(usage.get("completion_tokens_details"), "reasoning_tokens") or 0
        if reasoning and _count(usage, "total_tokens") == given + made + reasoning:
            # xAI has counted reasoning beside the output (provider reference, section 3.15).
            made += reasoning
        return cls(given, made, cached, reasoning, _count(inputs, "cache_write_tokens") or 0)

    def to_openai(self) -> dict[str, Any]:
        """OpenAI's `usage` object."""
        return {
            "prompt_tokens": self.input_tokens,
            "completion_tokens": self.output_tokens,
            "total_tokens": self.input_tokens + self.output_tokens,
            "prompt_tokens_details": {
                "cached_tokens": self.cached_tokens,
                "cache_write_tokens": self.cache_write_tokens,
            },
            "completion_tokens_details": {"reasoning_tokens": self.reasoning_tokens},
        }


def _count(source: Any, name: str) -> int | None:
    value = source.get(name) if isinstance(source, dict) else None
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST_COUNT
    return value if is_count else None


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete answer: `data` is the chat completion's JSON text as the client gets it.

    `native` is the answer as the target gave it, where that was asked for Responses and speaks them itself.
    """

    data: bytes
    usage: Usage | None = None
    native: bytes = b""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One `chat.completion.chunk` of a stream.

    `data` is its JSON text as the client gets it, empty where the client must not see the chunk (a usage chunk that
    it did not ask for). `is_content` tells that it carries text, a tool call, or the end of a choice: from then on
    the answer has begun. `native` is the event behind the chunk, as in `Reply`; one that says nothing in chat has a
    chunk without data, and all chunks after the first that has one have none beside.
    """

    data: bytes
    is_content: bool
    usage: Usage | None = None
    native: bytes = b""
