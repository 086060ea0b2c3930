"""The response cache as the settings want it: opened at the start, and changed with them."""

import logging
import secrets
from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

from llmrouter.cached_answering import Cache
from llmrouter.caching.opening import NoStore, open_store
from llmrouter.clock import Clock
from llmrouter.settings.caching import CacheSettings
from llmrouter.storage.secret_file import SECRET_BYTES, read_or_make_secret

logger = logging.getLogger(__name__)

SECRET_VARIABLE = "LLMROUTER_CACHE_SECRET"
SECRET_FILE = Path("state") / "cache-secret"
_PLACE = ("backend", "url", "url_env", "max_mebibytes", "timeout_seconds")


def renewed(
    cache: Cache | None, settings: CacheSettings, environ: Mapping[str, str], folder: Path, clock: Clock
) -> Cache | None:
    """The cache under these settings, None where it is off or has no place; what lies in the same place stays.

    `folder` is that in which the router runs. The caller closes a store that is not used any more.
    """
    if cache is not None and all(getattr(cache.settings, name) == getattr(settings, name) for name in _PLACE):
        return replace(cache, settings=settings)
    try:
        store = open_store(settings, environ, folder, clock)
    except NoStore as error:
        logger.warning("The response cache is off: %s", error)
        return None
    return None if store is None else Cache(settings, store, secret_for(settings, environ, folder))


def secret_for(settings: CacheSettings, environ: Mapping[str, str], folder: Path) -> bytes:
    """What keys the hashes of callers: of this process alone for a cache in memory, else of the installation.

    Routers on several machines that share a Redis need the same one, from the environment.
    """
    return secrets.token_bytes(SECRET_BYTES) if settings.backend == "memory" else lasting_secret(environ, folder)


def lasting_secret(environ: Mapping[str, str], folder: Path) -> bytes:
    """What keys the hashes of callers in all that outlives this process."""
    if given := environ.get(SECRET_VARIABLE, "").strip():
        return blake2b(given.encode(), digest_size=SECRET_BYTES).digest()
    return read_or_make_secret(folder / SECRET_FILE)
