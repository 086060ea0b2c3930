"""Bodies as they were sent or kept: JSON or a stream of events, whole or cut short; bounded work on any of them."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

import orjson
from pydantic_core import from_json

from llmrouter.sse import Event, SseDecoder, SseError
from llmrouter.viewing.chat_stream import ChatStream, GeminiStream
from llmrouter.viewing.event_streams import MessageStream, ResponseStream, RunStream
from llmrouter.viewing.shapes import Json, text_of

MOST_BYTES = 16 * 1024 * 1024
_STREAM_STARTS = (b"data:", b"event:", b"id:", b"retry:", b":")


class Body(NamedTuple):
    """A body's JSON value, or what a stream became; `notes` say what of it is missing."""

    value: Any
    notes: tuple[str, ...] = ()
    is_stream: bool = False


class _Stream(Protocol):
    is_ended: bool

    def add(self, name: str, event: Json) -> None: ...

    def body(self) -> dict[str, Any]: ...


_CHAT = ("choices", ChatStream)
_BY_MEMBER: tuple[tuple[str, Callable[[], _Stream]], ...] = (_CHAT, ("candidates", GeminiStream))
_BY_NAME: Mapping[str, Callable[[], _Stream]] = {
    "response": ResponseStream,
    "message": MessageStream,
    "content": MessageStream,
    "thread": RunStream,
}


def read_body(data: bytes) -> Body:
    """The body, as much of it as can be read; raises `ValueError` where it is neither JSON nor a stream of events."""
    notes: tuple[str, ...] = ()
    if len(data) > MOST_BYTES:
        notes = (f"Only the first {MOST_BYTES:,} of {len(data):,} bytes are shown.",)
        data = data[:MOST_BYTES]
    start = data[:64].lstrip(b"\xef\xbb\xbf \r\n\t")
    if start.startswith(_STREAM_STARTS):
        body, more = _read_stream(data)
        return Body(body, (*notes, *more), is_stream=True)
    try:
        return Body(orjson.loads(data), notes)
    except orjson.JSONDecodeError:
        value = from_json(data.decode("utf-8", "ignore"), allow_partial="trailing-strings")
        return Body(value, (*notes, "The body is cut: it ends in the middle of its JSON."))


def _read_stream(data: bytes) -> tuple[Any, tuple[str, ...]]:
    reader = _StreamReader()
    events, notes = _events(data)
    for event in events:
        reader.add(*event)
    if not reader.is_ended:
        notes = (*notes, "The stream is cut: what is kept of it has no end.")
    if reader.unread:
        notes = (*notes, f"Events that could not be read: {reader.unread:,}.")
    return reader.body(), notes


class _StreamReader:
    """Reads events of any kind; the first one that tells decides which kind it is."""

    def __init__(self) -> None:
        self.unread = 0
        self._stream: _Stream | None = None
        self._is_done = False
        self._error: Any = None

    @property
    def is_ended(self) -> bool:
        return self._is_done or (self._stream is not None and self._stream.is_ended)

    def add(self, name: str, text: bytes) -> None:
        if text == b"[DONE]" or name == "done":
            self._is_done = True
            return
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            self.unread += 1
            return
        if isinstance(value, dict):
            self._error = self._error or (None if value.get("choices") else value.get("error"))
            self._stream = self._stream or _stream_of(name, value)
            if self._stream is not None:
                self._stream.add(name, value)

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {} if self._stream is None else self._stream.body()
        return body if self._error is None or body.get("error") else body | {"error": self._error}


def _events(data: bytes) -> tuple[Iterable[Event], tuple[str, ...]]:
    decoder = SseDecoder(MOST_BYTES + 1)
    try:
        return [*decoder.feed(data), *decoder.finish()], ()
    except SseError as error:
        return [], (f"The stream cannot be read: {error}.",)


def _stream_of(name: str, value: Json) -> _Stream | None:
    for member, make in _BY_MEMBER:
        if member in value:
            return make()
    kind = text_of(value.get("type")) or (name if name != "message" else "")
    start = kind.replace("_", ".").partition(".")[0]
    return _BY_NAME[start]() if start in _BY_NAME else None
