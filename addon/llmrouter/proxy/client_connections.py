"""Clients that hold connections without using them: requests that come too slowly end, and so do idle connections where
there are too many."""

import asyncio
import heapq
import time
from collections.abc import Callable, Iterable

from mitmproxy import ctx
from mitmproxy.connection import Client

from llmrouter.proxy.bounded_http1 import BoundedHttp1Server, coming
from llmrouter.settings.operating import ClientSettings
from llmrouter.tasks import spawn

_LOOK_S = 1.0
# So many at a time, so that a flood does not make us look through all of them for each.
_SHARE = 0.02


class ClientConnections:
    """Watches all connections of clients; `busy` are the ids of those that wait for an answer."""

    name = "llmrouter-client-connections"

    def __init__(self, settings: Callable[[], ClientSettings], busy: Callable[[], Iterable[str]]) -> None:
        self._settings = settings
        self._busy = busy
        self._task: asyncio.Task[None] | None = None

    def running(self) -> None:
        """Looks at slow requests from now on."""
        if self._task is None:
            self._task = spawn(self._look(), "watching slow clients")

    def done(self) -> None:
        """Looks no more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def client_connected(self, client: Client) -> None:
        """Makes room for a new connection among too many idle ones; where none is idle, it is refused."""
        server = ctx.master.addons.get("proxyserver")
        most = self._settings().max_connections
        if server is None or len(server.connections) <= most:
            return
        busy = {client.id, *self._busy()}
        idle = [(one.timeout_watchdog.last_activity, id) for id, one in server.connections.items() if id not in busy]
        stalest = heapq.nsmallest(max(1, int(most * _SHARE)), idle)
        for _, id in stalest:
            _close(id)
        if not stalest:
            client.error = "the router has as many connections as it may have, and all of them are in use"

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            now, settings = time.monotonic(), self._settings()
            for connection in [one for one in coming if is_too_slow(one, settings, now)]:
                coming.discard(connection)
                _close(connection.context.client.id)


def is_too_slow(connection: BoundedHttp1Server, settings: ClientSettings, now: float) -> bool:
    """Whether a request takes longer to come than it may: some seconds, and more for what has come of it."""
    if connection.began is None:
        return False
    return now - connection.began > settings.request_seconds + connection.received / settings.min_bytes_per_second


def _close(client_id: str) -> None:
    server = ctx.master.addons.get("proxyserver")
    handler = None if server is None else server.connections.get(client_id)
    if handler is not None and (writer := handler.transports[handler.client].writer) is not None:
        writer.close()
