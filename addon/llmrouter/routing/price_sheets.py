"""What a model costs at a provider: an estimate before a call, the cost after it, and where the prices come from."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Self

from llmrouter.replies import Usage

_PER = 1_000_000
_DAY_S = 86_400
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# Unix time began on a Thursday.
_FIRST_WEEKDAY = 3


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of the day at which something else holds, such as other prices.

    From `begins_s` up to but not including `ends_s`, in seconds since midnight; where the end is the smaller one they
    run past midnight. `weekdays` (0 is Monday) are those on which they begin, None for all.
    """

    begins_s: int
    ends_s: int
    weekdays: frozenset[int] | None = None

    @classmethod
    def between(cls, hours: str | None, weekdays: Iterable[str] | None) -> Self:
        """The hours as the settings write them, such as 22:00-06:00; None for the whole day, or for every day."""
        begins, ends = (hours or "00:00-24:00").split("-")
        days = None if weekdays is None else frozenset(map(_WEEKDAYS.index, weekdays))
        return cls(_second(begins), _second(ends), days)

    def hold(self, wall: float) -> bool:
        """Whether a moment (Unix seconds in UTC, or as many seconds ahead as the time zone is) is within them."""
        day, second = divmod(wall, _DAY_S)
        if self.begins_s <= self.ends_s:
            is_within = self.begins_s <= second < self.ends_s
        else:
            is_within = second >= self.begins_s or second < self.ends_s
            if second < self.ends_s:
                day -= 1
        return is_within and (self.weekdays is None or (day + _FIRST_WEEKDAY) % 7 in self.weekdays)


def _second(time: str) -> int:
    hour, minute = time.split(":")
    return int(hour) * 3600 + int(minute) * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """Other prices under a condition: a long prompt (a tier), hours of the day, or both.

    From `from_tokens` input tokens on, cached ones included, the whole call has these prices, not only the tokens
    beyond. A price that is None stays as it is.
    """

    from_tokens: int = 0
    hours: Hours | None = None
    input: float | None = None
    output: float | None = None
    cached_input: float | None = None
    cache_write: float | None = None

    def applies(self, input_tokens: float, wall: float) -> bool:
        """Whether a call with so many input tokens, at this moment (Unix seconds), has these prices."""
        return input_tokens >= self.from_tokens and (self.hours is None or self.hours.hold(wall))


class _Prices(NamedTuple):
    input: float
    output: float
    cached_input: float | None
    cache_write: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceSheet:
    """The prices of one model at one provider, in US dollars per million tokens.

    Where the price of cached input or of writing to the provider's cache is not known it is the input price, which is
    what providers take that have none. Where several overrides apply, a later one has the last word, price by price
    (as in OpenRouter's `pricing.overrides`). `source` says who told the prices, `read_at` when (Unix seconds; None for
    what does not age: the owner's own word, or what came with an installed release).
    """

    input: float
    output: float
    cached_input: float | None = None
    cache_write: float | None = None
    per_request_usd: float = 0.0
    overrides: tuple[Override, ...] = ()
    source: str
    read_at: float | None = None

    @property
    def is_free(self) -> bool:
        """Whether a call costs nothing at any time."""
        return not (self.input or self.output or self.cache_write or self.per_request_usd or self.overrides)

    def estimate_usd(self, input_tokens: float, cached_tokens: float, output_tokens: float, wall: float) -> float:
        """US dollars for so many tokens at a moment (Unix seconds); `cached_tokens` are part of the input.

        Nothing is added for writing to the provider's cache.
        """
        prices = self._at(input_tokens, wall) if self.overrides else self
        cached_price = prices.input if prices.cached_input is None else prices.cached_input
        cached = cached_tokens if cached_tokens < input_tokens else input_tokens
        tokens = prices.input * (input_tokens - cached) + cached_price * cached + prices.output * output_tokens
        return tokens / _PER + self.per_request_usd

    def cost_usd(self, usage: Usage, wall: float) -> float:
        """US dollars for the tokens that an answer reported; `wall` is when the call began (Unix seconds)."""
        prices = self._at(usage.input_tokens, wall) if self.overrides else self
        written = min(usage.cache_write_tokens, max(usage.input_tokens - usage.cached_tokens, 0))
        write_price = prices.input if prices.cache_write is None else prices.cache_write
        surcharge = (write_price - prices.input) * written / _PER
        return self.estimate_usd(usage.input_tokens, usage.cached_tokens, usage.output_tokens, wall) + surcharge

    def _at(self, input_tokens: float, wall: float) -> _Prices:
        given, made, cached, written = self.input, self.output, self.cached_input, self.cache_write
        for override in self.overrides:
            if override.applies(input_tokens, wall):
                given = given if override.input is None else override.input
                made = made if override.output is None else override.output
                cached = cached if override.cached_input is None else override.cached_input
                written = written if override.cache_write is None else override.cache_write
        return _Prices(given, made, cached, written)
