"""Requests from several clients at once, by as little code as will do: the client shares the machine with the proxy."""

import asyncio
import json
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

_END_OF_CHUNKS = b"0\r\n\r\n"
_HEAD_END = b"\r\n\r\n"
_TIME_LIMIT_S = 60


class Way(Protocol):
    """How a client reaches the proxy."""

    @property
    def host(self) -> str:
        """The host of the requests."""
        ...

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection that requests can be sent on."""
        ...


@dataclass(frozen=True)
class Direct:
    """To a port without TLS."""

    port: int
    host: str = "api.openai.com"

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@dataclass(frozen=True)
class Tunnelled:
    """Through a proxy by CONNECT, and TLS within, as OpenAI's clients do."""

    proxy: int
    host: str
    port: int = 443
    tls: ssl.SSLContext = field(default_factory=lambda: unverified())

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.proxy)
        place = f"{self.host}:{self.port}"
        writer.write(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode())
        head = await reader.readuntil(_HEAD_END)
        if b" 200 " not in head:
            raise RuntimeError(f"no tunnel: {head!r}")
        await writer.start_tls(self.tls, server_hostname=self.host)
        return reader, writer


def unverified() -> ssl.SSLContext:
    """TLS as clients speak it; whom they trust costs the proxy nothing."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@dataclass(frozen=True)
class Asked:
    """What is asked; `expected` are bytes of every right answer, and `is_new` asks on a new connection each time."""

    model: str = "gpt-4o-mini"
    stream: bool = False
    body_bytes: int = 0
    members: dict[str, Any] = field(default_factory=dict)
    is_new: bool = False
    expected: tuple[bytes, ...] = ()
    headers: tuple[str, ...] = ()
    key: str = "key-of-app"

    def request(self, host: str) -> bytes:
        """The request as it stands on the wire."""
        content = "ping " * max(20, self.body_bytes // 5)
        told: dict[str, Any] = {"model": self.model, "messages": [{"role": "user", "content": content}]}
        body = json.dumps(told | {"stream": self.stream} | self.members).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\nUser-Agent: bench\r\n"
            f"Authorization: Bearer {self.key}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        )
        more = "".join(f"{line}\r\n" for line in self.headers)
        return f"{head}{more}\r\n".encode() + body


async def drive(way: Way, asked: Asked, requests: int, clients: int) -> list[float]:
    """Sends the requests from clients that each wait for their answers; returns the seconds of each."""
    seconds: list[float] = []
    message = asked.request(way.host)

    async def one_client(count: int) -> None:
        connection = None
        for _ in range(count):
            started = time.perf_counter()
            if connection is None or asked.is_new:
                await _close(connection)
                connection = await way.connect()
            await _ask(*connection, message, asked)
            seconds.append(time.perf_counter() - started)
        await _close(connection)

    async with asyncio.timeout(_TIME_LIMIT_S):
        await asyncio.gather(*(one_client(requests // clients) for _ in range(clients)))
    return seconds


class Connections:
    """Connections that are kept, as a client's pool does: one is opened where none is free."""

    def __init__(self, way: Way, asked: Asked) -> None:
        self._way = way
        self._asked = asked
        self._message = asked.request(way.host)
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self) -> float:
        """One request; returns how many seconds its answer took."""
        started = time.perf_counter()
        connection = self._free.pop() if self._free else await self._way.connect()
        await _ask(*connection, self._message, self._asked)
        self._free.append(connection)
        return time.perf_counter() - started

    def close(self) -> None:
        """Closes all that are free."""
        for _, writer in self._free:
            writer.close()


async def paced(ask: Callable[[], Awaitable[float]], per_second: float, seconds: float) -> list[float]:
    """Asks at a steady rate, whether earlier answers have come or not; returns the seconds of each answer."""
    loop = asyncio.get_running_loop()
    began, tasks = loop.time(), []
    for number in range(int(per_second * seconds)):
        await asyncio.sleep(began + number / per_second - loop.time())
        tasks.append(asyncio.ensure_future(ask()))
    return list(await asyncio.gather(*tasks))


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, message: bytes, asked: Asked) -> None:
    writer.write(message)
    head = await reader.readuntil(_HEAD_END)
    fields = head.lower()
    if b"transfer-encoding: chunked" in fields:
        body = await reader.readuntil(_END_OF_CHUNKS)
    else:
        length = int(fields.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        body = await reader.readexactly(length)
    if not head.startswith(b"HTTP/1.1 200") or any(part not in body for part in asked.expected):
        raise RuntimeError(f"{head[:100]!r} {body[:300]!r}")


async def _close(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None) -> None:
    if connection is not None:
        connection[1].close()
