"""What one call does next: which target to try, how long to wait for it, or which error ends it (design 6.2).

The ladder, from the top each time a step is asked for:

1. The plan's targets in order, less those that began to rest meanwhile, those whose window is no larger than one that
   was too small, and all but one after a provider refused the request as such.
2. Nothing was tried because all rest: the one that returns first, if the deadline allows the wait, and
   `max_wait_seconds` is not 0.
3. Something was tried: a target that failed in passing or asked for a short rest is tried again after it.
4. Once in a call, a resting target as a last resort.
   Steps 2 to 4 are for a request that nobody refused, and for a prompt that was too long only where the window is known
   to be larger: else the client would wait for the same answer.
5. The end: the first refusal as the provider worded it, else that nobody could answer, and when to ask again.
"""

import math
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field

from llmrouter.brands.members import DISPENSABLE
from llmrouter.calls import Call
from llmrouter.errors import AttemptFailed, NoAnswer, NoTarget, Outcome, RelayedError, RouterError
from llmrouter.routing.claims import Claim, no_claim
from llmrouter.routing.consequences import CONSEQUENCES, Next
from llmrouter.routing.gates import Gate
from llmrouter.routing.health import HealthBook
from llmrouter.routing.plan import Plan
from llmrouter.routing.policies import Candidate
from llmrouter.routing.quotas import QuotaState
from llmrouter.settings.model import RetrySettings
from llmrouter.targets import Target

_FIRST_BACKOFF_S = 0.25
_SHORTEST_WAIT_S = 0.001
_MOST_FREE = 3
_REQUEST_FAULTS = (Outcome.REFUSED, Outcome.CONTEXT_EXCEEDED)


@dataclass(frozen=True, slots=True)
class Step:
    """Try `target`, or wait `wait_s` seconds for it and ask again; a last resort is tried although it rests.

    Whoever waits looks earlier when the claim is woken.
    """

    target: Target
    wait_s: float = 0.0
    is_last_resort: bool = False


