"""How a target stands at a moment: what the router knows and counts of it, for whoever wants to look."""

import math
from dataclasses import dataclass

from llmrouter.routing.allowances import NANODOLLARS_PER_USD
from llmrouter.routing.breaker import BreakerState
from llmrouter.routing.health import HealthBook, Resting
from llmrouter.routing.quotas import QuotaBook
from llmrouter.routing.vitals import Figures
from llmrouter.targets import Target


@dataclass(frozen=True, slots=True)
class Standing:
    """One target.

    `opens_again_in_s` is 0 where its breaker lets requests through; `rest_left_s` is None where it does not rest, or
    rests until its settings change. `limits_left` is what is left of each limit by its name in the settings, money in
    US dollars, the least of the provider's and the model's own, and `limits` are those limits; `requests_told` and
    `tokens_told` are what the provider itself says. `unsupported` are members of calls that it has refused.
    """

    target: Target
    breaker: BreakerState
    opens_again_in_s: float
    resting: Resting | None
    rest_left_s: float | None
    limits_left: dict[str, float]
    limits: dict[str, float]
    in_flight: int
    figures: Figures
    unsupported: frozenset[str]


def standing_of(target: Target, health: HealthBook, quotas: QuotaBook, now: float, wall: float) -> Standing:
    """How a target stands at `now` (monotonic seconds), which is `wall` in Unix seconds; changes nothing."""
    condition, rest = health.condition(target), health.resting(target, now)
    breaker = None if condition is None else condition.breaker
    limits = _limits(target, quotas, now, wall)
    left_s = None if rest is None or rest.until == math.inf else round(rest.until - now, 3)
    return Standing(
        target,
        BreakerState.CLOSED if breaker is None else breaker.state(now),
        0.0 if breaker is None else breaker.opens_again_in(now),
        rest,
        left_s,
        {name: left for name, (left, _) in limits.items()},
        {name: most for name, (_, most) in limits.items() if most is not None},
        health.under_way.at(target.key),
        health.figures(target, now),
        health.unsupported(target, now),
    )


def _limits(target: Target, quotas: QuotaBook, now: float, wall: float) -> dict[str, tuple[float, float | None]]:
    """What is left of each limit, and the limit; where provider and model both have one, that of which less is left."""
    found: dict[str, tuple[float, float | None]] = {}
    for allowance in quotas.allowances(target):
        for name, left in allowance.left(now, wall).items():
            amount = left / NANODOLLARS_PER_USD if name.startswith("usd_") else left
            if amount < found.get(name, (math.inf, None))[0]:
                found[name] = amount, allowance.limit(name)
    return found
