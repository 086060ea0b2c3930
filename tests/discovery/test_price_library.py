"""The library's prices become our sheets: the same money for every model, today and at any hour."""

from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any

import genai_prices
import pytest
from genai_prices.data_snapshot import DataSnapshot
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
)

from llmrouter.brands import BRANDS
from llmrouter.discovery.price_library import GenaiPrices, load_library
from llmrouter.replies import Usage
from llmrouter.routing.price_sheets import PriceSheet

DAY = datetime(2026, 11, 23, tzinfo=UTC)
LIBRARY = load_library(DAY.timestamp())
NIGHT = TimeOfDateConstraint(time(16), time(2))
USAGE = Usage(300_000, 2_000, cached_tokens=100_000, cache_write_tokens=5_000)


def library_of(*models: ModelInfo, provider: str = "openai") -> GenaiPrices:
    """A library that knows these models alone."""
    known = Provider(id=provider, name=provider, api_pattern="https://own\\.test", models=list(models))
    return GenaiPrices(DataSnapshot([known], from_auto_update=False), "0.0", DAY.timestamp())


def model_of(prices: Any, id: str = "m") -> ModelInfo:
    """A model by its id alone."""
    return ModelInfo(id=id, match=ClauseEquals(id), prices=prices)


def dollars(given: str | None, made: str | None, **more: Any) -> ModelPrice:
    """Prices as the library has them."""
    told = {"input_mtok": given, "output_mtok": made} | more
    return ModelPrice(**{name: Decimal(value) if isinstance(value, str) else value for name, value in told.items()})


def theirs(brand: str, model: str, usage: Usage, moment: datetime) -> float:
    """What the library itself takes for the cost."""
    used = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )
    price = genai_prices.calc_price(used, model, provider_id=brand, genai_request_timestamp=moment)
    return float(price.total_price)


@pytest.mark.parametrize(
    ("brand", "id", "model"),
    [
        ("openai", "openai", "gpt-4o-mini"),
        ("openai", "openai", "gpt-4o-2024-08-06"),
        ("anthropic", "anthropic", "claude-sonnet-4-5"),
        ("gemini", "google", "gemini-2.5-pro"),
        ("groq", "groq", "llama-3.3-70b-versatile"),
        ("xai", "x-ai", "grok-4"),
        ("deepseek", "deepseek", "deepseek-chat"),
        ("deepseek", "deepseek", "deepseek-v4-flash"),
        ("mistral", "mistral", "mistral-small-latest"),
        ("azure", "azure", "gpt-4o"),
        ("openrouter", "openrouter", "deepseek/deepseek-r1"),
        ("huggingface", "huggingface_groq", "openai/gpt-oss-120b"),
    ],
)
@pytest.mark.parametrize("usage", [USAGE, Usage(1000, 500), Usage(200_000, 1), Usage(200_001, 1)])
def test_same_money(brand: str, id: str, model: str, usage: Usage) -> None:
    """Tiers, cached and written tokens, and hours of the day, hour by hour."""
    name = f"{model}:groq" if brand == "huggingface" else model
    sheet = LIBRARY.sheet(brand, name)
    assert sheet is not None
    for hour in range(24):
        moment = DAY.replace(hour=hour, minute=30)
        assert sheet.cost_usd(usage, moment.timestamp()) == pytest.approx(theirs(id, model, usage, moment))


def test_source() -> None:
    """The sheet tells which release it is from; a release has no age of its own."""
    sheet = LIBRARY.sheet("openai", "gpt-4o")
    assert sheet is not None
    assert (sheet.source, sheet.read_at) == (f"genai-prices {genai_prices.__version__}", None)


@pytest.mark.parametrize(
    ("brand", "model"),
    [
        ("openai", "gpt-of-nobody"),
        ("openai", ""),
        ("nvidia_nim", "meta/llama-3.3-70b-instruct"),
        ("ollama", "llama3.3"),
        ("echo", "echo"),
        ("openai_compatible", "gpt-4o"),
        ("huggingface", "openai/gpt-oss-120b"),
        ("huggingface", "openai/gpt-oss-120b:nobody"),
        ("openrouter", "nobody/nothing:free"),
    ],
)
def test_unknown(brand: str, model: str) -> None:
    """A name that nobody prices, a brand that the library does not have, a server of one's own."""
    assert LIBRARY.sheet(brand, model) is None


