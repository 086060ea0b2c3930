"""The policy `weighted`: several criteria at once, each as a share of the tier's largest."""

from collections.abc import Sequence
from operator import itemgetter
from typing import cast

from llmrouter.routing.policies import CallFacts, Candidate
from llmrouter.settings.policies import WeightedSettings

_POSITION = Candidate._fields.index("position")
_COLUMNS = tuple(
    Candidate._fields.index(name)
    for name in ("expected_usd", "first_content_s", "error_rate", "quota_wait_s", "limited_rate")
)


class Weighted:
    """The lowest sum of what speaks against a target, each criterion from 0 to 1, times the owner's weight.

    - cost: the expected cost divided by the tier's highest; unknown counts as 1, as under `least_cost`.
    - latency: time to first content plus wait for quota, divided by the tier's longest; where the first is unknown it
      counts as the average of the known ones.
    - quality: what is missing of the tier's best, divided by the best; unknown as the average of the known ones.
    - error rate: the share of attempts that came to nothing, by a failure or because the provider's limits were used
      up. It counts as it is, since it is a share already: divided by the highest, one failure in a thousand would
      count as much as one in two. Unknown counts as the average of the known ones.

    Proportions and not ranks: a target that is one percent dearer is hardly worse. Where nothing is known of a
    criterion but of price, it does not count. Equal sums go by declaration.
    """

    def __init__(self, weights: WeightedSettings) -> None:
        self._weights = weights

    def order(self, candidates: Sequence[Candidate], facts: CallFacts) -> list[Candidate]:
        """Sorts by the sum."""
        if not candidates:
            return []
        weights, ordered = self._weights, sorted(candidates, key=itemgetter(_POSITION))
        # By columns: a request may have hundreds of candidates.
        costs, firsts, errors, waits, limited = (list(map(itemgetter(number), ordered)) for number in _COLUMNS)
        nothing = [0.0] * len(ordered)
        rows = zip(
            _costs(costs) if weights.cost else nothing,
            _latencies(firsts, waits) if weights.latency else nothing,
            _shortfalls([one.target.quality for one in ordered]) if weights.quality else nothing,
            _or_average(list(map(_in_vain, errors, limited)) if any(limited) else errors)
            if weights.error_rate
            else nothing,
            ordered,
            strict=True,
        )
        of_cost, of_latency, of_quality, of_errors = weights.cost, weights.latency, weights.quality, weights.error_rate
        scored = [
            (of_cost * cost + of_latency * latency + of_quality * quality + of_errors * error, one)
            for cost, latency, quality, error, one in rows
        ]
        # Equal sums stay in the order of declaration.
        scored.sort(key=itemgetter(0))
        return [one for _, one in scored]


def _costs(costs: Sequence[float | None]) -> list[float]:
    largest = max([cost for cost in costs if cost is not None], default=0.0) or 1.0
    return [1.0 if cost is None else cost / largest for cost in costs]


def _latencies(firsts: list[float | None], waits: Sequence[float]) -> list[float]:
    seconds = [first + wait for first, wait in zip(_or_average(firsts), waits, strict=True)]
    longest = max(seconds) or 1.0
    return [each / longest for each in seconds]


def _shortfalls(qualities: list[float | None]) -> list[float]:
    known = _or_average(qualities)
    best = max(known) or 1.0
    return [(best - quality) / best for quality in known]


def _in_vain(error_rate: float | None, limited_rate: float | None) -> float | None:
    """The share of attempts that came to nothing: `error_rate` is that among those which limits let through."""
    if not limited_rate:
        return error_rate
    return limited_rate + (1 - limited_rate) * (error_rate or 0.0)


def _or_average(values: list[float | None]) -> list[float]:
    """The values, with the average of the known ones in place of each unknown one, 0 where none is known."""
    if None not in values:
        return cast("list[float]", values)
    known = [value for value in values if value is not None]
    average = sum(known) / len(known) if known else 0.0
    return [average if value is None else value for value in values]
