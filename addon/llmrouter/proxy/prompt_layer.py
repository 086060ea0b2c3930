"""What stands between a client's connection and mitmproxy's layers, and spares the event loop turns.

mitmproxy starts a task for each hook, which then waits for the connection's lock, and each takes a turn of the loop
more. Hooks whose handlers wait for nothing are called here at once, while the event is handled that led to them. The
same goes for what is sent: pieces that follow each other directly, such as a head and its body, leave together.
"""

import contextvars
import logging
from collections import deque
from collections.abc import Coroutine, Iterable
from typing import Any

from mitmproxy import exceptions, flow
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layer import CommandGenerator, Layer
from mitmproxy.proxy.mode_servers import ProxyConnectionHandler

from llmrouter.proxy.dispatch import IndexedDispatch, arguments_of
from llmrouter.tasks import spawn

logger = logging.getLogger(__name__)

# To put longer pieces together costs more than to send them one after the other.
_MOST_TOGETHER_BYTES = 64 * 1024


class PromptLayer:
    """In place of a connection handler's outermost layer, of which the handler uses `handle_event` alone."""

    def __init__(self, handler: ProxyConnectionHandler, dispatch: IndexedDispatch) -> None:
        self._layer: Layer = handler.layer
        self._handler = handler
        self._dispatch = dispatch

    def handle_event(self, event: events.Event) -> CommandGenerator[None]:
        """What the layers want done about an event, and about the hooks that were called meanwhile."""
        # mitmproxy's own tasks have contexts of their own, which go on to what follows from a hook.
        waiting, context = deque([event]), contextvars.copy_context()
        while waiting:
            for command in sent_together(self._layer.handle_event(waiting.popleft())):
                if not isinstance(command, commands.StartHook) or not self._dispatch.is_prompt(command):
                    yield command
                elif context.run(self._is_done_at_once, command) and command.blocking:
                    waiting.append(events.HookCompleted(command))

    def _is_done_at_once(self, hook: commands.StartHook) -> bool:
        """Calls a hook; where that has to wait after all, for a flow that is held or a handler, a task goes on."""
        try:
            rest = self._dispatch.begin_lifecycle(hook)
        except exceptions.OptionsError:
            logger.exception("the hook %s ended with an error, and nothing goes on after it", hook.name)
            return False
        (data,) = arguments_of(hook)
        held = data if isinstance(data, flow.Flow) and data.intercepted else None
        if rest is None and held is None:
            return True
        spawn(self._go_on(hook, rest, data), f"handle_hook({hook.name})")
        return False

    async def _go_on(self, hook: commands.StartHook, rest: Coroutine[Any, Any, None] | None, data: object) -> None:
        with self._handler.timeout_watchdog.disarm():
            if rest is not None:
                await rest
            if isinstance(data, flow.Flow):
                await data.wait_for_resume()
        if hook.blocking:
            await self._handler.server_event(events.HookCompleted(hook))


def sent_together(given: Iterable[commands.Command]) -> CommandGenerator[None]:
    """The commands, those joined that send to one connection without anything else between them."""
    held: commands.SendData | None = None
    for command in given:
        if type(command) is not commands.SendData:
            if held is not None:
                yield held
                held = None
            yield command
        elif held is None:
            held = command
        elif held.connection is command.connection and len(held.data) + len(command.data) <= _MOST_TOGETHER_BYTES:
            held.data = b"".join((held.data, command.data))
        else:
            yield held
            held = command
    if held is not None:
        yield held
