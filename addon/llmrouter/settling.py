"""What an attempt came to: told to the books of health and quotas, priced, and written into the call's record."""

from llmrouter.call_record import CallRecord
from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.failures import redact
from llmrouter.replies import Usage
from llmrouter.routing.claims import Claim
from llmrouter.routing.estimates import Expectation
from llmrouter.routing.health import HealthBook
from llmrouter.routing.plan import Router
from llmrouter.routing.vitals import Answered
from llmrouter.targets import Target
from llmrouter.telemetry.decisions import AttemptRecord
from llmrouter.transports import Attempt

# A value of `extra_headers` may be a key; shorter ones are words such as an app's name.
_SHORTEST_SECRET = 12
# What nobody waits for any more; and what is paid for, whether its usage is known or not.
_PAID_FOR = frozenset(
    {Outcome.SUCCESS, Outcome.BROKEN_STREAM, Outcome.OUT_OF_TIME, Outcome.CLIENT_GONE, Outcome.HEDGED_OFF}
)
_CUT_OFF = frozenset({Outcome.BROKEN_STREAM, Outcome.OUT_OF_TIME, Outcome.CLIENT_GONE, Outcome.HEDGED_OFF})
_TOLD = "told by the provider"


class Settling:
    """Settles the attempts of one call."""

    def __init__(
        self, record: CallRecord, router: Router, health: HealthBook, claim: Claim, expectation: Expectation
    ) -> None:
        self._record = record
        self._call = record.call
        self._now = record.now
        self._router = router
        self._health = health
        self._claim = claim
        self._expectation = expectation
        self._wall = record.decision.at

    def ended(
        self, attempt: Attempt, failure: AttemptFailed | None, usage: Usage | None = None, made: int | None = None
    ) -> None:
        """Settles the attempt; `made` is about how many tokens had passed when it was cut off."""
        now = self._now()
        self._health.under_way.end(attempt.target.key, attempt)
        outcome = Outcome.SUCCESS if failure is None else failure.outcome
        if attempt.first_content_s is None:
            # A refusal for a limit says itself how long to wait.
            self._hear(attempt, now, may_rest=outcome is not Outcome.RATE_LIMITED)
        record = AttemptRecord(attempt.target.key, outcome, now - attempt.started, attempt.first_content_s)
        record.changes, record.began_s = attempt.changes, attempt.started - self._record.started
        self._book(attempt, failure, record, usage, made)
        if (headroom := attempt.headroom) is not None:
            record.requests_left, record.tokens_left = headroom.requests_left, headroom.tokens_left
        if failure is not None:
            self._tell(attempt, failure, record)
        self._record.decision.attempts.append(record)
        wait_s = None if failure is None else failure.retry_after_s
        answered = None
        if failure is None and attempt.first_content_s is not None:
            tokens = None if usage is None else usage.output_tokens
            answered = Answered(attempt.first_content_s, now - attempt.started, tokens, self._call.stream)
        self._health.record(attempt.target, outcome, wait_s, answered, now, attempt.started)

    def _book(
        self,
        attempt: Attempt,
        failure: AttemptFailed | None,
        record: AttemptRecord,
        usage: Usage | None,
        made: int | None,
    ) -> None:
        """What the attempt used and cost, whether the client gets the answer or not; a guess is booked, not told."""
        target, outcome = attempt.target, Outcome(record.outcome)
        usage = usage or attempt.usage or (None if failure is None else failure.usage)
        sheet = self._router.prices.sheet(target)
        record.usage, record.cost_usd = usage, self.cost_usd(target, usage)
        is_answer = outcome in _PAID_FOR or (failure is not None and failure.is_answer)
        if record.cost_usd is None and is_answer and sheet is not None and sheet.is_free:
            record.cost_usd = 0.0
        if record.cost_usd is not None:
            is_told = usage is not None and usage.cost_usd is not None
            record.cost_source = _TOLD if is_told or sheet is None else sheet.source
        record.is_unpriced = record.cost_usd is None and (is_answer or usage is not None)
        if usage is None and outcome in _CUT_OFF:
            given = self._expectation.at(target).input_tokens
            record.guessed_usage = Usage(round(given), self._guessed_output() if made is None else made)
        booked = usage or record.guessed_usage
        self._claim.end(outcome, booked, self.cost_usd(target, booked), self._now())

    def _guessed_output(self) -> int:
        """Of an answer that was cut off before any of it came: none of a stream, the usual one as a whole."""
        return 0 if self._call.stream else round(self._expectation.output_tokens)

    def _tell(self, attempt: Attempt, failure: AttemptFailed, record: AttemptRecord) -> None:
        """Why it failed, without secrets; and what the target does not take is remembered."""
        if failure.member is not None:
            self._health.learn_unsupported(attempt.target, failure.member, self._now())
        failure.message = self.safe(attempt, failure.message)
        if failure.error is not None:
            error = failure.error.items()
            failure.error = {k: self.safe(attempt, v) if isinstance(v, str) else v for k, v in error}
        record.status, record.message = failure.status, failure.message

    def safe(self, attempt: Attempt, text: str) -> str:
        secrets = (attempt.target.credential, self._call.caller.authorization)
        values = [secret.get_secret_value() for secret in secrets if secret is not None]
        values += (value for value in attempt.target.extra_headers.values() if len(value) >= _SHORTEST_SECRET)
        return redact(text, [*values, *(value.removeprefix("Bearer ") for value in values)])

    def note_content(self, attempt: Attempt) -> None:
        """The attempt succeeds; what its headers say of limits holds from now on, and not only at a stream's end."""
        now = self._now()
        attempt.first_content_s = now - attempt.started
        self._hear(attempt, now)

    def _hear(self, attempt: Attempt, now: float, *, may_rest: bool = True) -> None:
        """What the provider says is left corrects our own counts, and a target of which nothing is left rests, whether
        it has limits or not; before the attempt ends, once."""
        if (left := attempt.headroom) is not None:
            if may_rest:
                self._health.note_headroom(attempt.target, left.returns_in_s, now)
            self._claim.hear(left.requests_left, left.tokens_left, left.returns_in_s, now)

    def cost_usd(self, target: Target, usage: Usage | None) -> float | None:
        """What the provider says that it charges, else what its prices come to."""
        if usage is None or usage.cost_usd is not None:
            return None if usage is None else usage.cost_usd
        sheet = self._router.prices.sheet(target)
        return None if sheet is None else sheet.cost_usd(usage, self._wall)

    def learn(self, target: Target, usage: Usage | None) -> None:
        """An answer that came to its end tells what calls like this one use."""
        if usage is not None:
            self._router.estimates.learn(target, self._call, usage, self._now())
