"""What a provider sends, byte by byte: an answer in one of three framings, and the same with a fault in it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from typing import Any

from tests.fakes.shapes import DONE, sse, usage_of

type Piece = bytes


class Framing(StrEnum):
    """How HTTP tells where a body ends (RFC 9112, section 6.3)."""

    CHUNKED = "chunked"
    LENGTH = "content-length"
    CLOSE = "until close"


class Ending(Enum):
    """What becomes of the connection after the last byte."""

    KEEP = "it is kept for the next request"
    CLOSE = "it is closed in order"
    RESET = "it is reset"
    STALL = "silence, until the client leaves"


@dataclass(frozen=True, slots=True)
class Wire:
    """The bytes of one reply, as they go out one after another, and what comes after them.

    `is_trickle` sends byte by byte. `status` and `kind` stand in the head; `length` is what the head promises where
    that is not the body's own.
    """

    pieces: tuple[Piece, ...]
    framing: Framing = Framing.CHUNKED
    ending: Ending = Ending.KEEP
    status: int = 200
    kind: str = "text/event-stream"
    length: int | None = None
    cut_at: int | None = None
    flipped_at: int | None = None
    flipped_by: int = 0
    is_trickle: bool = False
    late: bytes = b""

    def head(self) -> bytes:
        """The reply's head."""
        size = sum(map(len, self.pieces)) if self.length is None else self.length
        framing = {
            Framing.CHUNKED: "transfer-encoding: chunked",
            Framing.LENGTH: f"content-length: {size}",
            Framing.CLOSE: "connection: close",
        }[self.framing]
        return f"HTTP/1.1 {self.status} OK\r\ncontent-type: {self.kind}\r\n{framing}\r\n\r\n".encode()

    def sent(self) -> list[bytes]:
        """All bytes that go out, in the portions in which they do."""
        if self.framing is Framing.CHUNKED:
            body = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in self.pieces] + [b"0\r\n\r\n"]
        else:
            body = list(self.pieces)
        portions = [self.head(), *body]
        whole = b"".join(portions)
        if self.cut_at is not None:
            return [whole[: self.cut_at]]
        if self.flipped_at is not None:
            place = self.flipped_at % len(whole)
            return [whole[:place] + bytes([whole[place] ^ self.flipped_by]) + whole[place + 1 :]]
        return [bytes([one]) for one in whole] if self.is_trickle else portions

    @property
    def last(self) -> Ending:
        """What comes after the last byte; a body that ends with the connection has to close it."""
        if self.ending is Ending.KEEP and (self.framing is Framing.CLOSE or self.cut_at is not None):
            return Ending.CLOSE
        return self.ending


def _chunk(delta: dict[str, Any], reason: str | None = None, **extra: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return sse({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]} | extra)


def stream_events(words: Sequence[str], *, with_usage: bool) -> list[bytes]:
    """The events of a short, good stream: role, words, end, usage, `[DONE]`."""
    usage: dict[str, Any] = {"choices": [], "usage": usage_of(" ".join(words))}
    return [
        _chunk({"role": "assistant", "content": ""}),
        *(_chunk({"content": word}) for word in words),
        _chunk({}, "stop"),
        *([_chunk({}, **usage)] if with_usage else []),
        DONE,
    ]


def whole_reply(words: Sequence[str]) -> bytes:
    """A short, good answer as JSON."""
    text = "".join(words)
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return json.dumps(whole | {"usage": usage_of(" ".join(words))}).encode()


type Fault = Callable[[Wire], Wire]
"""Makes a bad reply of a good one."""

ERROR = {"error": {"message": "The engine is overloaded.", "type": "server_error", "param": None, "code": None}}
_HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"


def good(wire: Wire) -> Wire:
    """No fault."""
    return wire


def trickle(wire: Wire) -> Wire:
    """Byte by byte."""
    return replace(wire, is_trickle=True)


def reset_at_once(wire: Wire) -> Wire:
    """No byte, but a reset."""
    return replace(wire, cut_at=0, ending=Ending.RESET)


def close_at_once(wire: Wire) -> Wire:
    """No byte, but an orderly close."""
    return replace(wire, cut_at=0)


def stall_before_head(wire: Wire) -> Wire:
    """No byte at all."""
    return replace(wire, cut_at=0, ending=Ending.STALL)


def stall_after_head(wire: Wire) -> Wire:
    """A head, and then silence."""
    return replace(wire, cut_at=len(wire.head()), ending=Ending.STALL)


