"""How much of an answer has passed, for those that end without a usage: what the client left, and what broke off."""

import re
from collections.abc import Iterable
from math import ceil

from llmrouter.replies import Chunk, Usage

_TEXT = re.compile(rb'"(?:content|reasoning_content|reasoning|refusal|arguments|text)":\s*"((?:[^"\\]|\\.)*)"')


class PassedText:
    """Counts a stream's chunks as they pass; the last `usage` that they told is kept.

    Nothing is parsed on the way: what a chunk has beside its text is as long in all chunks of a stream, and is measured
    once, when somebody asks.
    """

    __slots__ = ("_bytes", "_chunks", "_longest", "usage")

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self._bytes = self._chunks = 0
        self._longest = b""

    def add(self, chunks: Iterable[Chunk]) -> None:
        """The next chunks."""
        for chunk in chunks:
            if chunk.usage is not None:
                self.usage = chunk.usage
            if chunk.is_content:
                self._chunks += 1
                self._bytes += len(chunk.data)
                if len(chunk.data) > len(self._longest):
                    self._longest = chunk.data

    def tokens(self, characters_per_token: float) -> int:
        """About how many tokens of output have passed."""
        beside = len(self._longest) - sum(map(len, _TEXT.findall(self._longest)))
        return ceil(max(self._bytes - beside * self._chunks, 0) / characters_per_token)
