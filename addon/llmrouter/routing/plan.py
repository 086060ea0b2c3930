"""The plan of a call: which targets to try in which order, and why each other one was left out."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType
from typing import Any

from llmrouter.calls import Call
from llmrouter.errors import InvalidRequest
from llmrouter.routing.breaker import BreakerState
from llmrouter.routing.catalog import LONGEST_NAME, Catalogue
from llmrouter.routing.claims import Claim, no_claim
from llmrouter.routing.estimates import FIRST_CHARACTERS_PER_TOKEN, EstimateBook, Expectation
from llmrouter.routing.gates import Gate, Known, refuse
from llmrouter.routing.health import HealthBook
from llmrouter.routing.policies import CallFacts, Candidate, Policy, PolicyFailed, in_cost_order
from llmrouter.routing.policy_table import build_policies
from llmrouter.routing.price_book import PriceBook
from llmrouter.routing.quotas import Ask, QuotaState, QuotaVerdict
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
    """What a call may do: `candidates` in order, `left_out` with reasons, and the policy that ordered them.

    `expectation` is what the call is expected to use. `policy_failure` says why least_cost ordered in the policy's
    place.
    """

    candidates: tuple[Candidate, ...]
    left_out: tuple[LeftOut, ...]
    policy: str
    expectation: Expectation | None = None
    policy_failure: str | None = None

    @property
    def targets(self) -> tuple[Target, ...]:
        """Those that may be tried, in order."""
        return tuple(candidate.target for candidate in self.candidates)

    def to_record(self) -> dict[str, Any]:
        """The plan as plain JSON values, for the decision record.

        `expected_usd` stand in the order of `targets`; `unpriced` are the targets whose price is not known.
        `policy_failure` is there only where the policy failed and least_cost ordered in its place.
        """
        failure = {} if self.policy_failure is None else {"policy_failure": self.policy_failure}
        return {
            "policy": self.policy,
            **failure,
            "targets": [candidate.target.key for candidate in self.candidates],
            "expected_usd": [_rounded(candidate.expected_usd) for candidate in self.candidates],
            "unpriced": [c.target.key for c in self.candidates if c.expected_usd is None],
            "left_out": [{"target": left.target.key, "reason": left.reason} for left in self.left_out],
        }


class Router:
    """Makes plans under one configuration; policies keep whose turn it is as long as the configuration lasts.

    `custom` are the owner's own policies, by the names that the settings give them.
    """

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        health: HealthBook,
        prices: PriceBook,
        estimates: EstimateBook | None = None,
        custom: Mapping[str, Policy] = MappingProxyType({}),
    ) -> None:
        self.catalogue = catalogue
        self.prices = prices
        self.estimates = estimates or EstimateBook()
        self._health = health
        self._default_policy = settings.policy
        self._policies = build_policies(settings.policies, catalogue.targets) | dict(custom)

    def plan(
        self,
        call: Call,
        now: float,
        wall: float,
        claim: Claim | None = None,
        expectation: Expectation | None = None,
    ) -> Plan:
        """The plan of a call at `now` (monotonic seconds), which is `wall` in Unix seconds, under its claim's quotas.

        `expectation` is what the call is expected to use, where that was asked before.
        Raises `InvalidRequest` where the call's headers name an unknown policy or provider.
        """
        claim, expectation = claim or no_claim(), expectation or self.estimates.expect(call, now)
        found = self.catalogue.candidates(call.model)
        policy = self._choose_policy(call, found.route)
        if (pinned := call.preferences.provider) is not None and pinned not in self.catalogue.providers:
            known = ", ".join(sorted(self.catalogue.providers))
            raise InvalidRequest(f"'x-llmrouter-provider' names no provider: {pinned!r}. There are: {known}.")
        fit: list[Candidate] = []
        left_out: list[LeftOut] = []
        for position, target in enumerate(found.targets):
            expected, sheet = expectation.at(target), self.prices.sheet(target)
            cost_usd = None if sheet is None else sheet.estimate_usd(*expected[:3], wall)
            facts = Known(expected, cost_usd, self._health.unsupported(target, now))
            refusal = refuse(target, call, found.route, facts)
            left = self._resting(target, now) if refusal is None else LeftOut(target, *refusal)
            quota = claim.check(target, now)
            left = left or _over_quota(target, quota, now)
            if left is not None:
                left_out.append(left)
            else:
                health = self._health.figures(target, now)
                speed, errors = health.tokens_per_s, health.error_rate
                latency = health.latency_s(is_stream=call.stream)
                fit.append(Candidate(target, position, cost_usd, latency, speed, errors, quota.wait_s))
        ordered, failure = self._in_order(fit, policy, _facts(call, expectation, wall))
        return Plan(ordered, tuple(left_out), policy, expectation, failure)

    def ask(self, expectation: Expectation, target: Target, wall: float) -> Ask:
        """What a call asks of a target's quotas: the tokens that it may come to, and the dollars it is expected to
        cost."""
        expected, sheet = expectation.at(target), self.prices.sheet(target)
        tokens = round(expected.input_tokens + expectation.most_output_tokens)
        return Ask(tokens, None if sheet is None else sheet.estimate_usd(*expected[:3], wall))

    def _choose_policy(self, call: Call, route: RouteSettings | None) -> str:
        name = call.preferences.policy
        if name is None:
            return (route.policy if route else None) or self._default_policy
        if name not in self._policies:
            known = ", ".join(self._policies)
            raise InvalidRequest(f"'x-llmrouter-policy' names no policy: {name!r}. There are: {known}.")
        return name

    def _in_order(
        self, fit: list[Candidate], policy: str, facts: CallFacts
    ) -> tuple[tuple[Candidate, ...], str | None]:
        """The candidates, tier by tier, and why the policy failed, where it did."""
        fit.sort(key=lambda candidate: (candidate.target.priority, candidate.position))
        ordered: list[Candidate] = []
        failure: str | None = None
        for _, tier in groupby(fit, key=lambda candidate: candidate.target.priority):
            candidates = list(tier)
            try:
                ordered += self._policies[policy].order(candidates, facts)
            except PolicyFailed as failed:
                ordered += in_cost_order(candidates)
                failure = failure or str(failed)
        return tuple(ordered), failure

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


def _facts(call: Call, expectation: Expectation, wall: float) -> CallFacts:
    model, given = call.model[:LONGEST_NAME], int(expectation.characters / FIRST_CHARACTERS_PER_TOKEN)
    limit, made = call.max_output_tokens, round(expectation.output_tokens)
    return CallFacts(model, wall, given, made, limit, call.needs, call.stream)


def _rounded(usd: float | None) -> float | None:
    return None if usd is None else float(f"{usd:.3g}")


def _over_quota(target: Target, quota: QuotaVerdict, now: float) -> LeftOut | None:
    if quota.state is QuotaState.NEVER:
        return LeftOut(target, quota.reason, Gate.REQUEST)
    if quota.state is QuotaState.USED_UP:
        return LeftOut(target, quota.reason, returns_at=now + quota.wait_s)
    return None
