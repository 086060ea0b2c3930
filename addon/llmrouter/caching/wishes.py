"""What a client asks of the cache, by `x-llmrouter-cache` and by HTTP's `Cache-Control` (RFC 9111, section 5.2.1)."""

from llmrouter.calls import CacheWishes
from llmrouter.errors import InvalidRequest

HEADER = "x-llmrouter-cache"
_WORDS = ("no-store", "no-cache", "only-if-cached")
_NONE = CacheWishes()
# What is longer than a century is as good as without end.
_MOST_DIGITS = 10


def read_wishes(own: str | None, cache_control: str | None) -> CacheWishes:
    """The wishes of both headers together.

    Raises `InvalidRequest` for a word of `x-llmrouter-cache` that is none; what `Cache-Control` says beyond these words
    and `max-age` is passed over, as HTTP demands.
    """
    if own is None and cache_control is None:
        return _NONE
    words = set(_directives(own))
    if unknown := words - set(_WORDS):
        raise InvalidRequest(f"'{HEADER}' must be one of {', '.join(_WORDS)}, not {min(unknown)[:50]!r}.")
    max_age_s: float | None = None
    for directive in _directives(cache_control):
        name, _, value = directive.partition("=")
        value = value.strip().strip('"')
        if name.strip() == "max-age" and value.isascii() and value.isdigit():
            seconds = float(value.lstrip("0")[:_MOST_DIGITS] or 0)
            max_age_s = seconds if max_age_s is None else min(seconds, max_age_s)
        words.add(directive)
    return CacheWishes("no-store" in words, "no-cache" in words, "only-if-cached" in words, max_age_s)


def _directives(header: str | None) -> list[str]:
    """The words of a header, in lower case."""
    parts = (part.strip().lower() for part in (header or "").split(","))
    return [part for part in parts if part]
