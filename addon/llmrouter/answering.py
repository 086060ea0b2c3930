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
from llmrouter.replies import Chunk, Reply
from llmrouter.routing.claims import Claim
from llmrouter.routing.course import Course, Step
from llmrouter.routing.health import HealthBook
from llmrouter.routing.plan import Router
from llmrouter.routing.quotas import Ask, QuotaBook
from llmrouter.settings.model import RetrySettings
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
        self._settling = Settling(record, self._router, self._health, self._claim, self._expectation)

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
                self._settling.ended(attempt, failure)
                course.failed(attempt.target, failure)
            except asyncio.CancelledError:
                self._settling.ended(attempt, AttemptFailed(Outcome.CLIENT_GONE, "the client hung up"))
                raise
            except Exception:
                # A defect of ours that this provider's answer brought to light: another one may not.
                logger.exception("an attempt at %s failed unexpectedly", attempt.target.key)
                unread = AttemptFailed(Outcome.BAD_REPLY, "the router could not make sense of the reply")
                self._settling.ended(attempt, unread)
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
        return Attempt(target, now, min(now + patience_s, deadline), unsupported)

    async def _complete(self, attempt: Attempt, deadline: float) -> Answer:
        try:
            async with asyncio.timeout(deadline - attempt.started):
                reply = await self._transport(attempt).complete(self.call, attempt)
        except TimeoutError:
            raise AttemptFailed(Outcome.TIMED_OUT, "the call's deadline came before the whole answer") from None
        self._settling.note_content(attempt)
        self._settling.ended(attempt, None, reply.usage)
        self.record.account(attempt.target.key, reply.usage)
        self._settling.learn(attempt.target, reply.usage)
        self._listener.ended(attempt.target, reply, self._settling.cost_usd(attempt.target, reply.usage))
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
                    self._settling.note_content(attempt)
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
            message = self._settling.safe(attempt, failure.message)
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
            self._settling.ended(attempt, None, usage)
            self.record.account(attempt.target.key, usage)
            self._settling.learn(attempt.target, usage)
            listener.ended(attempt.target, None, self._settling.cost_usd(attempt.target, usage))
            self.record.end("answered", 200)

    def _broke_off(
        self, attempt: Attempt, failure: AttemptFailed, passed: PassedText, result: str, error: str | None
    ) -> None:
        usage = passed.usage or failure.usage or attempt.usage
        made = passed.tokens(self._router.estimates.characters_per_token(attempt.target))
        self._settling.ended(attempt, failure, usage, made)
        self.record.account(attempt.target.key, usage)
        self.record.end(result, 200, error)

    def _ask_of(self, target: Target) -> Ask:
        return self._router.ask(self._expectation, target, self._wall)

    def _answer(self, attempt: Attempt) -> Answer:
        answer = self.record.answer(attempt.target, attempt.request)
        # The attempt that answers a stream is recorded when it ends, and counts all the same.
        answer.headers["x-llmrouter-attempts"] = str(self.record.sent() + (1 if self.call.stream else 0))
        return answer

    def _transport(self, attempt: Attempt) -> Transport:
        return self._transports[attempt.target.dialect.wire_format]
