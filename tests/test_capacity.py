"""What the router takes on at the same time: beyond it a call is refused at once, and every share comes back."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from llmrouter.capacity import Capacity
from llmrouter.errors import Overloaded
from llmrouter.settings.operating import OverloadSettings
from tests.fakes.provider import DONE, PAUSE, FakeProvider, Stall, Status, StreamSteps, sse_chunk
from tests.gateways import GatewayUnderTest, gateway, provider, read

_MIB = 1024 * 1024
ONE_CALL = {"max_calls": 1}


def slow_stream() -> StreamSteps:
    return StreamSteps([sse_chunk("hello"), PAUSE, sse_chunk(finish="stop"), DONE])


def used(router: GatewayUnderTest) -> tuple[int, int]:
    capacity = router.runtime.gateway.capacity
    return capacity.calls, capacity.held_bytes


def metric(router: GatewayUnderTest, figure: str) -> float:
    page = router.runtime.pages.answer("GET", "/metrics", "")
    (line,) = [x for x in page.sent.decode().splitlines() if x.startswith(f'llmrouter_overload{{figure="{figure}"}}')]
    return float(line.split()[-1])


async def test_a_call_beyond_the_bound_is_refused_at_once(tmp_path: Path) -> None:
    """503 in OpenAI's shape, worth another try soon; nobody is asked, and a decision says why."""
    slow = slow_stream()
    async with (
        FakeProvider(slow) as fake,
        gateway(tmp_path, provider("fake", fake), overload=ONE_CALL) as router,
    ):
        first = await router.open(stream=True)
        refused = await router.ask()
        assert metric(router, "calls") == metric(router, "max_calls") == 1
        assert first.frames is not None
        await anext(first.frames)
        await first.frames.aclose()

    assert refused.answer.status == 503
    assert refused.json["error"]["code"] == "overloaded"
    assert refused.json["error"]["type"] == "server_error"
    assert refused.answer.headers["x-should-retry"] == "true"
    assert 1 <= int(refused.answer.headers["retry-after"]) <= 5
    assert len(fake.requests) == 1
    assert router.decisions[0].error_kind == "overloaded"
    assert (router.decisions[0].result, router.decisions[0].status) == ("failed", 503)
    assert used(router) == (0, 0)


@pytest.mark.parametrize("settings", [{}, {"cache": {"backend": "memory", "when": "always"}}])
@pytest.mark.parametrize("stream", [False, True])
async def test_every_share_comes_back(tmp_path: Path, stream: bool, settings: dict[str, Any]) -> None:
    """Answers, failures, hits of the cache, and clients that hang up before there is an answer."""
    async with (
        FakeProvider() as fake,
        gateway(tmp_path, provider("fake", fake), retry={"max_attempts": 1}, **settings) as router,
    ):
        await router.ask(stream=stream)
        await router.ask(stream=stream)
        assert used(router) == (0, 0)

        fake.script(Status(500))
        assert (await router.ask(stream=stream, seed=2)).answer.status == 503
        assert used(router) == (0, 0)

        fake.script(StreamSteps([PAUSE]))
        asked = asyncio.ensure_future(router.open(stream=stream, seed=3))
        await asyncio.sleep(0)
        assert used(router)[0] == 1
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await until_idle(router)


async def until_idle(router: GatewayUnderTest) -> None:
    """Work that was given up ends within a few steps of the loop."""
    async with asyncio.timeout(5):
        while used(router) != (0, 0):  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0)


async def test_a_client_that_leaves_within_a_stream_gives_its_share_back(tmp_path: Path) -> None:
    slow = slow_stream()
    async with FakeProvider(slow) as fake, gateway(tmp_path, provider("fake", fake)) as router:
        answer = await router.open(stream=True)
        assert answer.frames is not None
        await anext(answer.frames)
        assert used(router)[0] == 1
        await answer.frames.aclose()
        assert used(router) == (0, 0)


