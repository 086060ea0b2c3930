"""The providers' live model listings, as far as they tell prices: where they are, and how each is read.

The shapes are those of the provider reference, sections 3.13 and 6. A missing, negative or odd price is not known. A
price of 0 is free only where the provider marks the model so, because listings also say 0 for what they do not sell by
the token.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

from llmrouter.routing.price_sheets import Hours, Override, PriceSheet

_PER_TOKEN = Decimal(1_000_000)
_PER_MILLION = Decimal(1)
# xAI counts in US cents per 100 million tokens.
_CENTS_PER_HUNDRED_MILLION = Decimal("0.0001")
# More per million tokens is a mistake in the listing, and nothing that anybody sells.
_DEAREST_USD = 100_000
_LONGEST_NUMBER = 40
_CONDITIONS = frozenset({"min_prompt_tokens", "utc_start", "utc_end"})

type Sheets = dict[str, PriceSheet]


@dataclass(frozen=True, slots=True)
class Lister:
    """A brand's listing: its path beside the API's address, how a document is read, and whether it wants the key.

    `read` takes the parsed JSON and when it was fetched (Unix seconds), and gives sheets by model id; it raises
    `ValueError` for a document that is no such listing.
    """

    path: str
    read: Callable[[Any, float], Sheets]
    needs_key: bool = False


def read_openrouter(document: Any, read_at: float) -> Sheets:
    """OpenRouter's `/models`: strings in US dollars per token, with overrides and a discount."""
    return {id: sheet for id, model in _rows(document, "data") if (sheet := _openrouter_sheet(id, model, read_at))}


def read_together(document: Any, read_at: float) -> Sheets:
    """Together's `/models`: an array, US dollars per million; free models are called `...-Free`."""
    return {id: sheet for id, model in _rows(document, None) if (sheet := _together_sheet(id, model, read_at))}


def read_deepinfra(document: Any, read_at: float) -> Sheets:
    """DeepInfra's `/models?filter=with_meta`: US dollars per million in each model's `metadata`; nothing is free."""
    return {id: sheet for id, model in _rows(document, "data") if (sheet := _deepinfra_sheet(model, read_at))}


def read_huggingface(document: Any, read_at: float) -> Sheets:
    """Hugging Face's `/models`: US dollars per million for each company that serves a model.

    `model:company` has that company's price, `model:cheapest` the one with the lowest output price. Without a suffix
    the router there takes the fastest, so that the price is known only where all have the same.
    """
    sheets: Sheets = {}
    for id, model in _rows(document, "data"):
        offers = _huggingface_offers(model, read_at)
        priced = {company: sheet for company, sheet in offers.items() if sheet is not None}
        sheets |= {f"{id}:{company}": sheet for company, sheet in priced.items()}
        if priced and len(priced) == len(offers):
            sheets[f"{id}:cheapest"] = min(priced.values(), key=lambda sheet: sheet.output)
            first, *others = priced.values()
            if all(sheet == first for sheet in others):
                sheets[id] = sheets[f"{id}:fastest"] = first
    return sheets


def read_xai(document: Any, read_at: float) -> Sheets:
    """xAI's `/language-models`: integers in US cents per 100 million tokens; an alias costs what its model costs."""
    sheets: Sheets = {}
    for id, model in _rows(document, "models"):
        if sheet := _xai_sheet(model, read_at):
            aliases = [alias for alias in _list(model, "aliases") if isinstance(alias, str)]
            sheets |= dict.fromkeys((id, *aliases), sheet)
    return sheets


LISTERS: Mapping[str, Lister] = MappingProxyType(
    {
        "openrouter": Lister("/models?limit=1000", read_openrouter),
        "together": Lister("/models", read_together, needs_key=True),
        "deepinfra": Lister("/models?filter=with_meta", read_deepinfra),
        "huggingface": Lister("/models", read_huggingface),
        "xai": Lister("/language-models", read_xai, needs_key=True),
    }
)
"""The brands whose listings tell prices."""


def _openrouter_sheet(id: str, model: Mapping[str, Any], read_at: float) -> PriceSheet | None:
    listed = _object(model, "pricing")
    discount = _price(listed, "discount", _PER_MILLION) or 0.0
    scale = _PER_TOKEN * (1 - Decimal(str(discount)))
    is_embedding = _list(_object(model, "architecture"), "output_modalities") == ["embeddings"]
    given, made = _price(listed, "prompt", scale), _price(listed, "completion", scale)
    prices = _known(given, made, is_free=id.endswith(":free"), is_embedding=is_embedding)
    request_usd = _price(listed, "request", scale / _PER_TOKEN)
    overrides = [_override(entry, scale) for entry in _list(listed, "overrides")]
    if prices is None or None in overrides or (request_usd is None and listed.get("request") is not None):
        return None
    return PriceSheet(
        input=prices.input,
        output=prices.output,
        cached_input=_price(listed, "input_cache_read", scale) or None,
        cache_write=_price(listed, "input_cache_write", scale) or None,
        per_request_usd=request_usd or 0.0,
        overrides=tuple(filter(None, overrides)),
        source="listed by openrouter",
        read_at=read_at,
    )


