"""A call answered by a provider: the plan, attempts one after another, and the reply as it comes."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Protocol

from llmrouter.call_record import Answer, CallRecord
from llmrouter.errors import AttemptFailed, Outcome, StreamBroken
from llmrouter.passed_text import PassedText
from llmrouter.providers.failures import redact
from llmrouter.replies import Chunk, Reply, Usage
from llmrouter.routing.claims import Claim
from llmrouter.routing.course import Course, Step
from llmrouter.routing.health import HealthBook
from llmrouter.routing.plan import Router
from llmrouter.routing.quotas import Ask, QuotaBook
from llmrouter.routing.vitals import Answered
from llmrouter.settings.model import RetrySettings
from llmrouter.targets import Target
from llmrouter.telemetry.decisions import AttemptRecord
from llmrouter.transports import Attempt, Transport

logger = logging.getLogger(__name__)

# A value of `extra_headers` may be a key; shorter ones are words such as an app's name.
_SHORTEST_SECRET = 12
# What is paid for, whether its usage is known or not; and what of it nobody waits for any more.
_PAID_FOR = frozenset({Outcome.SUCCESS, Outcome.BROKEN_STREAM, Outcome.CLIENT_GONE})
_CUT_OFF = frozenset({Outcome.BROKEN_STREAM, Outcome.CLIENT_GONE})
_TOLD = "told by the provider"


@dataclass(frozen=True, slots=True)
class Providers:
    """What a call needs to be answered by providers, as it is in force when the call comes."""

    router: Router
    retry: RetrySettings
    health: HealthBook
    quotas: QuotaBook
    transports: Mapping[str, Transport]


class Listener(Protocol):
    """Hears the answer that the client gets, while it passes."""

    def passed(self, chunks: Sequence[Chunk]) -> None:
        """The next chunks of a stream."""
        ...

    def ended(self, target: Target, reply: Reply | None, cost_usd: float | None) -> None:
        """The answer has come to its real end; `reply` is all of it, where it is no stream."""
        ...


class _Nobody:
    """Hears nothing."""

    def passed(self, chunks: Sequence[Chunk]) -> None:
        """Nothing to do."""

    def ended(self, target: Target, reply: Reply | None, cost_usd: float | None) -> None:
        """Nothing to do."""


_NOBODY = _Nobody()


class Answering:
    """One call under way at the providers; a `listener` hears what is answered."""

    def __init__(self, providers: Providers, record: CallRecord, listener: Listener = _NOBODY) -> None:
        self.record = record
        self._listener = listener
        self.call = record.call
        self._now = record.now
        self._health = providers.health
        self._router = providers.router
        self._retry = providers.retry
        self._transports = providers.transports
        self._began, self._wall = record.started, record.decision.at
        self._expectation = self._router.estimates.expect(self.call, self._began)
        self._claim = Claim(providers.quotas, self._ask_of, self._wall - self._began)

    async def answer(self) -> Answer:
        """The answer from the first target that can; raises `RouterError`."""
        try:
            return await self._answer_from_first()
        finally:
            self._claim.leave_line()

    async def _answer_from_first(self) -> Answer:
        plan = self._router.plan(self.call, self._began, self._wall, self._claim, self._expectation)
        self.record.decision.plan, self.record.policy = plan, plan.policy
        deadline = self._began + self._retry.deadline_seconds
        course = Course(self.call, plan, self._health, self._retry, deadline, self._claim)
        while (step := course.next(self._now())) is not None:
            if step.wait_s:
                await self._wait(step)
                course.waited(step.target)
                continue
            attempt = self._begin(step.target, course.deadline)
            try:
                if self.call.stream:
                    return await self._stream(attempt)
                return await self._complete(attempt, course.deadline)
            except AttemptFailed as failure:
                self._attempt_ended(attempt, failure)
                course.failed(attempt.target, failure)
            except asyncio.CancelledError:
                self._attempt_ended(attempt, AttemptFailed(Outcome.CLIENT_GONE, "the client hung up"))
                raise
            except Exception:
                # A defect of ours that this provider's answer brought to light: another one may not.
                logger.exception("an attempt at %s failed unexpectedly", attempt.target.key)
                unread = AttemptFailed(Outcome.BAD_REPLY, "the router could not make sense of the reply")
                self._attempt_ended(attempt, unread)
                course.failed(attempt.target, unread)
        raise course.error(self._now())

    async def _wait(self, step: Step) -> None:
        woken = asyncio.Event()
        self._claim.wake_by(woken.set)
        with suppress(TimeoutError):
            async with asyncio.timeout(step.wait_s):
                await woken.wait()

    def _begin(self, target: Target, deadline: float) -> Attempt:
        now = self._now()
        self._claim.take(target, now)
        patience_s = target.timeouts.until_content(is_stream=self.call.stream)
        unsupported = self._health.unsupported(target, now)
        attempt = Attempt(target, now, min(now + patience_s, deadline), unsupported)
        self._health.under_way.begin(target.key, attempt)
        return attempt

    async def _complete(self, attempt: Attempt, deadline: float) -> Answer:
        try:
            async with asyncio.timeout(deadline - attempt.started):
                reply = await self._transport(attempt).complete(self.call, attempt)
        except TimeoutError:
            raise AttemptFailed(Outcome.TIMED_OUT, "the call's deadline came before the whole answer") from None
        self._note_content(attempt)
        self._attempt_ended(attempt, None, reply.usage)
        self.record.account(attempt.target.key, reply.usage)
        self._learn(attempt.target, reply.usage)
        self._listener.ended(attempt.target, reply, self._cost_usd(attempt.target, reply.usage))
        answer = self._answer(attempt)
        answer.reply = reply
        self.record.add_money(answer.headers)
        self.record.end("answered", 200)
        return answer

    async def _stream(self, attempt: Attempt) -> Answer:
        """Waits for the first content; from then on the answer is the client's, and failover is over."""
        source = self._transport(attempt).stream(self.call, attempt)
        held: list[Chunk] = []
        try:
            async for chunks in source:
                held += chunks
                if any(chunk.is_content for chunk in chunks):
                    self._note_content(attempt)
                    answer = self._answer(attempt)
                    answer.chunks = self._chunks(attempt, source, held)
                    return answer
        except BaseException:
            await source.aclose()
            raise
        raise AttemptFailed(Outcome.BAD_REPLY, "the stream ended without any content")

    async def _chunks(
        self, attempt: Attempt, source: AsyncGenerator[list[Chunk]], held: list[Chunk]
    ) -> AsyncGenerator[list[Chunk]]:
        """The client's stream: what is held, then the chunks as they come; it ends after a real end alone."""
        passed, listener = PassedText(), self._listener
        passed.add(held)
        try:
            async with aclosing(source):
                listener.passed(held)
                yield held
                async for chunks in source:
                    passed.add(chunks)
                    listener.passed(chunks)
                    yield chunks
        except AttemptFailed as failure:
            message = self._safe(attempt, failure.message)
            broken = AttemptFailed(Outcome.BROKEN_STREAM, message, failure.status, usage=failure.usage)
            self._broke_off(attempt, broken, passed, "broken", message)
            raise StreamBroken(f"The answer broke off: {message}.") from None
        except (asyncio.CancelledError, GeneratorExit):
            gone = AttemptFailed(Outcome.CLIENT_GONE, "the client hung up")
            self._broke_off(attempt, gone, passed, "client_gone", None)
            raise
        except Exception:
            broken = AttemptFailed(Outcome.BROKEN_STREAM, "the router failed on the stream")
            self._broke_off(attempt, broken, passed, "broken", broken.message)
            raise
        else:
            usage = passed.usage
            self._attempt_ended(attempt, None, usage)
            self.record.account(attempt.target.key, usage)
            self._learn(attempt.target, usage)
            listener.ended(attempt.target, None, self._cost_usd(attempt.target, usage))
            self.record.end("answered", 200)

    def _broke_off(
        self, attempt: Attempt, failure: AttemptFailed, passed: PassedText, result: str, error: str | None
    ) -> None:
        usage = passed.usage or failure.usage or attempt.usage
        made = passed.tokens(self._router.estimates.characters_per_token(attempt.target))
        self._attempt_ended(attempt, failure, usage, made)
        self.record.account(attempt.target.key, usage)
        self.record.end(result, 200, error)

    def _attempt_ended(
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
        record.changes, record.began_s = attempt.changes, attempt.started - self._began
        self._book(attempt, failure, record, usage, made)
        if (headroom := attempt.headroom) is not None:
            record.requests_left, record.tokens_left = headroom.requests_left, headroom.tokens_left
        if failure is not None:
            self._tell(attempt, failure, record)
        self.record.decision.attempts.append(record)
        wait_s = None if failure is None else failure.retry_after_s
        answered = None
        if failure is None and attempt.first_content_s is not None:
            tokens = None if usage is None else usage.output_tokens
            answered = Answered(attempt.first_content_s, now - attempt.started, tokens, self.call.stream)
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
        record.usage, record.cost_usd = usage, self._cost_usd(target, usage)
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
        self._claim.end(outcome, booked, self._cost_usd(target, booked), self._now())

    def _guessed_output(self) -> int:
        """Of an answer that was cut off before any of it came: none of a stream, the usual one as a whole."""
        return 0 if self.call.stream else round(self._expectation.output_tokens)

    def _tell(self, attempt: Attempt, failure: AttemptFailed, record: AttemptRecord) -> None:
        """Why it failed, without secrets; and what the target does not take is remembered."""
        if failure.member is not None:
            self._health.learn_unsupported(attempt.target, failure.member, self._now())
        failure.message = self._safe(attempt, failure.message)
        if failure.error is not None:
            error = failure.error.items()
            failure.error = {k: self._safe(attempt, v) if isinstance(v, str) else v for k, v in error}
        record.status, record.message = failure.status, failure.message

    def _safe(self, attempt: Attempt, text: str) -> str:
        secrets = (attempt.target.credential, self.call.caller.authorization)
        values = [secret.get_secret_value() for secret in secrets if secret is not None]
        values += (value for value in attempt.target.extra_headers.values() if len(value) >= _SHORTEST_SECRET)
        return redact(text, [*values, *(value.removeprefix("Bearer ") for value in values)])

    def _note_content(self, attempt: Attempt) -> None:
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

    def _cost_usd(self, target: Target, usage: Usage | None) -> float | None:
        """What the provider says that it charges, else what its prices come to."""
        if usage is None or usage.cost_usd is not None:
            return None if usage is None else usage.cost_usd
        sheet = self._router.prices.sheet(target)
        return None if sheet is None else sheet.cost_usd(usage, self._wall)

    def _ask_of(self, target: Target) -> Ask:
        return self._router.ask(self._expectation, target, self._wall)

    def _learn(self, target: Target, usage: Usage | None) -> None:
        """An answer that came to its end tells what calls like this one use."""
        if usage is not None:
            self._router.estimates.learn(target, self.call, usage, self._now())

    def _answer(self, attempt: Attempt) -> Answer:
        answer = self.record.answer(attempt.target, attempt.request)
        # The attempt that answers a stream is recorded when it ends, and counts all the same.
        answer.headers["x-llmrouter-attempts"] = str(self.record.sent() + (1 if self.call.stream else 0))
        return answer

    def _transport(self, attempt: Attempt) -> Transport:
        return self._transports[attempt.target.dialect.wire_format]
