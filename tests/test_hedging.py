"""A second target is asked where the first is late: who wins, who is closed, and what is booked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from llmrouter.proxy.call_notes import comment_on
from tests.fakes.behaviours import Exchange
from tests.fakes.provider import CUT, Answer, Behaviour, FakeProvider, Stall, Status, StreamSteps, sse_chunk
from tests.gateways import GatewayUnderTest, gateway, provider

FREE, DEAR = {"input": 0, "output": 0}, {"input": 1, "output": 1}
NAMES = ("one", "two", "three")
GOOD = Answer("hello there")


@asynccontextmanager
async def race(
    folder: Path,
    *behaviours: Behaviour,
    hedge: dict[str, Any] | None = None,
    prices: tuple[dict[str, int], ...] = (FREE, FREE, FREE),
    retry: dict[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[tuple[GatewayUnderTest, list[FakeProvider]]]:
    """Targets that do this with their first request; the first one has always answered within a millisecond so far."""
    async with AsyncExitStack() as stack:
        fakes = [await stack.enter_async_context(FakeProvider(behaviour)) for behaviour in behaviours]
        providers = [
            provider(name, fake, models=[{"id": "m", "serves": ["*"], "price": price}], **settings)
            for name, fake, price in zip(NAMES, fakes, prices, strict=False)
        ]
        wanted = {"max_share": 0.5} if hedge is None else hedge
        router = await stack.enter_async_context(gateway(folder, *providers, hedge=wanted or None, retry=retry or {}))
        book = router.runtime.gateway.health.hedges
        for number in range(100):
            book.note_content("one/m", 0.001, is_stream=number % 2 == 0)
            book.note_call()
        yield router, fakes


class StalledFailure(Stall):
    """Silence, and a 503 when it is resumed."""

    async def perform(self, exchange: Exchange) -> None:
        await self.halt()
        await Status(503).perform(exchange)


def by(router_told: Any) -> str:
    name: str = router_told.answer.headers["x-llmrouter-provider"]
    return name


@pytest.mark.parametrize("stream", [False, True])
async def test_the_first_content_wins_and_the_other_is_closed(tmp_path: Path, stream: bool) -> None:
    stall = Stall(after_headers=stream)
    async with race(tmp_path, stall, GOOD) as (router, fakes):
        told = await router.ask(stream=stream)
        assert (told.answer.status, by(told)) == (200, "two")
        assert told.answer.headers["x-llmrouter-attempts"] == "2"
        await stall.client_left.wait()
        assert router.outcomes == [("one", "hedged_off"), ("two", "success")]
        loser = router.decisions[-1].attempts[0]
        assert loser.guessed_usage is not None
        assert loser.cost_usd == 0.0
        health = router.runtime.gateway.health
        assert health.under_way.at("one/m") == health.under_way.at("two/m") == 0
        assert [len(fake.requests) for fake in fakes] == [1, 1]


async def test_the_late_one_may_win_all_the_same(tmp_path: Path) -> None:
    stall, other = Stall(), Stall()
    async with race(tmp_path, stall, other) as (router, _):
        asking = asyncio.create_task(router.ask())
        await other.reached.wait()
        stall.resume.set()
        assert by(await asking) == "one"
        await other.client_left.wait()
        assert router.outcomes == [("two", "hedged_off"), ("one", "success")]


async def test_a_second_that_fails_leaves_the_first_its_time(tmp_path: Path) -> None:
    stall = Stall()
    async with race(tmp_path, stall, Status(503)) as (router, fakes):
        asking = asyncio.create_task(router.ask())
        await fakes[1].wait_for_requests(1)
        while router.runtime.gateway.health.under_way.at("two/m"):  # noqa: ASYNC110 - the book tells nobody
            await asyncio.sleep(0.001)
        stall.resume.set()
        assert (await asking).json["choices"][0]["message"]["content"] == "late"
        assert router.outcomes == [("two", "server_error"), ("one", "success")]


async def test_where_both_fail_the_next_is_asked(tmp_path: Path) -> None:
    timeouts: dict[str, Any] = {"timeouts": {"first_byte": 0.2}}
    async with race(tmp_path, Stall(), Status(503), Answer("third"), **timeouts) as (router, _):
        told = await router.ask(stream=True)
        assert (told.text, told.is_done) == ("third", True)
        assert router.outcomes == [("two", "server_error"), ("one", "timed_out"), ("three", "success")]


async def test_a_winner_that_breaks_off_is_gone_on_with(tmp_path: Path) -> None:
    """What the winner has taken from the quotas is the winner's, to the end."""
    broken = StreamSteps([sse_chunk("hello"), sse_chunk(" and"), b"data: {"])
    limits: dict[str, Any] = {"limits": {"rpd": 10, "concurrency": 1}}
    async with race(tmp_path, Stall(), broken, Answer("and more"), **limits) as (router, _):
        told = await router.ask(stream=True)
        assert (told.text, told.is_done) == ("hello and more", True)
        assert [outcome for _, outcome in router.outcomes] == ["hedged_off", "broken_stream", "success"]
        assert (await router.ask(stream=True)).answer.status == 200


