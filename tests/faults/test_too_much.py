"""Providers that send without end: refused at a bound, or when the call's time is over, and closed at once."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from llmrouter.upstream import MAX_REPLY_BYTES
from tests.fakes.behaviours import Exchange
from tests.fakes.provider import FakeProvider, sse_chunk
from tests.gateways import gateway, provider, read

_GIBIBYTE = 1 << 30
_PIECE = b" " * (1 << 20)


@dataclass(eq=False)
class WithoutEnd:
    """Sends a beginning and then the same piece again and again, a gibibyte of it unless the other side closes."""

    kind: str
    begins: bytes
    piece: bytes = _PIECE
    sent_bytes: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def perform(self, exchange: Exchange) -> None:
        """Answers one request."""
        await exchange.begin_stream(200, {"content-type": self.kind})
        try:
            await exchange.send_chunk(self.begins)
            while self.sent_bytes < _GIBIBYTE:
                await exchange.send_chunk(self.piece)
                self.sent_bytes += len(self.piece)
        finally:
            self.left.set()


@pytest.mark.parametrize("has_other", [True, False])
@pytest.mark.parametrize(
    ("stream", "flood", "bound"),
    [
        pytest.param(False, WithoutEnd("application/json", b'{"choices": '), MAX_REPLY_BYTES, id="JSON"),
        pytest.param(True, WithoutEnd("text/event-stream", b"data: "), 16 << 20, id="one event"),
        pytest.param(True, WithoutEnd("text/event-stream", b": "), 16 << 20, id="one comment"),
        pytest.param(True, WithoutEnd("application/json", b"{"), MAX_REPLY_BYTES, id="JSON for a stream"),
    ],
)
async def test_a_gibibyte_is_refused_at_the_bound(
    tmp_path: Path, flood: WithoutEnd, bound: int, stream: bool, has_other: bool
) -> None:
    flood.sent_bytes, flood.left = 0, asyncio.Event()
    async with FakeProvider(default=flood) as bad, FakeProvider() as good:
        providers = [provider("bad", bad), *([provider("good", good)] if has_other else [])]
        async with gateway(tmp_path, *providers, retry={"max_attempts": 2, "max_wait_seconds": 0}) as router:
            told = await asyncio.wait_for(router.ask(stream=stream), 20)
            await asyncio.wait_for(flood.left.wait(), 5)

            assert router.outcomes[0] == ("bad", "bad_reply")
            assert told.answer.status == (200 if has_other else 503)
            assert (b"hello" in told.body) == has_other
            # What the kernel holds on the way is sent, and read by nobody.
            assert flood.sent_bytes < bound + (32 << 20)


async def test_a_stream_that_never_ends_ends_with_the_calls_time(tmp_path: Path) -> None:
    """However fast it comes: what is there already is not waited for, and must be timed all the same."""
    words = sse_chunk("word ") * 2000
    flood = WithoutEnd("text/event-stream", sse_chunk("", delta={"role": "assistant"}), words)
    async with (
        FakeProvider(default=flood) as bad,
        gateway(tmp_path, provider("bad", bad), retry={"deadline_seconds": 0.5}) as router,
    ):
        result = await router.open(stream=True)
        told = await asyncio.wait_for(read(result), 20)
        await asyncio.wait_for(flood.left.wait(), 5)

        assert not told.is_done
        assert b'"error"' in told.body[-2000:]
        assert router.outcomes == [("bad", "out_of_time")]
        assert router.decisions[-1].seconds < 5
