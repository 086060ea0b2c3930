"""mitmproxy's HTTP layer, taught to stream an answer that an addon makes, with back-pressure (design D2).

mitmproxy sends a response that an addon set only as a whole. `RoutedStream` sends the head, then asks the hook
`llm_next_chunk` for one piece after the other; the hook waits for the client and for the provider. The stream, not its
connection, is paused meanwhile, so HTTP/2 neighbours go on. It also keeps credentials of passed-through requests out of
the recorded flow, bounds the bodies of routed ones, and relays upgraded connections without recording them.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from types import MethodType

from mitmproxy import flow as mitmproxy_flow
from mitmproxy import http
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import tcp
from mitmproxy.proxy.layers.http import HttpLayer, HTTPMode, HttpStream, SendHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._hooks import HttpErrorHook
from mitmproxy.proxy.layers.http._http2 import Http2Server
from mitmproxy.utils import human

from llmrouter.errors import RequestTooLarge, ShuttingDown
from llmrouter.proxy.bounded_http1 import BoundedHttp1Server, may_be_made
from llmrouter.proxy.collecting import stream_of_piece
from llmrouter.proxy.exchange import Exchange, StreamBody
from llmrouter.proxy.flows import error_response, last_response
from llmrouter.proxy.local_pages import note_asked_host

_H2_BACKLOG_BYTES = 64 * 1024
# HTTP/2 windows open without telling the layers above: looked at this often while a client reads slowly.
_H2_LOOK_S = 0.02


@dataclass
class NextChunkHook(commands.StartHook):
    """Pauses one stream until `body.chunk` holds the next bytes."""

    body: StreamBody
    name = "llm_next_chunk"


@dataclass(frozen=True, slots=True)
class Edge:
    """What the layer asks of the addon: the exchanges by flow id, and which hosts are tunnelled unread."""

    exchanges: MutableMapping[str, Exchange]
    is_tunnelled: Callable[[str, int], bool]


type _State = Callable[[events.Event], layer.CommandGenerator[None]]


class RoutedStream(HttpStream):
    """One request and its answer.

    It is in no reference cycle when it has ended, so that it is freed at once, with the bodies that its flow holds.
    """

    def __init__(self, context: Context, stream_id: int, edge: Edge) -> None:
        super().__init__(context, stream_id)
        self._edge = edge
        self._shown: http.Request | None = None

    @property
    def client_state(self) -> _State:
        """What comes next from the client; kept without this object, as `server_state` is."""
        return MethodType(self._client_state, self)

    @client_state.setter
    def client_state(self, state: _State) -> None:
        self._client_state = state.__func__  # type: ignore[attr-defined]  # a method of this class

    @property
    def server_state(self) -> _State:
        """What comes next from the server."""
        return MethodType(self._server_state, self)

    @server_state.setter
    def server_state(self, state: _State) -> None:
        self._server_state = state.__func__  # type: ignore[attr-defined]  # as above

    def handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Tells the exchange at once that its client left, even on a paused stream, and keeps the Host asked for."""
        if self._paused and isinstance(event, RequestProtocolError) and (exchange := self._exchange()):
            exchange.abandon()
        if isinstance(event, RequestHeaders):
            note_asked_host(event.request)
        return super().handle_event(event)

    def check_body_size(self, request: bool) -> layer.CommandGenerator[bool]:
        """Leaves a routed request's size to the router's own limit: mitmproxy's options would forward it unseen."""
        exchange = self._exchange()
        if request and exchange is not None and exchange.is_routed:
            return False
        return (yield from super().check_body_size(request))

    def start_request_stream(self) -> layer.CommandGenerator[None]:
        """Sends a passed-through request on while it still comes in."""
        yield from super().start_request_stream()
        self._hide_credential()

    def state_consume_request_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Collects a routed request's body; of one that is refused the rest is read and thrown away."""
        exchange = self._exchange()
        if exchange is None:
            yield from super().state_consume_request_body(event)
            return
        exchange.can_stream = True
        if exchange.is_routed and exchange.refusal is None and isinstance(event, RequestData):
            self._take_in(exchange, len(event.data))
        if exchange.is_routed and exchange.refusal is not None:
            self.request_body_buf.clear()
            self.client_state = self._state_discard_request_body
            yield from self._state_discard_request_body(event)
            return
        if isinstance(event, RequestEndOfMessage) and self._is_reset():
            exchange.abandon()
        yield from super().state_consume_request_body(event)
        self._hide_credential()

    def _take_in(self, exchange: Exchange, more: int) -> None:
        if len(self.request_body_buf) + more > exchange.max_body_bytes:
            limit = human.pretty_size(exchange.max_body_bytes)
            exchange.refusal = RequestTooLarge(f"The request's body is over the limit of {limit}.")
        else:
            exchange.hold(more)

    def _state_discard_request_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, RequestEndOfMessage) and (exchange := self._exchange()):
            assert exchange.refusal is not None
            error, request = exchange.refusal, self.flow.request
            is_last = isinstance(error, ShuttingDown)
            self.flow.response = last_response(error, request) if is_last else error_response(error)
            self.client_state = self.state_done
            yield from self.send_response()

    def make_server_connection(self) -> layer.CommandGenerator[bool]:
        """Puts the credential back for as long as it takes to send the request's head."""
        is_connected = yield from super().make_server_connection()
        exchange = self._exchange()
        if is_connected and exchange is not None and exchange.original is not None:
            self._shown = self.flow.request
            self.flow.request = exchange.original
            # mitmproxy has told the client to continue itself.
            self.flow.request.headers.pop("expect", None)
        return is_connected

    def _hide_credential(self) -> None:
        """The head is on its way, and no hook ran meanwhile: the recorded request takes its place again."""
        if self._shown is not None:
            self.flow.request, self._shown = self._shown, None

    def send_response(self, already_streamed: bool = False) -> layer.CommandGenerator[None]:
        """Sends a routed stream piece by piece, and everything else as mitmproxy does."""
        exchange = self._exchange()
        body = None if already_streamed or exchange is None else exchange.body
        if body is None:
            yield from super().send_response(already_streamed)
            return
        response = self.flow.response
        assert response is not None
        body.drain = _h2_drain(self, body)
        yield SendHttp(ResponseHeaders(self.stream_id, response, end_stream=False), self.context.client)
        while True:
            yield NextChunkHook(body)
            if (yield from self.check_killed(True)):
                return
            if body.is_aborted:
                yield from self._abort()
                return
            if body.chunk is None:
                break
            yield SendHttp(ResponseData(self.stream_id, body.chunk), self.context.client)
        response.data.content = body.kept
        yield from super().send_response(already_streamed=True)

    def flow_done(self) -> layer.CommandGenerator[None]:
        """Relays an upgraded connection byte for byte: nothing of it is parsed or kept."""
        response = self.flow.response
        if response is None or response.status_code != 101:
            yield from super().flow_done()
            self.context.layers.remove(self)
            return
        self.flow.live = False
        self.child_layer = tcp.TCPLayer(self.context, ignore=True)
        self._handle_event = self.passthrough
        yield from self.child_layer.handle_event(events.Start())
        yield SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)

    def handle_connect_regular(self) -> layer.CommandGenerator[None]:
        """Opens a tunnel to a host that is none of ours at once, so that servers that speak first work, too."""
        if self.flow.response is not None:
            yield from self.handle_connect_finish()  # type: ignore[no-untyped-call]  # mitmproxy left it so
            return
        host, port = self.flow.request.host, self.flow.request.port
        if not self._edge.is_tunnelled(host, port):
            yield from super().handle_connect_regular()  # type: ignore[no-untyped-call]  # mitmproxy left it so
            return
        error = yield commands.OpenConnection(self.context.server)
        if error:
            text = f"Cannot connect to {human.format_address((host, port))}: {error}"
            self.flow.response = http.Response.make(502, text, {"content-type": "text/plain"})
        self.child_layer = tcp.TCPLayer(self.context, ignore=True)
        yield from self.handle_connect_finish()  # type: ignore[no-untyped-call]  # as above

    def _abort(self) -> layer.CommandGenerator[None]:
        """Breaks the connection off, so that a client cannot take the end for a real one."""
        self.flow.error = mitmproxy_flow.Error("the answer was cut off")
        yield HttpErrorHook(self.flow)
        yield SendHttp(ResponseProtocolError(self.stream_id, "cut off", ErrorCode.KILL), self.context.client)
        self.flow.live = False
        self.client_state = self.server_state = self.state_errored

    def _is_reset(self) -> bool:
        """Whether an HTTP/2 client sent its request and a reset together: mitmproxy then never tells of the reset."""
        connection = _h2_connection(self)
        return connection is not None and bool(connection.is_closed(self.stream_id))

    def _exchange(self) -> Exchange | None:
        flow: http.HTTPFlow | None = getattr(self, "flow", None)
        return None if flow is None else self._edge.exchanges.get(flow.id)


