"""Connections to providers: one time-out per phase, failures by name, connections used again."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.wire import UpstreamRequest
from llmrouter.settings.model import TimeoutSettings
from llmrouter.upstream import Upstream
from tests.fakes.behaviours import Exchange
from tests.fakes.provider import CUT, PAUSE, FakeProvider, Raw, Stall, Status, StreamSteps

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n"


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    opened = Upstream()
    yield opened
    await opened.close()


def request_to(url: str) -> UpstreamRequest:
    return UpstreamRequest("POST", url, {"authorization": "Bearer key-of-groq"}, b"{}")


async def fetch(upstream: Upstream, url: str, patience_s: float = 5, **timeouts: Any) -> bytes:
    settings = TimeoutSettings(**timeouts)
    async with await upstream.send(request_to(url), settings, patience_s) as reply:
        return await reply.read_all(patience_s)


async def failure(upstream: Upstream, url: str, patience_s: float = 5, **timeouts: Any) -> tuple[Outcome, str]:
    with pytest.raises(AttemptFailed) as raised:
        await fetch(upstream, url, patience_s, **timeouts)
    assert "key-of-groq" not in raised.value.message
    return raised.value.outcome, raised.value.message


async def test_a_refused_connection(upstream: Upstream) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        outcome, message = await failure(upstream, url)

    assert outcome is Outcome.UNREACHABLE
    assert "cannot connect to 127.0.0.1" in message


async def test_a_name_that_does_not_exist(upstream: Upstream) -> None:
    outcome, message = await failure(upstream, "http://nowhere.invalid/")

    assert (outcome, message) == (Outcome.UNREACHABLE, "no address for nowhere.invalid")


async def test_a_connection_that_is_never_accepted(upstream: Upstream) -> None:
    """`connect` bounds the hand-shake: the listener's queue is full, so the kernel does not answer."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        outcome, message = await failure(upstream, f"http://127.0.0.1:{address[1]}/", connect=0.05)
        for filler in fillers:
            filler.close()

    assert (outcome, message) == (Outcome.UNREACHABLE, "no connection within 0.05 s"), "nothing was sent, or spent"


async def test_silence_before_the_head(upstream: Upstream) -> None:
    async with FakeProvider(Stall()) as slow:
        outcome, message = await failure(upstream, slow.base_url, 0.05)

    assert (outcome, message) == (Outcome.TIMED_OUT, "no reply within 0.05 s")


async def test_silence_in_the_middle(upstream: Upstream) -> None:
    """`idle` bounds the silence after the first bytes, and the connection is closed."""
    steps = StreamSteps([b"begun", PAUSE])
    async with FakeProvider(steps) as slow:
        outcome, message = await failure(upstream, slow.base_url, idle=0.05)
        await asyncio.wait_for(steps.client_left.wait(), 5)

    assert (outcome, message) == (Outcome.TIMED_OUT, "nothing came for 0.05 s")


async def test_a_trickle_beyond_the_total(upstream: Upstream) -> None:
    """`total` bounds what comes too slowly, however lively it is."""
    steps = StreamSteps([b"x", PAUSE])
    async with FakeProvider(steps) as slow:
        outcome, _ = await failure(upstream, slow.base_url, total=0.05)

    assert outcome is Outcome.TIMED_OUT


@pytest.mark.parametrize(
    ("behaviour", "outcome"),
    [
        (lambda: Raw(HEAD % 100 + b"short"), Outcome.BAD_REPLY),
        (lambda: StreamSteps([b"half", CUT]), Outcome.BAD_REPLY),
        (lambda: Raw(b"\x16\x03\x01 this is no HTTP\r\n\r\n"), Outcome.BAD_REPLY),
        (lambda: Raw(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\n\r\n"), Outcome.BAD_REPLY),
    ],
)
async def test_replies_that_are_no_http(upstream: Upstream, behaviour: Any, outcome: Outcome) -> None:
    async with FakeProvider(behaviour()) as liar:
        assert (await failure(upstream, liar.base_url))[0] is outcome


async def test_a_body_over_the_limit(upstream: Upstream) -> None:
    async with FakeProvider(Raw(HEAD % 1000 + b"x" * 1000)) as large:
        reply = await upstream.send(request_to(large.base_url), TimeoutSettings(), 5)
        with pytest.raises(AttemptFailed, match="larger than 999 bytes"):
            await reply.read_all(5, 999)
        reply.close()


async def test_whole_replies_leave_the_connection_open(upstream: Upstream) -> None:
    """One connection serves one call after the other; closing early costs it."""
    async with FakeProvider() as good:
        for _ in range(3):
            await fetch(upstream, good.base_url)
        assert good.connections == 1

        reply = await upstream.send(request_to(good.base_url), TimeoutSettings(), 5)
        reply.close()
        await fetch(upstream, good.base_url)
        assert good.connections <= 2


@dataclass(eq=False)
class Kept:
    """A good reply on a connection over which more comes later."""

    exchange: Exchange | None = None

    async def perform(self, exchange: Exchange) -> None:
        self.exchange = exchange
        await exchange.reply(200, {}, b"asked for")


async def test_what_comes_unasked_over_an_idle_connection_answers_nobody(upstream: Upstream) -> None:
    kept = Kept()
    async with FakeProvider(kept, default=Status(200, b"the next answer")) as provider:
        assert await fetch(upstream, provider.base_url) == b"asked for"
        assert kept.exchange is not None
        await kept.exchange.reply(200, {}, b"asked by nobody")
        for _ in range(10):
            await asyncio.sleep(0)
        assert await fetch(upstream, provider.base_url) == b"the next answer"
        assert provider.connections == 2


@dataclass(frozen=True, eq=False)
class PartOfHead:
    """The beginning of a head, and the end of the connection."""

    by_reset: bool

    async def perform(self, exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\ncontent-")
        if self.by_reset:
            for _ in range(10):
                await asyncio.sleep(0)
            return exchange.reset()
        exchange.close()


@pytest.mark.parametrize("by_reset", [False, True])
async def test_who_has_begun_to_answer_is_not_asked_again(upstream: Upstream, by_reset: bool) -> None:
    """Only a connection that ends without a byte was closed while it idled; all else has been paid for."""
    async with FakeProvider(Status(200, b"first"), PartOfHead(by_reset)) as provider:
        assert await fetch(upstream, provider.base_url) == b"first"
        outcome, _ = await failure(upstream, provider.base_url)

        assert outcome is Outcome.DISCONNECTED
        assert provider.connections == 1
        assert len(provider.requests) == 2
