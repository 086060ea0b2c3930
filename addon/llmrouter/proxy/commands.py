"""The router's commands in mitmproxy, for the command line of mitmweb and of the console."""

import logging
from collections.abc import Callable, Sequence

import orjson
from mitmproxy import command

from llmrouter.caching.stores import Selection, Store
from llmrouter.proxy.runtime import Runtime
from llmrouter.tasks import spawn

logger = logging.getLogger(__name__)


class RouterCommands:
    """Commands of the router that runs; before it does, they tell nothing."""

    name = "llmrouter-commands"

    def __init__(self, runtime: Callable[[], Runtime | None]) -> None:
        self._runtime = runtime

    @command.command("llmrouter.decisions")  # type: ignore[untyped-decorator]  # mitmproxy gives it no types
    def decisions(self) -> Sequence[str]:
        """The last 200 decisions as lines of JSON, the latest first."""
        runtime = self._runtime()
        return [] if runtime is None else [orjson.dumps(record).decode() for record in runtime.recent.records()]

    @command.command("llmrouter.cache.stats")  # type: ignore[untyped-decorator]  # mitmproxy gives it no types
    def cache_stats(self) -> None:
        """Logs how much the response cache holds."""
        if (store := self._store()) is not None:
            spawn(_tell(store), "counting the cache")

    @command.command("llmrouter.cache.clear")  # type: ignore[untyped-decorator]  # mitmproxy gives it no types
    def cache_clear(self, provider: str = "", model: str = "") -> None:
        """Forgets the answers in the cache, or those of a provider or model alone."""
        if (store := self._store()) is not None:
            spawn(_clear(store, Selection(provider or None, model or None)), "clearing the cache")

    def _store(self) -> Store | None:
        runtime = self._runtime()
        if runtime is None or runtime.gateway.cache is None:
            logger.warning("The response cache is off.")
            return None
        return runtime.gateway.cache.store


async def _tell(store: Store) -> None:
    stats = await store.stats()
    providers = ", ".join(f"{name} {entries}" for name, entries in sorted(stats.by_provider.items()))
    logger.info("The cache holds %d answers in %d bytes (%s).", stats.entries, stats.bytes, providers or "none")


async def _clear(store: Store, selection: Selection) -> None:
    logger.info("%d answers were forgotten.", await store.clear(selection))
