"""Prices, read in the background: the library's as of today, the listings over HTTP; the last good ones are kept.

Nothing here is on the way of a request: the book of prices is exchanged when a round has ended.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import orjson

from llmrouter.discovery.kept_listings import KeptListings, load_listings, save_listings
from llmrouter.discovery.listings import LISTERS, Sheets
from llmrouter.discovery.price_library import load_library
from llmrouter.routing.price_book import Listings, PriceBook
from llmrouter.targets import Target

logger = logging.getLogger(__name__)

MAX_LISTING_BYTES = 16 * 1024 * 1024
"""The largest listing that is read; OpenRouter's, with 500 models, has about one MiB."""

_EVERY_S = 3600.0
_AGAIN_S = 300.0
_TOTAL_S = 30.0
_TIMEOUT = httpx.Timeout(10, connect=5)


@dataclass(frozen=True, slots=True)
class ListingPlace:
    """Where a provider lists its prices; `headers` hold its key where the listing wants one."""

    provider: str
    brand: str
    url: str
    headers: Mapping[str, str] = field(repr=False)


def listing_places(targets: Iterable[Target]) -> tuple[ListingPlace, ...]:
    """The listings of all providers that publish prices and whose key, where it is needed, is at hand."""
    places: dict[str, ListingPlace] = {}
    for target in targets:
        lister = LISTERS.get(target.brand.name)
        if lister is None or target.provider in places or (lister.needs_key and target.credential is None):
            continue
        headers = dict(target.extra_headers)
        if lister.needs_key and target.credential is not None:
            headers["authorization"] = f"Bearer {target.credential.get_secret_value()}"
        url = target.base_url.rstrip("/") + lister.path
        places[target.provider] = ListingPlace(target.provider, target.brand.name, url, headers)
    return tuple(places.values())


def listing_client() -> httpx.AsyncClient:
    """A client for listings; the environment's proxy is not used, for it may well be the router itself."""
    return httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False, headers={"user-agent": "llmrouter"})


class PriceRefresh:
    """Keeps a book of prices up to date; what could not be read again stays as it was.

    `wall` tells Unix seconds; `kept` is the file of the last good listings, None where nothing is to be kept.
    """

    def __init__(self, book: PriceBook, wall: Callable[[], float], kept: Path | None = None) -> None:
        self._book = book
        self._wall = wall
        self._kept = kept
        self._listings: KeptListings = {}
        self._failing: frozenset[str] = frozenset()
        self._changed = asyncio.Event()

    def take(self, book: PriceBook) -> None:
        """Goes on with the book of another configuration, at once."""
        self._book = book
        self._changed.set()

    async def run(
        self,
        make_client: Callable[[], httpx.AsyncClient] = listing_client,
        when_loaded: Callable[[], None] = lambda: None,
    ) -> None:
        """Reads what is at hand, then the listings again and again, until it is cancelled."""
        await self.load()
        when_loaded()
        # Its certificates take a while to load.
        async with await asyncio.to_thread(make_client) as client:
            while True:
                self._changed.clear()
                problems = await self.refresh(client)
                self._report(problems)
                try:
                    async with asyncio.timeout(_AGAIN_S if problems else _EVERY_S):
                        await self._changed.wait()
                except TimeoutError:
                    continue

    async def load(self) -> None:
        """Takes over the library's prices and the kept listings; asks nobody."""
        await asyncio.to_thread(self._load)

    async def refresh(
        self, client: httpx.AsyncClient, is_read: Callable[[str], None] = lambda provider: None
    ) -> dict[str, str]:
        """Reads every listing anew and takes over what came; gives what went wrong in words, by provider.

        `is_read` is told each provider that has answered, or did not.
        """
        book = self._book
        places = listing_places(book.targets)
        by_url = {place.url: place for place in places}

        async def read(place: ListingPlace) -> Sheets | str:
            result = await self._read(client, place)
            is_read(place.provider)
            return result

        results = await asyncio.gather(*map(read, by_url.values()))
        told = dict(zip(by_url, results, strict=True))
        fresh = {url: result for url, result in told.items() if not isinstance(result, str)}
        self._listings = {url: sheets for url, sheets in self._listings.items() if url in by_url} | fresh
        await asyncio.to_thread(self._take_over, book, places)
        if fresh and self._kept is not None:
            await asyncio.to_thread(save_listings, self._kept, self._listings)
        return {place.provider: result for place in places if isinstance(result := told[place.url], str)}

    async def _read(self, client: httpx.AsyncClient, place: ListingPlace) -> Sheets | str:
        """A listing's sheets, or in words why there are none; no word of them is the provider's, nor the key."""
        try:
            async with asyncio.timeout(_TOTAL_S):
                document = await _fetch(client, place)
            sheets = await asyncio.to_thread(_parse, place.brand, document, self._wall())
        except _Refused as error:
            return str(error)
        except ValueError:
            return "what it answered is no listing"
        except TimeoutError:
            return f"it took longer than {_TOTAL_S:.0f} s"
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return f"it could not be reached ({type(error).__name__})"
        except Exception:
            logger.exception("the listing of %s could not be read", place.provider)
            return "the router could not make sense of it"
        return sheets or "it lists no prices"

    def _load(self) -> None:
        if self._kept is not None:
            self._listings = load_listings(self._kept)
        self._take_over(self._book, listing_places(self._book.targets))

    def _take_over(self, book: PriceBook, places: Iterable[ListingPlace]) -> None:
        listings: Listings = {place.provider: self._listings.get(place.url, {}) for place in places}
        # Anew each time: the library's prices may be those of tomorrow by now.
        book.replace(listings=listings, library=load_library(self._wall()))

    def _report(self, problems: Mapping[str, str]) -> None:
        """Each failure once, until it is over."""
        for provider in sorted(problems.keys() - self._failing):
            logger.warning(
                "The prices of %s could not be read: %s. The last ones are used.", provider, problems[provider]
            )
        self._failing = frozenset(problems)


class _Refused(Exception):
    """The listing was not given, in words of ours."""


async def _fetch(client: httpx.AsyncClient, place: ListingPlace) -> bytes:
    pieces: list[bytes] = []
    size = 0
    async with client.stream("GET", place.url, headers=place.headers) as response:
        if response.status_code != httpx.codes.OK:
            raise _Refused(f"it answered {response.status_code}")
        async for piece in response.aiter_bytes():
            size += len(piece)
            if size > MAX_LISTING_BYTES:
                raise _Refused(f"it is larger than {MAX_LISTING_BYTES} bytes")
            pieces.append(piece)
    return b"".join(pieces)


def _parse(brand: str, document: bytes, read_at: float) -> Sheets:
    return LISTERS[brand].read(orjson.loads(document), read_at)