class RoutedHttpLayer(HttpLayer):
    """mitmproxy's HTTP layer with streams of ours."""

    def __init__(self, context: Context, mode: HTTPMode, edge: Edge) -> None:
        super().__init__(context, mode)
        self._edge = edge

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Brings the pieces of a body to their stream by a shorter way; and puts our HTTP/1 in mitmproxy's place."""
        if type(event) is events.Start and may_be_made(self.context):
            self.connections.setdefault(self.context.client, BoundedHttp1Server(self.context.fork()))
        if type(event) is events.DataReceived and (stream := stream_of_piece(self, event)) is not None:
            yield from self.event_to_child(stream, RequestData(stream.stream_id, event.data))
            return
        yield from super()._handle_event(event)

    def make_stream(self, stream_id: int) -> layer.CommandGenerator[None]:
        """Makes one stream, as the parent does."""
        stream = self.streams[stream_id] = RoutedStream(self.context.fork(), stream_id, self._edge)
        yield from self.event_to_child(stream, events.Start())


def _h2_connection(stream: RoutedStream) -> Http2Server | None:
    http_layer = next((x for x in reversed(stream.context.layers) if isinstance(x, HttpLayer)), None)
    connection = None if http_layer is None else http_layer.connections.get(stream.context.client)
    return connection if isinstance(connection, Http2Server) else None


def _h2_drain(stream: RoutedStream, body: StreamBody) -> Callable[[], Awaitable[None]] | None:
    """Waits for a slow HTTP/2 client's window, too: beyond it mitmproxy queues without limit."""
    then = body.drain
    connection = _h2_connection(stream)
    if connection is None:
        return then
    buffers = connection.h2_conn.stream_buffers

    def is_behind() -> bool:
        waiting = sum(len(piece.data) for piece in buffers.get(stream.stream_id, ()))
        return waiting > _H2_BACKLOG_BYTES and not body.is_aborted

    async def drain() -> None:
        while is_behind():  # noqa: ASYNC110 - mitmproxy gives no event for a window that opens
            await asyncio.sleep(_H2_LOOK_S)
        if then is not None:
            await then()

    return drain


__all__ = ["Edge", "NextChunkHook", "RoutedHttpLayer", "RoutedStream"]
