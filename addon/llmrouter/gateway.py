"""One call from start to finish: plan, attempts, reply, record."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

from llmrouter.calls import Call
from llmrouter.clock import Clock
from llmrouter.endpoints import chat
from llmrouter.errors import AttemptFailed, Outcome, RouterError
from llmrouter.providers.failures import redact
from llmrouter.providers.wire import UpstreamRequest
from llmrouter.replies import Chunk, Usage
from llmrouter.routing.claims import Claim
from llmrouter.routing.course import Course, Step
from llmrouter.routing.health import HealthBook
from llmrouter.routing.plan import Plan, Router
from llmrouter.routing.quotas import Ask, QuotaBook
from llmrouter.routing.vitals import Answered
from llmrouter.settings.model import RetrySettings
from llmrouter.targets import Target
from llmrouter.telemetry.decisions import AttemptRecord, Decision, Observer
from llmrouter.transports import Attempt, Transport

logger = logging.getLogger(__name__)

# A value of `extra_headers` may be a key; shorter ones are words such as an app's name.
_SHORTEST_SECRET = 12


@dataclass(slots=True)
class Answer:
    """What goes to the client: a whole `body`, or the `frames` of a stream whose first holds content.

    `request` is what was sent to the provider that answers, None for an error or a mock.
    """

    status: int
    headers: dict[str, str]
    decision: Decision
    body: bytes = b""
    frames: AsyncGenerator[bytes] | None = None
    target: Target | None = None
    request: UpstreamRequest | None = None


@dataclass(slots=True)
class Gateway:
    """Answers calls; `router` and `retry` are exchanged when the settings change, calls under way keep theirs."""

    router: Router
    retry: RetrySettings
    health: HealthBook
    transports: Mapping[str, Transport]
    clock: Clock
    observers: Sequence[Observer] = field(default_factory=list)
    quotas: QuotaBook = field(default_factory=QuotaBook)

    async def answer(self, call: Call) -> Answer:
        """Answers a call from the first target that can; an error is an answer, too."""
        run = _Run(self, call)
        try:
            return await run.answer()
        except RouterError as error:
            return run.refuse(error)
        except asyncio.CancelledError:
            run.end("client_gone")
            raise


class _Run:
    """One call under way."""

    def __init__(self, gateway: Gateway, call: Call) -> None:
        clock = gateway.clock
        self.call = call
        self.started = clock.monotonic()
        self.decision = Decision(call.id, clock.wall(), call.endpoint, call.model, call.stream)
        self._now = clock.monotonic
        self._health = gateway.health
        self._router = gateway.router
        self._retry = gateway.retry
        self._transports = gateway.transports
        self._gateway = gateway
        self._expectation = self._router.estimates.expect(call, self.started)
        self._claim = Claim(gateway.quotas, self._ask_of, self.decision.at - self.started)
        self._plan: Plan | None = None
        self._ended = False

    async def answer(self) -> Answer:
        try:
            return await self._answer_from_first()
        finally:
            self._claim.leave_line()

    async def _answer_from_first(self) -> Answer:
        self._plan = plan = self._router.plan(self.call, self.started, self.decision.at, self._claim, self._expectation)
        self.decision.plan = plan
        deadline = self.started + self._retry.deadline_seconds
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
        return Attempt(target, now, min(now + patience_s, deadline), unsupported)

    async def _complete(self, attempt: Attempt, deadline: float) -> Answer:
        try:
            async with asyncio.timeout(deadline - attempt.started):
                reply = await self._transport(attempt).complete(self.call, attempt)
        except TimeoutError:
            raise AttemptFailed(Outcome.TIMED_OUT, "the call's deadline came before the whole answer") from None
        self._note_content(attempt)
        self._attempt_ended(attempt, None, reply.usage)
        self._account(attempt.target, reply.usage)
        self._learn(attempt.target, reply.usage)
        answer = self._answer(attempt)
        answer.body = reply.data
        self._add_money(answer.headers)
        self.end("answered", 200)
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
                    answer.frames = self._frames(attempt, source, held)
                    return answer
        except BaseException:
            await source.aclose()
            raise
        raise AttemptFailed(Outcome.BAD_REPLY, "the stream ended without any content")

    async def _frames(
        self, attempt: Attempt, source: AsyncGenerator[list[Chunk]], held: list[Chunk]
    ) -> AsyncGenerator[bytes]:
        """The client's stream: what is held, then each chunk as it comes; `[DONE]` only after a real end."""
        usage = _last_usage(held, None)
        try:
            async with aclosing(source):
                yield b"".join(map(chat.render_chunk, held))
                async for chunks in source:
                    usage = _last_usage(chunks, usage)
                    if frames := b"".join(map(chat.render_chunk, chunks)):
                        yield frames
        except AttemptFailed as failure:
            broken = AttemptFailed(Outcome.BROKEN_STREAM, self._safe(attempt, failure.message), failure.status)
            self._attempt_ended(attempt, broken, usage)
            self._account(attempt.target, usage)
            self.end("broken", 200, broken.message)
            yield chat.render_error(_StreamBroken(f"The answer broke off: {broken.message}.").to_json())
        except (asyncio.CancelledError, GeneratorExit):
            self._attempt_ended(attempt, AttemptFailed(Outcome.CLIENT_GONE, "the client hung up"), usage)
            self._account(attempt.target, usage)
            self.end("client_gone", 200)
            raise
        except Exception:
            self._attempt_ended(attempt, AttemptFailed(Outcome.BROKEN_STREAM, "the router failed on the stream"))
            self.end("broken", 200, "the router failed on the stream")
            raise
        else:
            self._attempt_ended(attempt, None, usage)
            self._account(attempt.target, usage)
            self._learn(attempt.target, usage)
            self.end("answered", 200)
            yield chat.DONE

    def refuse(self, error: RouterError) -> Answer:
        """The error as an answer, with what steers the SDKs' own retries (openai-python `_base_client.py`)."""
        headers = self._headers() | dict(chat.headers_for(stream=False)) | {"x-should-retry": "false"}
        if error.retry_after_s is not None:
            headers["retry-after"] = str(max(1, -int(-error.retry_after_s // 1)))
        self.end("failed", error.status, error.message)
        return Answer(error.status, headers, self.decision, body=error.to_json())

    def end(self, result: str, status: int | None = None, error: str | None = None) -> None:
        """Publishes the decision, once."""
        if self._ended:
            return
        self._ended = True
        decision = self.decision
        decision.result, decision.status, decision.error = result, status, error
        decision.seconds = self._now() - self.started
        for observer in self._gateway.observers:
            try:
                observer(decision)
            except Exception:
                logger.exception("an observer of decisions failed")

    def _attempt_ended(self, attempt: Attempt, failure: AttemptFailed | None, usage: Usage | None = None) -> None:
        now = self._now()
        outcome = Outcome.SUCCESS if failure is None else failure.outcome
        if attempt.first_content_s is None:
            self._hear(attempt, now)
        self._claim.end(outcome, usage, self._cost_usd(attempt.target, usage), now)
        record = AttemptRecord(attempt.target.key, outcome, now - attempt.started, attempt.first_content_s)
        record.changes = attempt.changes
        if (headroom := attempt.headroom) is not None:
            record.requests_left, record.tokens_left = headroom.requests_left, headroom.tokens_left
        if failure is not None:
            if failure.member is not None:
                self._health.learn_unsupported(attempt.target, failure.member, now)
            failure.message = self._safe(attempt, failure.message)
            if failure.error is not None:
                error = failure.error.items()
                failure.error = {k: self._safe(attempt, v) if isinstance(v, str) else v for k, v in error}
            record.status, record.message = failure.status, failure.message
        self.decision.attempts.append(record)
        wait_s = None if failure is None else failure.retry_after_s
        answered = None
        if failure is None and attempt.first_content_s is not None:
            tokens = None if usage is None else usage.output_tokens
            answered = Answered(attempt.first_content_s, now - attempt.started, tokens, self.call.stream)
        self._health.record(attempt.target, outcome, wait_s, answered, now, attempt.started)

    def _safe(self, attempt: Attempt, text: str) -> str:
        secrets = (attempt.target.credential, self.call.caller.authorization)
        values = [secret.get_secret_value() for secret in secrets if secret is not None]
        values += (value for value in attempt.target.extra_headers.values() if len(value) >= _SHORTEST_SECRET)
        return redact(text, [*values, *(value.removeprefix("Bearer ") for value in values)])

    def _note_content(self, attempt: Attempt) -> None:
        """The attempt succeeds; what its headers say of limits holds from now on, and not only at a stream's end."""
        now = self._now()
        attempt.first_content_s = now - attempt.started
        if attempt.headroom is not None:
            self._health.note_headroom(attempt.target, attempt.headroom.returns_in_s, now)
        self._hear(attempt, now)

    def _hear(self, attempt: Attempt, now: float) -> None:
        """What the provider says is left corrects our own counts; before the attempt ends, once."""
        if (left := attempt.headroom) is not None:
            self._claim.hear(left.requests_left, left.tokens_left, left.returns_in_s, now)

    def _account(self, target: Target, usage: Usage | None) -> None:
        decision = self.decision
        decision.answered_by, decision.usage = target.key, usage
        decision.cost_usd = cost_usd = self._cost_usd(target, usage)
        if usage is not None and cost_usd is not None:
            baseline = self._router.prices.baseline(self.call.model)
            if baseline is not None:
                decision.saved_usd = baseline.cost_usd(usage, decision.at) - cost_usd

    def _cost_usd(self, target: Target, usage: Usage | None) -> float | None:
        sheet = self._router.prices.sheet(target)
        return None if usage is None or sheet is None else sheet.cost_usd(usage, self.decision.at)

    def _ask_of(self, target: Target) -> Ask:
        return self._router.ask(self._expectation, target, self.decision.at)

    def _learn(self, target: Target, usage: Usage | None) -> None:
        """An answer that came to its end tells what calls like this one use."""
        if usage is not None:
            self._router.estimates.learn(target, self.call, usage, self._now())

    def _answer(self, attempt: Attempt) -> Answer:
        target = attempt.target
        headers = self._headers() | dict(chat.headers_for(self.call.stream))
        headers["x-llmrouter-provider"] = target.provider
        headers["x-llmrouter-model"] = target.model
        # The attempt that answers a stream is recorded when it ends, and counts all the same.
        headers["x-llmrouter-attempts"] = str(self._sent() + (1 if self.call.stream else 0))
        return Answer(200, headers, self.decision, target=target, request=attempt.request)

    def _headers(self) -> dict[str, str]:
        headers = {
            "x-request-id": self.call.id,
            "x-llmrouter-request-id": self.call.id,
            "x-llmrouter-attempts": str(self._sent()),
            "x-llmrouter-cache": "bypass",
        }
        if self._plan is not None:
            headers["x-llmrouter-policy"] = self._plan.policy
        return headers

    def _sent(self) -> int:
        """How many attempts went to a provider."""
        return sum(attempt.outcome != Outcome.NOT_TRANSLATABLE for attempt in self.decision.attempts)

    def _add_money(self, headers: dict[str, str]) -> None:
        if self.decision.cost_usd is not None:
            headers["x-llmrouter-cost-usd"] = _dollars(self.decision.cost_usd)
        if self.decision.saved_usd is not None:
            headers["x-llmrouter-saved-usd"] = _dollars(self.decision.saved_usd)

    def _transport(self, attempt: Attempt) -> Transport:
        return self._transports[attempt.target.dialect.wire_format]


class _StreamBroken(RouterError):
    code = "stream_broken"


def _last_usage(chunks: Iterable[Chunk], before: Usage | None) -> Usage | None:
    for chunk in chunks:
        before = chunk.usage or before
    return before


def _dollars(amount: float) -> str:
    return f"{amount:.10f}".rstrip("0").rstrip(".") or "0"
