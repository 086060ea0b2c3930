"""What a request came to, put into its flow: a response, or the head of a stream, and what the record shows of it."""

from collections.abc import Awaitable, Callable

from mitmproxy import ctx, http

from llmrouter.call_record import Answer
from llmrouter.operations import Result
from llmrouter.proxy import flows
from llmrouter.proxy.call_notes import note
from llmrouter.proxy.exchange import Exchange, StreamBody
from llmrouter.proxy.sending_again import keep_asked

# nginx's code for a client that closed its request; nobody receives it, it stands in the recorded flow.
_CLIENT_GONE_STATUS = 499


async def put_result(flow: http.HTTPFlow, exchange: Exchange, result: Result) -> None:
    """The response; the frames of a stream follow piece by piece."""
    if exchange.body is None:
        flow.response = flows.make_response(result.status, result.headers, result.body)
    else:
        await _start_stream(flow, exchange, exchange.body, result)
    if flow.request.method == "POST":
        keep_asked(flow)
    if result.answer is not None:
        _show(flow, exchange, result.answer)


def is_passed_through(flow: http.HTTPFlow, exchange: Exchange, result: Result) -> bool:
    """Whether OpenAI is to be asked after all, since the router itself could not answer; its flow tells that then."""
    answer = result.answer
    if answer is None or not answer.is_passed_through:
        return False
    exchange.when_done = lambda: note(flow, answer)
    return True


def put_gone(flow: http.HTTPFlow) -> None:
    """Its client left before there was an answer: mitmproxy forwards what has no response."""
    flow.response = flows.make_response(_CLIENT_GONE_STATUS, {})
    flow.comment = "the client hung up before an answer came"


def _show(flow: http.HTTPFlow, exchange: Exchange, answer: Answer) -> None:
    """What the record tells of a call: what was sent, and who answered."""
    if answer.request is not None:
        flows.show_upstream_request(flow, answer.request)
    note(flow, answer)
    # What a stream took is known at its end.
    exchange.when_done = lambda: note(flow, answer)


async def _start_stream(flow: http.HTTPFlow, exchange: Exchange, body: StreamBody, result: Result) -> None:
    flow.response = flows.stream_response(result, flow.request.http_version)
    if exchange.can_stream:
        body.drain = _client_drain(flow)
        return
    # A replayed flow has no layer of ours: it gets the stream as a whole.
    pieces = []
    await body.advance()
    while body.chunk is not None:
        pieces.append(body.chunk)
        await body.advance()
    exchange.body = None
    flow.response = flows.make_response(result.status, result.headers, b"".join(pieces))


def _client_drain(flow: http.HTTPFlow) -> Callable[[], Awaitable[None]] | None:
    """Waits until the client's socket has taken what was written to it."""
    server = ctx.master.addons.get("proxyserver")
    handler = server.connections.get(flow.client_conn.id) if server else None
    io = handler.transports.get(flow.client_conn) if handler else None
    return io.writer.drain if io is not None and io.writer is not None else None
