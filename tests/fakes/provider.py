"""A provider on loopback: a real HTTP/1.1 server that does what a test scripts, however badly.

    async with FakeProvider(Status(503), Answer("hello there")) as provider:
        ...                     # the first request gets a 503, the second an answer, all others the default

It is written on raw streams, since a server library would not cut, reset or lie.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Coroutine, Mapping
from typing import Any, Self

from tests.fakes.behaviours import (
    CUT,
    END,
    PAUSE,
    RESET,
    Answer,
    Behaviour,
    CloseBeforeReply,
    Exchange,
    Raw,
    Reset,
    Seen,
    Stall,
    Status,
    StreamSteps,
    Waiting,
)
from tests.fakes.shapes import DONE, answer_events, completion, sse, sse_chunk, usage_of

__all__ = [
    "CUT",
    "DONE",
    "END",
    "PAUSE",
    "RESET",
    "Answer",
    "Behaviour",
    "CloseBeforeReply",
    "FakeProvider",
    "Raw",
    "Reset",
    "Seen",
    "Stall",
    "Status",
    "StreamSteps",
    "answer_events",
    "completion",
    "sse",
    "sse_chunk",
    "usage_of",
]

_LARGEST_HEAD = 1 << 20


class _Connection(asyncio.StreamReaderProtocol):
    """A stream protocol that tells at once when the peer closes, even while nobody reads."""

    def __init__(self, provider: "FakeProvider") -> None:
        self.left = asyncio.Event()
        reader = asyncio.StreamReader(limit=_LARGEST_HEAD)
        super().__init__(reader, lambda reader, writer: provider.accept(self, reader, writer))

    def eof_received(self) -> bool | None:
        self.left.set()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self.left.set()
        super().connection_lost(exc)


class FakeProvider:
    """The server; `async with` starts and ends it.

    `script` adds behaviours for the next requests, `default` serves all others. `requests` are what arrived,
    `connections` how many were opened; `client_left` is set when a client closes before its reply's end.
    """

    def __init__(
        self, *behaviours: Behaviour, default: Behaviour | None = None, tls: ssl.SSLContext | None = None, port: int = 0
    ) -> None:
        self.requests: list[Seen] = []
        self.connections = 0
        self.client_left = asyncio.Event()
        self.default: Behaviour = default or Answer("hello there")
        self.port = port
        self._script = deque(behaviours)
        self._tls = tls
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._failures: list[BaseException] = []
        self._arrival = asyncio.Condition()

    @property
    def base_url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/v1"

    def script(self, *behaviours: Behaviour) -> None:
        """Adds what is done with the next requests, one each."""
        self._script.extend(behaviours)

    def drop_connections(self) -> None:
        """Ends every connection, whatever it is used for."""
        for writer in self._serving.values():
            writer.transport.abort()

    async def wait_for_requests(self, count: int) -> None:
        """Waits until so many requests arrived."""
        async with self._arrival:
            await self._arrival.wait_for(lambda: len(self.requests) >= count)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ends every connection; a defect of the fake itself fails the test here."""
        self._server.close()
        serving = dict(self._serving)
        for task, writer in serving.items():
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*serving, return_exceptions=True)
        await self._server.wait_closed()
        if self._failures:
            raise self._failures[0]

    def accept(self, connection: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves a new connection."""
        self.connections += 1
        task = asyncio.create_task(self._serve(connection, reader, writer))
        self._serving[task] = writer
        task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[None]) -> None:
        self._serving.pop(task).close()
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._failures.append(failure)

    async def _serve(self, connection: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        keeps_alive = True
        while keeps_alive and (seen := await _read_request(reader, writer)) is not None:
            async with self._arrival:
                self.requests.append(seen)
                self._arrival.notify_all()
            exchange = Exchange(seen, writer)
            behaviour = self._script.popleft() if self._script else self.default
            if not await _finishes(behaviour.perform(exchange), connection.left):
                self.client_left.set()
                if isinstance(behaviour, Waiting):
                    behaviour.client_left.set()
                return
            keeps_alive = exchange.keeps_alive


async def _finishes(work: Coroutine[Any, Any, None], left: asyncio.Event) -> bool:
    """Does the work unless the client leaves first; tells whether it was done."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(left.wait())
    try:
        await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            return False
        working.result()
    except ConnectionError:
        return False
    else:
        return True
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Seen | None:
    """The next request; None where the client closes instead of sending a whole one."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        request_line, *lines = head.decode("latin-1").split("\r\n")[:-2]
        method, path, _ = request_line.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return Seen(method, path, headers, await _read_body(reader, headers))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return body