def _override(entry: Any, scale: Decimal) -> Override | None:
    """One of OpenRouter's overrides; None where its condition is not understood, and so the price is not known."""
    if not isinstance(entry, dict):
        return None
    entry = {name: value for name, value in entry.items() if value is not None}
    if not _CONDITIONS & entry.keys() or any(map(_is_odd_condition, entry)):
        return None
    least, hours = entry.get("min_prompt_tokens", 0), None
    if not isinstance(least, int) or isinstance(least, bool):
        return None
    if "utc_start" in entry or "utc_end" in entry:
        begins_s, ends_s = _second_of_day(entry.get("utc_start")), _second_of_day(entry.get("utc_end"))
        if begins_s is None or ends_s is None:
            return None
        hours = Hours(begins_s, ends_s)
    return Override(
        from_tokens=least,
        hours=hours,
        input=_price(entry, "prompt", scale) or None,
        output=_price(entry, "completion", scale) or None,
        cached_input=_price(entry, "input_cache_read", scale) or None,
        cache_write=_price(entry, "input_cache_write", scale) or None,
    )


def _is_odd_condition(name: str) -> bool:
    return name.startswith(("min_", "max_", "utc_")) and name not in _CONDITIONS


def _second_of_day(text: Any) -> int | None:
    """Seconds since midnight of an `HHMM`, whose last is 2400."""
    digits = f"{text:04d}" if isinstance(text, int) and not isinstance(text, bool) else text
    if not isinstance(digits, str) or len(digits) != 4 or not (digits.isascii() and digits.isdigit()):
        return None
    hours, minutes = int(digits[:2]), int(digits[2:])
    return hours * 3600 + minutes * 60 if minutes < 60 and hours * 60 + minutes <= 24 * 60 else None


def _together_sheet(id: str, model: Mapping[str, Any], read_at: float) -> PriceSheet | None:
    listed = _object(model, "pricing")
    given, made = _price(listed, "input", _PER_MILLION), _price(listed, "output", _PER_MILLION)
    is_free, is_embedding = id.lower().endswith("-free"), model.get("type") == "embedding"
    prices = _known(given, made, is_free=is_free, is_embedding=is_embedding)
    if prices is None:
        return None
    return PriceSheet(input=prices.input, output=prices.output, source="listed by together", read_at=read_at)


def _deepinfra_sheet(model: Mapping[str, Any], read_at: float) -> PriceSheet | None:
    listed = _object(_object(model, "metadata"), "pricing")
    given, made = _price(listed, "input_tokens", _PER_MILLION), _price(listed, "output_tokens", _PER_MILLION)
    cached = _price(listed, "cache_read_tokens", _PER_MILLION) or None
    if (prices := _known(given, made)) is None:
        return None
    source = "listed by deepinfra"
    return PriceSheet(input=prices.input, output=prices.output, cached_input=cached, source=source, read_at=read_at)


def _xai_sheet(model: Mapping[str, Any], read_at: float) -> PriceSheet | None:
    given = _price(model, "prompt_text_token_price", _CENTS_PER_HUNDRED_MILLION)
    made = _price(model, "completion_text_token_price", _CENTS_PER_HUNDRED_MILLION)
    cached = _price(model, "cached_prompt_text_token_price", _CENTS_PER_HUNDRED_MILLION) or None
    if (prices := _known(given, made)) is None:
        return None
    source = "listed by xai"
    return PriceSheet(input=prices.input, output=prices.output, cached_input=cached, source=source, read_at=read_at)


def _huggingface_offers(model: Mapping[str, Any], read_at: float) -> dict[str, PriceSheet | None]:
    """What each company that serves the model now takes for it, None where it does not say."""
    offers: dict[str, PriceSheet | None] = {}
    for offer in _list(model, "providers"):
        if not isinstance(offer, dict) or not isinstance(company := offer.get("provider"), str):
            continue
        if offer.get("status") != "live":
            continue
        offers[company] = _huggingface_sheet(offer, read_at)
    return offers


def _huggingface_sheet(offer: Mapping[str, Any], read_at: float) -> PriceSheet | None:
    listed = _object(offer, "pricing")
    given, made = _price(listed, "input", _PER_MILLION), _price(listed, "output", _PER_MILLION)
    if (prices := _known(given, made, is_free=offer.get("is_free") is True)) is None:
        return None
    return PriceSheet(input=prices.input, output=prices.output, source="listed by huggingface", read_at=read_at)


class _Known(NamedTuple):
    input: float
    output: float


def _known(
    given: float | None, made: float | None, *, is_free: bool = False, is_embedding: bool = False
) -> _Known | None:
    """The prices of input and output, or None where one is missing, or is 0 and not marked as free.

    Embeddings have no output to pay.
    """
    if is_embedding and given:
        made = made or 0.0
    elif not is_free and not (given and made):
        return None
    return None if given is None or made is None else _Known(given, made)


def _rows(document: Any, key: str | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The models of a listing that have an id; raises `ValueError` where there is no list."""
    rows = document if key is None else document.get(key) if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise ValueError("it is no list of models")  # noqa: TRY004 - what is wrong is the document, not a type of ours
    for row in rows:
        if isinstance(row, dict) and isinstance(id := row.get("id"), str) and id:
            yield id, row


def _object(source: Any, name: str) -> Mapping[str, Any]:
    value = source.get(name) if isinstance(source, Mapping) else None
    return value if isinstance(value, dict) else {}


def _list(source: Mapping[str, Any], name: str) -> list[Any]:
    value = source.get(name)
    return value if isinstance(value, list) else []


def _price(prices: Mapping[str, Any], name: str, scale: Decimal) -> float | None:
    """A price in US dollars per million tokens, None where it is missing, negative or no number."""
    value = prices.get(name)
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    text = str(value)
    if len(text) > _LONGEST_NUMBER:
        return None
    try:
        amount = Decimal(text) * scale
    except ArithmeticError:
        return None
    return float(amount) if amount.is_finite() and 0 <= amount <= _DEAREST_USD else None
