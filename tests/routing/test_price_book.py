"""Whose prices hold for a target, and what the requested OpenAI model would have cost."""

from typing import Any

import pytest

from llmrouter.routing.price_book import PriceBook
from llmrouter.routing.price_sheets import Hours, Override, PriceSheet
from llmrouter.settings.model import AdvertisedPrice, PriceSettings
from llmrouter.targets import Target
from tests.routing.samples import BRANDS, target_of

LISTED = PriceSheet(input=1, output=2, source="listed")
NEWER = PriceSheet(input=3, output=4, source="listed later")


class Library:
    """Knows `gpt-4o` and `m` at any brand but echo, and notes what it was asked."""

    def __init__(self, source: str = "library") -> None:
        self.source = source
        self.asked: list[tuple[str, str, str | None]] = []

    def sheet(self, brand: str, model: str, base_url: str | None = None) -> PriceSheet | None:
        self.asked.append((brand, model, base_url))
        is_known = model in ("m", "gpt-4o") and brand != "echo"
        return PriceSheet(input=7, output=8, source=self.source) if is_known else None


def source_of(book: PriceBook, target: Target) -> str | None:
    """Who told the target's prices."""
    sheet = book.sheet(target)
    return None if sheet is None else sheet.source


@pytest.mark.parametrize(
    ("fields", "listings", "expected"),
    [
        ({"price": PriceSettings(input=5, output=6)}, {"one": {"m": LISTED}}, "configured"),
        ({}, {"one": {"m": LISTED}}, "listed"),
        ({}, {"one": {"other": LISTED}, "two": {"m": LISTED}}, "library"),
        ({}, {}, "library"),
        ({"brand": BRANDS["echo"]}, {}, None),
        ({"brand": BRANDS["echo"], "price": PriceSettings(input=0, output=0)}, {}, "configured"),
        ({"price": AdvertisedPrice(input=0, output=0)}, {"one": {"m": LISTED}}, "listed"),
        ({"price": AdvertisedPrice(input=0, output=0)}, {"one": {"other": LISTED}}, "catalog: free"),
    ],
)
def test_the_owner_then_the_listing_then_the_catalog_then_the_library(
    fields: dict[str, Any], listings: dict[str, dict[str, PriceSheet]], expected: str | None
) -> None:
    """And None where nobody knows."""
    target = target_of("one/m", **fields)
    assert source_of(PriceBook([target], listings, Library()), target) == expected


def test_configured() -> None:
    """Every part of the owner's word; 0 is free, because the owner says so."""
    target = target_of(price=PriceSettings(input=1, output=2, cached_input=0.5))
    expected = PriceSheet(input=1, output=2, cached_input=0.5, source="configured")
    assert PriceBook([target]).sheet(target) == expected
    free = target_of(price=PriceSettings(input=0, output=0))
    sheet = PriceBook([free]).sheet(free)
    assert sheet is not None
    assert sheet.is_free


def test_configured_overrides() -> None:
    """Tiers, nights and weekends as the settings write them."""
    price = PriceSettings.model_validate(
        {
            "input": 1,
            "output": 2,
            "cache_write": 1.25,
            "per_request_usd": 0.01,
            "overrides": [
                {"from_tokens": 200_000, "input": 2, "cached_input": 0.2},
                {"hours": "16:30-00:30", "weekdays": ["mon", "sun"], "output": 1, "cache_write": 0.5},
                {"weekdays": ["sat"], "input": 0},
                {"hours": "08:00-24:00", "input": 3},
            ],
        }
    )
    target = target_of(price=price)
    assert PriceBook([target]).sheet(target) == PriceSheet(
        input=1,
        output=2,
        cache_write=1.25,
        per_request_usd=0.01,
        overrides=(
            Override(from_tokens=200_000, input=2, cached_input=0.2),
            Override(hours=Hours(59_400, 1800, frozenset({0, 6})), output=1, cache_write=0.5),
            Override(hours=Hours(0, 86_400, frozenset({5})), input=0),
            Override(hours=Hours(28_800, 86_400), input=3),
        ),
        source="configured",
    )


def test_prices_come_later() -> None:
    """First nothing is known; what is not given again stays."""
    target = target_of("one/m")
    book = PriceBook([target])
    assert source_of(book, target) is None
    book.replace(library=Library())
    assert source_of(book, target) == "library"
    book.replace(listings={"one": {"m": LISTED}})
    assert source_of(book, target) == "listed"
    book.replace(listings={"one": {"m": NEWER}})
    assert book.sheet(target) is NEWER
    book.replace(listings={})
    assert source_of(book, target) == "library"


def test_other_targets_with_the_same_listings() -> None:
    """A reload of the settings makes another book; the old one goes on for the calls under way."""
    old, new = target_of("one/m"), target_of("one/n")
    first = PriceBook([old], {"one": {"m": LISTED, "n": NEWER}}, Library())
    second = first.for_targets([new])
    assert (second.sheet(new), second.sheet(old)) == (NEWER, None)
    assert (first.sheet(old), first.sheet(new)) == (LISTED, None)
    assert second.baseline("gpt-4o") is not None


def test_the_library_hears_of_the_address() -> None:
    """It knows which addresses are the brand's own; each target is looked up once, and not when it is asked for."""
    library = Library()
    target = target_of("one/m", brand=BRANDS["groq"], base_url="https://mine.test/v1")
    book = PriceBook([target], library=library)
    assert book.sheet(target) is book.sheet(target) is not None
    assert library.asked == [("groq", "m", "https://mine.test/v1")]


def test_baseline() -> None:
    """What a target of OpenAI's says, else the library, asked once for a name; else nothing."""
    library = Library()
    own = target_of("openai/gpt-4o", brand=BRANDS["openai"], price=PriceSettings(input=1, output=1))
    again = target_of("openai-2/gpt-4o", brand=BRANDS["openai"], price=PriceSettings(input=2, output=2))
    other = target_of("groq/gpt-4o", brand=BRANDS["groq"], price=PriceSettings(input=9, output=9))
    assert PriceBook([other, own, again], library=library).baseline("gpt-4o") == PriceSheet(
        input=1, output=1, source="configured"
    )
    assert library.asked == []

    book = PriceBook([other], library=library)
    assert book.baseline("gpt-4o") == PriceSheet(input=7, output=8, source="library")
    assert book.baseline("gpt-unknown") is None
    assert book.baseline("gpt-4o") is book.baseline("gpt-4o")
    assert book.baseline("gpt-unknown") is None
    assert library.asked == [("openai", "gpt-4o", None), ("openai", "gpt-unknown", None)]
    assert PriceBook([other]).baseline("gpt-4o") is None


def test_baselines_follow_newer_prices() -> None:
    """What was not known, or known otherwise, is looked up again."""
    book = PriceBook([])
    assert book.baseline("gpt-4o") is None
    for source in ("first", "second"):
        book.replace(library=Library(source))
        baseline = book.baseline("gpt-4o")
        assert baseline is not None
        assert baseline.source == source


def test_a_name_that_no_model_has_is_not_looked_up() -> None:
    """Clients choose the names, and could fill the memory with them."""
    library = Library()
    assert PriceBook([], library=library).baseline("m" * 257) is None
    assert library.asked == []
