"""Published prices from genai-prices, whose data come with the installed package: no network is needed or used.

Facts about the package are those of its release 0.2.3 (provider reference, section 13.1). Its import takes about 0.4 s,
so that `load_library` belongs into a thread beside the first requests.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, time
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from llmrouter.brands import BRANDS
from llmrouter.routing.price_sheets import Hours, Override, PriceSheet

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, ModelPrice, Provider

_PROVIDER_IDS: Mapping[str, str] = MappingProxyType(
    {
        "anthropic": "anthropic",
        "azure": "azure",
        "cerebras": "cerebras",
        "cloudflare": "cloudflare",
        "cohere": "cohere",
        "deepseek": "deepseek",
        "fireworks": "fireworks",
        "gemini": "google",
        "groq": "groq",
        "mistral": "mistral",
        "openai": "openai",
        "openrouter": "openrouter",
        "together": "together",
        "xai": "x-ai",
    }
)
"""What the library calls our brands; deepinfra, nvidia_nim, sambanova and local servers are not in it."""

_REQUESTS_PER_PRICE = 1000


class GenaiPrices:
    """The library's prices as they are on one day."""

    def __init__(self, snapshot: "DataSnapshot", version: str, wall: float) -> None:
        self._snapshot = snapshot
        self._source = f"genai-prices {version}"
        self._moment = datetime.fromtimestamp(wall, UTC)

    def sheet(self, brand: str, model: str, base_url: str | None = None) -> PriceSheet | None:
        """The prices of a model at a brand, None where they are not known.

        With `base_url`, only where that address is one of the brand's own: a server that is only spoken to like
        OpenAI's, or a regional one, has other prices. A price of 0 is OpenRouter's `:free`, and nothing else.
        """
        id, name = _place(brand, model)
        if id is None:
            return None
        try:
            # Without the model: the library would keep each name that it is asked for, and clients choose them.
            provider = self._snapshot.find_provider(None, id, None)
            _, found = self._snapshot.find_provider_model(name, provider, None, None)
        except LookupError:
            return None
        if base_url is not None and not _is_own_address(brand, provider, base_url):
            return None
        if brand == "openrouter" and model.endswith(":free"):
            return PriceSheet(input=0.0, output=0.0, source=self._source) if found.id.endswith(":free") else None
        return _sheet(found, self._source, self._moment)


def load_library(wall: float) -> GenaiPrices:
    """The library, with the prices of today (`wall`: Unix seconds); slow at the first time, for it is imported then."""
    import genai_prices
    from genai_prices.data_snapshot import get_snapshot

    return GenaiPrices(get_snapshot(), genai_prices.__version__, wall)


def _is_own_address(brand: str, provider: "Provider", base_url: str) -> bool:
    own = urlsplit(BRANDS[brand].base_url or "").hostname
    # The library's patterns are for the beginning of a URL, and the host may go on.
    pattern = rf"(?:{provider.api_pattern})(?=[:/]|$)"
    return urlsplit(base_url).hostname == own or re.match(pattern, base_url) is not None


def _place(brand: str, model: str) -> tuple[str | None, str]:
    """The library's provider, and the model's name there; at Hugging Face the suffix names the company."""
    if brand != "huggingface":
        return _PROVIDER_IDS.get(brand), model
    name, _, company = model.rpartition(":")
    return (f"huggingface_{company}", name) if name else (None, model)


def _sheet(model: "ModelInfo", source: str, moment: datetime) -> PriceSheet | None:
    """A model's prices on one day; those that hold at hours of the day become overrides."""
    is_embedding = "embed" in model.id
    standing, timed = _on(model, moment)
    overrides = [_override(standing, start, None, is_embedding) for start in _starts(standing)]
    for entry, hours in timed:
        overrides += [_override(entry, start, hours, is_embedding) for start in (0, *_starts(entry))]
    given, made = _both(standing, 0, is_embedding)
    if given is None or made is None or None in overrides:
        return None
    return PriceSheet(
        input=given,
        output=made,
        cached_input=_amount(standing, "cache_read_mtok", 0),
        cache_write=_amount(standing, "cache_write_mtok", 0),
        per_request_usd=(_amount(standing, "requests_kcount", 0) or 0.0) / _REQUESTS_PER_PRICE,
        overrides=tuple(filter(None, overrides)),
        source=source,
    )


def _on(model: "ModelInfo", moment: datetime) -> "tuple[ModelPrice, list[tuple[ModelPrice, Hours]]]":
    """The price that stands all day, and those that take its place at some hours, the last word last.

    The last price whose condition holds is the one, and the first where none does (`ModelInfo.get_prices`).
    """
    from genai_prices.types import StartDateConstraint, TimeOfDateConstraint

    if not isinstance(model.prices, list):
        return model.prices, []
    standing = model.prices[0].prices
    timed: list[tuple[ModelPrice, Hours]] = []
    for entry in model.prices:
        match entry.constraint:
            case TimeOfDateConstraint() as daily:
                timed.append((entry.prices, Hours(_second(daily.start_time), _second(daily.end_time))))
            case StartDateConstraint() as dated if not dated.active(moment):
                continue
            case _:
                standing, timed = entry.prices, []
    return standing, timed


def _second(moment: time) -> int:
    offset = moment.utcoffset()
    shift = 0 if offset is None else int(offset.total_seconds())
    return (moment.hour * 3600 + moment.minute * 60 + moment.second - shift) % 86_400


def _starts(price: "ModelPrice") -> list[int]:
    """Where its tiers begin; the library's hold for more tokens than that, ours from a number on."""
    tiered = (value for value in vars(price).values() if hasattr(value, "tiers"))
    return sorted({tier.start + 1 for value in tiered for tier in value.tiers})


def _override(price: "ModelPrice", start: int, hours: Hours | None, is_embedding: bool) -> Override | None:
    """All prices of a prompt so long: they take the place of every earlier one, so that none is left open."""
    given, made = _both(price, start, is_embedding)
    if given is None or made is None:
        return None
    cached, written = _amount(price, "cache_read_mtok", start), _amount(price, "cache_write_mtok", start)
    return Override(
        from_tokens=start,
        hours=hours,
        input=given,
        output=made,
        cached_input=given if cached is None else cached,
        cache_write=given if written is None else written,
    )


def _both(price: "ModelPrice", input_tokens: int, is_embedding: bool) -> tuple[float | None, float | None]:
    """The prices of input and output, None where they are not told; embeddings have no output to pay."""
    given, made = _amount(price, "input_mtok", input_tokens), _amount(price, "output_mtok", input_tokens)
    return given or None, 0.0 if is_embedding and made is None else made or None


def _amount(price: "ModelPrice", name: str, input_tokens: int) -> float | None:
    value: Any = getattr(price, name)
    if value is None or isinstance(value, Decimal):
        return None if value is None else float(value)
    amount = value.base
    for tier in value.tiers:
        if input_tokens > tier.start:
            amount = tier.price
    return float(amount)
