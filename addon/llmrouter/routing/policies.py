"""The order of targets within a priority tier; the same state gives the same order."""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

from cachetools import LRUCache

from llmrouter.targets import Target

_REMEMBERED_NAMES = 1024


class Candidate(NamedTuple):
    """A target that may serve, with what a policy weighs: expected cost, time to first content, place of declaration.

    Cost and time are None where unknown. `quota_wait_s` is how long it would be waited for its quota.
    """

    target: Target
    expected_usd: float | None
    first_content_s: float | None
    position: int
    quota_wait_s: float = 0.0


class Policy(Protocol):
    """An ordering; it may keep a memory of its own, such as whose turn it is."""

    def order(self, candidates: Sequence[Candidate], model: str) -> list[Candidate]:
        """The candidates of one tier, best first."""
        ...


class LeastCost:
    """The cheapest first; unknown prices last; ties to the faster, then by declaration."""

    def order(self, candidates: Sequence[Candidate], model: str) -> list[Candidate]:
        """Sorts by expected cost."""
        return sorted(candidates, key=_by_cost)


class LeastLatency:
    """The fastest to its first content first; targets that were never measured before all, so that they are."""

    def order(self, candidates: Sequence[Candidate], model: str) -> list[Candidate]:
        """Sorts by the learned time to first content."""
        return sorted(
            candidates,
            key=lambda c: (-math.inf if c.first_content_s is None else c.first_content_s + c.quota_wait_s, c.position),
        )


class RoundRobin:
    """Each in turn, for each requested model; the rest follow in the order of declaration."""

    def __init__(self) -> None:
        self._turns: LRUCache[tuple[str, int], int] = LRUCache(_REMEMBERED_NAMES)

    def order(self, candidates: Sequence[Candidate], model: str) -> list[Candidate]:
        """Starts one further than the last time."""
        if not candidates:
            return []
        tier = (model, candidates[0].target.priority)
        turn = self._turns.get(tier, 0)
        self._turns[tier] = turn + 1
        start = turn % len(candidates)
        return _free_first([*candidates[start:], *candidates[:start]])


class Weighted:
    """Shares by weight, spread evenly: the smooth weighted round robin of nginx (ngx_http_upstream_round_robin.c)."""

    def __init__(self) -> None:
        self._credits: LRUCache[str, dict[str, float]] = LRUCache(_REMEMBERED_NAMES)

    def order(self, candidates: Sequence[Candidate], model: str) -> list[Candidate]:
        """The one with the most credit goes first and pays for it; the others follow by credit."""
        if not candidates:
            return []
        credits = self._credits.setdefault(model, {})
        for candidate in candidates:
            credits[candidate.target.key] = credits.get(candidate.target.key, 0.0) + candidate.target.weight
        ordered = sorted(candidates, key=lambda c: (-credits[c.target.key], c.position))
        credits[ordered[0].target.key] -= sum(candidate.target.weight for candidate in candidates)
        return _free_first(ordered)


def _by_cost(candidate: Candidate) -> tuple[float, float, float, int]:
    cost, time = _or_last(candidate.expected_usd), _or_last(candidate.first_content_s)
    return cost, candidate.quota_wait_s, time, candidate.position


def _free_first(ordered: list[Candidate]) -> list[Candidate]:
    """The same order, less those that would have to be waited for: they follow."""
    return sorted(ordered, key=lambda candidate: candidate.quota_wait_s > 0)


def _or_last(value: float | None) -> float:
    return math.inf if value is None else value


POLICIES: Mapping[str, Callable[[], Policy]] = MappingProxyType(
    {
        "least_cost": LeastCost,
        "least_latency": LeastLatency,
        "round_robin": RoundRobin,
        "weighted": Weighted,
    }
)
