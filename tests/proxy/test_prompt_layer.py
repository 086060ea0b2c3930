"""Hooks within the event that leads to them: what addons and clients see is as with mitmproxy's own tasks."""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any
from unittest.mock import Mock

import pytest
from mitmproxy import exceptions, options
from mitmproxy.connection import Client
from mitmproxy.flow import Flow
from mitmproxy.master import Master
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layer import CommandGenerator, Layer
from mitmproxy.proxy.layers.http._hooks import HttpRequestHook, HttpResponseHook
from mitmproxy.proxy.mode_servers import ProxyConnectionHandler
from mitmproxy.test import tflow

from llmrouter.proxy.dispatch import IndexedDispatch
from llmrouter.proxy.prompt_layer import PromptLayer, sent_together

SEEN: ContextVar[str] = ContextVar("what a handler left behind", default="nothing")


class Told(list[str]):
    """What happened, in order."""


class Writer:
    """A client's end."""

    def __init__(self, told: Told) -> None:
        self.told = told
        self.writes = 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)}.get(name, default)

    def write(self, data: bytes) -> None:
        self.writes += 1
        self.told.extend(f"sent {chr(byte)}" for byte in data)

    def is_closing(self) -> bool:
        return False


class Speaking(Layer):
    """Calls two hooks of one flow, and sends something before, between and after them."""

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        flow = tflow.tflow()
        yield commands.SendData(self.context.client, b"a")
        yield HttpRequestHook(flow)
        yield commands.SendData(self.context.client, b"b")
        yield commands.SendData(self.context.client, b"c")
        yield HttpResponseHook(flow)
        yield commands.SendData(self.context.client, b"d")


class Noting:
    """An addon that notes its hooks, and does something in `request`."""

    def __init__(self, does: Callable[[Any], Any] = lambda flow: None) -> None:
        self.told = Told()
        self._does = does

    def request(self, flow: Any) -> Any:
        self.told.append(f"request, {SEEN.get()}")
        return self._does(flow)

    def response(self, flow: Any) -> None:
        self.told.append(f"response, {SEEN.get()}")

    def update(self, flows: Any) -> None:
        self.told.append("update")


class Waiting(Noting):
    """Its handler is a coroutine function."""

    async def request(self, flow: Any) -> None:
        await asyncio.sleep(0)
        super().request(flow)


def fail(_: Any) -> None:
    raise LookupError("failed")


def leave(_: Any) -> None:
    SEEN.set("something")


def hold(flow: Flow) -> None:
    flow.intercept()
    asyncio.get_running_loop().call_later(0, flow.resume)


async def later() -> None:
    await asyncio.sleep(0)


async def fail_later() -> None:
    await asyncio.sleep(0)
    raise LookupError("failed later")


ADDONS: dict[str, Callable[[], Noting]] = {
    "plain": Noting,
    "one that fails": lambda: Noting(fail),
    "one that leaves something in its context": lambda: Noting(leave),
    "one that holds the flow": lambda: Noting(hold),
    "a coroutine function": Waiting,
    "a function that returns something to wait for": lambda: Noting(lambda _: later()),
    "a function that fails later": lambda: Noting(lambda _: fail_later()),
}


def connected(addon: Noting, *, ours: bool) -> tuple[ProxyConnectionHandler, Writer]:
    """A connection with an addon, in an event loop with eager tasks, as mitmproxy's own."""
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    master, writer = Master(options.Options()), Writer(addon.told)
    master.addons.add(addon)
    handler = ProxyConnectionHandler(master, Mock(), writer, master.options, Mock())
    handler.layer = Speaking(handler.layer.context)
    if ours:
        dispatch = IndexedDispatch(master.addons)
        dispatch.install()
        handler.layer = PromptLayer(handler, dispatch)  # type: ignore[assignment]  # all that the handler uses of one
    return handler, writer


async def handled(addon: Noting, *, ours: bool) -> tuple[Told, int]:
    """What an event comes to, and how many writes it took."""
    handler, writer = connected(addon, ours=ours)
    await handler.server_event(events.Start())
    async with asyncio.timeout(5):
        while "sent d" not in addon.told:  # noqa: ASYNC110 - mitmproxy gives no event for it
            await asyncio.sleep(0)
    return addon.told, writer.writes


@pytest.mark.parametrize("name", ADDONS)
async def test_all_happens_in_the_same_order(name: str) -> None:
    expected, mitmproxys_writes = await handled(ADDONS[name](), ours=False)
    told, writes = await handled(ADDONS[name](), ours=True)
    assert told == expected
    assert (mitmproxys_writes, writes) == (4, 3)
    assert told[-2:] == ["update", "sent d"]


async def test_plain_hooks_take_no_turn_of_the_loop() -> None:
    addon = Noting()
    handler, _ = connected(addon, ours=True)
    await handler.server_event(events.Start())
    assert addon.told[-1] == "sent d"


async def test_an_options_error_ends_the_flow_and_not_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(_: Any) -> None:
        raise exceptions.OptionsError("no such option")

    addon = Noting(refuse)
    handler, _ = connected(addon, ours=True)
    await handler.server_event(events.Start())
    assert addon.told == ["sent a", "request, nothing"]
    assert "nothing goes on after it" in caplog.text
    assert "mitmproxy has crashed" not in caplog.text


def client() -> Client:
    return Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2))


def test_what_follows_directly_is_sent_together() -> None:
    one, other = client(), client()
    given: list[commands.Command] = [
        commands.SendData(one, b"a"),
        commands.SendData(one, b"b"),
        commands.SendData(other, b"c"),
        commands.SendData(one, b"d"),
        commands.Log("between"),
        commands.SendData(one, b"e"),
        commands.SendData(one, b"x" * 70_000),
        commands.CloseConnection(one),
    ]
    told = [
        (command.connection is one, command.data[:3])
        if isinstance(command, commands.SendData)
        else type(command).__name__
        for command in sent_together(given)
    ]
    assert told == [
        (True, b"ab"),
        (False, b"c"),
        (True, b"d"),
        "Log",
        (True, b"e"),
        (True, b"xxx"),
        "CloseConnection",
    ]
