"""A body's pieces by the shorter way: the requests that come of them are those that mitmproxy makes."""

from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from mitmproxy import http
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import Client, ConnectionState
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HttpLayer, HTTPMode
from mitmproxy.proxy.layers.http._hooks import HttpRequestHeadersHook, HttpRequestHook
from mitmproxy.test import taddons

from llmrouter.proxy import streaming
from llmrouter.proxy.collecting import stream_of_piece
from llmrouter.proxy.exchange import Exchange
from llmrouter.proxy.streaming import Edge, RoutedHttpLayer


def posted(body: bytes, *fields: str) -> bytes:
    head = "\r\n".join(["POST http://example.com/path HTTP/1.1", "Host: example.com", *fields])
    return head.encode() + b"\r\n\r\n" + body


def sized(body: bytes) -> bytes:
    return posted(body, f"Content-Length: {len(body)}")


INPUTS = {
    "one": sized(b"0123456789" * 50),
    "two after each other": sized(b"first " * 30) + sized(b"second " * 30),
    "empty": sized(b""),
    "in chunks": posted(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "Transfer-Encoding: chunked") + sized(b"x" * 40),
    "one that closes": posted(b"y" * 60, "Content-Length: 60", "Connection: close"),
    "cut short": posted(b"z" * 60, "Content-Length: 90"),
}


class Conversation:
    """One client's bytes through a layer; each request gets its body back. With exchanges, all requests are routed."""

    def __init__(self, make: Callable[[Context], HttpLayer], exchanges: dict[str, Exchange] | None = None) -> None:
        client = Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), state=ConnectionState.OPEN)
        self.client, self.exchanges = client, exchanges
        self.told: list[Any] = []
        with taddons.context(Proxyserver()) as context:
            self.layer = make(Context(client, context.options))
        self.feed(events.Start())

    def feed(self, event: events.Event) -> None:
        waiting = deque([event])
        while waiting:
            for command in self.layer.handle_event(waiting.popleft()):
                if isinstance(command, commands.SendData):
                    self.told.append(command.data)
                elif isinstance(command, commands.StartHook):
                    self._answer(command)
                    self.told.append(command.name)
                    waiting.append(events.HookCompleted(command))
                elif not isinstance(command, commands.Log):
                    self.told.append(type(command).__name__)

    def _answer(self, hook: commands.StartHook) -> None:
        if isinstance(hook, HttpRequestHeadersHook) and self.exchanges is not None:
            self.exchanges[hook.flow.id] = Exchange("client", is_routed=True, max_body_bytes=400)
        if isinstance(hook, HttpRequestHook):
            hook.flow.response = http.Response.make(200, hook.flow.request.raw_content or b"nothing")


def mitmproxys(context: Context) -> HttpLayer:
    return HttpLayer(context, HTTPMode.regular)


def ours(exchanges: dict[str, Exchange]) -> Callable[[Context], HttpLayer]:
    return lambda context: RoutedHttpLayer(context, HTTPMode.regular, Edge(exchanges, lambda host, port: False))


def told(conversation: Conversation, data: bytes, piece: int) -> list[Any]:
    for start in range(0, len(data), piece):
        conversation.feed(events.DataReceived(conversation.client, data[start : start + piece]))
    conversation.client.state = ConnectionState.CAN_WRITE
    conversation.feed(events.ConnectionClosed(conversation.client))
    return conversation.told


@pytest.mark.parametrize("piece", [1, 7, 64, 10_000])
@pytest.mark.parametrize("name", INPUTS)
def test_requests_are_those_that_mitmproxy_makes(name: str, piece: int) -> None:
    data = INPUTS[name]
    assert told(Conversation(ours({})), data, piece) == told(Conversation(mitmproxys), data, piece)


@pytest.mark.parametrize("piece", [1, 64, 10_000])
def test_a_routed_body_is_bounded_all_the_same(piece: int) -> None:
    exchanges: dict[str, Exchange] = {}
    largest, larger = sized(b"a" * 400), sized(b"a" * 401)
    answers = told(Conversation(ours(exchanges), exchanges), largest + larger, piece)
    heads = [data.split(b"\r\n", 1)[0] for data in answers if isinstance(data, bytes) and data.startswith(b"HTTP/")]
    assert heads == [b"HTTP/1.1 200 OK", b"HTTP/1.1 413 Payload Too Large"]


def test_pieces_in_the_middle_take_the_shorter_way(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []

    def watched(layer: HttpLayer, event: events.DataReceived) -> object:
        taken.append(found := stream_of_piece(layer, event))
        return found

    monkeypatch.setattr(streaming, "stream_of_piece", watched)
    told(Conversation(ours({})), sized(b"0123456789" * 50), 100)
    assert [found is not None for found in taken].count(True) == 4
    assert taken[0] is taken[-1] is None
