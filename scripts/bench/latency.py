"""What the router adds to a call's time, at half of the load that it can take."""

import asyncio
import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from scripts.bench.load import Asked, Connections, Direct, drive, paced
from scripts.bench.processes import Program

P50_BAR, P99_BAR = "1.0 ms", "3.0 ms"
_SATURATING_CLIENTS = 64
_SECONDS = 5.0
_ROUNDS = 3
_FEW_PER_SECOND = 50.0


@dataclass(frozen=True)
class Times:
    """Median and 99th percentile in milliseconds."""

    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Latency:
    """Direct calls and routed ones, at half of the saturating load and at a small one."""

    saturating_per_second: float
    direct: Times
    routed: Times
    direct_at_rest: Times
    routed_at_rest: Times

    def lines(self) -> Iterator[tuple[str, float, float, str]]:
        """What is told: a name, the time of a direct call and of a routed one, and what may be added."""
        half = f"at {self.saturating_per_second / 2:.0f} calls a second, half of the saturating load"
        yield f"p50 {half}", self.direct.p50_ms, self.routed.p50_ms, P50_BAR
        yield f"p99 {half}", self.direct.p99_ms, self.routed.p99_ms, P99_BAR
        rest = f"at {_FEW_PER_SECOND:.0f} calls a second"
        yield f"p50 {rest}", self.direct_at_rest.p50_ms, self.routed_at_rest.p50_ms, ""
        yield f"p99 {rest}", self.direct_at_rest.p99_ms, self.routed_at_rest.p99_ms, ""


def measure(stub: Program, router: Program, asked: Asked, requests: int) -> Latency:
    """Finds the saturating load, then asks at steady rates, by turns; the medians of some rounds."""
    way, direct = Direct(router.api), Direct(stub.api)
    asyncio.run(drive(way, asked, requests // 4, _SATURATING_CLIENTS))
    saturating = max(asyncio.run(_throughput(way, asked, requests)) for _ in range(_ROUNDS))
    found: dict[tuple[str, float], list[Times]] = {}
    for _ in range(_ROUNDS):
        for rate in (saturating / 2, _FEW_PER_SECOND):
            for name, one in (("direct", direct), ("routed", way)):
                found.setdefault((name, rate), []).append(asyncio.run(_at_rate(one, asked, rate)))
    half = saturating / 2
    return Latency(
        saturating,
        direct=_middle(found["direct", half]),
        routed=_middle(found["routed", half]),
        direct_at_rest=_middle(found["direct", _FEW_PER_SECOND]),
        routed_at_rest=_middle(found["routed", _FEW_PER_SECOND]),
    )


async def _throughput(way: Direct, asked: Asked, requests: int) -> float:
    loop = asyncio.get_running_loop()
    started = loop.time()
    seconds = await drive(way, asked, requests, _SATURATING_CLIENTS)
    return len(seconds) / (loop.time() - started)


async def _at_rate(way: Direct, asked: Asked, rate: float) -> Times:
    connections = Connections(way, asked)
    try:
        await paced(connections.ask, rate, 1.0)
        seconds = await paced(connections.ask, rate, _SECONDS)
    finally:
        connections.close()
    cuts = statistics.quantiles(seconds, n=100)
    return Times(cuts[49] * 1000, cuts[98] * 1000)


def _middle(times: list[Times]) -> Times:
    return Times(statistics.median(one.p50_ms for one in times), statistics.median(one.p99_ms for one in times))
