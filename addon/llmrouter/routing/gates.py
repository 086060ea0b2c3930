"""Reasons to leave a target out of a plan, each in words that the decision record shows."""

from enum import StrEnum
from typing import NamedTuple, Protocol

from llmrouter.brands.members import DISPENSABLE
from llmrouter.calls import Call, Endpoint
from llmrouter.chat_members import IN_OWN_ACCOUNT, NATIVE_TEXT_ONLY
from llmrouter.settings.model import RouteSettings
from llmrouter.targets import Target


class Gate(StrEnum):
    """Whose reason it is: the prompt's length, something else that the request asks for, or what its owner and the
    client demand of targets."""

    WINDOW = "window"
    REQUEST = "request"
    DEMAND = "demand"


class Reason(Protocol):
    """What `str()` turns into words when somebody reads them: a string, or figures as they were at the time.

    A plan leaves out hundreds of targets, and hardly any plan is read.
    """

    def __str__(self) -> str:
        """The words."""
        ...


class Refusal(NamedTuple):
    """Why a target is left out, in words, and by which gate."""

    why: Reason
    gate: Gate


class LeftOut(NamedTuple):
    """A target that is not tried, and why; one that only rests says when it returns (monotonic seconds)."""

    target: Target
    why: Reason
    gate: Gate | None = None
    returns_at: float | None = None

    @property
    def reason(self) -> str:
        """Why, in words."""
        return str(self.why)


class _TooLong(NamedTuple):
    least_tokens: int
    window: int

    def __str__(self) -> str:
        return f"the prompt has at least {self.least_tokens} tokens, and its window is {self.window}"


class _TooDear(NamedTuple):
    usd: float
    limit_usd: float

    def __str__(self) -> str:
        return f"it would cost about ${self.usd:.6f}, and the client allows ${self.limit_usd:g}"


def refuse(target: Target, call: Call, route: RouteSettings | None) -> Refusal | None:
    """Why a target must not or cannot serve calls with these needs, members and wishes; None where it can.

    It depends on nothing else of the call, so that the answer holds for all calls like it.
    """
    pinned = call.preferences.provider
    if pinned is not None and target.provider != pinned:
        return Refusal(f"the client asked for provider {pinned}", Gate.DEMAND)
    if target.capabilities is not None and (missing := call.needs - target.capabilities):
        return Refusal(f"it cannot do: {', '.join(sorted(missing))}", Gate.REQUEST)
    if lost := _lost_by_chat(target, call):
        return Refusal(f"it has no text completions, which {', '.join(sorted(lost))} need", Gate.REQUEST)
    if unhosted := _unhosted(target, call):
        return Refusal(f"it does not run: {', '.join(sorted(unhosted))}", Gate.REQUEST)
    if unable := _unable(target, call):
        return Refusal(f"it does not take: {', '.join(sorted(unable))}", Gate.REQUEST)
    unwanted = None if route is None else _unfit(target, route)
    return None if unwanted is None else Refusal(unwanted, Gate.DEMAND)


def refuse_refused(call: Call, unsupported: frozenset[str]) -> Refusal | None:
    """Why a target must not serve a call some of whose members it has refused before."""
    refused = call.members & unsupported - DISPENSABLE
    return Refusal(f"it does not take: {', '.join(sorted(refused))}", Gate.REQUEST) if refused else None


def refuse_long(target: Target, least_input_tokens: int) -> Refusal | None:
    """Why a target cannot take a prompt of at least so many tokens.

    To leave out a target that could have served is worse than one refused attempt.
    """
    window = target.context_window
    if window is None or least_input_tokens <= window:
        return None
    return Refusal(_TooLong(least_input_tokens, window), Gate.WINDOW)


def refuse_dear(limit_usd: float | None, expected_usd: float | None) -> Refusal | None:
    """Why a target is too dear for what the client allows (None: any price); `expected_usd` is None where unknown."""
    if limit_usd is None:
        return None
    if expected_usd is None:
        return Refusal(f"its price is not known, and the client allows ${limit_usd:g}", Gate.DEMAND)
    if expected_usd <= limit_usd:
        return None
    return Refusal(_TooDear(expected_usd, limit_usd), Gate.DEMAND)


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


def _unable(target: Target, call: Call) -> set[str]:
    """What the call asks for, and the target's dialect neither knows nor can do in another way."""
    dialect = target.dialect.for_members(call.members)
    lacking = call.needs & dialect.lacks
    if target.capabilities is not None:
        lacking -= target.capabilities
    return {*lacking, *(call.members & dialect.refuses)}


def _lost_by_chat(target: Target, call: Call) -> frozenset[str]:
    """What a text completion asks for that a target which only chats cannot do."""
    if call.endpoint is not Endpoint.COMPLETIONS or target.has_text_completions:
        return frozenset()
    return call.members & NATIVE_TEXT_ONLY


def _unhosted(target: Target, call: Call) -> frozenset[str]:
    """Which of OpenAI's own tools the call needs and the target does not run, or not on what lies in the app's own
    account at OpenAI."""
    if call.responses is None or not call.responses.hosted:
        return frozenset()
    if not (target.brand.hosts_tools and target.has_responses):
        return call.responses.hosted
    return frozenset() if target.uses_caller_key else call.responses.hosted & IN_OWN_ACCOUNT
