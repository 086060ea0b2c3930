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
    - error rate: as it is, since it is a share already: divided by the highest, one failure in a thousand would count
      as much as one in two. Unknown counts as the average of the known ones.

    Proportions and not ranks: a target that is one percent dearer is hardly worse. Where nothing is known of a
    criterion but of price, it does not count. Equal sums go by declaration.
    """

    def __init__(self, weights: WeightedSettings) -> None:
        criteria = (
            (weights.cost, _costs),
            (weights.latency, _latencies),
            (weights.quality, _shortfalls),
            (weights.error_rate, _error_rates),
        )
        self._criteria = tuple((weight, measure) for weight, measure in criteria if weight > 0)

    def order(self, candidates: Sequence[Candidate], facts: CallFacts) -> list[Candidate]:
        """Sorts by the sum."""
        sums = [0.0] * len(candidates)
        for weight, measure in self._criteria:
            sums = [total + weight * share for total, share in zip(sums, measure(candidates), strict=True)]
        ranked = sorted(zip(sums, (c.position for c in candidates), candidates, strict=True), key=lambda row: row[:2])
        return [candidate for _, _, candidate in ranked]


def _costs(candidates: Sequence[Candidate]) -> list[float]:
    known = [c.expected_usd for c in candidates if c.expected_usd is not None]
    largest = max(known, default=0.0) or 1.0
    return [1.0 if c.expected_usd is None else c.expected_usd / largest for c in candidates]


def _latencies(candidates: Sequence[Candidate]) -> list[float]:
    firsts = _or_average([c.first_content_s for c in candidates])
    seconds = [first + c.quota_wait_s for first, c in zip(firsts, candidates, strict=True)]
    longest = max(seconds, default=0.0) or 1.0
    return [each / longest for each in seconds]


def _shortfalls(candidates: Sequence[Candidate]) -> list[float]:
    qualities = _or_average([c.target.quality for c in candidates])
    best = max(qualities, default=0.0) or 1.0
    return [(best - quality) / best for quality in qualities]


def _error_rates(candidates: Sequence[Candidate]) -> list[float]:
    return _or_average([c.error_rate for c in candidates])


def _or_average(values: list[float | None]) -> list[float]:
    """The values, with the average of the known ones in place of each unknown one, 0 where none is known."""
    known = [value for value in values if value is not None]
    average = sum(known) / len(known) if known else 0.0
    return [average if value is None else value for value in values]
