"""What a policy has to know of each target, and which ones are left out now.

For hundreds of targets this is what planning costs: a few look-ups for each, no object but the result, and no words.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

from llmrouter.calls import Call, Endpoint
from llmrouter.chat_members import SEVERAL_PROMPTS
from llmrouter.routing.claims import Claim
from llmrouter.routing.estimates import Expectation
from llmrouter.routing.gates import Gate, LeftOut, refuse_dear, refuse_long, refuse_refused
from llmrouter.routing.health import Condition, HealthBook
from llmrouter.routing.policies import Candidate
from llmrouter.routing.price_book import PriceBook
from llmrouter.routing.price_sheets import PriceSheet
from llmrouter.routing.quotas import FREE, Ask, QuotaState, QuotaVerdict
from llmrouter.routing.vitals import NO_BRIEF
from llmrouter.targets import Target

# What a named tuple does after its arguments are sorted out, which takes half of its time.
_new = tuple.__new__
# To look a member of an enumeration up takes as long as all that is done with it.
_USED_UP = QuotaState.USED_UP


class Weighing:
    """Weighs targets for one call at one moment: `now` is monotonic, `wall` Unix seconds."""

    def __init__(self, call: Call, expectation: Expectation, claim: Claim, now: float, wall: float) -> None:
        self._call = call
        self._expectation = expectation
        self._claim = claim
        self._now = now
        self._wall = wall
        # A batch of texts may be longer than any window, which holds for each of them.
        self._has_windows = call.endpoint is not Endpoint.EMBEDDINGS and SEVERAL_PROMPTS not in call.members

    def weigh(
        self, able: Iterable[tuple[int, Target]], health: HealthBook, prices: PriceBook
    ) -> tuple[list[Candidate], list[LeftOut]]:
        """The candidates among targets with their places of declaration, and what is left out."""
        sheet_of, condition_of, input_at = prices.sheets.get, health.conditions.get, self._expectation.input_at
        made, wall, now, is_stream = self._expectation.output_tokens, self._wall, self._now, self._call.stream
        some_rest, quota, cost_usd = health.has_resting_providers(now), FREE, None
        has_limits, is_priced = self._claim.has_limits, self._call.preferences.max_cost_usd is not None
        most, glance = self._expectation.most_output_tokens, self._claim.glance
        fit: list[Candidate] = []
        left_out: list[LeftOut] = []
        for position, target in able:
            key = target.key
            given, cached, least = input_at(key)
            sheet, condition, window = sheet_of(key), condition_of(key), target.context_window
            left = None
            if (
                is_priced
                or (window is not None and least > window)
                or (condition is not None and condition.unsupported)
            ):
                left = self._misfit(target, (given, cached, int(least)), sheet, condition)
            if left is None and (some_rest or (condition is not None and condition.is_disturbed)):
                left = _resting(target, health, condition, now)
            if left is None:
                cost_usd = None if sheet is None else sheet.estimate_usd(given, cached, made, wall)
                if has_limits:
                    most_usd = (
                        cost_usd if most == made or sheet is None else sheet.estimate_usd(given, cached, most, wall)
                    )
                    quota = glance(target, given + most, most_usd, now, wall) or self._claim.check(
                        target, now, ask_of(self._expectation, (given, cached), sheet, wall)
                    )
                    if quota is not FREE:
                        state, wait_s, why = quota
                        out = target, why, None, now + wait_s
                        left = _new(LeftOut, out) if state is _USED_UP else _never(target, quota)
            if left is not None:
                left_out.append(left)
                continue
            latency_s, speed, errors, limited, tries = (
                NO_BRIEF if condition is None else condition.vitals.brief(now, is_stream)
            )
            wait_s = 0.0 if quota is FREE else quota.wait_s
            # One display: to put it together from parts would take as long again.
            values = (
                target, position, cost_usd, latency_s, speed, errors, wait_s, None, None, limited, tries, "",
                given, cached,
            )  # fmt: skip
            fit.append(_new(Candidate, values))
        return fit, left_out

    def _misfit(
        self, target: Target, tokens: tuple[float, float, int], sheet: PriceSheet | None, condition: Condition | None
    ) -> LeftOut | None:
        """Why a target must not or cannot serve this call, whatever the moment."""
        call, expectation, refusal = self._call, self._expectation, None
        given, cached, least = tokens
        if self._has_windows:
            refusal = refuse_long(target, least)
        if refusal is None and (limit_usd := call.preferences.max_cost_usd) is not None:
            # What the client allows is the most that the answer may cost, where it also says how long that may be.
            most = expectation.most_output_tokens
            refusal = refuse_dear(
                limit_usd, None if sheet is None else sheet.estimate_usd(given, cached, most, self._wall)
            )
        if refusal is None and condition is not None and condition.unsupported:
            refusal = refuse_refused(call, condition.unsupported_at(self._now))
        return None if refusal is None else _new(LeftOut, (target, refusal.why, refusal.gate, None))


def ask_of(expectation: Expectation, input_tokens: tuple[float, float], sheet: PriceSheet | None, wall: float) -> Ask:
    """What a call asks of a target's quotas: the most that it may use where the client set a limit, else what it is
    expected to. `input_tokens` are all and the cached ones."""
    (given, cached), most = input_tokens, expectation.most_output_tokens
    tokens = round(given + most)
    usd = None if sheet is None else sheet.estimate_usd(given, cached, most, wall)
    if expectation.is_limited:
        return Ask(tokens, usd)
    sure_usd = None if sheet is None else sheet.estimate_usd(given, cached, 0.0, wall)
    return Ask(tokens, usd, round(given), sure_usd)


_HALF_OPEN = "its breaker is half-open and a probe is under way"


class _Rests(NamedTuple):
    reason: str
    seconds: float

    def __str__(self) -> str:
        until = "until the settings change" if self.seconds == math.inf else f"for {self.seconds:.0f} s more"
        return f"it rests ({self.reason}) {until}"


class _IsOpen(NamedTuple):
    seconds: float

    def __str__(self) -> str:
        return f"its breaker is open for {self.seconds:.0f} s more"


def _resting(target: Target, health: HealthBook, condition: Condition | None, now: float) -> LeftOut | None:
    if (rest := health.resting(target, now)) is not None:
        return LeftOut(target, _Rests(rest.reason, rest.until - now), returns_at=rest.until)
    if condition is None or (wait_s := condition.breaker.opens_again_in(now)) <= 0:
        return None
    why = _HALF_OPEN if condition.breaker.is_half_open else _new(_IsOpen, (wait_s,))
    return _new(LeftOut, (target, why, None, now + wait_s))


def _never(target: Target, quota: QuotaVerdict) -> LeftOut | None:
    return LeftOut(target, quota.why, Gate.REQUEST) if quota.state is QuotaState.NEVER else None
