"""Calls of mitmproxy's hooks that look up once who has which hook, and not at each event.

mitmproxy walks all its addons, about 50, for each of the eight hooks of a request, and asks each one whether it has the
hook: more than half of the CPU of a proxied request goes there. This keeps what it finds until an addon comes or goes.
The order, `AddonHalt`, what is awaited and what becomes of errors are as in mitmproxy's `addonmanager.py`.
"""

import inspect
import logging
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any

from mitmproxy import exceptions, flow, hooks, version
from mitmproxy.addonmanager import AddonManager, cut_traceback, traverse

logger = logging.getLogger(__name__)
_mitmproxys_logger = logging.getLogger("mitmproxy.addonmanager")

KNOWN_VERSIONS = ("12.2.3",)
"""Those whose `addonmanager.py` was read for this."""

type _Handler = Callable[..., Any]
type _Handlers = tuple[tuple[_Handler, ...], ...]


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
        await self.trigger_event(event)
        message = event.args()[0]
        if isinstance(message, flow.Flow) and self._handlers(hooks.UpdateHook.name) != ():
            await self.trigger_event(hooks.UpdateHook([message]))

    async def trigger_event(self, event: hooks.Hook) -> None:
        """Calls a hook of all addons that have it."""
        handlers = self._handlers(event.name)
        if handlers is None:
            await AddonManager.trigger_event(self._addons, event)
            return
        for together in handlers:
            try:
                for handler in together:
                    result = handler(*event.args())
                    if result is not None and inspect.isawaitable(result):
                        await result
            except exceptions.AddonHalt:
                return
            except exceptions.OptionsError:
                raise
            except Exception as error:
                trace = cut_traceback(sys.exc_info()[2], "trigger_event")
                told = (type(error), error, trace)
                _mitmproxys_logger.error(f"Addon error: {error}", exc_info=told)  # noqa: TRY400 - word for word

    def _handlers(self, name: str) -> _Handlers | None:
        """Who has a hook, those together that one error skips; None where mitmproxy itself must say what is wrong."""
        if not self._is_current():
            self._note_addons()
        try:
            return self._index[name]
        except KeyError:
            found = self._index[name] = _find_handlers(self._chain, name)
            return found

    def _is_current(self) -> bool:
        return self._addons.chain == self._chain and all(_nested(addon) == known for addon, known in self._nested)

    def _note_addons(self) -> None:
        self._chain = list(self._addons.chain)
        self._nested = [(addon, _nested(addon)) for addon in traverse(self._chain) if hasattr(addon, "addons")]
        self._index.clear()


def _nested(addon: Any) -> list[Any]:
    return list(getattr(addon, "addons", ()))


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
    return tuple(found)
