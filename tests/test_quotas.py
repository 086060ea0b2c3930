"""Quotas as a client feels them: the next provider, a short wait in turn, or a truthful 429; never over the limit."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from llmrouter.calls import Preferences
from tests.fakes.provider import (
    RESET,
    Behaviour,
    CloseBeforeReply,
    FakeProvider,
    Stall,
    Status,
    StreamSteps,
    completion,
    sse_chunk,
)
from tests.gateways import GatewayUnderTest, gateway, provider

FREE: dict[str, Any] = {"input": 0, "output": 0}
MILLION: dict[str, Any] = {"input": 1_000_000, "output": 1_000_000}


def reason(router: GatewayUnderTest) -> str:
    """Why the last call's plan left out its first target."""
    plan = router.decisions[-1].to_record()["plan"]
    return str(plan["left_out"][0]["reason"])


async def test_what_exceeds_a_limit_goes_to_the_next_provider(tmp_path: Path) -> None:
    """The first provider never gets more than its owner allows, and the plan says why."""
    async with (
        FakeProvider() as small,
        FakeProvider() as large,
        gateway(tmp_path, provider("small", small, limits={"rpm": 2}), provider("large", large)) as router,
    ):
        told = [await router.ask(stream=bool(number % 2)) for number in range(5)]

        assert [one.answer.status for one in told] == [200] * 5
        assert (len(small.requests), len(large.requests)) == (2, 3)
        assert reason(router).startswith("small's 2 requests a minute are used up for ")


async def test_requests_at_a_time_are_waited_for_in_turn(tmp_path: Path) -> None:
    """With one place, the second request is sent when the first has ended, and the third after that."""
    async with FakeProvider() as busy:
        first, second = Stall(), Stall()
        busy.script(first, second)
        limits = {"concurrency": 1, "max_wait_seconds": 20}
        async with gateway(tmp_path, provider("busy", busy, limits=limits)) as router:
            calls = [asyncio.create_task(router.ask(stream=bool(number % 2))) for number in range(3)]
            await first.reached.wait()
            assert len(busy.requests) == 1
            first.resume.set()
            await second.reached.wait()
            assert len(busy.requests) == 2
            second.resume.set()
            told = await asyncio.gather(*calls)

            assert [one.answer.status for one in told] == [200] * 3
            assert [decision.stream for decision in router.decisions] == [False, True, False]


async def test_who_hangs_up_in_line_lets_the_next_one_in(tmp_path: Path) -> None:
    """A place in line is given up with the client, and nothing is sent for it."""
    async with FakeProvider() as busy:
        first = Stall()
        busy.script(first)
        limits = {"concurrency": 1, "max_wait_seconds": 20}
        async with gateway(tmp_path, provider("busy", busy, limits=limits)) as router:
            running = asyncio.create_task(router.ask())
            await first.reached.wait()
            leaver = asyncio.create_task(router.ask())
            stayer = asyncio.create_task(router.ask())
            await asyncio.sleep(0)
            leaver.cancel()
            first.resume.set()

            assert [(await call).answer.status for call in (running, stayer)] == [200, 200]
            assert len(busy.requests) == 2


async def test_a_day_that_is_used_up_outlasts_a_restart(tmp_path: Path) -> None:
    """The client is told 429 and when to come back, which is not before midnight UTC at the latest."""
    async with FakeProvider() as daily:
        settings = provider("daily", daily, limits={"rpd": 3})
        for statuses in ([200, 200], [200, 429]):
            async with gateway(tmp_path, settings, retry={"deadline_seconds": 5}) as router:
                told = [await router.ask() for _ in range(2)]
                assert [one.answer.status for one in told] == statuses

        assert len(daily.requests) == 3
        assert 0 < int(told[-1].answer.headers["retry-after"]) <= 24 * 3600
        assert (
            "daily's 3 requests a day are used up until the day ends at 00:00 UTC" in told[-1].json["error"]["message"]
        )


async def test_money_is_counted_by_real_usage(tmp_path: Path) -> None:
    """A dollar a token: an answer was expected to cost over 500, and its nine tokens are settled in place of that."""
    model = {"id": "m", "serves": ["*"], "price": MILLION}
    async with (
        FakeProvider() as paid,
        gateway(tmp_path, provider("paid", paid, models=[model], limits={"usd_per_day": 600})) as router,
    ):
        assert [(await router.ask()).answer.status for _ in range(5)] == [200] * 5
        assert sum(decision.cost_usd or 0 for decision in router.decisions) == 45


async def test_money_that_is_spent_is_not_spent_again(tmp_path: Path) -> None:
    """With 18 of 26 dollars spent, nine more are too many."""
    model = {"id": "m", "serves": ["*"], "price": MILLION}
    async with (
        FakeProvider() as paid,
        gateway(tmp_path, provider("paid", paid, models=[model], limits={"usd_per_day": 26})) as router,
    ):
        told = [await router.ask(max_tokens=1, stream=bool(number % 2)) for number in range(4)]

        assert [one.answer.status for one in told] == [200, 200, 429, 429]
        assert "$26 a day leaves no room" in reason(router)


