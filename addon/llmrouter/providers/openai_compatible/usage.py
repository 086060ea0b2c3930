"""What a provider's `usage` tells: tokens, and at some providers what the account is charged."""

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from typing import Any

from llmrouter.brands.dialect import Dialect
from llmrouter.replies import Usage

# xAI tells money in ten-billionths of a dollar (provider reference, section 3.15).
_TICKS_PER_USD = 1e10
_MOST_USD = 1e6
_MONEY = frozenset({"cost", "cost_details", "cost_in_usd_ticks", "is_byok"})


def usage_in(fields: Mapping[str, Any], dialect: Dialect) -> Usage | None:
    """The usage of an answer, or of a chunk, with the cost where the provider tells it; Groq has one of its own."""
    told = _object(fields, "usage")
    usage = Usage.from_openai(told)
    if usage is None:
        return Usage.from_openai(_object(fields, "x_groq").get("usage")) if "x_groq" in fields else None
    cost_usd = _cost_usd(told, dialect)
    return usage if cost_usd is None else replace(usage, cost_usd=cost_usd)


def money_in(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a usage that tell of money, as they came."""
    return {name: value for name, value in _object(fields, "usage").items() if name in _MONEY}


def _cost_usd(told: Mapping[str, Any], dialect: Dialect) -> float | None:
    ticks = _amount(told.get("cost_in_usd_ticks"))
    if ticks is not None:
        return ticks / _TICKS_PER_USD
    cost_usd = _amount(told.get("cost")) if dialect.tells_cost else None
    if cost_usd is None or not told.get("is_byok"):
        return cost_usd
    # With a key of one's own OpenRouter's cost is its fee, and the model is paid for elsewhere.
    elsewhere_usd = _amount(_object(told, "cost_details").get("upstream_inference_cost"))
    return None if elsewhere_usd is None else cost_usd + elsewhere_usd


def _amount(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    return float(value) if is_number and 0 <= value <= _MOST_USD * _TICKS_PER_USD else None


def _object(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = fields.get(name)
    return value if isinstance(value, dict) else {}
