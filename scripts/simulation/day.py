"""A day under one policy: the real gateway over simulated providers, and what came of it."""

import asyncio
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from llmrouter.brands import BRANDS
from llmrouter.calls import Call, Caller, Preferences
from llmrouter.endpoints import chat
from llmrouter.gateway import Gateway
from llmrouter.routing.allowances import limits_of
from llmrouter.routing.catalog import build_targets
from llmrouter.routing.health import HealthBook
from llmrouter.routing.plan import Router
from llmrouter.routing.price_book import PriceBook
from llmrouter.routing.quotas import QuotaBook
from llmrouter.settings.model import Settings
from scripts.simulation.oracle import OracleResult, ask_oracle
from scripts.simulation.own_policy import OWN_POLICY, OwnPolicy
from scripts.simulation.providers import CHANGES_AT_S, PUBLISHED, cast, settings_of
from scripts.simulation.traffic import Asked, day_of_traffic
from scripts.simulation.transport import SimulatedTransport, Watch
from scripts.simulation.virtual_time import VirtualLoop
from scripts.simulation.world import Place, World


@dataclass(slots=True)
class DayResult:
    """What a day came to. Latencies are seconds to the first content of calls that were answered.

    `failed` calls got an error; `preventable` are those of them that somebody could have answered when they came.
    """

    policy: str
    cost_usd: float = 0.0
    failed: int = 0
    preventable: int = 0
    over_limit: int = 0
    attempts: int = 0
    latencies_s: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def p95_s(self) -> float:
        """The time within which 95 of 100 calls had their first content."""
        return statistics.quantiles(self.latencies_s, n=20)[18]


@dataclass(frozen=True, slots=True)
class Day:
    """The calls and providers of one seed."""

    asked: tuple[Asked, ...]
    calls: tuple[Call, ...]
    places: tuple[Place, ...]

    def oracle(self) -> OracleResult:
        """What the day costs whoever knows everything."""
        together = zip(self.asked, self.calls, strict=True)
        return ask_oracle(self.places, [(asked.at_s, call, asked.output_tokens) for asked, call in together])


def make_day(calls: int, seed: int) -> Day:
    """The same day for the same seed."""
    asked = tuple(day_of_traffic(calls, seed))
    parsed = tuple(
        chat.parse(one.body, "gpt-4o-mini", id=f"req-{n}", caller=Caller(), preferences=Preferences())
        for n, one in enumerate(asked)
    )
    return Day(asked, parsed, tuple(cast(random.Random(seed + 1))))


def run_day(day: Day, policy: str, seed: int) -> DayResult:
    """Lets the gateway answer the day's calls under a policy."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(_run(day, policy, seed, loop))
    finally:
        loop.close()


async def _run(day: Day, policy: str, seed: int, loop: VirtualLoop) -> DayResult:
    world, watch, result = World(day.places, random.Random(seed + 2)), Watch(), DayResult(policy)
    outputs = {call.id: asked.output_tokens for call, asked in zip(day.calls, day.asked, strict=True)}
    gateway, book = _gateway(day.places, policy, loop, SimulatedTransport(world, loop, outputs, watch))
    published = {place.name: place for place in day.places}[PUBLISHED].prices
    loop.call_at(CHANGES_AT_S, lambda: book.replace(listings={PUBLISHED: {"m": published[1][1]}}))
    book.replace(listings={PUBLISHED: {"m": published[0][1]}})
    running: list[asyncio.Task[None]] = []
    for asked, call in zip(day.asked, day.calls, strict=True):
        await asyncio.sleep(max(asked.at_s - loop.time(), 0.0))
        running.append(loop.create_task(_ask(gateway, call, world, result)))
    await asyncio.gather(*running)
    result.cost_usd, result.over_limit = sum(watch.paid_usd.values()), len(watch.over_limit)
    return result


def _gateway(
    places: Sequence[Place], policy: str, loop: VirtualLoop, transport: SimulatedTransport
) -> tuple[Gateway, PriceBook]:
    settings = Settings.model_validate(settings_of(list(places), policy))
    catalogue = build_targets(settings, BRANDS, {})
    health, quotas, book = HealthBook(), QuotaBook(), PriceBook(catalogue.targets)
    health.reload(catalogue.targets)
    quotas.reload(catalogue.targets, limits_of(settings))
    gateway = Gateway(
        router=Router(settings, catalogue, health, book, custom={OWN_POLICY: OwnPolicy()}),
        retry=settings.retry,
        health=health,
        transports={"openai_compatible": transport},
        clock=loop.clock(),
        quotas=quotas,
    )
    return gateway, book


async def _ask(gateway: Gateway, call: Call, world: World, result: DayResult) -> None:
    loop = asyncio.get_running_loop()
    began, could = loop.time(), _somebody_can(call, world, loop.time())
    answer = await gateway.answer(call)
    if answer.status == 200:
        result.latencies_s.append(loop.time() - began)
        if answer.chunks is not None:
            async for _ in answer.chunks:
                pass
    else:
        result.failed += 1
        result.preventable += could
        result.failures.append(f"{began:.0f} s: {answer.status} {answer.error}")
    result.attempts += len(answer.decision.attempts)


def _somebody_can(call: Call, world: World, now: float) -> bool:
    """Whether a provider is able, well and within its limits at this moment."""
    return any(
        place.trouble(now) is None
        and world.counters[place.name].room(place.limits, world.input_tokens(place, call) + 1_000, now)
        for place in world.able(call, list(world.places))
    )