async def test_what_the_router_ends_is_not_told_as_a_client_that_left(tmp_path: Path) -> None:
    """At its own end it cuts off what is under way still, begun or not."""
    async with FakeProvider(slow_stream(), silent := Stall()) as fake, gateway(tmp_path, provider("f", fake)) as router:
        answer = await router.open(stream=True)
        assert answer.frames is not None
        await anext(answer.frames)
        asked = asyncio.ensure_future(router.ask(stream=True))
        await silent.reached.wait()
        router.runtime.withdraw()
        await answer.frames.aclose()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert used(router) == (0, 0)
    told = [(one.result, one.status, one.error, one.error_kind) for one in router.decisions]
    said = ("The router was stopped.", "stopped")
    assert told == [("broken", 200, *said), ("failed", None, *said)]


async def test_a_defect_is_an_answer_and_a_decision(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What the planning raises is logged once with its traceback; the client gets 500 and no details."""
    async with FakeProvider() as fake, gateway(tmp_path, provider("fake", fake)) as router:
        router.runtime.gateway.transports = {}
        router.runtime.gateway.retry = None  # type: ignore[assignment]  # a defect of ours, whatever it is
        told = await router.ask()
        assert used(router) == (0, 0)

    assert told.answer.status == 500
    assert told.json["error"]["code"] == "llmrouter_internal_error"
    assert router.decisions[-1].error_kind == "internal_error"
    assert "the router failed on call" in caplog.text


async def test_the_bounds_follow_the_settings(tmp_path: Path) -> None:
    async with FakeProvider() as fake, gateway(tmp_path, provider("fake", fake), overload=ONE_CALL) as router:
        file = tmp_path / "providers.yaml"
        file.write_text(file.read_text().replace("max_calls: 1", "max_calls: 22"))
        assert router.runtime.reload_if_changed()
        assert metric(router, "max_calls") == 22


def test_bytes_are_bounded_together() -> None:
    """Bodies that come in at the same time share the bound; the one that is too much keeps nothing."""
    capacity = Capacity(OverloadSettings(max_held_mebibytes=1))
    first, second = capacity.begin_body(), capacity.begin_body()
    first.grow(700_000)
    with pytest.raises(Overloaded):
        second.grow(700_000)
    assert capacity.held_bytes == 700_000
    second.grow(300_000)
    first.give_back()
    first.give_back()
    assert capacity.figures()["held_bytes"] == 300_000
    assert capacity.figures()["refused_bodies"] == 1


def test_a_single_body_is_always_taken() -> None:
    """Else nothing could ever be sent that is larger than the bound."""
    capacity = Capacity(OverloadSettings(max_held_mebibytes=1))
    capacity.check_bytes(3 * _MIB)
    alone = capacity.begin_body()
    for _ in range(3):
        alone.grow(_MIB)
    assert capacity.held_bytes == 3 * _MIB
    with pytest.raises(Overloaded):
        capacity.begin_body().grow(1)


def test_calls_of_other_surfaces_count_what_they_hold() -> None:
    """A run in the background holds its own prompt; one that is refused for it is no call under way."""
    capacity = Capacity(OverloadSettings(max_held_mebibytes=1))
    capacity.begin_call(_MIB)
    with pytest.raises(Overloaded):
        capacity.begin_call(1)
    assert (capacity.calls, capacity.held_bytes) == (1, _MIB)


def test_those_who_are_refused_together_do_not_come_back_together() -> None:
    capacity = Capacity(OverloadSettings(max_calls=1))
    capacity.begin_call()
    waits: list[float | None] = []
    for _ in range(10):
        with pytest.raises(Overloaded) as refused:
            capacity.begin_call()
        waits.append(refused.value.retry_after_s)
    assert Counter(waits) == dict.fromkeys((1.0, 2.0, 3.0, 4.0, 5.0), 2)


async def test_a_shared_call_counts_for_each_of_those_who_wait(tmp_path: Path) -> None:
    """Three of them ask at once and one is sent; all three shares come back."""
    slow = slow_stream()
    settings: dict[str, Any] = {"cache": {"backend": "memory", "when": "always"}}
    async with FakeProvider(slow) as fake, gateway(tmp_path, provider("fake", fake), **settings) as router:
        opened = [await router.open(stream=True) for _ in range(3)]
        assert (used(router)[0], len(fake.requests)) == (3, 1)
        slow.resume.set()
        told = await asyncio.gather(*(read(one) for one in opened))
        assert {one.text for one in told} == {"hello"}
        await until_idle(router)
