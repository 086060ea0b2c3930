"""No request outlives its deadline: whatever providers do, in however many attempts, whole answers and streams."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.behaviours import Exchange
from tests.fakes.provider import CUT, Behaviour, FakeProvider, Stall, Status, StreamSteps, sse_chunk
from tests.gateways import GatewayUnderTest, gateway, provider
from tests.responding.world import world

DEADLINE_S = 0.15
# What a slow machine may add; each behaviour goes on for longer than that.
MOST_S = 3.0
TOO_LONG = {"error": {"message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"}}


@dataclass
class Endless:
    """A reply whose body never ends: a piece each so many seconds, without a pause where that is zero."""

    piece: bytes
    every_s: float = 0.01
    status: int = 200
    kind: str = "text/event-stream"

    async def perform(self, exchange: Exchange) -> None:
        await exchange.begin_stream(self.status, {"content-type": self.kind})
        while True:
            if self.piece:
                await exchange.send_chunk(self.piece)
            await asyncio.sleep(self.every_s)


ENDLESS: dict[str, Behaviour] = {
    "silence": Endless(b"", every_s=60),
    "an error, bit by bit": Endless(b" ", status=500, kind="application/json"),
    "a refusal, bit by bit": Endless(b" ", status=400, kind="application/json"),
    "json, bit by bit": Endless(b" ", kind="application/json"),
    "comments": Endless(b": processing\n\n"),
    "a flood of comments": Endless(b": processing\n\n" * 1000, every_s=0),
    "thoughts": Endless(sse_chunk(delta={"reasoning_content": "hm "})),
    "words": Endless(sse_chunk("word ")),
    "a flood of words": Endless(sse_chunk("word " * 1000) * 4, every_s=0),
}


@asynccontextmanager
async def within_deadline(folder: Path, *behaviours: Behaviour, **retry: Any) -> AsyncIterator[GatewayUnderTest]:
    """A gateway over one provider each; what is done with it takes no longer than the deadline, nor does a provider."""
    async with AsyncExitStack() as stack:
        fakes = [await stack.enter_async_context(FakeProvider(default=one)) for one in behaviours]
        providers = [provider(f"p{number}", fake) for number, fake in enumerate(fakes)]
        settings = {"deadline_seconds": DEADLINE_S, **retry}
        router = await stack.enter_async_context(gateway(folder, *providers, retry=settings))
        loop = asyncio.get_running_loop()
        began = loop.time()
        yield router
        assert loop.time() - began < MOST_S
        for number in range(len(behaviours)):
            assert router.runtime.gateway.health.under_way.at(f"p{number}/model-of-p{number}") == 0


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("endless", ENDLESS.values(), ids=ENDLESS.keys())
async def test_what_a_provider_never_ends(tmp_path: Path, endless: Behaviour, stream: bool) -> None:
    async with within_deadline(tmp_path, endless) as router:
        told = await asyncio.wait_for(router.ask(stream=stream), 10)
        assert b"[DONE]" not in told.body
        assert told.answer.status != 200 or "error" in told.events[-1]
        assert router.decisions[-1].result in ("failed", "broken")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_each_attempt_has_what_the_ones_before_left(tmp_path: Path, stream: bool) -> None:
    """Waits between attempts count, too."""
    failing = Status(500)
    async with within_deadline(tmp_path, failing, failing, Stall(), max_attempts=9) as router:
        told = await router.ask(stream=stream)
        assert told.answer.status == 503
        *failed, last = router.decisions[-1].attempts
        assert [str(attempt.outcome) for attempt in failed] == ["server_error", "server_error"]
        assert last.outcome == "timed_out"
        assert last.began_s is not None
        assert last.seconds < MOST_S - last.began_s


async def test_who_goes_on_with_a_stream_has_what_is_left_of_the_time(tmp_path: Path) -> None:
    broken = StreamSteps([sse_chunk("half "), CUT])
    async with within_deadline(tmp_path, broken, Endless(sse_chunk("word ")), Endless(sse_chunk("word "))) as router:
        told = await router.ask(stream=True)
        assert told.events[-1]["error"]["code"] == "stream_broken"
        assert [outcome for _, outcome in router.outcomes] == ["broken_stream", "out_of_time"]


async def test_a_response_that_is_shortened_again_and_again_has_one_deadline(tmp_path: Path) -> None:
    async with (
        FakeProvider(default=Late(Status(400, TOO_LONG), DEADLINE_S * 0.7)) as fake,
        world(tmp_path, provider("a", fake), retry={"deadline_seconds": DEADLINE_S}) as w,
    ):
        items = [{"role": "user", "content": f"text {n}"} for n in range(100)]
        told = await w.create(items, truncation="auto")
        assert told.status in (400, 503)
        assert len(w.calls) < 6
        assert len(fake.requests) <= 2


async def test_a_response_in_the_background_ends_at_its_deadline(tmp_path: Path) -> None:
    async with (
        FakeProvider(default=Endless(sse_chunk("word "))) as fake,
        world(tmp_path, provider("a", fake), retry={"deadline_seconds": DEADLINE_S}) as w,
    ):
        id = (await w.create(background=True)).json["id"]
        run = w.run_of(id)
        assert run is not None
        assert run.task is not None
        await asyncio.wait_for(asyncio.shield(run.task), MOST_S)
        kept = await w.ask("GET", f"/responses/{id}")
        assert kept.json["status"] == "failed"
        await asyncio.wait_for(fake.client_left.wait(), 5)


@dataclass
class Late:
    """Another behaviour, so many seconds later."""

    then: Behaviour
    seconds: float

    async def perform(self, exchange: Exchange) -> None:
        await asyncio.sleep(self.seconds)
        await self.then.perform(exchange)