@pytest.mark.parametrize(
    ("hedge", "price"),
    [({"max_share": 0.5}, DEAR), ({"max_share": 0.001}, FREE)],
    ids=["it is dearer", "the share is used up"],
)
async def test_nobody_else_is_asked(
    tmp_path: Path, hedge: dict[str, Any], price: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    stall, looked = Stall(), asyncio.Event()
    async with race(tmp_path, stall, GOOD, hedge=hedge, prices=(FREE, price)) as (router, fakes):
        book = router.runtime.gateway.health.hedges
        has_room = book.has_room

        def look(share: float) -> bool:
            looked.set()
            return has_room(share)

        monkeypatch.setattr(book, "has_room", look)
        asking = asyncio.create_task(router.ask())
        await looked.wait()
        stall.resume.set()
        assert by(await asking) == "one"
        assert fakes[1].requests == []


async def test_a_dearer_one_is_asked_where_that_is_wanted(tmp_path: Path) -> None:
    hedge = {"max_share": 0.5, "paid": True}
    async with race(tmp_path, Stall(), GOOD, hedge=hedge, prices=(FREE, DEAR)) as (router, _):
        assert by(await router.ask()) == "two"


async def test_a_client_that_hangs_up_ends_both(tmp_path: Path) -> None:
    stalls = Stall(), Stall()
    async with race(tmp_path, *stalls) as (router, _):
        asking = asyncio.create_task(router.ask())
        await stalls[1].reached.wait()
        asking.cancel()
        await asyncio.gather(*(stall.client_left.wait() for stall in stalls))
        with pytest.raises(asyncio.CancelledError):
            await asking
        health = router.runtime.gateway.health
        assert health.under_way.at("one/m") == health.under_way.at("two/m") == 0


async def test_without_the_setting_nobody_is_asked_twice(tmp_path: Path) -> None:
    stall = Stall()
    async with race(tmp_path, stall, GOOD, hedge={}) as (router, fakes):
        asking = asyncio.create_task(router.ask())
        await stall.reached.wait()
        stall.resume.set()
        assert by(await asking) == "one"
        assert fakes[1].requests == []


async def test_who_lost_goes_on_with_what_the_winner_broke_off(tmp_path: Path) -> None:
    broken = StreamSteps([sse_chunk("hello"), sse_chunk(" and"), CUT])
    async with race(tmp_path, Stall(), broken, hedge={"max_share": 0.5}) as (router, fakes):
        fakes[0].default = Answer("and more")
        told = await router.ask(stream=True)
        assert (told.text, told.is_done) == ("hello and more", True)
        assert router.outcomes == [("one", "hedged_off"), ("two", "broken_stream"), ("one", "success")]


async def test_who_has_failed_is_not_booked_again_when_the_client_leaves(tmp_path: Path) -> None:
    late, other = StalledFailure(), Stall()
    async with race(tmp_path, late, other) as (router, _):
        asking = asyncio.create_task(router.ask())
        await other.reached.wait()
        late.resume.set()
        while router.runtime.gateway.health.under_way.at("one/m"):  # noqa: ASYNC110 - the book tells nobody
            await asyncio.sleep(0.001)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert router.outcomes == [("one", "server_error"), ("two", "client_gone")]


async def test_two_paid_targets_race_and_both_are_paid(tmp_path: Path) -> None:
    async with race(tmp_path, Stall(), GOOD, prices=({"input": 1, "output": 1}, {"input": 2, "output": 2})) as (
        router,
        _,
    ):
        assert by(await router.ask()) == "two"
        decision = router.decisions[-1]
        assert [attempt.is_unpriced for attempt in decision.attempts] == [True, False]
        # Nobody knows what the loser used: the call's cost is not told as if that were nothing.
        assert decision.cost_usd is None
        assert decision.known_cost_usd == decision.attempts[1].cost_usd


async def test_the_loser_is_no_failure_in_what_is_told(tmp_path: Path) -> None:
    async with race(tmp_path, Stall(), GOOD) as (router, _):
        told = await router.ask()
        assert told.answer.answer is not None
        comment = comment_on(told.answer.answer)
        assert "2 attempts" in comment
        assert "failover" not in comment
        health = router.runtime.gateway.health
        target = router.runtime.gateway.router.catalogue.targets[0]
        assert health.figures(target, 0.0).error_rate in (None, 0.0)
        assert health.breaker(target).is_closed
        (attempt, _) = router.decisions[-1].to_record()["attempts"]
        assert (attempt["outcome"], attempt["message"]) == ("hedged_off", "another target was faster")


@pytest.mark.parametrize("stream", [False, True])
async def test_neither_outlives_the_deadline(tmp_path: Path, stream: bool) -> None:
    stalls = Stall(after_headers=stream), Stall()
    retry = {"deadline_seconds": 0.3}
    async with race(tmp_path, *stalls, retry=retry) as (router, fakes):
        loop = asyncio.get_running_loop()
        began = loop.time()
        told = await router.ask(stream=stream)
        assert told.answer.status == 503
        assert loop.time() - began < 3
        await asyncio.gather(*(stall.client_left.wait() for stall in stalls))
        assert sorted(router.outcomes) == [("one", "timed_out"), ("two", "timed_out")]
        assert [len(fake.requests) for fake in fakes] == [1, 1]
