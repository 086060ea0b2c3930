"""The policy `weighted`: several criteria at once, each as a share of the tier's largest."""

from collections.abc import Sequence

from llmrouter.routing.policies import CallFacts, Candidate
from llmrouter.settings.policies import WeightedSettings


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
        # By columns: a request may have hundreds of candidates.
        targets, positions, costs, firsts, _, errors, waits, _, _, limited, *_ = zip(*candidates, strict=True)
        weights = self._weights
        sums = [0.0] * len(candidates)
        if weights.cost:
            sums = _add(sums, weights.cost, _costs(costs))
        if weights.latency:
            sums = _add(sums, weights.latency, _latencies(firsts, waits))
        if weights.quality:
            sums = _add(sums, weights.quality, _shortfalls([target.quality for target in targets]))
        if weights.error_rate:
            sums = _add(sums, weights.error_rate, _or_average(list(map(_in_vain, errors, limited))))
        # No two have one position, so that candidates themselves are never compared.
        return [row[2] for row in sorted(zip(sums, positions, candidates, strict=True))]


def _add(sums: Sequence[float], weight: float, shares: Sequence[float]) -> list[float]:
    return [total + weight * share for total, share in zip(sums, shares, strict=True)]


def _costs(costs: Sequence[float | None]) -> list[float]:
    largest = max([cost for cost in costs if cost is not None], default=0.0) or 1.0
    return [1.0 if cost is None else cost / largest for cost in costs]


def _latencies(firsts: Sequence[float | None], waits: Sequence[float]) -> list[float]:
    seconds = [first + wait for first, wait in zip(_or_average(firsts), waits, strict=True)]
    longest = max(seconds) or 1.0
    return [each / longest for each in seconds]


def _shortfalls(qualities: Sequence[float | None]) -> list[float]:
    known = _or_average(qualities)
    best = max(known) or 1.0
    return [(best - quality) / best for quality in known]


def _in_vain(error_rate: float | None, limited_rate: float | None) -> float | None:
    """The share of attempts that came to nothing: `error_rate` is that among those which limits let through."""
    if not limited_rate:
        return error_rate
    return limited_rate + (1 - limited_rate) * (error_rate or 0.0)


def _or_average(values: Sequence[float | None]) -> list[float]:
    """The values, with the average of the known ones in place of each unknown one, 0 where none is known."""
    known = [value for value in values if value is not None]
    average = sum(known) / len(known) if known else 0.0
    return [average if value is None else value for value in values]
