"""What the router adds to a call's time, at half of the load that it can take."""

import asyncio
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scripts.bench.load import Asked, Connections, Direct, drive, paced
from scripts.bench.processes import Program

P50_BAR, P99_BAR = "1.0 ms", "3.0 ms"
_SATURATING_CLIENTS = 64
_SATURATING_ROUNDS = 3
_WARM_UP_S, _SECONDS = 0.5, 2.0
_ROUNDS = 15
_FEW_PER_SECOND = 50.0


@dataclass(frozen=True)
class Times:
    """Median and 99th percentile in milliseconds."""

    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Added:
    """A direct call, one through the router, and one through mitmproxy alone, each at so many calls a second."""

    per_second: float
    direct: Times
    routed: Times
    alone: Times


@dataclass(frozen=True)
class Latency:
    """At half of the load that saturates the router, and at a small one."""

    at_half: Added
    at_rest: Added

    def lines(self) -> Iterator[tuple[str, float, float, float, str]]:
        """What is told: a name, the times of a direct call, a routed one and mitmproxy's, and what may be added."""
        for one, what, bars in (
            (self.at_half, ", half of the saturating load", (P50_BAR, P99_BAR)),
            (self.at_rest, "", ("", "")),
        ):
            name = f"at {one.per_second:.0f} calls a second{what}"
            yield f"p50 {name}", one.direct.p50_ms, one.routed.p50_ms, one.alone.p50_ms, bars[0]
            yield f"p99 {name}", one.direct.p99_ms, one.routed.p99_ms, one.alone.p99_ms, bars[1]


def measure(stub: Program, router: Program, alone: Program, asked: Asked, requests: int) -> Latency:
    """Finds the saturating load, then asks at steady rates."""
    ways = [Direct(program.api) for program in (stub, router, alone)]
    for way in ways:
        asyncio.run(drive(way, asked, requests // 4, _SATURATING_CLIENTS))
    saturating = max(asyncio.run(_throughput(ways[1], asked, requests)) for _ in range(_SATURATING_ROUNDS))
    return Latency(_added(ways, asked, saturating / 2), _added(ways, asked, _FEW_PER_SECOND))


def _added(ways: Sequence[Direct], asked: Asked, per_second: float) -> Added:
    """Short rounds by turns; the medians of all rounds.

    Neighbours on the machine then spoil some rounds of each, and what the router does itself is in all of them.
    """
    found: list[list[Times]] = [[] for _ in ways]
    for _ in range(_ROUNDS):
        for times, way in zip(found, ways, strict=True):
            times.append(asyncio.run(_at_rate(way, asked, per_second)))
    return Added(per_second, *map(_middle, found))


async def _throughput(way: Direct, asked: Asked, requests: int) -> float:
    loop = asyncio.get_running_loop()
    started = loop.time()
    seconds = await drive(way, asked, requests, _SATURATING_CLIENTS)
    return len(seconds) / (loop.time() - started)


async def _at_rate(way: Direct, asked: Asked, rate: float) -> Times:
    connections = Connections(way, asked)
    try:
        await paced(connections.ask, rate, _WARM_UP_S)
        seconds = await paced(connections.ask, rate, _SECONDS)
    finally:
        connections.close()
    cuts = statistics.quantiles(seconds, n=100)
    return Times(cuts[49] * 1000, cuts[98] * 1000)


def _middle(times: list[Times]) -> Times:
    return Times(statistics.median(one.p50_ms for one in times), statistics.median(one.p99_ms for one in times))