async def test_what_has_no_price_is_not_sent_where_money_is_limited(tmp_path: Path) -> None:
    """An unknown price could be any."""
    async with (
        FakeProvider() as unknown,
        gateway(tmp_path, provider("unknown", unknown, limits={"usd_per_month": 5})) as router,
    ):
        told = await router.ask()

        assert told.answer.status == 400
        assert "its price is not known" in told.json["error"]["message"]
        assert not unknown.requests


@pytest.mark.parametrize("behaviour", [CloseBeforeReply(), Status(503), Status(429)], ids=["closed", "503", "429"])
async def test_what_a_provider_failed_at_counts_as_a_request(tmp_path: Path, behaviour: Behaviour) -> None:
    """Providers count what they refuse."""
    async with FakeProvider(behaviour) as flaky, FakeProvider() as next_one:
        settings = provider("flaky", flaky, limits={"rpm": 1})
        async with gateway(tmp_path, settings, provider("next", next_one)) as router:
            for _ in range(2):
                assert (await router.ask()).answer.headers["x-llmrouter-provider"] == "next"
            assert len(flaky.requests) == 1


async def test_what_a_provider_refused_used_no_tokens(tmp_path: Path) -> None:
    """What was reserved is given back, so the next request fits."""
    async with FakeProvider(Status(503)) as flaky, FakeProvider() as next_one:
        settings = provider("flaky", flaky, limits={"tpm": 600})
        async with gateway(tmp_path, settings, provider("next", next_one)) as router:
            providers = [(await router.ask()).answer.headers["x-llmrouter-provider"] for _ in range(2)]

    assert providers == ["next", "flaky"]


async def test_what_was_never_sent_is_given_back(tmp_path: Path) -> None:
    """A provider that cannot be reached has counted nothing."""
    async with FakeProvider() as gone:
        base_url = gone.base_url
    async with FakeProvider() as next_one:
        limits = {"rpm": 1}
        settings = provider("gone", base_url, limits=limits)
        async with gateway(tmp_path, settings, provider("next", next_one)) as router:
            for _ in range(2):
                assert (await router.ask()).answer.status == 200
                assert router.outcomes[0] == ("gone", "unreachable")


async def test_a_stream_that_breaks_gives_its_place_back(tmp_path: Path) -> None:
    """Whatever ends a stream, it is no longer under way: cut, or left by its client."""
    async with FakeProvider() as one:
        one.script(StreamSteps([sse_chunk("a "), RESET]))
        async with gateway(tmp_path, provider("one", one, limits={"concurrency": 1})) as router:
            assert not (await router.ask(stream=True)).is_done
            answer = await router.open(stream=True)
            assert answer.frames is not None
            await anext(answer.frames)
            await answer.frames.aclose()

            assert (await router.ask()).answer.status == 200


async def test_limits_of_a_model_hold_within_the_providers(tmp_path: Path) -> None:
    """The model's own limit sends the request to another model of the same provider."""
    models = [
        {"id": "tight", "serves": ["*"], "price": FREE, "limits": {"rpm": 1}},
        {"id": "wide", "serves": ["*"], "price": FREE},
    ]
    async with (
        FakeProvider() as one,
        gateway(
            tmp_path, provider("one", one, models=models, limits={"rpm": 3}), retry={"deadline_seconds": 1}
        ) as router,
    ):
        statuses = [(await router.ask()).answer.status for _ in range(4)]

        assert statuses == [200, 200, 200, 429]
        assert [seen.json()["model"] for seen in one.requests] == ["tight", "wide", "wide"]


async def test_waiting_is_left_to_the_cheaper_target_only_as_long_as_allowed(tmp_path: Path) -> None:
    """A minute is longer than `max_wait_seconds`: the dearer target of the same tier answers at once."""
    cheap = provider("cheap", "", models=[{"id": "m", "serves": ["*"], "price": FREE}], priority=1)
    dear = provider("dear", "", models=[{"id": "m", "serves": ["*"], "price": MILLION}], priority=1)
    async with FakeProvider() as one, FakeProvider() as two:
        cheap |= {"base_url": one.base_url, "limits": {"rpm": 1, "max_wait_seconds": 2}}
        dear |= {"base_url": two.base_url}
        async with gateway(tmp_path, dear, cheap) as router:
            providers = [(await router.ask()).answer.headers["x-llmrouter-provider"] for _ in range(2)]

        assert providers == ["cheap", "dear"]


