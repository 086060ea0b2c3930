"""The order of targets within a priority tier; the same state gives the same order."""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

from cachetools import LRUCache

from llmrouter.calls import Need
from llmrouter.targets import Target

_REMEMBERED_NAMES = 1024
# Shares are counted in whole numbers, so that equal ones never drift apart.
_SHARES_PER_WEIGHT = 1_000_000
ENOUGH_TRIES = 2.5
"""Three tries: older ones count less."""
_EXPLORED_EVERY = 10
_AS_CHEAP = 1.1
_NEW = f"hardly tried yet and as cheap as the first; every {_EXPLORED_EVERY}th call goes to such a one first"


class CallFacts(NamedTuple):
    """What a policy is told of a call; nothing of the prompt's text.

    `model` is the requested name, cut at 256 characters. `wall` is Unix seconds. `input_tokens` and `output_tokens` are
    estimates; `max_output_tokens` is the client's own limit, None where it gave none. `needs` are what the call asks
    for beyond plain chat.
    """

    model: str
    wall: float
    input_tokens: int
    output_tokens: int
    max_output_tokens: int | None = None
    needs: frozenset[Need] = frozenset()
    stream: bool = False


class Candidate(NamedTuple):
    """A target that may serve a call now, with what a policy weighs.

    `position` is the place of declaration. `expected_usd` is what the call would cost there, `first_content_s` how long
    such a call waits for its first content (all of it, where it is no stream), `tokens_per_s` how fast a stream goes
    on, `error_rate` the share of recent attempts that failed (0 to 1); each is None where it is not known.
    `quota_wait_s` is how long it would be waited for its quota. `requests_left` and `tokens_left` are what is left of
    it, None where it has no limit; only policies of the owner's own are told. `limited_rate` is the share of recent
    attempts that it refused for its limits, `tries` how many recent attempts all this rests on, whatever came of them.
    `note` is what a policy says about its place, for people. `input_tokens` are estimated, of which `cached_tokens`
    cost less.
    """

    target: Target
    position: int
    expected_usd: float | None = None
    first_content_s: float | None = None
    tokens_per_s: float | None = None
    error_rate: float | None = None
    quota_wait_s: float = 0.0
    requests_left: int | None = None
    tokens_left: int | None = None
    limited_rate: float | None = None
    tries: float = 0.0
    note: str = ""
    input_tokens: float | None = None
    cached_tokens: float = 0.0

    @property
    def is_hardly_tried(self) -> bool:
        """Whether too little is known of it to judge, whatever is known: it is explored."""
        return self.tries < ENOUGH_TRIES

    def to_record(self) -> dict[str, Any]:
        """What the plan knew of it, as plain JSON values; None is not known."""
        return {
            "target": self.target.key,
            "tier": self.target.priority,
            "expected_usd": _short(self.expected_usd),
            "input_tokens": None if self.input_tokens is None else round(self.input_tokens),
            "cached_tokens": round(self.cached_tokens),
            "first_content_s": _short(self.first_content_s),
            "tokens_per_s": _short(self.tokens_per_s),
            "error_rate": _short(self.error_rate),
            "limited_rate": _short(self.limited_rate),
            "quota_wait_s": _short(self.quota_wait_s),
        }


def _short(value: float | None) -> float | None:
    """Three digits are what estimates are worth."""
    return None if value is None else float(f"{value:.3g}")


_position, _expected_usd, _first_content_s, _quota_wait_s = (
    itemgetter(Candidate._fields.index(name))
    for name in ("position", "expected_usd", "first_content_s", "quota_wait_s")
)


class PolicyFailed(Exception):
    """A policy could not order a tier; the message says why, in words that the decision record shows."""


class Policy(Protocol):
    """An ordering; it may keep a memory of its own, such as whose turn it is."""

    def order(self, candidates: Sequence[Candidate], facts: CallFacts) -> Sequence[Candidate]:
        """All candidates of one tier, best first; raises `PolicyFailed`."""
        ...


class LeastCost:
    """The cheapest first; unknown prices last; ties to the shorter wait for quota, the faster, then by declaration.

    What was hardly ever tried would lose each tie for ever. So, for each requested model, every tenth call goes first
    to such a one that can be had at once and is expected to cost at most a tenth more than the cheapest, which is how
    good an estimate is before anything is learned; three tries within the hour are enough.
    """

    def __init__(self) -> None:
        self._turns: LRUCache[tuple[str, int], int] = LRUCache(_REMEMBERED_NAMES)

    def order(self, candidates: Sequence[Candidate], facts: CallFacts) -> list[Candidate]:
        """Sorts by expected cost, and explores when it is time."""
        ordered = in_cost_order(candidates)
        place = _place_of_new(ordered)
        if place is None:
            return ordered
        turn = facts.model, ordered[0].target.priority
        self._turns[turn] = number = self._turns.get(turn, 0) + 1
        ordered[place] = new = ordered[place]._replace(note=_NEW)
        if number % _EXPLORED_EVERY == 0:
            ordered.insert(0, ordered.pop(place)._replace(note=f"explored now: {new.note}"))
        return ordered


