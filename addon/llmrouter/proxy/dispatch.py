"""Calls of mitmproxy's hooks that look up once who has which hook, and not at each event.

mitmproxy walks all its addons, about 50, for each of the eight hooks of a request, and asks each one whether it has the
hook: more than half of the CPU of a proxied request goes there. This keeps what it finds until an addon comes or goes.
The order, `AddonHalt`, what is awaited and what becomes of errors are as in mitmproxy's `addonmanager.py`.
"""

import inspect
import logging
import sys
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from dataclasses import fields
from functools import cache
from typing import Any, NamedTuple

from mitmproxy import exceptions, flow, hooks, version
from mitmproxy.addonmanager import AddonManager, cut_traceback, traverse

logger = logging.getLogger(__name__)
_mitmproxys_logger = logging.getLogger("mitmproxy.addonmanager")

KNOWN_VERSIONS = ("12.2.3",)
"""Those whose `addonmanager.py`, `proxy/server.py`, `proxy/layer.py` and `http.py` were read for what this package does
in their place."""

type _Handler = Callable[..., Any]
type _Rest = Coroutine[Any, Any, None]


class _Handlers(NamedTuple):
    """Who has a hook, those together that one error skips; whether none of them is a coroutine function."""

    groups: tuple[tuple[_Handler, ...], ...]
    is_prompt: bool


class IndexedDispatch:
    """In place of the two methods of an `AddonManager` that call hooks; the index is made anew when addons change."""

    def __init__(self, addons: AddonManager) -> None:
        self._addons = addons
        self._chain: list[Any] = []
        self._nested: list[tuple[Any, list[Any]]] = []
        self._index: dict[str, _Handlers | None] = {}

    def install(self) -> bool:
        """Takes the place of mitmproxy's own, and says whether it did: not in a version that it does not know."""
        if version.VERSION not in KNOWN_VERSIONS:
            known = ", ".join(KNOWN_VERSIONS)
            logger.warning(
                "Hooks are called as mitmproxy %s does it: the faster way is known for %s only.", version.VERSION, known
            )
            return False
        vars(self._addons).update(trigger_event=self.trigger_event, handle_lifecycle=self.handle_lifecycle)
        return True

    def remove(self) -> None:
        """Gives mitmproxy's own methods back."""
        for name in ("trigger_event", "handle_lifecycle"):
            vars(self._addons).pop(name, None)

    async def handle_lifecycle(self, event: hooks.Hook) -> None:
        """Calls a hook, and after one of a flow the hook `update`."""
        if (rest := self.begin_lifecycle(event)) is not None:
            await rest

    async def trigger_event(self, event: hooks.Hook) -> None:
        """Calls a hook of all addons that have it."""
        if (rest := self._begin(event)) is not None:
            await rest

    def is_prompt(self, event: hooks.Hook) -> bool:
        """Whether a hook, and `update` after it, can be called without waiting for anything, as far as one can see."""
        handlers, update = self._handlers(event.name), self._handlers(hooks.UpdateHook.name)
        return handlers is not None and handlers.is_prompt and update is not None and update.is_prompt

    def begin_lifecycle(self, event: hooks.Hook) -> _Rest | None:
        """As `handle_lifecycle`, up to the first handler that waits; returns what is left to do then."""
        rest = self._begin(event)
        if rest is not None:
            return self._after(rest, event)
        return self._begin_update(event)

    async def _after(self, rest: _Rest, event: hooks.Hook) -> None:
        await rest
        if (update := self._begin_update(event)) is not None:
            await update

    def _begin_update(self, event: hooks.Hook) -> _Rest | None:
        message = arguments_of(event)[0]
        if not isinstance(message, flow.Flow):
            return None
        handlers = self._handlers(hooks.UpdateHook.name)
        if handlers is not None and not handlers.groups:
            return None
        return self._begin(hooks.UpdateHook([message]))

    def _begin(self, event: hooks.Hook) -> _Rest | None:
        handlers = self._handlers(event.name)
        if handlers is None:
            return AddonManager.trigger_event(self._addons, event)
        if not handlers.groups:
            return None
        steps = trigger_event(handlers, arguments_of(event))
        waiting = next(steps, None)
        return None if waiting is None else _finish(steps, waiting)

    def _handlers(self, name: str) -> _Handlers | None:
        """Who has a hook; None where mitmproxy itself must say what is wrong."""
        if not self._is_current():
            self._note_addons()
        try:
            return self._index[name]
        except KeyError:
            found = self._index[name] = _find_handlers(self._chain, name)
            return found

    def _is_current(self) -> bool:
        if self._addons.chain != self._chain:
            return False
        for addon, known in self._nested:  # noqa: SIM110 - at every event: `all` takes three times as long
            if getattr(addon, "addons", ()) != known:
                return False
        return True

    def _note_addons(self) -> None:
        self._chain = list(self._addons.chain)
        self._nested = [(addon, addon.addons[:]) for addon in traverse(self._chain) if hasattr(addon, "addons")]
        self._index.clear()


def trigger_event(handlers: _Handlers, arguments: list[Any]) -> Generator[Awaitable[Any]]:
    """Calls handlers, and yields what is to be awaited; it has the name at which mitmproxy cuts tracebacks."""
    for together in handlers.groups:
        try:
            for handler in together:
                result = handler(*arguments)
                if result is not None and inspect.isawaitable(result):
                    yield result
        except exceptions.AddonHalt:
            return
        except exceptions.OptionsError:
            raise
        except Exception as error:
            trace = cut_traceback(sys.exc_info()[2], "trigger_event")
            told = (type(error), error, trace)
            _mitmproxys_logger.error(f"Addon error: {error}", exc_info=told)  # noqa: TRY400 - word for word


async def _finish(steps: Generator[Awaitable[Any]], waiting: Awaitable[Any]) -> None:
    try:
        while True:
            try:
                await waiting
            except BaseException as error:  # noqa: BLE001 - whoever called the handler knows what becomes of it
                waiting = steps.throw(error)
            else:
                waiting = next(steps)
    except StopIteration:
        return


def arguments_of(event: hooks.Hook) -> list[Any]:
    """What the handlers of a hook get, as its own `args` says, without reflection at each event."""
    if type(event).args is not hooks.Hook.args:
        return event.args()
    kind: Any = type(event)
    return [getattr(event, name) for name in _field_names(kind)]


@cache
def _field_names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _find_handlers(chain: Sequence[Any], name: str) -> _Handlers | None:
    found = []
    for top in chain:
        together = []
        for addon in traverse([top]):
            handler = getattr(addon, name, None)
            if not handler or isinstance(handler, types.ModuleType):
                continue
            if not callable(handler):
                return None
            together.append(handler)
        if together:
            found.append(tuple(together))
    is_prompt = not any(inspect.iscoroutinefunction(handler) for together in found for handler in together)
    return _Handlers(tuple(found), is_prompt)
