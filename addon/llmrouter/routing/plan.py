"""The plan of a call: which targets to try in which order, and why each other one was left out."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from types import MappingProxyType
from typing import Any

from llmrouter.calls import Call, Endpoint
from llmrouter.chat_members import SEVERAL_PROMPTS
from llmrouter.errors import InvalidRequest
from llmrouter.routing.breaker import BreakerState
from llmrouter.routing.catalog import LONGEST_NAME, Catalogue
from llmrouter.routing.claims import Claim, no_claim
from llmrouter.routing.estimates import FIRST_CHARACTERS_PER_TOKEN, EstimateBook, Expectation
from llmrouter.routing.gates import Gate, LeftOut, refuse_dear, refuse_long, refuse_refused
from llmrouter.routing.health import HealthBook
from llmrouter.routing.policies import CallFacts, Candidate, Policy, PolicyFailed, in_cost_order
from llmrouter.routing.policy_table import build_policies
from llmrouter.routing.price_book import PriceBook
from llmrouter.routing.quotas import FREE, Ask, QuotaState, QuotaVerdict
from llmrouter.routing.shortlist import Shortlist, Shortlists
from llmrouter.routing.vitals import UNKNOWN
from llmrouter.settings.model import RouteSettings, Settings
from llmrouter.targets import Target

# What `Candidate(...)` does after its arguments are sorted out, which takes half of its time.
_candidate: Callable[[tuple[Any, ...]], Candidate] = partial(tuple.__new__, Candidate)


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
        self._shortlists = Shortlists(catalogue)
        self._default_policy = settings.policy
        self._custom = frozenset(custom)
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
        shortlist, policy = self._shortlist(call)
        fit, left_out = self._weigh(shortlist.able, call, claim, expectation, (now, wall))
        if policy in self._custom:
            left = (claim.left(candidate.target, now) for candidate in fit)
            fit = [one._replace(requests_left=n, tokens_left=t) for one, (n, t) in zip(fit, left, strict=True)]
        ordered, failure = self._in_order(fit, policy, _facts(call, expectation, wall))
        return Plan(ordered, (*shortlist.left_out, *left_out), policy, expectation, failure)

    def acceptable(self, call: Call) -> tuple[Mapping[str, Target], str]:
        """The targets by key whose answers a call accepts, resting or not, best tier first; and its policy.

        Raises `InvalidRequest` as `plan` does.
        """
        shortlist, policy = self._shortlist(call)
        return shortlist.by_key, policy

    def _shortlist(self, call: Call) -> tuple[Shortlist, str]:
        if (pinned := call.preferences.provider) is not None and pinned not in self.catalogue.providers:
            known = ", ".join(sorted(self.catalogue.providers))
            raise InvalidRequest(f"'x-llmrouter-provider' names no provider: {pinned!r}. There are: {known}.")
        shortlist = self._shortlists.of(call)
        return shortlist, self._choose_policy(call, shortlist.route)

    def ask(self, expectation: Expectation, target: Target, wall: float) -> Ask:
        """What a call asks of a target's quotas: the most that it may use where the client set a limit, else what it is
        expected to."""
        given, cached, _, _ = expectation.tokens_at(target)
        most, sheet = expectation.most_output_tokens, self.prices.sheet(target)
        tokens = round(given + most)
        usd = None if sheet is None else sheet.estimate_usd(given, cached, most, wall)
        if expectation.is_limited:
            return Ask(tokens, usd)
        sure_usd = None if sheet is None else sheet.estimate_usd(given, cached, 0.0, wall)
        return Ask(tokens, usd, round(given), sure_usd)

    def _choose_policy(self, call: Call, route: RouteSettings | None) -> str:
        name = call.preferences.policy
        if name is None:
            return (route.policy if route else None) or self._default_policy
        if name not in self._policies:
            known = ", ".join(self._policies)
            raise InvalidRequest(f"'x-llmrouter-policy' names no policy: {name!r}. There are: {known}.")
        return name

    def _weigh(
        self,
        able: Iterable[tuple[int, Target]],
        call: Call,
        claim: Claim,
        expectation: Expectation,
        moment: tuple[float, float],
    ) -> tuple[list[Candidate], list[LeftOut]]:
        """What a policy has to know of each target, and which ones are left out now.

        For hundreds of targets this is what planning costs: one look-up in each book, and no object but the result.
        """
        health, sheet_of, tokens_at, check = self._health, self.prices.sheet, expectation.tokens_at, claim.check
        (now, wall), is_stream, limit_usd = moment, call.stream, call.preferences.max_cost_usd
        some_rest = health.has_resting_providers(now)
        has_limits = claim.has_limits
        # A batch of texts may be longer than any window, which holds for each of them.
        is_one = call.endpoint is not Endpoint.EMBEDDINGS and SEVERAL_PROMPTS not in call.members
        most_made = expectation.most_output_tokens
        fit: list[Candidate] = []
        left_out: list[LeftOut] = []
        for position, target in able:
            given, cached, made, least = tokens_at(target)
            sheet, condition = sheet_of(target), health.condition(target)
            cost_usd = None if sheet is None else sheet.estimate_usd(given, cached, made, wall)
            left = None
            if is_one and target.context_window is not None and least > target.context_window:
                left = refuse_long(target, least)
            elif limit_usd is not None:
                # What the client allows is the most that the answer may cost, where it also says how long that may be.
                most_usd = None if sheet is None else sheet.estimate_usd(given, cached, most_made, wall)
                left = refuse_dear(limit_usd, most_usd)
            if left is None and condition is not None and condition.unsupported:
                left = refuse_refused(call, health.unsupported(target, now))
            if left is not None:
                left_out.append(LeftOut(target, *left))
                continue
            quota = check(target, now) if has_limits else FREE
            if some_rest or quota is not FREE or (condition is not None and condition.is_disturbed):
                reason = _resting(health, target, now) or _over_quota(target, quota, now)
                if reason is not None:
                    left_out.append(reason)
                    continue
            first_s, whole_s, speed, errors, _ = UNKNOWN if condition is None else condition.vitals.figures(now)
            first, second = (first_s, whole_s) if is_stream else (whole_s, first_s)
            latency_s = second if first is None else first
            fit.append(_candidate((target, position, cost_usd, latency_s, speed, errors, quota.wait_s, None, None)))
        return fit, left_out

    def _in_order(
        self, fit: list[Candidate], policy: str, facts: CallFacts
    ) -> tuple[tuple[Candidate, ...], str | None]:
        """The candidates, which come tier by tier, and why the policy failed, where it did."""
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


def _resting(health: HealthBook, target: Target, now: float) -> LeftOut | None:
    rest = health.resting(target, now)
    if rest is not None:
        until = "until the settings change" if rest.until == math.inf else f"for {rest.until - now:.0f} s more"
        return LeftOut(target, f"it rests ({rest.reason}) {until}", returns_at=rest.until)
    breaker = health.breaker(target)
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
        return LeftOut(target, quota.why, Gate.REQUEST)
    if quota.state is QuotaState.USED_UP:
        return LeftOut(target, quota.why, returns_at=now + quota.wait_s)
    return None
