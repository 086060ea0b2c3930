"""The pipe between provider and client, and the task behind it: bounded, prompt, and never a false end."""

import asyncio
import math
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from llmrouter.errors import InternalError
from llmrouter.operations import Result
from llmrouter.proxy.exchange import Exchange, StreamBody


class ScriptedGateway:
    """Answers as told, and notes when its stream was closed."""

    def __init__(self, *frames: bytes | Exception, fails: Exception | None = None) -> None:
        self.frames = frames
        self.fails = fails
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.closed = asyncio.Event()
        self.ends_by = math.inf

    async def answer(self) -> Result:
        self.asked.set()
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.closed.set()
            raise
        if self.fails is not None:
            raise self.fails
        return Result(200, {}, frames=self._stream(), ends_by=self.ends_by)

    async def _stream(self) -> AsyncGenerator[bytes]:
        try:
            for frame in self.frames:
                if isinstance(frame, Exception):
                    raise frame
                yield frame
            if not self.frames:
                await asyncio.Event().wait()
        finally:
            self.closed.set()


async def start(gateway: Any, keep_bytes: int = 100) -> tuple[Exchange, Result | None]:
    exchange = Exchange("client", is_routed=True)
    return exchange, await exchange.answer("call", gateway.answer, keep_bytes)


async def read(body: StreamBody) -> list[bytes]:
    pieces = []
    await body.advance()
    while body.chunk is not None:
        pieces.append(body.chunk)
        await body.advance()
    return pieces


async def test_what_is_there_goes_out_together() -> None:
    """Frames that wait are sent as one piece."""
    exchange, answer = await start(ScriptedGateway(b"a", b"b", b"c"))
    assert answer is not None
    assert exchange.body is not None
    assert b"".join(await read(exchange.body)) == b"abc"
    assert exchange.body.is_aborted is False


async def test_a_slow_client_stops_the_producer() -> None:
    """Beyond the high-water mark nothing more is taken from the provider until the client has read."""
    body = StreamBody(keep_bytes=0)
    producer = asyncio.ensure_future(body.put(b"x" * 100_000))
    await asyncio.sleep(0)
    assert not producer.done()

    await body.advance()
    assert body.chunk == b"x" * 100_000
    await asyncio.wait_for(producer, 5)


async def test_the_client_is_waited_for_before_more_is_written() -> None:
    """`advance` drains first."""
    body = StreamBody(keep_bytes=0)
    drained = asyncio.Event()

    async def drain() -> None:
        await drained.wait()

    body.drain = drain
    await body.put(b"x")
    advance = asyncio.ensure_future(body.advance())
    await asyncio.sleep(0)
    assert not advance.done()
    drained.set()
    await asyncio.wait_for(advance, 5)
    assert body.chunk == b"x"


async def test_only_the_beginning_is_kept() -> None:
    """Inspection never holds more than its limit."""
    exchange, _ = await start(ScriptedGateway(b"12345", b"67890"), keep_bytes=7)
    assert exchange.body is not None
    await read(exchange.body)
    assert exchange.body.kept == b"1234567"


async def test_a_client_that_leaves_while_the_answer_is_awaited() -> None:
    """The gateway's call is cancelled at once, and there is no answer."""
    gateway = ScriptedGateway()
    gateway.may_answer.clear()
    exchange = Exchange("client", is_routed=True)
    asking = asyncio.ensure_future(exchange.answer("call", gateway.answer, 0))
    await gateway.asked.wait()
    exchange.abandon()

    assert await asyncio.wait_for(asking, 5) is None
    assert gateway.closed.is_set()


async def test_a_client_that_leaves_during_the_stream() -> None:
    """The provider's stream is closed, and what follows is no clean end."""
    gateway = ScriptedGateway()
    exchange, _ = await start(gateway)
    exchange.abandon()
    await asyncio.wait_for(gateway.closed.wait(), 5)

    assert exchange.body is not None
    assert await read(exchange.body) == []
    assert exchange.body.is_aborted is True


async def test_a_client_that_leaves_before_the_first_step() -> None:
    """The task never ran, and the hook that waits for it returns all the same."""
    exchange = Exchange("client", is_routed=True)
    asking = asyncio.ensure_future(exchange.answer("call", ScriptedGateway().answer, 0))
    await asyncio.sleep(0)
    exchange.abandon()

    assert await asyncio.wait_for(asking, 5) is None


async def test_a_client_that_left_before_is_not_asked_for() -> None:
    """Nothing is sent to a provider for nobody."""
    gateway = ScriptedGateway(b"a")
    exchange = Exchange("client", is_routed=True)
    exchange.abandon()

    assert await exchange.answer("call", gateway.answer, 0) is None
    assert not gateway.asked.is_set()


async def test_a_gateway_that_crashes_before_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    """The error names the defect's kind, and nothing of its text."""
    with pytest.raises(InternalError) as raised:
        await start(ScriptedGateway(fails=RuntimeError("key-of-groq")))
    await asyncio.sleep(0)

    assert "key-of-groq" not in raised.value.message


async def test_a_gateway_that_crashes_during_the_stream(caplog: pytest.LogCaptureFixture) -> None:
    """The stream is aborted, never ended."""
    exchange, _ = await start(ScriptedGateway(b"a", RuntimeError("a defect")))
    assert exchange.body is not None
    await read(exchange.body)
    await asyncio.sleep(0)

    assert exchange.body.is_aborted is True
    assert "a defect" in caplog.text


async def test_a_client_that_does_not_read_until_the_deadline_finds_no_end() -> None:
    """The provider's stream is closed then, although nobody reads what would tell so."""
    gateway = ScriptedGateway(b"x" * 100_000, b"the rest")
    gateway.ends_by = asyncio.get_running_loop().time() + 0.05
    exchange, _ = await start(gateway)
    await asyncio.wait_for(gateway.closed.wait(), 5)

    assert exchange.body is not None
    assert await read(exchange.body) == []
    assert exchange.body.is_aborted is True


async def test_a_client_that_reads_slowly_until_the_deadline_gets_all() -> None:
    gateway = ScriptedGateway(b"x" * 100_000, b"the rest")
    gateway.ends_by = asyncio.get_running_loop().time() + 60
    exchange, _ = await start(gateway)

    assert exchange.body is not None
    assert b"".join(await read(exchange.body)) == b"x" * 100_000 + b"the rest"
    assert exchange.body.is_aborted is False