def _place_of_new(ordered: Sequence[Candidate]) -> int | None:
    """Where the first one stands that is as cheap as the cheapest and was hardly tried; None where the cheapest was
    not tried either."""
    if not ordered or ordered[0].is_hardly_tried or (cheapest_usd := ordered[0].expected_usd) is None:
        return None
    most_usd = cheapest_usd * _AS_CHEAP
    for place, candidate in enumerate(ordered):
        if candidate.expected_usd is None or candidate.expected_usd > most_usd:
            return None
        if candidate.is_hardly_tried and candidate.quota_wait_s <= 0:
            return place
    return None


class LeastLatency:
    """The fastest to its first content first, a wait for quota included.

    Targets that were never measured come before all, so that they are; but last where they must be waited for, and
    where three recent attempts came to nothing.
    """

    def order(self, candidates: Sequence[Candidate], facts: CallFacts) -> list[Candidate]:
        """Sorts by the wait for quota and the learned time to first content."""
        return sorted(candidates, key=_by_latency)


class RoundRobin:
    """Each in turn by its share, for each requested model: the smooth weighted round robin of nginx.

    The shares are the weights of the settings (ngx_http_upstream_round_robin.c); equal ones are plain turns. Targets
    that would have to be waited for are not in turn: they follow, the shortest wait first.
    """

    def __init__(self) -> None:
        self._credits: LRUCache[str, dict[str, int]] = LRUCache(_REMEMBERED_NAMES)

    def order(self, candidates: Sequence[Candidate], facts: CallFacts) -> list[Candidate]:
        """The one with the most credit goes first and pays for it; the others follow by credit."""
        ready = [candidate for candidate in candidates if candidate.quota_wait_s <= 0]
        waiting = sorted((c for c in candidates if c.quota_wait_s > 0), key=_by_wait)
        if not ready:
            return waiting
        credits = self._credits.setdefault(facts.model, {})
        total = 0
        rows: list[tuple[int, int, Candidate]] = []
        for candidate in ready:
            key = candidate.target.key
            share = int(candidate.target.weight * _SHARES_PER_WEIGHT) or 1
            total += share
            credits[key] = credit = credits.get(key, 0) + share
            rows.append((-credit, candidate.position, candidate))
        rows.sort()
        credits[rows[0][2].target.key] -= total
        return [row[2] for row in rows] + waiting


class Quality:
    """The cheapest of at least a quality, 0 to 1; then the others by quality; those of unknown quality last."""

    def __init__(self, at_least: float) -> None:
        self._at_least = at_least

    def order(self, candidates: Sequence[Candidate], facts: CallFacts) -> list[Candidate]:
        """Sorts what is good enough by expected cost, the rest by quality."""
        ordered = in_cost_order(candidates)
        ordered.sort(key=self._shortfall)
        return ordered

    def _shortfall(self, candidate: Candidate) -> float:
        quality = candidate.target.quality
        missing = math.inf if quality is None else self._at_least - quality
        return missing if missing > 0 else 0.0


def in_cost_order(candidates: Iterable[Candidate]) -> list[Candidate]:
    """As `LeastCost` orders."""
    # Sorts that keep the order of equals, the last criterion first: a fourth of the time of one sort by all of them.
    ordered = sorted(candidates, key=_position)
    for column in (_first_content_s, _quota_wait_s, _expected_usd):
        is_unknown = None in map(column, ordered)
        ordered.sort(key=partial(_unknown_last, column) if is_unknown else column)
    return ordered


def _unknown_last(column: Callable[[Candidate], float | None], candidate: Candidate) -> float:
    value = column(candidate)
    return math.inf if value is None else value


def _by_latency(candidate: Candidate) -> tuple[float, int]:
    seconds = candidate.first_content_s
    if seconds is None:
        # Explored as soon as it is free: a wait tells nothing of how fast it is.
        seconds = -math.inf if candidate.quota_wait_s <= 0 and candidate.is_hardly_tried else math.inf
    return seconds + candidate.quota_wait_s, candidate.position


def _by_wait(candidate: Candidate) -> tuple[float, int]:
    return candidate.quota_wait_s, candidate.position
