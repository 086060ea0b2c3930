"""What a fake provider does with one request: answer, refuse, lie, stall, cut, reset."""

import asyncio
import json
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import Any, Protocol

from tests.fakes.shapes import answer_events, completion

_ABORTS_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, zero seconds: close() sends RST


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it arrived; header names are lower-case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Exchange:
    """One request and the raw means to answer it."""

    def __init__(self, seen: Seen, writer: asyncio.StreamWriter) -> None:
        self.seen = seen
        self.keeps_alive = seen.headers.get("connection", "").lower() != "close"
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Sends bytes as they are; waits while the client does not read."""
        await self._writer.drain()
        self._writer.write(data)

    async def reply(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Sends a whole reply."""
        await self.send(_head(status, {"content-length": str(len(body)), **headers}) + body)

    async def begin_stream(self, status: int, headers: Mapping[str, str]) -> None:
        """Sends the head of a chunked reply."""
        await self.send(_head(status, {"transfer-encoding": "chunked", **headers}))

    async def send_chunk(self, data: bytes) -> None:
        """Sends one frame of a chunked reply; an empty one ends it."""
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def close(self) -> None:
        """Closes after what was sent, whatever the head promised."""
        self.keeps_alive = False
        self._writer.close()

    def reset(self) -> None:
        """Ends the connection by RST."""
        self.keeps_alive = False
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORTS_ON_CLOSE)
        self._writer.transport.abort()


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    reason = HTTPStatus(status).phrase if status in HTTPStatus else "Unknown"
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


class Behaviour(Protocol):
    """What the provider does with one request."""

    async def perform(self, exchange: Exchange) -> None: ...


@dataclass(slots=True, eq=False)
class Answer:
    """A good answer, as JSON or as a stream of words, whichever the request asks for."""

    text: str
    headers: Mapping[str, str] = field(default_factory=dict)

    async def perform(self, exchange: Exchange) -> None:
        request = _json_object(exchange.seen.body)
        if not request.get("stream"):
            body = json.dumps(completion(self.text)).encode()
            await exchange.reply(200, {"content-type": "application/json", **self.headers}, body)
            return
        await exchange.begin_stream(200, {"content-type": "text/event-stream", **self.headers})
        asks_for_usage = (request.get("stream_options") or {}).get("include_usage")
        for event in answer_events(self.text, with_usage=bool(asks_for_usage)):
            await exchange.send_chunk(event)
        await exchange.send_chunk(b"")


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


@dataclass(slots=True, eq=False)
class Status:
    """A whole reply with any status, body and headers; a dict becomes JSON, and without a body OpenAI's error shape."""

    status: int
    body: bytes | Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    async def perform(self, exchange: Exchange) -> None:
        body = self.body
        if body is None:
            body = {"error": {"message": f"status {self.status}", "type": "fake_error", "param": None, "code": None}}
        is_json = not isinstance(body, bytes)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = "application/json" if is_json else "text/html"
        await exchange.reply(self.status, {"content-type": kind, **self.headers}, content)


@dataclass(slots=True, eq=False)
class Raw:
    """Bytes as they are, in place of a whole HTTP reply."""

    data: bytes
    then_close: bool = True

    async def perform(self, exchange: Exchange) -> None:
        await exchange.send(self.data)
        if self.then_close:
            exchange.close()


class Reset:
    """RST instead of a reply."""

    async def perform(self, exchange: Exchange) -> None:
        exchange.reset()


class CloseBeforeReply:
    """The connection is closed in order, without a byte."""

    async def perform(self, exchange: Exchange) -> None:
        exchange.close()


@dataclass(slots=True, eq=False)
class Waiting:
    """A behaviour that halts: `reached` tells that it did, `resume` lets it go on.

    `client_left` is set where the client closes before the reply's end.
    """

    reached: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    resume: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    client_left: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    async def perform(self, exchange: Exchange) -> None:
        raise NotImplementedError

    async def halt(self) -> None:
        self.reached.set()
        await self.resume.wait()
        self.resume.clear()


@dataclass(slots=True, eq=False)
class Stall(Waiting):
    """Silence, before or after the head of a stream, until the client leaves; resumed, it ends in an answer."""

    after_headers: bool = False

    async def perform(self, exchange: Exchange) -> None:
        if not self.after_headers:
            await self.halt()
            await Answer("late").perform(exchange)
            return
        await exchange.begin_stream(200, {"content-type": "text/event-stream"})
        await self.halt()
        for event in answer_events("late", with_usage=False):
            await exchange.send_chunk(event)
        await exchange.send_chunk(b"")


class Step(Enum):
    """What a stream does between its bytes."""

    PAUSE = "wait for `resume`"
    CUT = "close without the reply's end"
    RESET = "RST without the reply's end"
    END = "end the reply well"


PAUSE, CUT, RESET, END = Step.PAUSE, Step.CUT, Step.RESET, Step.END


@dataclass(slots=True, eq=False)
class StreamSteps(Waiting):
    """A stream, step by step: bytes go out as one frame each. A script without an end ends well."""

    steps: Sequence[bytes | Step]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    async def perform(self, exchange: Exchange) -> None:
        await exchange.begin_stream(self.status, {"content-type": "text/event-stream", **self.headers})
        for step in [*self.steps, END]:
            match step:
                case bytes():
                    await exchange.send_chunk(step)
                case Step.PAUSE:
                    await self.halt()
                case Step.CUT:
                    return exchange.close()
                case Step.RESET:
                    return exchange.reset()
                case Step.END:
                    return await exchange.send_chunk(b"")