@dataclass(slots=True)
class Course:
    """One call's way through its plan; asked for the next step after each failure."""

    call: Call
    plan: Plan
    health: HealthBook
    retry: RetrySettings
    deadline: float
    claim: Claim = field(default_factory=no_claim)
    failures: list[tuple[Target, AttemptFailed]] = field(default_factory=list)
    _queue: deque[Target] = field(init=False)
    _resting: list[Target] = field(init=False)
    _candidates: dict[str, Candidate] = field(init=False)
    _tried_last_resort: bool = False
    _hedged_off: int = 0

    def __post_init__(self) -> None:
        self._queue = deque(self.plan.targets)
        self._resting = [left.target for left in self.plan.left_out if left.returns_at is not None]
        self._candidates = {candidate.target.key: candidate for candidate in self.plan.candidates}

    def next(self, now: float) -> Step | None:
        """The next step, or None where the call has to end with `error`."""
        if self._spent() >= self.retry.max_attempts or now >= self.deadline or self._is_refused():
            return None
        while self._queue:
            target = self._queue.popleft()
            if self._is_too_small(target):
                continue
            if (step := self._go_or_stand_in_line(target, now)) is not None:
                return step
            self._resting.append(target)
        return self._wait_for_soonest(now) or self._last_resort(now)

    def beside(self, first: Target, now: float, *, may_be_paid: bool) -> Target | None:
        """Another target that can be asked at once, while the first one is waited for.

        `may_be_paid` is for one that costs something where the first one is free, or where nobody knows what it costs.
        """
        if self._spent() + 2 > self.retry.max_attempts or now >= self.deadline:
            return None
        for target in self._queue:
            is_wanted = may_be_paid or not self._costs_more_than_known(target, first)
            if not is_wanted or self._is_over_limit(target) or self._is_too_small(target):
                continue
            if self._has_room(target, now) and self.health.breaker(target).try_acquire(now):
                self._queue.remove(target)
                return target
        return None

    def hedged_off(self, target: Target) -> None:
        """Another target was faster. It counts as an attempt, and may be asked again when there is nobody else."""
        self._hedged_off += 1
        self._queue.append(target)

    def _costs_more_than_known(self, target: Target, first: Target) -> bool:
        first_usd, usd = self._expected_usd(first), self._expected_usd(target)
        if usd is None:
            return first_usd is not None
        return first_usd == 0 and usd > 0

    def _is_over_limit(self, target: Target) -> bool:
        """Whether the client said what the call may cost, and the plan has spent that on the first one."""
        return self.call.preferences.max_cost_usd is not None and self._expected_usd(target) != 0

    def _expected_usd(self, target: Target) -> float | None:
        candidate = self._candidates.get(target.key)
        return None if candidate is None else candidate.expected_usd

    def waited(self, target: Target) -> None:
        """The wait for a target is over: it is the next to be looked at."""
        self._resting = [other for other in self._resting if other is not target]
        self._queue.appendleft(target)

    def _go_or_stand_in_line(self, target: Target, now: float) -> Step | None:
        """A step to a target that is healthy, now or as soon as its quota allows; None where something else is better.

        Quota comes before the breaker, whose probe must not be taken by a request that then waits.
        """
        if self.health.resting(target, now) is None and self.health.breaker(target).opens_again_in(now) <= 0:
            quota = self.claim.check(target, now)
            if quota.state is QuotaState.FREE:
                return Step(target) if self.health.breaker(target).try_acquire(now) else None
            if self._is_as_good_elsewhere(target, quota.wait_s, now):
                self.claim.leave_line()
                return None
            if (wait_s := self.claim.wait_s(target, now)) is not None and now + wait_s < self.deadline:
                return Step(target, wait_s)
        self.claim.leave_line()
        return None

    def _is_as_good_elsewhere(self, target: Target, wait_s: float, now: float) -> bool:
        """Whether waiting for a target gains nothing: another one has room now, and is no worse by what counts.

        That is the time to the first content under least_latency, else the cost; under quality the quality, too. What
        is not known is the worst.
        """
        waited = self._candidates.get(target.key)
        if waited is None:
            return False
        return any(
            self._is_no_worse(self._candidates[other.key], waited, wait_s) and self._has_room(other, now)
            for other in self._queue
        )

    def _is_no_worse(self, other: Candidate, waited: Candidate, wait_s: float) -> bool:
        if self.plan.policy == "least_latency":
            return _or_worst(other.first_content_s) <= _or_worst(waited.first_content_s) + wait_s
        if self.plan.policy == "quality" and (other.target.quality or 0.0) < (waited.target.quality or 0.0):
            return False
        return _or_worst(other.expected_usd) <= _or_worst(waited.expected_usd)

    def _has_room(self, target: Target, now: float) -> bool:
        if self.health.resting(target, now) is not None or self.health.breaker(target).opens_again_in(now) > 0:
            return False
        return self.claim.check(target, now).state is QuotaState.FREE

    def _available_at(self, target: Target, now: float) -> float:
        quota = self.claim.check(target, now)
        return max(self.health.available_at(target, now), now + quota.wait_s)

    def failed(self, target: Target, failure: AttemptFailed) -> None:
        """Takes note of an attempt that failed before anything was sent to the client."""
        self.failures.append((target, failure))
        if failure.outcome is Outcome.UNSUPPORTED and self._can_do_without(target, failure.member):
            self._queue.appendleft(target)

    def error(self, now: float) -> RouterError:
        """What the client is told when no step is left."""
        for _, failure in self.failures:
            if failure.outcome in (*_REQUEST_FAULTS, Outcome.UNSUPPORTED) and failure.error is not None:
                # SDKs would ask again after a 5xx, by which some servers refuse, too.
                is_own = failure.outcome is not Outcome.CONTEXT_EXCEEDED and 400 <= (failure.status or 0) < 500
                return RelayedError(failure.status if is_own and failure.status else 400, failure.error)
        if self.failures and all(failure.outcome is Outcome.NOT_TRANSLATABLE for _, failure in self.failures):
            story = "; ".join(f"{target.key}: {failure.message}" for target, failure in self.failures)
            return RelayedError(400, {"message": f"No provider can be asked this. {story}"})
        if not (known := self._known()):
            return self._nothing_may_answer()
        if self.failures and (own := self._callers_own_fault()) is not None:
            return own
        returns = min(self._available_at(target, now) for target in known)
        wait = returns - now if now < returns < math.inf else None
        limited = [failure.outcome is Outcome.RATE_LIMITED for _, failure in self.failures]
        if not limited:
            limited = [self.claim.check(target, now).state is not QuotaState.FREE for target in known]
        story = "; ".join(f"{target.key}: {failure.message}" for target, failure in self.failures)
        resting = "; ".join(
            f"{left.target.key}: {left.reason}" for left in self.plan.left_out if left.returns_at is not None
        )
        text = f"No provider could answer for the model '{self.call.model}'. {story or resting}"
        return NoAnswer(text, retry_after_s=wait, rate_limited=bool(limited) and all(limited))

    def _is_refused(self) -> bool:
        answered = [failure for _, failure in self.failures if not self._is_free(failure)]
        refusals = sum(CONSEQUENCES[failure.outcome].next is Next.ONE_OTHER for failure in answered)
        return refusals >= 2 or (refusals == 1 and CONSEQUENCES[answered[-1].outcome].next is not Next.ONE_OTHER)

    def _spent(self) -> int:
        """Attempts that count; repetitions that are said in another way are free, but not without end."""
        sent = [failure for _, failure in self.failures if failure.outcome is not Outcome.NOT_TRANSLATABLE]
        free = sum(map(self._is_free, sent))
        return len(sent) - min(free, _MOST_FREE) + self._hedged_off

    @staticmethod
    def _is_free(failure: AttemptFailed) -> bool:
        """Whether it was never sent, or its target only wants it said in another way."""
        if failure.outcome is Outcome.NOT_TRANSLATABLE:
            return True
        return failure.outcome is Outcome.UNSUPPORTED and failure.member in DISPENSABLE

    def _can_do_without(self, target: Target, member: str | None) -> bool:
        """Whether the target is worth asking again without a member, which it has not refused before in this call."""
        refused = [f.member for tried, f in self.failures if tried is target and f.member is not None]
        return member in DISPENSABLE and refused.count(member) == 1

    def _callers_own_fault(self) -> RelayedError | None:
        """OpenAI's answer to a key of the app that is wrong or has no credit: the app must see it as it is."""
        target, failure = self.failures[-1]
        faults = (Outcome.UNAUTHORIZED, Outcome.OUT_OF_CREDIT)
        if not target.uses_caller_key or failure.outcome not in faults or failure.status is None:
            return None
        return RelayedError(failure.status, failure.error or {"message": failure.message})

    def _is_too_small(self, target: Target) -> bool:
        if target.context_window is None:
            return False
        overflowed = (t for t, failure in self.failures if failure.outcome is Outcome.CONTEXT_EXCEEDED)
        return any(t.context_window is not None and target.context_window <= t.context_window for t in overflowed)

    def _is_worth_waiting_for(self, target: Target) -> bool:
        return all(
            failure.outcome not in _REQUEST_FAULTS
            or (failure.outcome is Outcome.CONTEXT_EXCEEDED and _is_larger(target, tried))
            for tried, failure in self.failures
        )

    def _wait_for_soonest(self, now: float) -> Step | None:
        # Who wants to wait for nothing does not wait where nothing was tried, either.
        limit_s = self.retry.max_wait_seconds if self.failures or not self.retry.max_wait_seconds else math.inf
        options = [(max(self._available_at(target, now), now), target) for target in self._resting]
        for target, failure in dict(self.failures).items():
            if CONSEQUENCES[failure.outcome].retry_same:
                tries = sum(tried is target for tried, _ in self.failures)
                backoff_s = _FIRST_BACKOFF_S * 2 ** (tries - 1)
                options.append((max(self._available_at(target, now), now + backoff_s), target))
            elif failure.outcome is Outcome.RATE_LIMITED:
                options.append((self._available_at(target, now), target))
        for at, target in sorted(options, key=lambda option: option[0]):
            if at - now <= limit_s and at < self.deadline and self._is_worth_waiting_for(target):
                if self._has_no_place(target, now):
                    continue
                return Step(target, max(at - now, _SHORTEST_WAIT_S))
        return None

    def _has_no_place(self, target: Target, now: float) -> bool:
        """Whether the target's quota is used up for longer than its limits say that anybody may wait in line."""
        return self.claim.check(target, now).state is not QuotaState.FREE and self.claim.wait_s(target, now) is None

    def _last_resort(self, now: float) -> Step | None:
        tried = {target.key for target, _ in self.failures}
        options = [t for t in self._resting if t.key not in tried and self._is_worth_waiting_for(t)]
        options = [t for t in options if self.claim.check(t, now).state is QuotaState.FREE]
        if self._tried_last_resort or not options:
            return None
        self._tried_last_resort = True
        return Step(min(options, key=lambda target: self.health.available_at(target, now)), is_last_resort=True)

    def _known(self) -> Collection[Target]:
        """All that may answer, now or later."""
        tried = (target for target, _ in self.failures)
        return {target.key: target for target in [*self._queue, *self._resting, *tried]}.values()

    def _nothing_may_answer(self) -> RouterError:
        reasons = "; ".join(f"{left.target.key}: {left.reason}" for left in self.plan.left_out)
        gates = {left.gate for left in self.plan.left_out}
        if gates and gates <= {Gate.WINDOW, Gate.REQUEST}:
            code = "context_length_exceeded" if Gate.WINDOW in gates else None
            message = f"No target for the model '{self.call.model}' can do what this request asks. {reasons}"
            return RelayedError(400, {"message": message, "param": "messages" if code else None, "code": code})
        if reasons:
            return NoTarget(
                f"Nothing may answer this request for the model '{self.call.model}'. {reasons}", param="model"
            )
        return NoTarget(
            f"No configured target serves the model '{self.call.model}'. Add it to `serves` or `routes`.", param="model"
        )


def _or_worst(value: float | None) -> float:
    return math.inf if value is None else value


def _is_larger(target: Target, other: Target) -> bool:
    """Whether a target's window is known to be larger than another's."""
    if target.context_window is None or other.context_window is None:
        return False
    return target.context_window > other.context_window
