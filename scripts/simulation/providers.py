"""The cast: free tiers with limits and bad days, cheap providers, a premium one, and the settings that name them."""

import random
from typing import Any

from llmrouter.calls import Need
from llmrouter.routing.price_sheets import Hours, Override, PriceSheet
from scripts.simulation.world import Limits, Outage, Place, Trouble

_HOUR_S = 3600.0
_TEXT = frozenset(Need) - {Need.VISION, Need.AUDIO, Need.FILES}
CHANGES_AT_S = 15 * _HOUR_S
"""When a provider changes its published prices."""

PUBLISHED = "bargain"
"""The provider whose prices come from its own list; all others are configured."""

SPENDING_LIMIT = {"usd_per_day": 4.0}


def sheet(given: float, made: float, cached: float | None = None, **more: Any) -> PriceSheet:
    """Prices in US dollars per million tokens."""
    return PriceSheet(input=given, output=made, cached_input=cached, source="simulation", **more)


def cast(chance: random.Random) -> list[Place]:
    """The providers of a day, with outages at hours of chance."""
    night = Override(hours=Hours(0, round(6 * _HOUR_S)), input=0.10, output=0.40)
    return [
        Place(
            name="free-fast",
            prices=((0.0, sheet(0, 0)),),
            limits=Limits(rpm=12, rpd=1_500, tpm=30_000),
            outages=_outages(chance, 2, Trouble.FAILING),
            error_share=0.01,
            needs=_TEXT - {Need.JSON_SCHEMA},
            first_content_s=0.25,
            tokens_per_s=300,
        ),
        Place(
            name="free-flaky",
            prices=((0.0, sheet(0, 0)),),
            limits=Limits(rpm=8, rpd=2_000, tells_wait=False),
            outages=_outages(chance, 5, Trouble.SILENT, Trouble.EMPTY),
            error_share=0.06,
            needs=_TEXT,
            window=32_768,
            first_content_s=1.2,
            characters_per_token=3.6,
        ),
        Place(
            name=PUBLISHED,
            prices=((0.0, sheet(0.08, 0.30)), (CHANGES_AT_S, sheet(0.40, 1.60))),
            outages=_outages(chance, 3, Trouble.REFUSED),
            error_share=0.005,
            needs=_TEXT,
            first_content_s=0.8,
        ),
        Place(
            name="cached",
            prices=((0.0, sheet(0.20, 0.60, 0.02)),),
            outages=_outages(chance, 2, Trouble.FAILING),
            caches=True,
            first_content_s=0.6,
        ),
        Place(
            name="nightly",
            prices=((0.0, sheet(0.30, 1.20, overrides=(night,))),),
            limits=Limits(rpm=120),
            outages=_outages(chance, 2, Trouble.FAILING, Trouble.REFUSED),
            first_content_s=0.7,
        ),
        Place(
            name="premium",
            prices=((0.0, sheet(2.50, 10.0, 1.25)),),
            caches=True,
            window=1_000_000,
            first_content_s=0.4,
            tokens_per_s=120,
        ),
    ]


def _outages(chance: random.Random, count: int, *kinds: Trouble) -> tuple[Outage, ...]:
    begins = sorted(chance.uniform(0, 23.5) * _HOUR_S for _ in range(count))
    return tuple(Outage(at, at + chance.uniform(60, 2_400), chance.choice(kinds)) for at in begins)


def settings_of(places: list[Place], policy: str) -> dict[str, Any]:
    """The router's settings for them, as an owner would write them: all in one tier, limits as they are known.

    Under `schedule` a provider with a prompt cache is preferred in office hours.
    """
    retry = {"deadline_seconds": 120, "max_attempts": len(places)}
    office = {"hours": "09:00-17:00", "prefer": ["cached/*"]}
    return {
        "providers": [_provider(place) for place in places],
        "policy": policy,
        "policies": {"schedule": {"windows": [office]}},
        "retry": retry,
    }


def _provider(place: Place) -> dict[str, Any]:
    model: dict[str, Any] = {
        "id": "m",
        "serves": ["*"],
        "context_window": place.window,
        "capabilities": sorted(place.needs),
        "quality": 0.9 if place.name == "premium" else 0.6,
    }
    if place.name != PUBLISHED:
        model["price"] = _price(place.prices[0][1])
    limits = place.limits
    known = {name: getattr(limits, name) for name in ("rpm", "rpd", "tpm") if getattr(limits, name) is not None}
    if place.name == "nightly":
        known |= SPENDING_LIMIT
    return {
        "type": "openai_compatible",
        "name": place.name,
        "base_url": "https://provider.test/v1",
        "models": [model],
        "limits": known,
        "timeouts": {"total": 40},
    }


def _price(prices: PriceSheet) -> dict[str, Any]:
    price: dict[str, Any] = {"input": prices.input, "output": prices.output, "cached_input": prices.cached_input}
    if prices.overrides:
        price["overrides"] = [{"hours": "00:00-06:00", "input": 0.10, "output": 0.40}]
    return price
