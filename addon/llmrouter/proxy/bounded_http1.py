"""HTTP/1 from clients within bounds: how long a head may be, how slowly a request may come, and trailers are read.

mitmproxy's own connection takes a head of any length, waits for the rest of a request without end, and fails on
trailers.
"""

import time
import weakref
from collections.abc import Callable
from typing import Any

import h11
from h11._readers import ChunkedReader
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import _http1
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import ErrorCode, RequestProtocolError

# More than any program sends, cookies of a whole site included; servers allow 8 KiB (nginx, Apache) to 64 KiB (HTTP/2).
MOST_HEAD_BYTES = 128 * 1024
# What may come while an answer is made: the beginning of requests that are sent at once.
_MOST_WAITING_BYTES = 1024 * 1024
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

coming: "weakref.WeakSet[BoundedHttp1Server]" = weakref.WeakSet()
"""The connections on which a request has begun to come, and is not there as a whole."""


class WithoutTrailers:
    """A reader of chunks, at whose end trailers are dropped: nothing that is asked here stands in them."""

    def __init__(self, reader: ChunkedReader) -> None:
        self._reader = reader

    def __call__(self, buffer: Any) -> Any:
        event = self._reader(buffer)
        return h11.EndOfMessage() if isinstance(event, h11.EndOfMessage) else event

    def read_eof(self) -> None:
        """The client left in the middle; raises `h11.RemoteProtocolError`."""
        self._reader.read_eof()


class BoundedHttp1Server(_http1.Http1Server):
    """A client's connection; `received` bytes of the request that comes have come since `began`, monotonic seconds."""

    began: float | None = None
    received = 0

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        yield from super()._handle_event(event)
        if isinstance(event, events.DataReceived):
            self._watch(len(event.data))
            if len(self.buf) > MOST_HEAD_BYTES:
                yield from self._bound()

    def read_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        """The next part of a body."""
        if type(self.body_reader) is ChunkedReader:
            self.body_reader = WithoutTrailers(self.body_reader)  # type: ignore[assignment]  # used like a reader of h11
        yield from super().read_body(event)

    def _watch(self, received: int) -> None:
        """Notes that a request comes, or is there."""
        if not (self._is_in(self.read_body) or (self._is_in(self.read_headers) and self.buf)):
            if self.began is not None:
                self.began, self.received = None, 0
                coming.discard(self)
            return
        if self.began is None:
            self.began = time.monotonic()
            coming.add(self)
        self.received += received

    def _bound(self) -> layer.CommandGenerator[None]:
        if self._is_in(self.read_headers):
            yield commands.SendData(self.conn, _TOO_LARGE)
            yield commands.CloseConnection(self.conn)
            self.state = self.done
        elif self._is_in(self.wait) and len(self.buf) > _MOST_WAITING_BYTES:
            yield commands.CloseConnection(self.conn)
            text = "The client sends more requests than it waits for."
            yield ReceiveHttp(RequestProtocolError(self.stream_id, text, ErrorCode.CLIENT_DISCONNECTED))
            self.state = self.done

    def _is_in(self, state: Callable[..., Any]) -> bool:
        return getattr(self.state, "__func__", None) is getattr(state, "__func__", state)


def may_be_made(context: Context) -> bool:
    """Whether a client speaks HTTP/1, as far as its TLS handshake has told."""
    alpn = context.client.alpn
    return alpn is None or alpn in (b"", b"http/1.1", b"http/1.0")
