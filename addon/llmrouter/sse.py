"""Server-sent events: bytes in, events out; no I/O, and bounded memory.

The format is that of the HTML standard, "Server-sent events", section 9.2.6, with two differences that providers make
necessary: `id` and `retry` are not looked at, and an event that the end of the stream cuts short of its blank line is
still given.
"""

from typing import NamedTuple

MAX_EVENT_BYTES = 16 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


class SseError(ValueError):
    """The stream is no sensible event stream: one event is larger than the bound."""


class Event(NamedTuple):
    """One event: its name (`message` where the stream gives none) and its data lines, joined by a line feed."""

    event: str
    data: bytes


class SseDecoder:
    """Cuts one stream into events, however its bytes were split on the way.

    `max_event_bytes` bounds what one event may take, comments included; beyond it `feed` raises `SseError`.
    """

    __slots__ = ("_after_cr", "_at_start", "_max", "_rest")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max = max_event_bytes
        self._rest = bytearray()
        self._at_start = True
        self._after_cr = False

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete."""
        if self._at_start:
            data = self._without_bom(data)
        if self._after_cr or b"\r" in data:
            data = self._with_line_feeds(data)
        if self._rest:
            searched = len(self._rest) - 1
            self._rest += data
            if self._rest.find(b"\n\n", searched) < 0:
                self._check(len(self._rest) - self._rest.endswith(b"\n"))
                return []
            data = bytes(self._rest)
        *blocks, rest = data.split(b"\n\n")
        self._rest = bytearray(rest)
        self._check(len(rest) - rest.endswith(b"\n"))
        return self._events(blocks)

    def finish(self) -> list[Event]:
        """The last event, where the stream ended without the blank line that closes it."""
        block = bytes(self._rest).removesuffix(b"\n")
        self._rest = bytearray()
        return self._events([block])

    def _events(self, blocks: list[bytes]) -> list[Event]:
        events = []
        for block in blocks:
            self._check(len(block))
            if block.startswith(b"data: ") and b"\n" not in block:
                events.append(Event("message", block[6:]))
            elif (event := _parse(block)) is not None:
                events.append(event)
        return events

    def _check(self, size: int) -> None:
        if size > self._max:
            raise SseError(f"an event is larger than {self._max} bytes")

    def _without_bom(self, data: bytes) -> bytes:
        data = bytes(self._rest) + data
        self._rest = bytearray()
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._rest = bytearray(data)
            return b""
        self._at_start = False
        return data.removeprefix(_BOM)

    def _with_line_feeds(self, data: bytes) -> bytes:
        """CRLF and CR become LF; a CR at the end counts at once, and an LF right after it is dropped."""
        if self._after_cr and data:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        if data.endswith(b"\r"):
            self._after_cr = True
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _parse(block: bytes) -> Event | None:
    name, lines = "message", []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        if field == b"data":
            lines.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ").decode("utf-8", "replace") or "message"
    return Event(name, b"\n".join(lines)) if lines else None
