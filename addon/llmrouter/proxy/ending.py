"""The end by a signal: no new requests, time for those under way to finish, and then mitmproxy's own end.

mitmproxy itself ends at the first signal, in the middle of every answer, and ignores all others.
"""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from mitmproxy import ctx

from llmrouter.tasks import close_all, spawn

logger = logging.getLogger(__name__)

_LOOK_S = 0.02
# What was said to a client may still stand in a buffer of this process.
_LAST_BYTES_S = 1.0
# A second signal must not wait for a disk or a collector that is stuck.
_AT_MOST_S = 3.0


@dataclass(frozen=True, slots=True)
class Steps:
    """What an end is made of: how many are `under_way`, how many bytes are `unsent`, and what is done about both."""

    under_way: Callable[[], int]
    unsent: Callable[[], int]
    grace_s: Callable[[], float]
    stop_listening: Callable[[], Awaitable[object]]
    end: Callable[[], object]
    kill: Callable[[], object]


class Ending:
    """`has_begun` tells that nothing new is taken on."""

    def __init__(self, steps: Steps) -> None:
        self.has_begun = False
        self._steps = steps
        self._hurry = asyncio.Event()

    def listen(self, *, with_interrupt: bool) -> None:
        """Takes SIGTERM over from mitmproxy, and SIGINT too; where a loop takes no signals, all stays as it was."""
        loop = asyncio.get_running_loop()
        with suppress(NotImplementedError):
            loop.add_signal_handler(signal.SIGTERM, self.signalled)
            if with_interrupt:
                loop.add_signal_handler(signal.SIGINT, self.signalled)

    def signalled(self) -> None:
        """The first signal begins the end, the next one hurries it."""
        if not self.has_begun:
            self.has_begun = True
            spawn(self._end(), "ending")
        elif not self._hurry.is_set():
            logger.warning("A second signal: the router ends at once.")
            self._hurry.set()
            last = threading.Timer(_AT_MOST_S, self._steps.kill)
            last.daemon = True
            last.start()

    async def _end(self) -> None:
        steps, grace_s = self._steps, self._steps.grace_s()
        try:
            await close_all([("the ports", steps.stop_listening)])
            if count := steps.under_way():
                logger.info(
                    "The router ends: %d under way have %g s to finish; a second signal ends them.", count, grace_s
                )
            await self._until(steps.under_way, grace_s)
            if count := steps.under_way():
                logger.warning("The router ends with %d under way.", count)
            await self._until(steps.unsent, min(_LAST_BYTES_S, grace_s))
        finally:
            steps.end()

    async def _until(self, count: Callable[[], int], most_s: float) -> None:
        """Waits until there is none, for so long at most, or until somebody is in a hurry."""
        with suppress(TimeoutError):
            async with asyncio.timeout(most_s):
                while count() and not self._hurry.is_set():
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_LOOK_S):
                            await self._hurry.wait()


def ending_of_mitmproxy(under_way: Callable[[], int], grace_s: Callable[[], float]) -> Ending:
    """The end of the mitmproxy that runs, at its signals; in its console Ctrl-C asks first, as ever."""
    server = ctx.master.addons.get("proxyserver")
    steps = Steps(under_way, _unsent, grace_s, lambda: server.servers.update([]), ctx.master.shutdown, _kill)
    ending = Ending(steps)
    ending.listen(with_interrupt=not hasattr(ctx.master, "prompt_for_exit"))
    return ending


async def close_clients() -> None:
    """Closes the connections of all clients, and waits a moment until they are.

    Left to the end of the event loop, each would be a traceback in the log.
    """
    server = ctx.master.addons.get("proxyserver")
    if server is None:
        return
    for writer in _writers():
        writer.close()
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_BYTES_S):
            while server.connections:  # noqa: ASYNC110 - mitmproxy tells nobody
                await asyncio.sleep(_LOOK_S)


def _unsent() -> int:
    """How many bytes to clients the system has not taken yet."""
    return sum(writer.transport.get_write_buffer_size() for writer in _writers())


def _writers() -> list[asyncio.StreamWriter]:
    handlers = ctx.master.addons.get("proxyserver").connections.values()
    found = [handler.transports.get(handler.client) for handler in handlers]
    return [io.writer for io in found if io is not None and isinstance(io.writer, asyncio.StreamWriter)]


def _kill() -> None:
    os._exit(1)
