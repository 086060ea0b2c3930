"""Reasons to leave a target out of a plan, each in words that the decision record shows."""

from enum import StrEnum
from typing import NamedTuple

from llmrouter.brands.members import DISPENSABLE
from llmrouter.calls import Call
from llmrouter.routing.estimates import Expected
from llmrouter.settings.model import RouteSettings
from llmrouter.targets import Target


class Gate(StrEnum):
    """Whose reason it is: the prompt's length, something else that the request asks for, or what its owner and the
    client demand of targets."""

    WINDOW = "window"
    REQUEST = "request"
    DEMAND = "demand"


class Refusal(NamedTuple):
    """Why a target is left out, in words, and by which gate."""

    reason: str
    gate: Gate


class Known(NamedTuple):
    """What is known of a call at one target: what it would use there, what that costs (None: the price is not known),
    and which of its members the target has refused before."""

    expected: Expected
    expected_usd: float | None = None
    unsupported: frozenset[str] = frozenset()


def refuse(target: Target, call: Call, route: RouteSettings | None, known: Known) -> Refusal | None:
    """Why a target must not or cannot serve a call, whatever its health; None where it can."""
    pinned = call.preferences.provider
    if pinned is not None and target.provider != pinned:
        return Refusal(f"the client asked for provider {pinned}", Gate.DEMAND)
    if target.capabilities is not None and (missing := call.needs - target.capabilities):
        return Refusal(f"it cannot do: {', '.join(sorted(missing))}", Gate.REQUEST)
    if unable := _unable(target, call, known.unsupported):
        return Refusal(f"it does not take: {', '.join(sorted(unable))}", Gate.REQUEST)
    # To leave out a target that could have served is worse than one refused attempt.
    least_tokens = known.expected.least_input_tokens
    if target.context_window is not None and least_tokens > target.context_window:
        text = f"the prompt has at least {least_tokens} tokens, and its window is {target.context_window}"
        return Refusal(text, Gate.WINDOW)
    unwanted = (None if route is None else _unfit(target, route)) or _too_dear(call, known.expected_usd)
    return None if unwanted is None else Refusal(unwanted, Gate.DEMAND)


def _unfit(target: Target, route: RouteSettings) -> str | None:
    """What the route demands and the target does not have; what is not known of it counts as not there."""
    if route.min_quality is not None:
        if target.quality is None:
            return f"its quality is not known, and the route wants {route.min_quality}"
        if target.quality < route.min_quality:
            return f"its quality is {target.quality}, and the route wants {route.min_quality}"
    if route.data is None:
        return None
    if route.data.trains_on_prompts is False and target.data.trains_on_prompts is not False:
        told = "trains on prompts" if target.data.trains_on_prompts else "may train on prompts"
        return f"it {told}, and the route forbids that"
    if route.data.region is not None and target.data.region != route.data.region:
        return f"its region is {target.data.region or 'not known'}, and the route wants {route.data.region}"
    return None


def _unable(target: Target, call: Call, learned: frozenset[str]) -> set[str]:
    """What the call asks for, and the target's dialect neither knows nor can do in another way."""
    dialect = target.dialect.for_members(call.members)
    lacking = call.needs & dialect.lacks
    if target.capabilities is not None:
        lacking -= target.capabilities
    return {*lacking, *(call.members & dialect.refuses), *(call.members & learned - DISPENSABLE)}


def _too_dear(call: Call, expected_usd: float | None) -> str | None:
    limit = call.preferences.max_cost_usd
    if limit is None:
        return None
    if expected_usd is None:
        return f"its price is not known, and the client allows ${limit:g}"
    if expected_usd <= limit:
        return None
    return f"it would cost about ${expected_usd:.6f}, and the client allows ${limit:g}"
