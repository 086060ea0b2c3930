"""What the router did since its start, added up: for the status page and for the figures that are measured."""

from collections import Counter, deque
from dataclasses import dataclass, field

from llmrouter.errors import Outcome
from llmrouter.telemetry.decisions import AttemptRecord, Decision

# Enough for the 95th percentile of what is usual now, and soon past what was usual before.
_KEPT_TIMES = 200
_NO_FAULT = frozenset({Outcome.SUCCESS, Outcome.CLIENT_GONE, Outcome.HEDGED_OFF, Outcome.NOT_TRANSLATABLE})


@dataclass(slots=True)
class TargetTotals:
    """What one target did; `first_content_s` are the latest times to a first content, in seconds, `failures` what its
    failed attempts came to."""

    answered: int = 0
    attempts: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    saved_usd: float = 0.0
    first_content_s: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT_TIMES))

    @property
    def failed_attempts(self) -> int:
        """Attempts whose outcome speaks against the target."""
        return self.failures.total()


@dataclass(slots=True)
class Totals:
    """An observer that adds up: `outcomes` are those of attempts, `failures` the statuses of calls that failed,
    `kinds` why calls were not answered to their end, in one word each.

    Money is what is known: `unpriced` calls were paid for, and nobody knows how much.
    """

    requests: int = 0
    results: Counter[str] = field(default_factory=Counter)
    endpoints: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: Counter[int] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    cache: Counter[str] = field(default_factory=Counter)
    cost_usd: float = 0.0
    saved_usd: float = 0.0
    unpriced: int = 0
    targets: dict[str, TargetTotals] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """Calls that got no answer, or a part of one; not those whose client left."""
        return self.results["failed"] + self.results["broken"]

    def __call__(self, decision: Decision) -> None:
        """Takes a decision."""
        self.requests += 1
        self.results[decision.result] += 1
        self.endpoints[decision.endpoint] += 1
        self.cache[decision.cache] += 1
        if decision.result == "failed" and decision.status is not None:
            self.failures[decision.status] += 1
        if decision.result != "answered":
            self.kinds[decision.error_kind or decision.result] += 1
        self.cost_usd += decision.known_cost_usd
        self.unpriced += any(attempt.is_unpriced for attempt in decision.attempts)
        for attempt in decision.attempts:
            self._add_attempt(attempt)
        self._add_answer(decision)

    def _add_attempt(self, attempt: AttemptRecord) -> None:
        of_target = self._of(attempt.target)
        of_target.attempts += 1
        self.outcomes[attempt.outcome] += 1
        if attempt.outcome not in _NO_FAULT:
            of_target.failures[attempt.outcome] += 1
        of_target.cost_usd += attempt.cost_usd or 0.0
        if attempt.first_content_s is not None:
            of_target.first_content_s.append(attempt.first_content_s)
        if (usage := attempt.usage) is not None:
            of_target.input_tokens += usage.input_tokens
            of_target.output_tokens += usage.output_tokens

    def _add_answer(self, decision: Decision) -> None:
        saved = decision.saved_usd or 0.0
        self.saved_usd += saved
        if decision.answered_by is not None:
            of_target = self._of(decision.answered_by)
            of_target.answered += decision.result == "answered"
            of_target.saved_usd += saved

    def _of(self, key: str) -> TargetTotals:
        found = self.targets.get(key)
        if found is None:
            found = self.targets[key] = TargetTotals()
        return found
