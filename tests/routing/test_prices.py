"""Estimates and costs in US dollars."""

import pytest

from llmrouter.routing.prices import cost_usd, estimate_usd
from llmrouter.settings.model import PriceSettings
from tests.routing.samples import usage_of

PRICE = PriceSettings(input=2, output=8, cached_input=0.5)


@pytest.mark.parametrize(
    ("price", "expected"),
    [(None, None), (PriceSettings(input=0, output=0), 0), (PRICE, 2 * 0.001 + 8 * 0.0005)],
)
def test_an_unknown_price_gives_no_estimate_and_a_free_model_costs_nothing(
    price: PriceSettings | None, expected: float | None
) -> None:
    assert estimate_usd(price, 1000, 500) == expected


@pytest.mark.parametrize(
    ("price", "cached", "expected"),
    [
        (None, 0, None),
        (PRICE, 0, 2.0 + 8.0),
        (PRICE, 400_000, 0.6 * 2 + 0.4 * 0.5 + 8.0),
        (PriceSettings(input=2, output=8), 400_000, 2.0 + 8.0),
        (PRICE, 5_000_000, 0.5 + 8.0),
    ],
    ids=["unknown", "nothing cached", "cached at its price", "no cached price", "more cached than there was"],
)
def test_the_cost_of_a_million_tokens_each_way(
    price: PriceSettings | None, cached: int, expected: float | None
) -> None:
    assert cost_usd(price, usage_of(1_000_000, 1_000_000, cached)) == pytest.approx(expected)
