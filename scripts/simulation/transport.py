"""Attempts at simulated providers: they take virtual time, fail as the day wills, and are counted."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field

from llmrouter.calls import Call
from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.replies import Chunk, Reply, Usage
from llmrouter.transports import Attempt
from scripts.simulation.providers import SPENDING_LIMIT
from scripts.simulation.virtual_time import MIDNIGHT, VirtualLoop
from scripts.simulation.world import Place, Trouble, World


@dataclass(slots=True)
class Watch:
    """What the providers saw: what was paid, and how often a limit that the owner set was not kept."""

    over_limit: list[str] = field(default_factory=list)
    paid_usd: dict[str, float] = field(default_factory=dict)

    def pay(self, place: Place, cost_usd: float) -> None:
        """An answer is paid for."""
        self.paid_usd[place.name] = self.paid_usd.get(place.name, 0.0) + cost_usd


class SimulatedTransport:
    """All providers of the world; `outputs` are the tokens of each call's answer, by the call's id."""

    def __init__(self, world: World, loop: VirtualLoop, outputs: Mapping[str, int], watch: Watch) -> None:
        self._world, self._loop, self._outputs, self._watch = world, loop, outputs, watch

    async def complete(self, call: Call, attempt: Attempt) -> Reply:
        """The whole answer, after the time that it takes."""
        place, usage = await self._begin(call, attempt)
        await self._until(self._loop.time() + usage.output_tokens / place.tokens_per_s, attempt)
        self._end(place, call, usage)
        return Reply(b"{}", usage)

    async def stream(self, call: Call, attempt: Attempt) -> AsyncGenerator[list[Chunk]]:
        """First content, and the rest with the usage when it is over."""
        place, usage = await self._begin(call, attempt)
        yield [Chunk(b"{}", is_content=True)]
        await asyncio.sleep(usage.output_tokens / place.tokens_per_s)
        self._end(place, call, usage)
        yield [Chunk(b"{}", is_content=False, usage=usage)]

    async def _begin(self, call: Call, attempt: Attempt) -> tuple[Place, Usage]:
        """Waits for the first content; raises `AttemptFailed` where there is none."""
        world, now = self._world, self._loop.time()
        place = world.places[attempt.target.provider]
        trouble, wait_s = place.trouble(now), place.first_content_s * world.chance.lognormvariate(0, 0.4)
        if trouble is Trouble.REFUSED:
            await asyncio.sleep(0.01)
            raise AttemptFailed(Outcome.UNREACHABLE, trouble)
        counter = world.counters[place.name]
        usage = world.usage(place, call, self._outputs[call.id], now)
        tokens = usage.input_tokens + usage.output_tokens
        if not counter.room(place.limits, 0, now):
            self._watch.over_limit.append(place.name)
        if not counter.room(place.limits, tokens, now):
            await asyncio.sleep(0.05)
            told_s = counter.wait_s(place.limits, now) if place.limits.tells_wait else None
            raise AttemptFailed(Outcome.RATE_LIMITED, "limit reached", 429, retry_after_s=told_s)
        counter.take(tokens, now)
        await self._fail(trouble, place, attempt)
        if usage.input_tokens > place.window:
            raise AttemptFailed(Outcome.CONTEXT_EXCEEDED, "too long", 400, {"message": "too long"})
        await self._until(now + wait_s, attempt)
        return place, usage

    async def _fail(self, trouble: Trouble | None, place: Place, attempt: Attempt) -> None:
        if trouble is Trouble.SILENT:
            await self._until(attempt.content_due + 1, attempt)
        if trouble is Trouble.FAILING or self._world.chance.random() < place.error_share:
            await asyncio.sleep(0.1)
            raise AttemptFailed(Outcome.SERVER_ERROR, "HTTP 500", 500)
        if trouble is Trouble.EMPTY:
            await asyncio.sleep(0.5)
            raise AttemptFailed(Outcome.BAD_REPLY, trouble)

    async def _until(self, at: float, attempt: Attempt) -> None:
        await asyncio.sleep(max(min(at, attempt.content_due) - self._loop.time(), 0.0))
        if at > attempt.content_due:
            raise AttemptFailed(Outcome.TIMED_OUT, "no content in time")

    def _end(self, place: Place, call: Call, usage: Usage) -> None:
        now = self._loop.time()
        self._world.caches[place.name].keep(call, now)
        self._watch.pay(place, place.sheet(now).cost_usd(usage, MIDNIGHT + now))
        if place.name == "nightly" and self._watch.paid_usd[place.name] > SPENDING_LIMIT["usd_per_day"] * 1.01:
            self._watch.over_limit.append(place.name)
