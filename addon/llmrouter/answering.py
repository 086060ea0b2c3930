"""A call answered by a provider: the plan, attempts one after another, and the reply as it comes."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from functools import partial

from llmrouter.call_record import Answer, CallRecord
from llmrouter.continuing import Continuation, SaidSoFar, continuing_call, may_continue, sum_of, takes_beginning
from llmrouter.errors import AttemptFailed, Outcome, RouterError, StreamBroken
from llmrouter.hedging import Hedging, Race, Try
from llmrouter.passed_text import PassedText
from llmrouter.replies import Chunk, Reply, Usage
from llmrouter.routing.claims import Claim
from llmrouter.routing.course import Course, Step
from llmrouter.routing.estimates import Expectation
from llmrouter.routing.health import HealthBook
from llmrouter.routing.plan import Router
from llmrouter.routing.quotas import Ask, QuotaBook
from llmrouter.settings.model import HedgeSettings, RetrySettings
from llmrouter.settling import Settling
from llmrouter.targets import Target
from llmrouter.transports import Attempt, Transport

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Providers:
    """What a call needs to be answered by providers, as it is in force when the call comes."""

    router: Router
    retry: RetrySettings
    health: HealthBook
    quotas: QuotaBook
    transports: Mapping[str, Transport]
    hedge: HedgeSettings | None = None


class Listener:
    """Hears the answer that the client gets, while it passes; by itself it does nothing with it."""

    def passed(self, chunks: Sequence[Chunk]) -> None:
        """The next chunks of a stream."""

    def ended(self, target: Target, reply: Reply | None, cost_usd: float | None) -> None:
        """The answer has come to its real end; `reply` is all of it, where it is no stream."""

    def ended_otherwise(self) -> None:
        """The answer has come to its real end, but not as one target gave it: it is not to be kept."""


@dataclass(slots=True)
class _Part:
    """What one target tells of a stream; a `continuation` makes it the rest of what others told before."""

    attempt: Attempt
    source: AsyncGenerator[list[Chunk]]
    continuation: Continuation | None = None
    passed: PassedText = field(default_factory=PassedText)
    held: list[Chunk] = field(default_factory=list)
    usage: Usage | None = None
    is_settled: bool = False

    def take(self, chunks: list[Chunk]) -> list[Chunk]:
        """What the client gets of the next chunks."""
        self.passed.add(chunks)
        return chunks if self.continuation is None else self.continuation.feed(chunks)


_NOBODY = Listener()


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
        self._quotas = providers.quotas
        self._hedging = Hedging.of(self.call, providers.hedge, providers.health.hedges)
        self._said = SaidSoFar() if may_continue(self.call) else None
        self._parts: list[_Part] = []
        self._began, self._wall = record.started, record.decision.at
        self._expectation = self._router.estimates.expect(self.call, self._began)
        # Without this object in it, which holds the claim: what is in no cycle is freed at once, with its prompt.
        self._ask = partial(_ask, self._router, self._expectation, self._wall)
        self._claim, self._settling = self._new_claim()

    def _new_claim(self) -> tuple[Claim, Settling]:
        """For one attempt at a time."""
        claim = Claim(self._quotas, self._ask, self._wall - self._began)
        return claim, Settling(self.record, self._router, self._health, claim, self._expectation)

    async def answer(self) -> Answer:
        """The answer from the first target that can; raises `RouterError`."""
        try:
            return await self._answer_from_first()
        finally:
            self._claim.leave_line()

    async def _answer_from_first(self) -> Answer:
        plan = self._router.plan(self.call, self._began, self._wall, self._claim, self._expectation)
        self.record.decision.plan, self.record.policy = plan, plan.policy
        deadline = self.record.ends_by(self._retry.deadline_seconds)
        course = Course(self.call, plan, self._health, self._retry, deadline, self._claim)
        if not self.call.stream:
            return self._whole(*await self._first_of(course, self._complete))
        _, part = await self._first_of(course, self._open)
        answer = self._answer(part.attempt)
        answer.chunks, answer.ends_by = self._chunks(course, part), deadline
        return answer

    async def _first_of[T: (Reply, _Part)](
        self, course: Course, ask: Callable[[Attempt], Awaitable[T]]
    ) -> tuple[Attempt, T]:
        """The first attempt that works, and what it got; raises `RouterError` where none is left."""
        while (step := course.next(self._now())) is not None:
            if step.wait_s:
                await self._wait(step)
                course.waited(step.target)
                continue
            self._trying = self._begin(step.target, course.deadline, self._claim)
            try:
                # What goes on with a stream is not hedged: its client has waited for its first content.
                is_alone = self._hedging is None or bool(self._parts)
                result = await (ask(self._trying) if is_alone else self._raced(course, ask))
            except asyncio.CancelledError:
                self._settling.ended(self._trying, AttemptFailed(Outcome.CLIENT_GONE, "the client hung up"))
                raise
            except Exception as error:  # noqa: BLE001 - it is logged where it is not expected
                self._failed(course, self._try, error)
            else:
                self._settling.note_content(self._trying)
                if self._hedging is not None and not is_alone:
                    self._hedging.note_content(self._trying)
                return self._trying, result
        raise course.error(self._now())

    @property
    def _try(self) -> Try:
        return Try(self._trying, self._claim, self._settling)

    @staticmethod
    def _failed(course: Course, one: Try, error: Exception) -> None:
        if isinstance(error, AttemptFailed):
            failure = error
        else:
            # A defect of ours that this provider's answer brought to light: another one may not.
            logger.error("an attempt at %s failed unexpectedly", one.attempt.target.key, exc_info=error)
            failure = AttemptFailed(Outcome.BAD_REPLY, "the router could not make sense of the reply")
        one.settling.ended(one.attempt, failure)
        course.failed(one.attempt.target, failure)

    # Hedging

    async def _raced[T: (Reply, _Part)](self, course: Course, ask: Callable[[Attempt], Awaitable[T]]) -> T:
        """What the attempt gets, or the next target, if the first one is late and another may be asked beside it."""
        hedging, first = self._hedging, self._trying.target
        late_s = None if hedging is None else hedging.late_after_s(course, first)
        if hedging is None or late_s is None:
            return await ask(self._trying)

        def second() -> Try | None:
            if (rival := hedging.rival(course, first, self._now())) is None:
                return None
            claim, settling = self._new_claim()
            return Try(self._begin(rival, course.deadline, claim), claim, settling)

        race = Race(self._try, ask, partial(self._failed, course), partial(self._lost, course), self._release)
        try:
            return await race.run(late_s, second)
        finally:
            leader = race.leader
            self._trying, self._claim, self._settling = leader.attempt, leader.claim, leader.settling
            course.claim = leader.claim

    def _lost(self, course: Course, one: Try, result: Reply | _Part | None, why: AttemptFailed) -> None:
        """Books an attempt that nobody waits for any more."""
        usage, made = None, None
        if isinstance(result, _Part):
            usage, made = result.passed.usage, self._tokens_of(result)
        elif result is not None:
            usage = result.usage
        if self._hedging is not None and why.outcome is Outcome.HEDGED_OFF:
            self._hedging.note_lost(one.attempt, self._now() - one.attempt.started)
            course.hedged_off(one.attempt.target)
        one.settling.ended(one.attempt, why, usage, made)

    @staticmethod
    async def _release(result: Reply | _Part) -> None:
        if isinstance(result, _Part):
            await result.source.aclose()

    # Attempts

    async def _wait(self, step: Step) -> None:
        woken = asyncio.Event()
        self._claim.wake_by(woken.set)
        with suppress(TimeoutError):
            async with asyncio.timeout(step.wait_s):
                await woken.wait()

    def _begin(self, target: Target, deadline: float, claim: Claim) -> Attempt:
        now = self._now()
        claim.take(target, now)
        patience_s = target.timeouts.until_content(is_stream=self.call.stream)
        unsupported = self._health.unsupported(target, now)
        attempt = Attempt(target, now, min(now + patience_s, deadline), deadline, unsupported)
        self._health.under_way.begin(target.key, attempt)
        return attempt

    async def _complete(self, attempt: Attempt) -> Reply:
        try:
            async with asyncio.timeout(attempt.deadline - attempt.started):
                return await self._transport(attempt).complete(self.call, attempt)
        except TimeoutError:
            raise AttemptFailed(Outcome.TIMED_OUT, "the call's deadline came before the whole answer") from None

    def _whole(self, attempt: Attempt, reply: Reply) -> Answer:
        self._settling.ended(attempt, None, reply.usage)
        self.record.account(attempt.target.key, reply.usage)
        self._settling.learn(attempt.target, reply.usage)
        self._listener.ended(attempt.target, reply, self._settling.cost_usd(attempt.target, reply.usage))
        answer = self._answer(attempt)
        answer.reply = reply
        self.record.add_money(answer.headers)
        self.record.end("answered", 200)
        return answer

    async def _open(self, attempt: Attempt) -> _Part:
        """Waits for the first content; a part that goes on with what was said cuts it from its own beginning."""
        call, continuation, said = self.call, None, self._said
        if said is not None and self._parts:
            text = said.text
            call = continuing_call(self.call, text, sum(map(self._tokens_of, self._parts)), attempt.target)
            is_given = takes_beginning(attempt.target)
            continuation = Continuation(said.frame, text, is_beginning_given=is_given)
        source = self._transport(attempt).stream(call, attempt)
        part = _Part(attempt, source, continuation)
        try:
            async with asyncio.timeout(attempt.deadline - attempt.started):
                async for chunks in source:
                    part.held += part.take(chunks)
                    if any(chunk.is_content for chunk in part.held):
                        return part
        except TimeoutError:
            await source.aclose()
            raise AttemptFailed(Outcome.TIMED_OUT, "the call's deadline came before the first content") from None
        except BaseException:
            await source.aclose()
            raise
        raise AttemptFailed(Outcome.BAD_REPLY, "the stream ended without any content")

    def _tokens_of(self, part: _Part) -> int:
        """About how many tokens of output have passed."""
        return part.passed.tokens(self._router.estimates.characters_per_token(part.attempt.target))

    async def _chunks(self, course: Course, first: _Part) -> AsyncGenerator[list[Chunk]]:
        """The client's stream: what was held, then the chunks as they come; it ends after a real end alone.

        Where a part breaks off, the next target goes on with the text, if that may be.
        """
        part: _Part | None = first
        try:
            while part is not None:
                try:
                    async with aclosing(self._part(part)) as source:
                        async for told in source:
                            yield told
                except AttemptFailed as failure:
                    part = await self._after_break(course, part, failure)
                else:
                    part = None
        except (asyncio.CancelledError, GeneratorExit):
            is_late = self._now() >= course.deadline
            gone = self._out_of_time(None) if is_late else AttemptFailed(Outcome.CLIENT_GONE, "the client hung up")
            self._left(gone, "broken" if is_late else "client_gone")
            raise
        except StreamBroken:
            raise
        except Exception:
            self._left(AttemptFailed(Outcome.BROKEN_STREAM, "the router failed on the stream"), "broken")
            raise
        finally:
            self._claim.leave_line()

    async def _part(self, part: _Part) -> AsyncGenerator[list[Chunk]]:
        """What the client gets of one part; raises `AttemptFailed` where it breaks off."""
        self._parts.append(part)
        async with aclosing(part.source):
            yield self._tell(part.held)
            async for chunks in part.source:
                if told := part.take(chunks):
                    yield self._tell(told)
        if last := self._end(part):
            yield last

    def _tell(self, chunks: list[Chunk]) -> list[Chunk]:
        if self._said is not None:
            self._said.add(chunks)
        self._listener.passed(chunks)
        return chunks

    async def _after_break(self, course: Course, part: _Part, failure: AttemptFailed) -> _Part | None:
        """The part that goes on; None where all was told by the time of the break. Raises `StreamBroken`."""
        if self._now() >= course.deadline:
            broken = self._out_of_time(failure.usage)
        else:
            message = self._settling.safe(part.attempt, failure.message)
            broken = AttemptFailed(Outcome.BROKEN_STREAM, message, failure.status, usage=failure.usage)
        outcome, message = broken.outcome, broken.message
        self._part_ended(part, broken)
        said = self._said
        if said is not None and said.read().finish_reason is not None:
            self._account()
            self._listener.ended_otherwise()
            self.record.end("answered", 200)
            return None
        if said is not None and said.is_plain and outcome is Outcome.BROKEN_STREAM and self._retry.continue_streams:
            course.failed(part.attempt.target, broken)
            try:
                _, following = await self._first_of(course, self._open)
            except RouterError:
                logger.info("no target goes on with the stream of call %s", self.call.id)
            else:
                self.record.decision.continuations += 1
                return following
        self._account()
        self.record.end("broken", 200, message)
        raise StreamBroken(f"The answer broke off: {message}.") from None

    def _out_of_time(self, usage: Usage | None) -> AttemptFailed:
        return AttemptFailed(Outcome.OUT_OF_TIME, f"it was not done in {self._retry.deadline_seconds:g} s", usage=usage)

    def _end(self, part: _Part) -> list[Chunk]:
        """All was told; returns the usage for a client that asked for it and whose answer is of several parts."""
        usage = part.passed.usage
        self._part_ended(part, None)
        total = self._account()
        if part.continuation is None:
            self._settling.learn(part.attempt.target, usage)
            self._listener.ended(part.attempt.target, None, self._settling.cost_usd(part.attempt.target, usage))
        else:
            self._listener.ended_otherwise()
        self.record.end("answered", 200)
        if part.continuation is None or total is None or not self.call.include_usage:
            return []
        return [part.continuation.usage_chunk(total)]

    def _account(self) -> Usage | None:
        """Who told the last part, and what all parts used, where all told it."""
        total = sum_of([part.usage for part in self._parts])
        self.record.account(self._parts[-1].attempt.target.key, total)
        return total

    def _left(self, failure: AttemptFailed, result: str) -> None:
        """The stream ends before its answer does, and nobody goes on with it."""
        part = self._parts[-1] if self._parts else None
        if part is not None:
            if not part.is_settled:
                self._part_ended(part, failure)
            self._account()
        self.record.end(result, 200, failure.message if result == "broken" else None)

    def _part_ended(self, part: _Part, failure: AttemptFailed | None) -> None:
        part.is_settled = True
        if failure is None:
            part.usage = part.passed.usage
            self._settling.ended(part.attempt, None, part.usage)
            return
        part.usage = part.passed.usage or failure.usage or part.attempt.usage
        self._settling.ended(part.attempt, failure, part.usage, self._tokens_of(part))

    def _answer(self, attempt: Attempt) -> Answer:
        answer = self.record.answer(attempt.target, attempt.request)
        # The attempt that answers a stream is recorded when it ends, and counts all the same.
        answer.headers["x-llmrouter-attempts"] = str(self.record.sent() + (1 if self.call.stream else 0))
        return answer

    def _transport(self, attempt: Attempt) -> Transport:
        return self._transports[attempt.target.dialect.wire_format]


def _ask(router: Router, expectation: Expectation, wall: float, target: Target) -> Ask:
    return router.ask(expectation, target, wall)
