"""The plan of a call: which targets to try in which order, and why each other one was left out."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from llmrouter.calls import Call
from llmrouter.errors import InvalidRequest
from llmrouter.routing.catalog import LONGEST_NAME, Catalogue
from llmrouter.routing.claims import Claim, no_claim
from llmrouter.routing.estimates import FIRST_CHARACTERS_PER_TOKEN, EstimateBook, Expectation
from llmrouter.routing.gates import LeftOut
from llmrouter.routing.health import HealthBook
from llmrouter.routing.policies import CallFacts, Candidate, Policy, PolicyFailed, in_cost_order
from llmrouter.routing.policy_table import build_policies
from llmrouter.routing.price_book import PriceBook
from llmrouter.routing.quotas import Ask
from llmrouter.routing.shortlist import Shortlist, Shortlists
from llmrouter.routing.weighing import Weighing, ask_of
from llmrouter.settings.model import RouteSettings, Settings
from llmrouter.targets import Target


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

        `candidates` tell what was known of each of the `targets` when the plan was made; `unpriced` are those whose
        price is not known. `output_tokens` is the expected length of the answer. `notes` are what the policy says of
        candidates, by their keys, where it says anything; `policy_failure` is there only where the policy failed and
        least_cost ordered in its place, and `guessed_media_tokens` where pictures, sound or files are part of the
        estimates.
        """
        notes = {candidate.target.key: candidate.note for candidate in self.candidates if candidate.note}
        failure = {} if self.policy_failure is None else {"policy_failure": self.policy_failure}
        return {
            "policy": self.policy,
            **failure,
            **self._media(),
            "output_tokens": None if self.expectation is None else round(self.expectation.output_tokens),
            **({"notes": notes} if notes else {}),
            "targets": [candidate.target.key for candidate in self.candidates],
            "candidates": [candidate.to_record() for candidate in self.candidates],
            "unpriced": [c.target.key for c in self.candidates if c.expected_usd is None],
            "left_out": [{"target": left.target.key, "reason": left.reason} for left in self.left_out],
        }

    def _media(self) -> dict[str, int]:
        media = None if self.expectation is None else self.expectation.media
        return {} if media is None else {"guessed_media_tokens": media.guess}


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
        fit, left_out = Weighing(call, expectation, claim, now, wall).weigh(shortlist.able, self._health, self.prices)
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
        """What a call asks of a target's quotas, at `wall` (Unix seconds)."""
        return ask_of(expectation, expectation.input_at(target.key)[:2], self.prices.sheet(target), wall)

    def _choose_policy(self, call: Call, route: RouteSettings | None) -> str:
        name = call.preferences.policy
        if name is None:
            return (route.policy if route else None) or self._default_policy
        if name not in self._policies:
            # Whoever asks need not know where the owner keeps files.
            known = ", ".join(policy for policy in self._policies if policy not in self._custom)
            own = ", and classes of the owner's own" if self._custom else ""
            raise InvalidRequest(f"'x-llmrouter-policy' names no policy: {name!r}. There are: {known}{own}.")
        return name

    def _in_order(
        self, fit: list[Candidate], policy: str, facts: CallFacts
    ) -> tuple[tuple[Candidate, ...], str | None]:
        """The candidates, which come tier by tier, and why the policy failed, where it did."""
        ordered: list[Candidate] = []
        failure: str | None = None
        for candidates in _tiers(fit):
            try:
                ordered += self._policies[policy].order(candidates, facts)
            except PolicyFailed as failed:
                ordered += in_cost_order(candidates)
                failure = failure or str(failed)
        return tuple(ordered), failure


def _tiers(fit: list[Candidate]) -> Iterator[list[Candidate]]:
    """The candidates of each priority, lowest first, as they stand."""
    priorities = [candidate.target.priority for candidate in fit]
    begins = 0
    while begins < len(fit):
        ends = bisect_right(priorities, priorities[begins], begins)
        yield fit[begins:ends]
        begins = ends


def _facts(call: Call, expectation: Expectation, wall: float) -> CallFacts:
    model, media = call.model[:LONGEST_NAME], 0 if expectation.media is None else expectation.media.guess
    given = int(expectation.characters / FIRST_CHARACTERS_PER_TOKEN) + media
    limit, made = call.max_output_tokens, round(expectation.output_tokens)
    return CallFacts(model, wall, given, made, limit, call.needs, call.stream)