async def test_one_long_answer_shuts_nobody_out(tmp_path: Path) -> None:
    """What answers are guessed to take never says that a request is too large for a limit."""
    long = Status(200, completion("long") | {"usage": {"prompt_tokens": 7, "completion_tokens": 30_000}})
    async with (
        FakeProvider(default=long) as large,
        FakeProvider() as small,
        gateway(
            tmp_path,
            provider("small", small, limits={"tpm": 6000, "rpm": 1}),
            provider("large", large),
        ) as router,
    ):
        told = [await router.ask() for _ in range(3)]
        assert [one.answer.headers["x-llmrouter-provider"] for one in told] == ["small", "large", "large"]
        assert "used up for" in reason(router)


async def test_what_a_client_allows_itself_is_reserved_in_dollars_too(tmp_path: Path) -> None:
    """Calls under way together spend no more than the day allows, if each uses all that it may."""
    models = [{"id": "m", "serves": ["*"], "price": {"input": 0, "output": 10}}]
    async with FakeProvider(default=Stall()) as dear, FakeProvider() as other:
        limited = provider("dear", dear, models=models, limits={"usd_per_day": 1})
        async with gateway(tmp_path, limited, provider("other", other)) as router:
            calls = [asyncio.create_task(router.ask(max_tokens=30_000)) for _ in range(8)]
            await other.wait_for_requests(5)
            assert len(dear.requests) == 3
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)


async def test_what_a_request_may_cost_counts_all_that_it_may_make(tmp_path: Path) -> None:
    models = [{"id": "m", "serves": ["*"], "price": {"input": 0, "output": 10}}]
    async with FakeProvider() as dear, gateway(tmp_path, provider("dear", dear, models=models)) as router:
        allowed = Preferences(max_cost_usd=0.01)
        assert (await router.ask(preferences=allowed, max_tokens=100_000)).answer.status == 404
        assert (await router.ask(preferences=allowed, max_tokens=900)).answer.status == 200


async def test_what_was_never_connected_is_given_back(tmp_path: Path) -> None:
    nobody = provider("nobody", "http://127.0.0.1:1/v1", limits={"rpd": 1})
    async with FakeProvider() as good, gateway(tmp_path, nobody, provider("good", good)) as router:
        for _ in range(2):
            assert (await router.ask()).answer.status == 200
            assert router.outcomes[0] == ("nobody", "unreachable")


async def test_nobody_waits_longer_than_the_limits_say_even_where_nothing_else_is_left(tmp_path: Path) -> None:
    limits = {"rpm": 1, "max_wait_seconds": 0.1}
    async with FakeProvider() as only, gateway(tmp_path, provider("only", only, limits=limits)) as router:
        await router.ask()
        told = await asyncio.wait_for(router.ask(), 5)
        assert told.answer.status == 429
        assert 50 <= int(told.answer.headers["retry-after"]) <= 61
        assert len(only.requests) == 1


@pytest.mark.parametrize(
    ("first", "other", "waits"),
    [
        ({"price": {"input": 1, "output": 1}}, {"price": {"input": 1, "output": 1}}, False),
        ({"price": {"input": 1, "output": 1}}, {"price": {"input": 2, "output": 2}}, True),
        ({"price": {"input": 0, "output": 0}}, {"price": {"input": 0, "output": 0}}, False),
    ],
)
async def test_nobody_waits_where_another_is_as_cheap(
    tmp_path: Path, first: dict[str, Any], other: dict[str, Any], waits: bool
) -> None:
    limits = {"concurrency": 1, "max_wait_seconds": 20}
    holding = Stall()
    async with FakeProvider(holding) as one, FakeProvider() as two:
        providers = [
            provider("one", one, priority=1, limits=limits, models=[{"id": "a", "serves": ["*"]} | first]),
            provider("two", two, priority=2, models=[{"id": "b", "serves": ["*"]} | other]),
        ]
        async with gateway(tmp_path, *providers) as router:
            running = asyncio.ensure_future(router.ask(preferences=Preferences(provider="one")))
            await holding.reached.wait()
            asking = asyncio.ensure_future(router.ask())
            if waits:
                holding.resume.set()
            told = await asyncio.wait_for(asking, 10)
            assert told.answer.headers["x-llmrouter-provider"] == ("one" if waits else "two")
            holding.resume.set()
            await running


async def test_who_wants_no_wait_gets_none_where_nothing_was_tried(tmp_path: Path) -> None:
    """`max_wait_seconds: 0` under `retry` holds also where all rest: the answer says when to come back."""
    limited = Status(429, headers={"retry-after": "30"})
    retry = {"max_wait_seconds": 0}
    async with FakeProvider(default=limited) as one, gateway(tmp_path, provider("one", one), retry=retry) as router:
        for _ in range(2):
            told = await asyncio.wait_for(router.ask(), 5)
            assert told.answer.status == 429
            assert 25 < int(told.answer.headers["retry-after"]) <= 30
