"""CPU per request of the router and of mitmproxy alone, in short blocks by turns, and what they add to a call."""

import asyncio
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scripts.bench.load import Asked, Direct, Tunnelled, Way, drive
from scripts.bench.processes import Program
from scripts.bench.rows import Row

_WARM_UP, _LEAST_WARM_UP = 0.2, 48


@dataclass(frozen=True)
class Side:
    """One of the two that are compared, and how a client reaches it."""

    program: Program
    way: Way
    asked: Asked


@dataclass(frozen=True)
class Result:
    """What one row came to: CPU in milliseconds per request (or chunk), latencies in milliseconds, MiB."""

    row: Row
    ours_ms: float
    alone_ms: float
    ratio: float
    p50_ms: float
    p99_ms: float
    resident_mib: float

    @property
    def is_kept(self) -> bool:
        """Whether the row's bar is kept."""
        return self.row.bar is None or self.ratio <= self.row.bar


def way_to(program: Program, *, tunnelled: bool, host: str, port: int) -> Way:
    """How a client reaches a program: by its API port, or by a tunnel through it to a host."""
    return Tunnelled(program.proxy, host, port) if tunnelled else Direct(program.api)


def compare(row: Row, ours: Side, alone: Side, *, requests: int, clients: int, rounds: int) -> Result:
    """One row: a warm-up, then blocks by turns; the medians of both, and of the ratio within each round.

    On a machine that others use, too, both sides of a round meet the same neighbours.
    """
    clients = row.clients or clients
    each = max(clients, round(requests * row.share / rounds / clients) * clients)
    warm_up = max(_LEAST_WARM_UP, clients, round(each * _WARM_UP))
    for side in (ours, alone):
        asyncio.run(drive(side.way, side.asked, warm_up, clients))
    used: list[tuple[float, float]] = []
    seconds: list[float] = []
    for number in range(rounds):
        in_turn = (ours, alone) if number % 2 else (alone, ours)
        found = {}
        for side in in_turn:
            found[id(side)], times = block(side, each, clients)
            if side is ours:
                seconds += times
        used.append((found[id(ours)] / row.per, found[id(alone)] / row.per))
    cuts = statistics.quantiles(seconds, n=100)
    return Result(
        row,
        ours_ms=statistics.median(mine for mine, _ in used),
        alone_ms=statistics.median(other for _, other in used),
        ratio=statistics.median(mine / other for mine, other in used),
        p50_ms=cuts[49] * 1000,
        p99_ms=cuts[98] * 1000,
        resident_mib=ours.program.resident_mib(),
    )


def block(side: Side, requests: int, clients: int) -> tuple[float, Sequence[float]]:
    """CPU in milliseconds per request of one side, and the seconds of each request."""
    before = side.program.cpu_s()
    seconds = asyncio.run(drive(side.way, side.asked, requests, clients))
    return (side.program.cpu_s() - before) / len(seconds) * 1000, seconds
