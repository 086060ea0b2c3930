"""The response cache, the top-level mapping `cache` of the settings."""

from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import TypeAdapter, ValidationError

from llmrouter.settings.values import (
    OFF_IS_A_WORD,
    Flag,
    Frozen,
    PositiveInt,
    Seconds,
    StorageUrl,
    VariableName,
    Weight,
)

type CacheWhen = Literal["deterministic", "always", "never"]

DEFAULT_FILE = "sqlite:///state/cache.db"
_REDIS_SCHEMES = ("redis", "rediss", "unix")


class CacheSettings(Frozen):
    """Where repeated requests are answered from."""

    backend: Annotated[Literal["memory", "sqlite", "redis", "off"], OFF_IS_A_WORD] = "memory"
    """Where answers are kept: in the process, in a file, or in Redis for several routers together."""
    url: str | None = None
    """The file (default: sqlite:///state/cache.db), or the address of Redis, such as redis://127.0.0.1:6379/0."""
    url_env: VariableName | None = None
    """The environment variable that holds the address of Redis, where that has a password."""
    ttl_seconds: Seconds = 3600
    """How long an answer is kept."""
    max_mebibytes: PositiveInt = 256
    """How much memory or disk the answers may take, with what is needed to find them; Redis has its own bound."""
    when: CacheWhen = "deterministic"
    """Which requests may be answered: those with temperature 0, top_p 0 or a seed, all, or none."""
    scope: Literal["caller", "shared"] = "caller"
    """Whether one caller may get what another one asked."""
    compress: Flag = False
    """Whether larger answers are compressed with zstd."""
    timeout_seconds: Seconds = 0.2
    """How long a call waits for SQLite or Redis before it goes on without the cache."""
    replay_tokens_per_second: Weight | None = None
    """How fast a kept answer is streamed, as if it were made anew; default: all at once."""


def check_cache(cache: CacheSettings) -> Iterator[tuple[tuple[str, ...], str]]:
    """What does not fit together: the backend and where it lies."""
    if cache.url_env is not None and (cache.backend != "redis" or cache.url is not None):
        yield ("cache", "url_env"), "it names the address of Redis; use it with `backend: redis`, and without `url`"
    match cache.backend:
        case "redis" if cache.url is None and cache.url_env is None:
            yield ("cache",), "Redis needs a `url`, such as redis://127.0.0.1:6379/0, or a `url_env`"
        case "redis" if cache.url is not None:
            yield from _check_redis(cache.url)
        case "sqlite" if cache.url is not None:
            yield from _check_file(cache.url)
        case "memory" | "off" if cache.url is not None:
            yield (
                ("cache", "url"),
                f"`backend: {cache.backend}` has no address; leave it out, or choose sqlite or redis",
            )


def is_redis_url(url: str) -> bool:
    """Whether it is the address of a Redis."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in _REDIS_SCHEMES and bool(parts.hostname or (parts.scheme == "unix" and parts.path))


def _check_redis(url: str) -> Iterator[tuple[tuple[str, ...], str]]:
    if not is_redis_url(url):
        yield ("cache", "url"), "the address of Redis is needed, such as redis://127.0.0.1:6379/0"
    elif urlsplit(url).password is not None or "password" in parse_qs(urlsplit(url).query, keep_blank_values=True):
        told = "a password must not stand in this file; put the address into an environment variable named by `url_env`"
        yield ("cache", "url"), told


def _check_file(url: str) -> Iterator[tuple[tuple[str, ...], str]]:
    try:
        TypeAdapter(StorageUrl).validate_python(url)
    except ValidationError as error:
        yield ("cache", "url"), error.errors()[0]["msg"].removeprefix("Value error, ")
