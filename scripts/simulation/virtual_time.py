"""An event loop whose clock jumps to what happens next, so that a day takes as long as its work."""

import asyncio
import selectors
from collections.abc import Mapping
from selectors import SelectorKey
from typing import Any

from llmrouter.clock import Clock

MIDNIGHT = 1_795_392_000.0
"""When the simulated day begins: 2026-11-23, 00:00 UTC."""


class _JumpingSelector(selectors.SelectSelector):
    """Never sleeps: where nothing is ready, the time that it would sleep for is over at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("the simulation waits for something that never happens")
            self.now += max(timeout, 0.0)
        return ready

    def get_map(self) -> Mapping[Any, SelectorKey]:
        return super().get_map()


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` is seconds since the simulation began."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        # Timers within this are due: else rounding would let the loop turn in place.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        return self._jumping.now

    def clock(self) -> Clock:
        """The router's clock, in this loop's time; its wall clock begins at `MIDNIGHT`."""
        return Clock(self.time, lambda: MIDNIGHT + self.time())
