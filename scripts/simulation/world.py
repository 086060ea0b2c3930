"""The providers of the simulated world: what they can do, take and charge, and when they fail."""

import random
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from llmrouter.calls import Call, Need
from llmrouter.replies import Usage
from llmrouter.routing.price_sheets import PriceSheet

_MINUTE_S = 60.0
_CACHE_LASTS_S = 300.0
_LEAST_CACHED_TOKENS = 1024


class Trouble(StrEnum):
    """What goes wrong while an outage lasts."""

    REFUSED = "connection refused"
    FAILING = "HTTP 500"
    SILENT = "no answer at all"
    EMPTY = "a stream without content"


@dataclass(frozen=True, slots=True)
class Outage:
    """From `begins_s` up to `ends_s`, in seconds of the day."""

    begins_s: float
    ends_s: float
    trouble: Trouble


@dataclass(frozen=True, slots=True)
class Limits:
    """What a provider takes before it answers 429, None without end; `tells_wait` with a `retry-after`."""

    rpm: int | None = None
    rpd: int | None = None
    tpm: int | None = None
    tells_wait: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One provider with its one model; prices by the second of the day at which they begin to hold."""

    name: str
    prices: tuple[tuple[float, PriceSheet], ...]
    limits: Limits = Limits()
    outages: tuple[Outage, ...] = ()
    error_share: float = 0.0
    window: int = 131_072
    needs: frozenset[Need] = frozenset(Need)
    characters_per_token: float = 4.2
    first_content_s: float = 0.5
    tokens_per_s: float = 80.0
    caches: bool = False

    def sheet(self, now: float) -> PriceSheet:
        """The prices at a second of the day."""
        return self.prices[bisect_right([begins for begins, _ in self.prices], now) - 1][1]

    def trouble(self, now: float) -> Trouble | None:
        """What is wrong at a second of the day."""
        return next((o.trouble for o in self.outages if o.begins_s <= now < o.ends_s), None)

    def can(self, call: Call, tokens: int) -> bool:
        """Whether it is able at all: its window and what the call needs."""
        return tokens <= self.window and call.needs <= self.needs


@dataclass(slots=True)
class Counter:
    """What a provider got: requests and tokens of the last minute, and requests of the day."""

    minute: deque[tuple[float, int]] = field(default_factory=deque)
    tokens: int = 0
    day: int = 0

    def _roll(self, now: float) -> None:
        while self.minute and self.minute[0][0] <= now - _MINUTE_S:
            self.tokens -= self.minute.popleft()[1]

    def room(self, limits: Limits, tokens: int, now: float) -> bool:
        """Whether one more request with so many tokens is taken."""
        self._roll(now)
        is_full = (
            (limits.rpm is not None and len(self.minute) >= limits.rpm)
            or (limits.rpd is not None and self.day >= limits.rpd)
            or (limits.tpm is not None and self.tokens + tokens > limits.tpm)
        )
        return not is_full

    def take(self, tokens: int, now: float) -> None:
        """A request is taken."""
        self._roll(now)
        self.minute.append((now, tokens))
        self.tokens += tokens
        self.day += 1

    def wait_s(self, limits: Limits, now: float) -> float:
        """Until a part of the minute is free again, or the day is over."""
        if limits.rpd is not None and self.day >= limits.rpd:
            return 86_400.0 - now
        return max(self.minute[0][0] + _MINUTE_S - now, 1.0) if self.minute else 1.0


@dataclass(slots=True)
class PromptCache:
    """What a provider kept of the prompts that it answered: the hashes of their beginnings."""

    seen: dict[int, float] = field(default_factory=dict)

    def cached_characters(self, call: Call, now: float) -> int:
        """How much of a prompt is kept."""
        for beginning in reversed(call.beginnings.found):
            if now - self.seen.get(beginning.digest, -_CACHE_LASTS_S - 1) <= _CACHE_LASTS_S:
                return beginning.characters
        return 0

    def keep(self, call: Call, now: float) -> None:
        """A prompt was answered."""
        for beginning in call.beginnings.found:
            self.seen[beginning.digest] = now


class World:
    """All providers and what they count; `chance` decides what is left to it."""

    def __init__(self, places: Iterable[Place], chance: random.Random) -> None:
        self.places = {place.name: place for place in places}
        self.chance = chance
        self.counters = {name: Counter() for name in self.places}
        self.caches = {name: PromptCache() for name in self.places}

    def input_tokens(self, place: Place, call: Call) -> int:
        """What the provider's tokenizer makes of a prompt."""
        return max(round(call.input_characters / place.characters_per_token), 1)

    def usage(self, place: Place, call: Call, output_tokens: int, now: float) -> Usage:
        """What an answer would report."""
        tokens = self.input_tokens(place, call)
        cached = 0
        if place.caches:
            cached = round(self.caches[place.name].cached_characters(call, now) / place.characters_per_token)
            cached = 0 if cached < _LEAST_CACHED_TOKENS else min(cached, tokens)
        return Usage(tokens, output_tokens, cached)

    def able(self, call: Call, names: Sequence[str]) -> list[Place]:
        """Those of the named providers that could answer a call if they were well."""
        places = (self.places[name] for name in names)
        return [place for place in places if place.can(call, self.input_tokens(place, call))]
