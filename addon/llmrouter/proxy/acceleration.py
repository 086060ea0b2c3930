"""What makes mitmproxy itself cheaper per request and per connection: put in at the start, taken out at the end.

All of it does what mitmproxy does, with less work; none of it is put into a version of mitmproxy that nobody has read,
and the option `llmrouter_indexed_dispatch` turns all of it off.
"""

import asyncio

from mitmproxy import ctx
from mitmproxy.connection import Client

from llmrouter.proxy import freed_memory, message_checks
from llmrouter.proxy.dispatch import IndexedDispatch
from llmrouter.proxy.prompt_layer import PromptLayer
from llmrouter.proxy.wide_reader import WideReader


class Acceleration:
    """Hooks by index, hooks and sending without turns of the loop, and lean checks of messages."""

    name = "llmrouter-acceleration"

    def __init__(self) -> None:
        self._dispatch: IndexedDispatch | None = None

    def running(self) -> None:
        """Puts it in, once."""
        if self._dispatch is not None or not ctx.options.llmrouter_indexed_dispatch:
            return
        dispatch = IndexedDispatch(ctx.master.addons)
        if dispatch.install():
            self._dispatch = dispatch
            message_checks.install()
            freed_memory.keep()

    def client_connected(self, client: Client) -> None:
        """Stands between a new connection and its layers."""
        proxyserver = ctx.master.addons.get("proxyserver")
        handler = None if self._dispatch is None or proxyserver is None else proxyserver.connections.get(client.id)
        if handler is None or self._dispatch is None:
            return
        handler.layer = PromptLayer(handler, self._dispatch)
        transport = handler.transports[client]
        if isinstance(transport.reader, asyncio.StreamReader):
            transport.reader = WideReader(transport.reader)

    def done(self) -> None:
        """Gives mitmproxy's own back; connections that are open keep what they have."""
        if self._dispatch is not None:
            self._dispatch.remove()
            message_checks.remove()
            self._dispatch = None