@pytest.mark.parametrize(
    ("brand", "model", "base_url", "is_known"),
    [
        ("openai", "gpt-4o", "https://api.openai.com/v1", True),
        ("openai", "gpt-4o", "http://127.0.0.1:1234/v1", False),
        ("openai", "gpt-4o", "https://eu.api.openai.com/v1", False),
        ("openai", "gpt-4o", "https://api.openai.com.evil.test/v1", False),
        ("together", "MiniMaxAI/MiniMax-M3", "https://api.together.xyz/v1", True),
        ("azure", "gpt-4o", "https://mine.openai.azure.com/openai/v1", True),
        ("gemini", "gemini-2.5-pro", BRANDS["gemini"].base_url, True),
        ("huggingface", "openai/gpt-oss-120b:groq", BRANDS["huggingface"].base_url, True),
        ("huggingface", "openai/gpt-oss-120b:nobody", BRANDS["huggingface"].base_url, False),
    ],
)
def test_only_the_brands_own_address_has_its_prices(brand: str, model: str, base_url: str, is_known: bool) -> None:
    """A gateway or a server of one's own that speaks like the brand has other prices."""
    assert (LIBRARY.sheet(brand, model, base_url) is not None) is is_known


def test_free() -> None:
    """At OpenRouter the name says so; what merely has no price is unknown, also there."""
    library = library_of(
        model_of(ModelPrice(), "a/m:free"),
        model_of(ModelPrice(), "a/m"),
        model_of(dollars("0", "0"), "a/zero"),
        ModelInfo(id="a/n", match=ClauseEquals("a/n:free"), prices=dollars("1", "2")),
        provider="openrouter",
    )
    assert library.sheet("openrouter", "a/m:free") == PriceSheet(input=0, output=0, source="genai-prices 0.0")
    assert [library.sheet("openrouter", name) for name in ("a/m", "a/zero", "a/n:free")] == [None, None, None]


def test_a_missing_price_is_unknown_but_embeddings_have_no_output() -> None:
    """One price alone would make a model look cheap."""
    library = library_of(
        model_of(dollars("1", None), "m"), model_of(dollars(None, "1"), "n"), model_of(dollars("1", None), "x-embed-y")
    )
    assert library.sheet("openai", "m") is None
    assert library.sheet("openai", "n") is None
    assert library.sheet("openai", "x-embed-y") == PriceSheet(input=1, output=0, source="genai-prices 0.0")


def test_dated_prices() -> None:
    """The last that has begun holds; hours that an earlier price had end with it."""
    model = model_of(
        [
            ConditionalPrice(prices=dollars("1", "1")),
            ConditionalPrice(NIGHT, prices=dollars("0.5", "0.5")),
            ConditionalPrice(StartDateConstraint(DAY.date()), prices=dollars("2", "2", requests_kcount="5")),
            ConditionalPrice(StartDateConstraint(DAY.date().replace(day=24)), prices=dollars("9", "9")),
        ]
    )
    expected = PriceSheet(input=2, output=2, per_request_usd=0.005, source="genai-prices 0.0")
    assert library_of(model).sheet("openai", "m") == expected


def test_hours_with_tiers_replace_every_price_of_the_day() -> None:
    """A night without a cached price has none, though the day has one; times with an offset are turned to UTC."""
    tiers = TieredPrices(base=Decimal(1), tiers=[Tier(start=1000, price=Decimal(3))])
    night = TimeOfDateConstraint(
        datetime.strptime("01:00+0200", "%H:%M%z").timetz(), datetime.strptime("02:30+0000", "%H:%M%z").timetz()
    )
    model = model_of(
        [
            ConditionalPrice(prices=dollars("4", "8", cache_read_mtok="0.4")),
            ConditionalPrice(night, prices=dollars(None, "2", input_mtok=tiers)),
        ]
    )
    snapshot = library_of(model)._snapshot
    sheet = library_of(model).sheet("openai", "m")
    assert sheet is not None
    for hour in range(24):
        moment = DAY.replace(hour=hour, minute=15)
        for usage in (Usage(1000, 10, cached_tokens=500), Usage(1001, 10, cached_tokens=500)):
            used = genai_prices.Usage(input_tokens=usage.input_tokens, output_tokens=10, cache_read_tokens=500)
            expected = snapshot.calc(used, "m", "openai", None, moment).total_price
            assert sheet.cost_usd(usage, moment.timestamp()) == pytest.approx(float(expected)), hour


def test_an_unpriced_hour_makes_the_price_unknown() -> None:
    """It would be wrong for a part of each day."""
    model = model_of([ConditionalPrice(prices=dollars("1", "1")), ConditionalPrice(NIGHT, prices=ModelPrice())])
    assert library_of(model).sheet("openai", "m") is None
