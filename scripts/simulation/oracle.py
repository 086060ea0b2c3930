"""What the day costs whoever knows everything: outages, lengths of answers, prices and caches, each call by itself.

It goes through the calls in the order of their arrival and takes for each the cheapest provider that is able, well and
within its limits at that moment. It never has to find anything out, and never fails where somebody could answer.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from llmrouter.calls import Call
from scripts.simulation.providers import SPENDING_LIMIT
from scripts.simulation.virtual_time import MIDNIGHT
from scripts.simulation.world import Place, World


@dataclass(frozen=True, slots=True)
class OracleResult:
    """US dollars for the day, and calls that nobody could have answered when they came."""

    cost_usd: float
    unanswerable: int


def ask_oracle(places: Sequence[Place], calls: Sequence[tuple[float, Call, int]]) -> OracleResult:
    """The cost of a day; each call is given with its second of the day and the tokens of its answer."""
    world = World(places, random.Random(0))
    names = [place.name for place in places]
    cost_usd, spent_usd, unanswerable = 0.0, 0.0, 0
    for at_s, call, output_tokens in calls:
        best: tuple[float, Place, int] | None = None
        for place in world.able(call, names):
            usage = world.usage(place, call, output_tokens, at_s)
            tokens = usage.input_tokens + usage.output_tokens
            price = place.sheet(at_s).cost_usd(usage, MIDNIGHT + at_s)
            if place.trouble(at_s) is not None or not world.counters[place.name].room(place.limits, tokens, at_s):
                continue
            if place.name == "nightly" and spent_usd + price > SPENDING_LIMIT["usd_per_day"]:
                continue
            if best is None or price < best[0]:
                best = price, place, tokens
        if best is None:
            unanswerable += 1
            continue
        price, place, tokens = best
        cost_usd += price
        spent_usd += price if place.name == "nightly" else 0.0
        world.counters[place.name].take(tokens, at_s)
        world.caches[place.name].keep(call, at_s)
    return OracleResult(cost_usd, unanswerable)
