"""How fast a stored answer is told again, where it shall look as if a model wrote it."""

from collections.abc import Sequence
from typing import Any

import orjson

from llmrouter.replies import Chunk

_BYTES_A_TOKEN = 4
"""Of text in UTF-8 (provider reference, section 14): near enough for prose in any script."""

_TEXTS = frozenset({"content", "refusal", "reasoning_content", "reasoning", "arguments", "input", "transcript"})


def delays_s(chunks: Sequence[Chunk], tokens_per_second: float | None) -> list[float]:
    """Seconds to wait before each of these chunks, so that the text comes at this rate; None is at once.

    A chunk comes when what stands before it would have been written, so that the first text comes at once, too.
    """
    if tokens_per_second is None or tokens_per_second <= 0:
        return [0.0] * len(chunks)
    waits, due_s = [], 0.0
    for chunk in chunks:
        waits.append(due_s)
        due_s = _text_bytes(chunk) / _BYTES_A_TOKEN / tokens_per_second
    return waits


def _text_bytes(chunk: Chunk) -> int:
    if not chunk.data:
        return 0
    return sum(_length(choice.get("delta")) for choice in orjson.loads(chunk.data)["choices"])


def _length(value: Any) -> int:
    """The bytes of all texts in a delta."""
    if isinstance(value, list):
        return sum(map(_length, value))
    if not isinstance(value, dict):
        return 0
    return sum(
        len(inner.encode()) if name in _TEXTS and isinstance(inner, str) else _length(inner)
        for name, inner in value.items()
    )
