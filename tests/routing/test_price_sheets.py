"""What calls cost under plain, cached, tiered, per-request and time-of-day prices."""

from datetime import UTC, datetime

import pytest

from llmrouter.replies import Usage
from llmrouter.routing.price_sheets import Hours, Override, PriceSheet

MILLION = 1_000_000
NIGHT = Hours(begins_s=16 * 3600 + 1800, ends_s=1800)


def sheet(**prices: object) -> PriceSheet:
    """A sheet of $2 and $8 whose other fields may be given."""
    return PriceSheet(**({"input": 2.0, "output": 8.0, "source": "tests"} | prices))  # type: ignore[arg-type] # fields


def at(text: str) -> float:
    """A moment of 2026 in UTC, such as `10-05 16:30` (a Monday)."""
    return datetime.strptime(f"2026-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (Usage(MILLION, 0), 2.0),
        (Usage(0, MILLION), 8.0),
        (Usage(MILLION, MILLION, cached_tokens=400_000), 0.6 * 2 + 0.4 * 0.5 + 8),
        (Usage(MILLION, 0, cached_tokens=MILLION), 0.5),
        (Usage(MILLION, 0, cache_write_tokens=MILLION), 2.5),
        (Usage(MILLION, 0, cached_tokens=400_000, cache_write_tokens=500_000), 0.4 * 0.5 + 0.5 * 2.5 + 0.1 * 2),
        (Usage(MILLION, 0, cached_tokens=2 * MILLION), 0.5),
        (Usage(MILLION, 0, cached_tokens=600_000, cache_write_tokens=MILLION), 0.6 * 0.5 + 0.4 * 2.5),
        (Usage(MILLION, 0, cached_tokens=2 * MILLION, cache_write_tokens=MILLION), 0.5),
        (Usage(0, MILLION, reasoning_tokens=MILLION), 8.0),
        (Usage(0, 0), 0.0),
    ],
)
def test_cost(usage: Usage, expected: float) -> None:
    """Cached and written tokens are part of the input and cost their own price; counts that contradict are cut."""
    assert sheet(cached_input=0.5, cache_write=2.5).cost_usd(usage, 0) == pytest.approx(expected)


def test_what_is_not_known_of_the_cache_costs_the_input_price() -> None:
    """Neither free nor forgotten."""
    usage = Usage(MILLION, 0, cached_tokens=500_000, cache_write_tokens=250_000)
    assert sheet().cost_usd(usage, 0) == pytest.approx(2.0)
    assert sheet().estimate_usd(MILLION, 500_000, 0, 0) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("given", "cached", "made", "expected"),
    [(1000, 0, 500, 0.006), (1000, 400, 500, 0.0012 + 0.0002 + 0.004), (1000, 5000, 0, 0.0005), (0, 0, 0, 0.0)],
)
def test_estimate(given: float, cached: float, made: float, expected: float) -> None:
    """The share that is likely cached is estimated at the cached price, and is never more than the prompt."""
    assert sheet(cached_input=0.5).estimate_usd(given, cached, made, 0) == pytest.approx(expected)


def test_a_price_per_request() -> None:
    """It is added once, before and after."""
    priced = sheet(per_request_usd=0.01)
    assert priced.estimate_usd(1000, 0, 0, 0) == pytest.approx(0.012)
    assert priced.cost_usd(Usage(1000, 0), 0) == pytest.approx(0.012)


@pytest.mark.parametrize(("tokens", "price"), [(199_999, 2), (200_000, 4), (499_999, 4), (500_000, 6)])
def test_tiers(tokens: int, price: float) -> None:
    """The whole prompt has the tier's price; what the tier does not say stays as it is."""
    tiered = sheet(overrides=(Override(from_tokens=200_000, input=4.0), Override(from_tokens=500_000, input=6.0)))
    expected = (price * tokens + 8 * 1000) / MILLION
    assert tiered.cost_usd(Usage(tokens, 1000), 0) == pytest.approx(expected)
    assert tiered.estimate_usd(tokens, 0, 1000, 0) == pytest.approx(expected)


def test_cached_tokens_count_towards_a_tier_and_have_its_price() -> None:
    """A mostly cached prompt is as long as any other (genai-prices and Anthropic count so)."""
    tiered = sheet(cached_input=0.2, overrides=(Override(from_tokens=200_000, input=4.0, cached_input=0.4),))
    usage = Usage(250_000, 0, cached_tokens=240_000)
    assert tiered.cost_usd(usage, 0) == pytest.approx((4 * 10_000 + 0.4 * 240_000) / MILLION)


@pytest.mark.parametrize(
    ("moment", "holds"),
    [
        ("10-05 16:29", False),
        ("10-05 16:30", True),
        ("10-05 23:59", True),
        ("10-06 00:29", True),
        ("10-06 00:30", False),
        ("10-06 12:00", False),
    ],
)
def test_hours_past_midnight(moment: str, holds: bool) -> None:
    """They begin in the evening and end, that moment not included, in the morning."""
    assert NIGHT.hold(at(moment)) is holds
    night = sheet(overrides=(Override(hours=NIGHT, input=1.0, output=4.0),))
    assert night.estimate_usd(MILLION, 0, MILLION, at(moment)) == pytest.approx(5 if holds else 10)


@pytest.mark.parametrize(
    ("moment", "holds"),
    [
        ("10-09 23:00", True),
        ("10-10 00:29", True),
        ("10-10 23:00", False),
        ("10-12 00:10", False),
        ("10-12 17:00", True),
    ],
)
def test_weekdays_are_those_on_which_the_hours_begin(moment: str, holds: bool) -> None:
    """Friday's night ends on Saturday (2026-10-10), and Sunday's is none of the week's."""
    hours = Hours(NIGHT.begins_s, NIGHT.ends_s, frozenset(range(5)))
    assert hours.hold(at(moment)) is holds


def test_a_later_override_has_the_last_word_price_by_price() -> None:
    """A long prompt at night: the tier's input, the night's output."""
    both = sheet(
        overrides=(
            Override(hours=NIGHT, input=1.0, output=4.0),
            Override(from_tokens=1000, input=3.0),
            Override(from_tokens=1000, hours=NIGHT, cache_write=9.0),
        )
    )
    night, noon = at("10-05 20:00"), at("10-05 12:00")
    assert both.cost_usd(Usage(MILLION, MILLION), night) == pytest.approx(3 + 4)
    assert both.cost_usd(Usage(MILLION, MILLION), noon) == pytest.approx(3 + 8)
    assert both.cost_usd(Usage(MILLION, 0, cache_write_tokens=MILLION), night) == pytest.approx(9)
    assert both.cost_usd(Usage(MILLION, 0, cache_write_tokens=MILLION), noon) == pytest.approx(3)


@pytest.mark.parametrize(
    ("prices", "is_free"),
    [
        ({}, False),
        ({"input": 0.0}, False),
        ({"input": 0.0, "output": 0.0}, True),
        ({"input": 0.0, "output": 0.0, "per_request_usd": 0.1}, False),
        ({"input": 0.0, "output": 0.0, "overrides": (Override(input=1.0),)}, False),
    ],
)
def test_free_is_what_costs_nothing_ever(prices: dict[str, object], is_free: bool) -> None:
    """A price that comes later, or per request, is a price."""
    assert sheet(**prices).is_free is is_free
