"""The last decisions, kept for whoever wants to look at them; written down only when they are read."""

from collections import deque
from collections.abc import Iterator
from typing import Any

from llmrouter.telemetry.decisions import Decision

_KEPT = 200


class RecentDecisions:
    """An observer that keeps the last 200 decisions."""

    def __init__(self) -> None:
        self._kept: deque[Decision] = deque(maxlen=_KEPT)

    def __call__(self, decision: Decision) -> None:
        """Takes a decision."""
        self._kept.append(decision)

    def latest(self) -> Iterator[Decision]:
        """The decisions, the latest first."""
        return iter(tuple(reversed(self._kept)))

    def records(self) -> list[dict[str, Any]]:
        """The records as plain JSON values, the latest first."""
        return [decision.to_record() for decision in self.latest()]
