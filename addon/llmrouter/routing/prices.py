"""What an answer costs: an estimate before, the cost after; unknown is None, never zero and never a guess."""

from llmrouter.replies import Usage
from llmrouter.settings.model import PriceSettings

_PER = 1_000_000


def estimate_usd(price: PriceSettings | None, input_tokens: float, output_tokens: float) -> float | None:
    """US dollars for so many tokens, none of them cached; None where the price is not known."""
    if price is None:
        return None
    return (price.input * input_tokens + price.output * output_tokens) / _PER


def cost_usd(price: PriceSettings | None, usage: Usage) -> float | None:
    """US dollars for the tokens that an answer reported, cached ones at their own price; None where it is not known."""
    if price is None:
        return None
    cached_price = price.input if price.cached_input is None else price.cached_input
    cached = min(usage.cached_tokens, usage.input_tokens)
    fresh = usage.input_tokens - cached
    return (price.input * fresh + cached_price * cached + price.output * usage.output_tokens) / _PER
