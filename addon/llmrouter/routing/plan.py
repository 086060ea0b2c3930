"""The plan of a call: which targets to try in which order, and why each other one was left out."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from llmrouter.calls import Call
from llmrouter.errors import InvalidRequest
from llmrouter.routing.breaker import BreakerState
from llmrouter.routing.catalog import LONGEST_NAME, Catalogue
from llmrouter.routing.claims import Claim, no_claim
from llmrouter.routing.gates import Gate, expected_usd, refuse
from llmrouter.routing.health import HealthBook
from llmrouter.routing.policies import POLICIES, Candidate
from llmrouter.routing.price_book import PriceBook
from llmrouter.routing.quotas import QuotaState, QuotaVerdict
from llmrouter.settings.model import RouteSettings, Settings
from llmrouter.targets import Target


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A target that is not tried, and why; one that only rests says when it returns (monotonic seconds)."""

    target: Target
    reason: str
    gate: Gate | None = None
    returns_at: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a call may do: `targets` in order, `left_out` with reasons, and the policy that ordered them.

    `unpriced` are the keys of those whose price is not known.
    """

    targets: tuple[Target, ...]
    left_out: tuple[LeftOut, ...]
    policy: str
    unpriced: tuple[str, ...] = ()

    def to_record(self) -> dict[str, Any]:
        """The plan as plain JSON values, for the decision record; `unpriced` are targets whose price is not known."""
        return {
            "policy": self.policy,
            "targets": [target.key for target in self.targets],
            "unpriced": list(self.unpriced),
            "left_out": [{"target": left.target.key, "reason": left.reason} for left in self.left_out],
        }


class Router:
    """Makes plans under one configuration; policies keep whose turn it is as long as the configuration lasts."""

    def __init__(self, settings: Settings, catalogue: Catalogue, health: HealthBook, prices: PriceBook) -> None:
        self.catalogue = catalogue
        self.prices = prices
        self._health = health
        self._default_policy = settings.policy
        self._policies = {name: make() for name, make in POLICIES.items()}

    def plan(self, call: Call, now: float, wall: float, claim: Claim | None = None) -> Plan:
        """The plan of a call at `now` (monotonic seconds), which is `wall` in Unix seconds, under its claim's quotas.

        Raises `InvalidRequest` where the call's headers name an unknown policy or provider.
        """
        claim = claim or no_claim()
        found = self.catalogue.candidates(call.model)
        policy = self._choose_policy(call, found.route)
        if (pinned := call.preferences.provider) is not None and pinned not in self.catalogue.providers:
            known = ", ".join(sorted(self.catalogue.providers))
            raise InvalidRequest(f"'x-llmrouter-provider' names no provider: {pinned!r}. There are: {known}.")
        fit: list[Candidate] = []
        left_out: list[LeftOut] = []
        for position, target in enumerate(found.targets):
            cost_usd = expected_usd(self.prices.sheet(target), call, wall)
            refusal = refuse(target, call, found.route, self._health.unsupported(target, now), cost_usd)
            left = self._resting(target, now) if refusal is None else LeftOut(target, *refusal)
            quota = claim.check(target, now)
            left = left or _over_quota(target, quota, now)
            if left is not None:
                left_out.append(left)
            else:
                latency = self._health.first_content_s(target)
                fit.append(Candidate(target, cost_usd, latency, position, quota.wait_s))
        unpriced = tuple(candidate.target.key for candidate in fit if candidate.expected_usd is None)
        ordered = tuple(self._in_order(fit, policy, call.model[:LONGEST_NAME]))
        return Plan(ordered, tuple(left_out), policy, unpriced)

    def _choose_policy(self, call: Call, route: RouteSettings | None) -> str:
        name = call.preferences.policy
        if name is None:
            return (route.policy if route else None) or self._default_policy
        if name not in self._policies:
            known = ", ".join(self._policies)
            raise InvalidRequest(f"'x-llmrouter-policy' names no policy: {name!r}. There are: {known}.")
        return name

    def _in_order(self, fit: list[Candidate], policy: str, model: str) -> Iterable[Target]:
        fit.sort(key=lambda candidate: (candidate.target.priority, candidate.position))
        for _, tier in groupby(fit, key=lambda candidate: candidate.target.priority):
            for candidate in self._policies[policy].order(list(tier), model):
                yield candidate.target

    def _resting(self, target: Target, now: float) -> LeftOut | None:
        rest = self._health.resting(target, now)
        if rest is not None:
            until = "until the settings change" if rest.until == math.inf else f"for {rest.until - now:.0f} s more"
            return LeftOut(target, f"it rests ({rest.reason}) {until}", returns_at=rest.until)
        breaker = self._health.breaker(target)
        wait_s = breaker.opens_again_in(now)
        if wait_s <= 0:
            return None
        if breaker.state(now) is BreakerState.HALF_OPEN:
            return LeftOut(target, "its breaker is half-open and a probe is under way", returns_at=now + wait_s)
        return LeftOut(target, f"its breaker is open for {wait_s:.0f} s more", returns_at=now + wait_s)


def _over_quota(target: Target, quota: QuotaVerdict, now: float) -> LeftOut | None:
    if quota.state is QuotaState.NEVER:
        return LeftOut(target, quota.reason, Gate.REQUEST)
    if quota.state is QuotaState.USED_UP:
        return LeftOut(target, quota.reason, returns_at=now + quota.wait_s)
    return None
