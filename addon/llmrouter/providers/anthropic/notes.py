"""What is gathered while a request is written: its lossy steps, its cache marks and the names of its tools."""

import hashlib
import re
from collections.abc import Iterator
from typing import Any

from llmrouter.errors import AttemptFailed, Outcome

_MOST_MARKS = 4
_TAKEN_BY_ANTHROPIC = re.compile(r"[A-Za-z0-9_-]+")
_OTHER = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_NAME = 128
_LONGEST_STEM = 100


def untold(message: str) -> AttemptFailed:
    """The failure for what cannot be said to Anthropic."""
    return AttemptFailed(Outcome.NOT_TRANSLATABLE, message)


class Notes:
    """Lossy and notable steps in the order in which they were taken, each once."""

    def __init__(self) -> None:
        self._changes: dict[str, None] = {}
        self._marked: list[dict[str, Any]] = []

    @property
    def changes(self) -> tuple[str, ...]:
        return tuple(self._changes)

    def add(self, change: str) -> None:
        """Names a step in a few plain words."""
        self._changes[change] = None

    def mark(self, block: dict[str, Any]) -> dict[str, Any]:
        """The block as the end of a prefix that is worth caching."""
        block["cache_control"] = {"type": "ephemeral"}
        self._marked.append(block)
        return block

    def move_mark(self, block: dict[str, Any], to: dict[str, Any]) -> None:
        """Puts the mark of a block, where it has one, on another, such as the one that it stands in."""
        if "cache_control" in block:
            to["cache_control"] = block.pop("cache_control")
            self._marked = [other for other in self._marked if other is not block and other is not to] + [to]

    def limit_marks(self) -> None:
        """Takes the earliest marks away, where there are more than Anthropic's four (provider reference, section 9.1):
        the later ones stand for the longer prefixes."""
        for block in self._marked[:-_MOST_MARKS]:
            del block["cache_control"]
            self.add("without the earliest prompt_cache_breakpoint")


class ToolNames:
    """Names of tools in Anthropic's letters, and the way back to the client's (provider reference, section 9.1).

    `custom` are the client's tools of the type `custom`, which Anthropic is told as functions.
    """

    def __init__(self) -> None:
        self.custom: set[str] = set()
        self._told: dict[str, str] = {}
        self._meant: dict[str, str] = {}

    def __iter__(self) -> Iterator[str]:
        """The names that were told."""
        return iter(self._meant)

    def told(self, name: str) -> str:
        """The name as Anthropic is told it: itself where it may stand, else always the same other."""
        known = self._told.get(name)
        if known is None:
            known = allowed(name)
            while known in self._meant:
                known = allowed(known + ".")
            self._told[name], self._meant[known] = known, name
        return known

    def meant(self, told: str) -> str:
        """The client's name for one that Anthropic says."""
        return self._meant.get(told, told)


def allowed(name: str) -> str:
    """A name or an id in the letters that Anthropic takes: itself where it may stand, else one made from it."""
    if len(name) <= _LONGEST_NAME and _TAKEN_BY_ANTHROPIC.fullmatch(name):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{_OTHER.sub('_', name)[:_LONGEST_STEM]}_{digest}"
