"""Where the model index comes from: the copy in the package at once, and the one at a URL as soon as it is there.

The last good copy of a URL is kept on disk and used from the next start on, so that neither a start nor a request waits
for the network. An index that is too late, too large or wrong changes nothing, and the reason is told.
"""

import asyncio
import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx

from llmrouter.discovery.model_index import MAX_BYTES, ModelIndex, ModelIndexError, parse_index

URL_VARIABLE = "LLMROUTER_MODEL_INDEX_URL"
_TIMEOUT_S = 10.0
_MOST_REDIRECTS = 5


class IndexUnavailable(Exception):
    """An index that could not be had; the message says why, without what follows `?` in the URL."""


@dataclass(frozen=True, slots=True)
class LoadedIndex:
    """An index and where it is from, in words; `warning` says why a better one was not taken."""

    index: ModelIndex
    origin: str
    warning: str | None = None


def shipped_index() -> ModelIndex:
    """The index that is a part of the package."""
    return parse_index((files("llmrouter") / "data" / "model_index.json").read_bytes())


class IndexSource:
    """The index of one URL, or the shipped one where there is none."""

    def __init__(self, url: str | None, state: Path, timeout_s: float = _TIMEOUT_S) -> None:
        """`state` is the folder that keeps the last good copy; `timeout_s` holds for the whole fetch."""
        self.url = (url or "").strip()
        self._timeout_s = timeout_s
        # One copy for each URL: another URL must not begin with what this one said.
        digest = hashlib.sha256(self.url.encode()).hexdigest()[:12]
        self.kept = state / f"model_index-{digest}.json"

    @classmethod
    def of_environment(cls, environ: Mapping[str, str], state: Path) -> "IndexSource":
        """The source that LLMROUTER_MODEL_INDEX_URL names."""
        return cls(environ.get(URL_VARIABLE), state)

    def at_start(self) -> LoadedIndex:
        """The last good copy, else the shipped index; reads a file and never the network."""
        shipped = LoadedIndex(shipped_index(), "the index that ships with llmrouter")
        if not self.url:
            return shipped
        try:
            return LoadedIndex(parse_index(_read(self.kept)), f"the last good copy of {_shown(self.url)}")
        except FileNotFoundError:
            return shipped
        except (OSError, ModelIndexError) as error:
            warning = f"The kept copy of the model index, {self.kept}, cannot be used: {_reason(error)}"
            return LoadedIndex(shipped.index, shipped.origin, warning)

    async def refresh(self, is_useful: Callable[[ModelIndex], bool] = lambda _: True) -> LoadedIndex | None:
        """The index at the URL, which is kept on disk, too; None where there is no URL.

        One that is not useful, as `is_useful` says on a thread, is neither taken nor kept. Raises `IndexUnavailable`.
        A copy that cannot be written is told in `warning`.
        """
        if not self.url:
            return None
        try:
            async with asyncio.timeout(self._timeout_s):
                text = await self._fetch()
                index = await asyncio.to_thread(parse_index, text)
        except TimeoutError:
            raise self._unavailable(f"it did not come within {self._timeout_s:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, ModelIndexError, ExceptionGroup) as error:
            raise self._unavailable(_reason(error)) from error
        if not await asyncio.to_thread(is_useful, index):
            raise self._unavailable("no model in it can be used with these providers and keys")
        warning = None
        try:
            await asyncio.to_thread(self._keep, text)
        except OSError as error:
            warning = f"The model index cannot be kept at {self.kept}: {error.strerror}"
        return LoadedIndex(index, _shown(self.url), warning)

    async def _fetch(self) -> bytes:
        parts = urlsplit(self.url)
        if parts.scheme == "file":
            return await asyncio.to_thread(_read, Path(unquote(parts.path)))
        if parts.scheme not in ("http", "https"):
            raise ValueError("a URL that starts with https://, http:// or file:// is needed")
        # trust_env stays off: the environment's HTTPS_PROXY may well be the router itself.
        client = httpx.AsyncClient(
            trust_env=False, timeout=self._timeout_s, follow_redirects=True, max_redirects=_MOST_REDIRECTS
        )
        async with client, client.stream("GET", self.url) as reply:
            if parts.scheme == "https" and reply.url.scheme != "https":
                raise ValueError("it leads from https to http")
            if reply.status_code != 200:
                raise ValueError(f"HTTP {reply.status_code}")
            body = bytearray()
            async for piece in reply.aiter_bytes():
                body += piece
                if len(body) > MAX_BYTES:
                    raise ValueError(f"it has more than {MAX_BYTES} bytes")
        return bytes(body)

    def _keep(self, text: bytes) -> None:
        """Writes beside the old copy and then in its place, so that a crash leaves one of the two whole."""
        self.kept.parent.mkdir(parents=True, exist_ok=True)
        new = self.kept.with_suffix(f".{os.getpid()}.new")
        new.write_bytes(text)
        new.replace(self.kept)

    def _unavailable(self, reason: str) -> IndexUnavailable:
        return IndexUnavailable(f"The model index at {_shown(self.url)} is not used: {reason}")


def _read(path: Path) -> bytes:
    """A file's bytes, one more than may be at most; raises `OSError`."""
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _shown(url: str) -> str:
    """The URL for people: a query or a password may be a secret."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return URL_VARIABLE
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
