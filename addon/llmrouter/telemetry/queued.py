"""A sink behind a queue: whatever it does, and however long that takes, no call waits for it."""

import logging
import queue
import threading
from collections.abc import Callable
from contextlib import suppress

from llmrouter.telemetry.decisions import Decision

logger = logging.getLogger(__name__)

_CLOSING_S = 1.0
_FIRST_WORDS = frozenset({1, 100, 10_000, 1_000_000})


class QueuedSink:
    """An observer whose `take` runs on a thread of its own, one decision after the other.

    At most `most` decisions wait; what comes while the sink is stuck is dropped, and counted in `dropped`. `failures`
    counts what `take` raised; it is logged for the 1st, 100th, 10,000th and so on. `end` runs on the thread at the end.
    """

    def __init__(
        self,
        name: str,
        take: Callable[[Decision], object],
        end: Callable[[], object] = lambda: None,
        most: int = 10_000,
    ) -> None:
        self.name = name
        self.dropped = 0
        self.failures = 0
        self._take = take
        self._end = end
        self._waiting: queue.Queue[Decision | None] = queue.Queue(most)
        self._thread = threading.Thread(target=self._work, name=f"sink {name}", daemon=True)
        self._thread.start()

    def __call__(self, decision: Decision) -> None:
        """Takes a decision, or drops it; returns at once."""
        try:
            self._waiting.put_nowait(decision)
        except queue.Full:
            self.dropped += 1
            if self.dropped in _FIRST_WORDS:
                logger.warning("the sink %s is too slow: %d decisions were dropped", self.name, self.dropped)

    def close(self) -> None:
        """Lets the sink take what still waits, for at most two seconds."""
        with suppress(queue.Full):
            self._waiting.put(None, timeout=_CLOSING_S)
            self._thread.join(timeout=_CLOSING_S)

    def _work(self) -> None:
        while (decision := self._waiting.get()) is not None:
            self._try(lambda decision=decision: self._take(decision))  # type: ignore[misc]  # mypy infers no lambda with a default
        self._try(self._end)

    def _try(self, job: Callable[[], object]) -> None:
        try:
            job()
        except BaseException as error:  # noqa: BLE001 - a sink may be the owner's own code, and its exit ends nothing
            self.failures += 1
            if self.failures in _FIRST_WORDS:
                logger.warning("the sink %s failed (%d times by now): %r", self.name, self.failures, error)
