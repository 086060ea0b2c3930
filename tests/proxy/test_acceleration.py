"""When mitmproxy's hot path is made cheaper, and when it is left alone; and what a client sends at once."""

import asyncio
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from mitmproxy import http, version
from mitmproxy.connection import Client
from mitmproxy.test import taddons

from llmrouter.proxy.acceleration import Acceleration
from llmrouter.proxy.prompt_layer import PromptLayer
from llmrouter.proxy.wide_reader import WideReader


class Proxyserver:
    """As much of mitmproxy's own as knows its connections."""

    def __init__(self) -> None:
        self.connections: dict[str, Any] = {}


class Context(taddons.context):
    """mitmproxy with the addon, whose option is set, and one connection."""

    def __init__(self, *, is_on: bool) -> None:
        self.proxyserver, self.addon = Proxyserver(), Acceleration()
        super().__init__(self.proxyserver, self.addon)  # type: ignore[no-untyped-call]  # mitmproxy left it so
        self.master.options.add_option("llmrouter_indexed_dispatch", bool, is_on, "")
        self.client = Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2))
        transport = SimpleNamespace(reader=asyncio.StreamReader())
        self.handler = SimpleNamespace(layer=Mock(), transports={self.client: transport})
        self.proxyserver.connections[self.client.id] = self.handler

    def connect(self) -> bool:
        """Whether a new connection is served the cheaper way."""
        self.addon.client_connected(self.client)
        is_layer = isinstance(self.handler.layer, PromptLayer)
        assert isinstance(self.handler.transports[self.client].reader, WideReader) is is_layer
        return is_layer


def is_changed() -> bool:
    return hasattr(vars(http.MessageData)["__post_init__"], "mitmproxys")


async def test_it_is_put_in_once_and_taken_out_at_the_end() -> None:
    with Context(is_on=True) as mitmproxy:
        for _ in range(2):
            mitmproxy.addon.running()
        assert (mitmproxy.connect(), is_changed()) == (True, True)
        assert "trigger_event" in vars(mitmproxy.master.addons)
        mitmproxy.addon.done()
        assert is_changed() is False
        assert "trigger_event" not in vars(mitmproxy.master.addons)


async def test_the_option_turns_it_off() -> None:
    with Context(is_on=False) as mitmproxy:
        mitmproxy.addon.running()
        assert (mitmproxy.connect(), is_changed()) == (False, False)
        mitmproxy.addon.done()


async def test_a_version_that_nobody_has_read_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version, "VERSION", "12.9.0")
    with Context(is_on=True) as mitmproxy:
        mitmproxy.addon.running()
        assert (mitmproxy.connect(), is_changed()) == (False, False)
        mitmproxy.addon.done()


async def test_what_came_at_once_is_read_at_once() -> None:
    reader = asyncio.StreamReader()
    wide = WideReader(reader)
    reader.feed_data(b"a" * 200_000)
    assert len(await wide.read(65_535)) == 200_000
    reader.feed_data(b"b")
    assert await wide.read(65_535) == b"b"
    reader.feed_eof()
    assert await wide.read(65_535) == b""
