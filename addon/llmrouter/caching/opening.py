"""Opens the store that the settings name."""

from collections.abc import Mapping
from pathlib import Path

from llmrouter.caching.guarded_store import GuardedStore
from llmrouter.caching.memory_store import MemoryStore
from llmrouter.caching.sqlite_store import SqliteStore
from llmrouter.caching.stores import Store
from llmrouter.clock import Clock
from llmrouter.settings.caching import DEFAULT_FILE, CacheSettings, is_redis_url
from llmrouter.sqlite_files import path_of

_MEBIBYTE = 2**20


class NoStore(Exception):
    """There is no store for these settings; the message says what is missing."""


def open_store(settings: CacheSettings, environ: Mapping[str, str], folder: Path, clock: Clock) -> Store | None:
    """The store, None where the cache is off; files lie in `folder`. Raises `NoStore`.

    Nothing is connected or read yet. What can fail or be slow is guarded.
    """
    if settings.backend == "off":
        return None
    if settings.backend == "memory":
        return MemoryStore(settings.max_mebibytes * _MEBIBYTE, clock.wall)
    store, name = open_unguarded(settings, environ, folder, clock)
    return GuardedStore(store, name, settings.timeout_seconds, clock.monotonic)


def open_unguarded(
    settings: CacheSettings, environ: Mapping[str, str], folder: Path, clock: Clock
) -> tuple[Store, str]:
    """The store of a backend outside the process, and its name for people; raises `NoStore`."""
    if settings.backend == "sqlite":
        file = path_of(settings.url or DEFAULT_FILE, folder)
        return SqliteStore(file, settings.max_mebibytes * _MEBIBYTE, clock.wall), f"{settings.url or DEFAULT_FILE}"
    if settings.backend != "redis":
        raise NoStore(
            f"With `cache: {{backend: {settings.backend}}}` nothing is kept outside the router. In mitmweb the commands"
            " llmrouter.cache.stats and llmrouter.cache.clear tell and clear what is in its memory."
        )
    # Its client takes a tenth of a second to import, and 10 MiB.
    from llmrouter.caching.redis_store import RedisStore

    url = settings.url
    if settings.url_env is not None:
        url = environ.get(settings.url_env, "").strip()
        if not is_redis_url(url):
            raise NoStore(f"{settings.url_env} must hold the address of Redis, such as redis://127.0.0.1:6379/0.")
    try:
        return RedisStore(url or "", clock.wall, timeout_s=settings.timeout_seconds), "Redis"
    except ValueError as error:
        raise NoStore(f"The address of Redis cannot be used: {error}; such as redis://127.0.0.1:6379/0.") from None