def stall_half_way(wire: Wire) -> Wire:
    """Half an answer, and then silence."""
    return replace(wire, cut_at=len(b"".join(wire.sent())) // 2, ending=Ending.STALL)


def cut_half_way(wire: Wire) -> Wire:
    """Half an answer, and then an orderly close."""
    return replace(wire, cut_at=len(b"".join(wire.sent())) // 2)


def reset_half_way(wire: Wire) -> Wire:
    """Half an answer, and then a reset."""
    return replace(wire, cut_at=len(b"".join(wire.sent())) // 2, ending=Ending.RESET)


def without_end(wire: Wire) -> Wire:
    """All is well framed, but the last events are missing."""
    keep = len(wire.pieces) - 3 if len(wire.pieces) > 3 else 0
    return replace(wire, pieces=wire.pieces[:keep])


def done_alone(wire: Wire) -> Wire:
    """`[DONE]`, and the answer has not told that it ended."""
    return replace(wire, pieces=(*wire.pieces[:2], DONE))


def reversed_events(wire: Wire) -> Wire:
    """The last event first."""
    return replace(wire, pieces=wire.pieces[::-1])


def swapped_events(wire: Wire) -> Wire:
    """The end before the last words."""
    pieces = list(wire.pieces)
    if len(pieces) > 4:
        pieces[-4:-1] = pieces[-4:-1][::-1]
    return replace(wire, pieces=tuple(pieces))


def repeated_events(wire: Wire) -> Wire:
    """Every event twice."""
    return replace(wire, pieces=tuple(piece for piece in wire.pieces for _ in (1, 2)))


def told_twice(wire: Wire) -> Wire:
    """The whole answer twice in one body."""
    return replace(wire, pieces=wire.pieces * 2)


def length_too_long(wire: Wire) -> Wire:
    """More is promised than comes."""
    return replace(wire, framing=Framing.LENGTH, length=sum(map(len, wire.pieces)) + 7, ending=Ending.CLOSE)


def length_too_short(wire: Wire) -> Wire:
    """More comes than was promised."""
    return replace(wire, framing=Framing.LENGTH, length=sum(map(len, wire.pieces)) // 2)


def another_reply_behind(wire: Wire) -> Wire:
    """A second reply, which nobody asked for, right behind the first."""
    return replace(wire, framing=Framing.LENGTH, late=_nobody_asked(wire))


def _nobody_asked(wire: Wire) -> bytes:
    words = ["not", " for", " you"]
    is_stream = wire.kind == "text/event-stream"
    pieces = stream_events(words, with_usage=True) if is_stream else [whole_reply(words)]
    return b"".join(replace(wire, pieces=tuple(pieces), framing=Framing.LENGTH).sent())


def html(wire: Wire) -> Wire:
    """A web page with status 200."""
    return replace(wire, pieces=(_HTML,), kind="text/html")


def wrong_kind(wire: Wire) -> Wire:
    """The right body under a wrong content type."""
    return replace(wire, kind="text/plain")


def the_other_kind(wire: Wire) -> Wire:
    """A JSON answer where a stream was asked for, and a stream where it was not."""
    words = ["the", " other", " kind"]
    if wire.kind == "text/event-stream":
        return replace(wire, pieces=(whole_reply(words),), kind="application/json")
    return replace(wire, pieces=tuple(stream_events(words, with_usage=True)), kind="text/event-stream")


def error_with_200(wire: Wire) -> Wire:
    """An error in the body of a reply that says that all is well."""
    return replace(wire, pieces=(json.dumps(ERROR).encode(),), kind="application/json")


def error_event(wire: Wire) -> Wire:
    """An error in the middle of the stream, which ends as if all were well."""
    return replace(wire, pieces=(*wire.pieces[:3], sse(ERROR), DONE))


def server_error(wire: Wire) -> Wire:
    """Status 500."""
    return replace(wire, status=500, pieces=(json.dumps(ERROR).encode(),), kind="application/json")


def empty(wire: Wire) -> Wire:
    """Status 200, and nothing."""
    return replace(wire, pieces=())


STALLS: tuple[Fault, ...] = (stall_before_head, stall_after_head, stall_half_way)
FAULTS: tuple[Fault, ...] = (
    *(good, trickle, reset_at_once, close_at_once, cut_half_way, reset_half_way, without_end, done_alone),
    *(reversed_events, swapped_events, repeated_events, told_twice, length_too_long, length_too_short),
    *(another_reply_behind, html, wrong_kind, the_other_kind, error_with_200, error_event, server_error, empty),
)
