"""A request that has ended is freed at once, with all that it held, and not when garbage is looked for."""

import asyncio
import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from mitmproxy import http
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import Client, ConnectionState
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HTTPMode
from mitmproxy.proxy.layers.http._hooks import HttpRequestHook
from mitmproxy.test import taddons

from llmrouter.answering import Answering
from llmrouter.proxy import message_checks
from llmrouter.proxy.streaming import Edge, RoutedHttpLayer
from tests.fakes.provider import FakeProvider
from tests.gateways import gateway, provider

REQUEST = b"POST http://example.com/ HTTP/1.1\r\nHost: example.com\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture
def without_collections() -> Iterator[None]:
    # mitmproxy's own checks leave cycles of errors and frames.
    message_checks.install()
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    message_checks.remove()


def conversation(layer: RoutedHttpLayer, client: Client) -> tuple[bytes, list[weakref.ref[http.HTTPFlow]]]:
    """What a client gets for three requests that an addon answers, and the flows of those."""
    flows: list[weakref.ref[http.HTTPFlow]] = []
    sent: list[bytes] = []
    waiting: list[events.Event] = [events.Start(), *[events.DataReceived(client, REQUEST)] * 3]
    while waiting:
        for command in layer.handle_event(waiting.pop(0)):
            if isinstance(command, HttpRequestHook):
                flows.append(weakref.ref(command.flow))
                command.flow.response = http.Response.make(200, b"hello yourself")
            if isinstance(command, commands.StartHook):
                waiting.insert(0, events.HookCompleted(command))
            if isinstance(command, commands.SendData):
                sent.append(command.data)
    return b"".join(sent), flows


@pytest.mark.usefixtures("without_collections")
def test_a_flow_goes_with_its_stream() -> None:
    client = Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), state=ConnectionState.OPEN)
    with taddons.context(Proxyserver()) as context:
        layer = RoutedHttpLayer(Context(client, context.options), HTTPMode.regular, Edge({}, lambda host, port: False))
    sent, flows = conversation(layer, client)
    assert sent.count(b"hello yourself") == 3
    # The connection still knows its last one.
    assert [flow() for flow in flows[:2]] == [None, None]


@pytest.mark.usefixtures("without_collections")
@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_goes_with_its_answer(stream: bool, tmp_path: Path) -> None:
    async with FakeProvider() as good, gateway(tmp_path, provider("good", good)) as router:
        told = await router.ask(stream=stream)
        assert told.answer.status == 200
        del told
        await asyncio.sleep(0)
        assert not [one for one in gc.get_objects() if isinstance(one, Answering)]
