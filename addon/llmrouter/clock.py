"""The only place that reads a clock: everything else takes `now` as an argument or a `Clock`."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """`monotonic` for durations, `wall` (Unix seconds) for what stands on the wire or in a log."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
