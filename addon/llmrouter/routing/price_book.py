"""Which prices hold for a target.

Its owner's, else the provider's live listing, else free where the catalog says so, else a price library's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Protocol

from cachetools import LRUCache

from llmrouter.routing.price_sheets import Hours, Override, PriceSheet
from llmrouter.settings.model import AdvertisedPrice, PriceOverrideSettings, PriceSettings
from llmrouter.targets import Target

_OPENAI = "openai"
_CATALOG = "catalog: free"
_REMEMBERED_MODELS = 1024
# Clients choose the names, and no model is called so: as in the catalog.
_LONGEST_NAME = 256

type Listings = Mapping[str, Mapping[str, PriceSheet]]
"""What providers list: sheets by the provider's name and its id of the model."""

_NOTHING: Listings = MappingProxyType({})


class PriceLibrary(Protocol):
    """A collection of published prices."""

    def sheet(self, brand: str, model: str, base_url: str | None = None) -> PriceSheet | None:
        """The prices of a model at a brand, None where they are not known.

        With `base_url`, only where that address is one of the brand's own.
        """


class PriceBook:
    """The price sheets of one configuration's targets, looked up when prices come, and not at each request.

    `listings` and `library` may come later, by `replace`.
    """

    def __init__(
        self, targets: Iterable[Target], listings: Listings = _NOTHING, library: PriceLibrary | None = None
    ) -> None:
        self.targets = tuple(targets)
        self._listings = listings
        self._library = library
        self._build()

    def sheet(self, target: Target) -> PriceSheet | None:
        """What a target costs, None where nobody knows."""
        return self._sheets.get(target.key)

    @property
    def sheets(self) -> Mapping[str, PriceSheet]:
        """What targets cost, by their keys; those of which nobody knows are not there."""
        return self._sheets

    def baseline(self, model: str) -> PriceSheet | None:
        """What OpenAI itself takes for a requested model, by a target of its own or the library; None where unknown."""
        if len(model) > _LONGEST_NAME:
            return None
        baselines = self._baselines
        if model not in baselines:
            known = self._sheets.get(self._openai_targets.get(model, ""))
            if known is None and self._library is not None:
                known = self._library.sheet(_OPENAI, model)
            baselines[model] = known
        return baselines[model]

    def replace(self, *, listings: Listings | None = None, library: PriceLibrary | None = None) -> None:
        """Takes over newer listings or a newer library, and keeps what is not given.

        May run in another thread than the questions: they get either the old sheets or the new ones.
        """
        self._listings = self._listings if listings is None else listings
        self._library = self._library if library is None else library
        self._build()

    def for_targets(self, targets: Iterable[Target]) -> "PriceBook":
        """A book for the targets of another configuration, with the listings and the library of this one."""
        return PriceBook(targets, self._listings, self._library)

    def _build(self) -> None:
        sheets = {target.key: sheet for target in self.targets if (sheet := self._find(target)) is not None}
        openai = [target for target in self.targets if target.brand.name == _OPENAI and target.key in sheets]
        self._openai_targets = {target.model: target.key for target in reversed(openai)}
        self._sheets = sheets
        self._baselines: LRUCache[str, PriceSheet | None] = LRUCache(_REMEMBERED_MODELS)

    def _find(self, target: Target) -> PriceSheet | None:
        price = target.price
        if price is not None and not isinstance(price, AdvertisedPrice):
            return configured_sheet(price)
        listed = self._listings.get(target.provider, {}).get(target.model)
        if listed is not None:
            return listed
        if price is not None:
            return replace(configured_sheet(price), source=_CATALOG)
        return None if self._library is None else self._library.sheet(target.brand.name, target.model, target.base_url)


def configured_sheet(price: PriceSettings) -> PriceSheet:
    """The owner's own word; a price of 0 is free here."""
    return PriceSheet(
        input=price.input,
        output=price.output,
        cached_input=price.cached_input,
        cache_write=price.cache_write,
        per_request_usd=price.per_request_usd,
        overrides=tuple(map(_override, price.overrides)),
        source="configured",
    )


def _override(price: PriceOverrideSettings) -> Override:
    return Override(
        from_tokens=price.from_tokens or 0,
        hours=_hours(price),
        input=price.input,
        output=price.output,
        cached_input=price.cached_input,
        cache_write=price.cache_write,
    )


def _hours(price: PriceOverrideSettings) -> Hours | None:
    if price.hours is None and price.weekdays is None:
        return None
    return Hours.between(price.hours, price.weekdays)
