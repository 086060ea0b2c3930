"""How an attempt reaches its target: over HTTP in some wire format, or inside the process for `echo`."""

import asyncio
import math
import random
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from llmrouter.calls import Call
from llmrouter.clock import Clock
from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers import echo, failures, formats
from llmrouter.providers.formats import Dialogue
from llmrouter.providers.rate_limits import Headroom, headroom
from llmrouter.providers.told_usage import usage_told
from llmrouter.providers.turn_memory import TurnMemory
from llmrouter.providers.wire import Job, Translation, UpstreamRequest
from llmrouter.replies import Chunk, Reply, Usage
from llmrouter.targets import Target
from llmrouter.tasks import spawn
from llmrouter.upstream import Upstream, UpstreamReply

_MAX_ERROR_BYTES = 64 * 1024
_TRAILER_PATIENCE_S = 2.0


@dataclass(slots=True, eq=False, weakref_slot=True)
class Attempt:
    """One try at one target; times are monotonic seconds.

    `content_due` is when the first content must have come,
    `deadline` when all must. `unsupported` are members of the call that the target has
    refused before. `request` is what was sent, and `changes` in what it differs from what the client asked, for the
    record and for mitmweb; `headroom` is what the provider says is left of its limits, `usage` what a stream told by
    the time at which it ended, however that was.
    """

    target: Target
    started: float
    content_due: float
    deadline: float = math.inf
    unsupported: frozenset[str] = frozenset()
    changes: tuple[str, ...] = ()
    headroom: Headroom | None = None
    request: UpstreamRequest | None = None
    first_content_s: float | None = None
    usage: Usage | None = None


class Transport(Protocol):
    """One way to reach targets; both methods raise `AttemptFailed` and close what they opened when cancelled."""

    async def complete(self, call: Call, attempt: Attempt) -> Reply:
        """The whole answer."""
        ...

    def stream(self, call: Call, attempt: Attempt) -> AsyncGenerator[list[Chunk]]:
        """The answer's chunks, as many at a time as have come; ends only after a real end of the stream."""
        ...


class HttpTransport:
    """Targets that are reached over HTTP, in whatever wire format they speak."""

    def __init__(self, upstream: Upstream, clock: Clock) -> None:
        self._upstream = upstream
        self._clock = clock
        self._memory = TurnMemory()

    async def complete(self, call: Call, attempt: Attempt) -> Reply:
        """The whole answer, read as one JSON object."""
        dialogue = self._translate(call, attempt)
        async with await self._send(dialogue.translation, attempt) as reply:
            data = await reply.read_all(self._patience(attempt))
        return dialogue.read_reply(data)

    async def stream(self, call: Call, attempt: Attempt) -> AsyncGenerator[list[Chunk]]:
        """The answer's chunks as the provider sends them."""
        dialogue = self._translate(call, attempt)
        reply = await self._send(dialogue.translation, attempt)
        is_finished, decoder = False, dialogue.decoder()
        try:
            if "json" in reply.headers.get("content-type", ""):
                whole = dialogue.read_reply(await reply.read_all(self._patience(attempt)))
                message = "a stream was asked for, and a whole reply came"
                raise AttemptFailed(Outcome.BAD_REPLY, message, usage=whole.usage, is_answer=True)
            while not is_finished:
                waits_for_content = attempt.first_content_s is None and not decoder.is_holding
                data = await reply.read_some(
                    self._patience(attempt) if waits_for_content else self._patience_within(attempt)
                )
                chunks = decoder.feed(data) if data else decoder.finish()
                is_finished = not data or decoder.done
                if is_finished and data:
                    chunks += decoder.finish()
                if chunks:
                    yield chunks
        finally:
            attempt.usage = decoder.usage
            if is_finished:
                # The last bytes of the transfer follow `[DONE]`: read them, and the connection can be used again.
                spawn(_read_rest(reply), "reading the end of a stream")
            else:
                reply.close()

    def _translate(self, call: Call, attempt: Attempt) -> Dialogue:
        target = attempt.target
        dialect, now = target.dialect.for_members(call.members), int(self._clock.wall())
        dialogue = formats.translate(Job(call, target, dialect, now, self._memory, attempt.unsupported))
        attempt.request, attempt.changes = dialogue.translation.request, dialogue.translation.changes
        return dialogue

    async def _send(self, translation: Translation, attempt: Attempt) -> UpstreamReply:
        reply = await self._upstream.send(translation.request, attempt.target.timeouts, self._patience(attempt))
        attempt.headroom = headroom(reply.headers, self._clock.wall())
        if reply.status == 200:
            return reply
        body = b""
        async with reply:
            # What the status says stands, also where the rest comes too slowly to be waited for.
            with suppress(TimeoutError):
                async with asyncio.timeout(self._patience(attempt)):
                    body = await reply.read_all(self._patience(attempt), _MAX_ERROR_BYTES)
        now = self._clock.wall()
        failure = failures.classify(reply.status, reply.headers, body, now, members=translation.members)
        failure.usage = usage_told(body, attempt.target.dialect)
        raise failures.without_endpoint(failure, translation.members)

    def _patience(self, attempt: Attempt) -> float:
        """Seconds that are left until the first content must have come."""
        return max(attempt.content_due - self._clock.monotonic(), 0.0)

    def _patience_within(self, attempt: Attempt) -> float | None:
        """Seconds that an answer may be silent where its deadline is that near, else None.

        Raises `AttemptFailed` at the deadline: what has come can be read without waiting, and may never end.
        """
        left_s = attempt.deadline - self._clock.monotonic()
        if left_s <= 0:
            raise AttemptFailed(Outcome.TIMED_OUT, "the call's deadline came before the end of the answer")
        return left_s if left_s < attempt.target.timeouts.idle else None


async def _read_rest(reply: UpstreamReply) -> None:
    async with reply:
        try:
            async with asyncio.timeout(_TRAILER_PATIENCE_S):
                while await reply.read_some():
                    pass
        except (TimeoutError, AttemptFailed):
            return


class EchoTransport:
    """The mock provider: repeats the last user message, late or failing as its settings say."""

    def __init__(self, clock: Clock, chance: random.Random) -> None:
        self._clock = clock
        self._chance = chance

    async def complete(self, call: Call, attempt: Attempt) -> Reply:
        """The whole answer at once."""
        await self._behave(attempt)
        return echo.completion(call, self._clock.wall())

    async def stream(self, call: Call, attempt: Attempt) -> AsyncGenerator[list[Chunk]]:
        """The answer word by word."""
        await self._behave(attempt)
        for chunk in echo.chunks(call, self._clock.wall()):
            yield [chunk]

    async def _behave(self, attempt: Attempt) -> None:
        target = attempt.target
        if target.mock_latency_seconds:
            limit = attempt.content_due - attempt.started
            await asyncio.sleep(min(target.mock_latency_seconds, limit))
            if target.mock_latency_seconds > limit:
                raise AttemptFailed(Outcome.TIMED_OUT, f"no content within {limit:.3g} s")
        if self._chance.random() < target.mock_failure_rate:
            raise AttemptFailed(Outcome.SERVER_ERROR, "mock failure (mock_failure_rate)", status=500)
