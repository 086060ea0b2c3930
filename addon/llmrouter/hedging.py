"""A race of two attempts: where the first target is late by its own measure, the next one is asked, too.

The first content wins. What is lost is closed at once, and booked for what it may have cost.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from llmrouter.calls import Call
from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.routing.claims import Claim
from llmrouter.routing.course import Course
from llmrouter.routing.hedges import HedgeBook
from llmrouter.settings.model import HedgeSettings
from llmrouter.settling import Settling
from llmrouter.targets import Target
from llmrouter.transports import Attempt


@dataclass(frozen=True, slots=True)
class Try:
    """An attempt, with what it has taken from the quotas and who books it."""

    attempt: Attempt
    claim: Claim
    settling: Settling


@dataclass(frozen=True, slots=True)
class Hedging:
    """When one call's targets are late, and who is asked beside them; what becomes of them is remembered in `book`."""

    settings: HedgeSettings
    book: HedgeBook
    is_stream: bool

    @classmethod
    def of(cls, call: Call, settings: HedgeSettings | None, book: HedgeBook) -> "Hedging | None":
        """None where the call is not to be hedged: OpenAI's own tools act, and to act twice may be once too much."""
        if settings is None or (call.responses is not None and call.responses.hosted):
            return None
        return cls(settings, book, call.stream)

    def late_after_s(self, course: Course, target: Target) -> float | None:
        """How long a target may take until its content is late, None where that is not known; each call counts once."""
        if not course.failures:
            self.book.note_call()
        return self._late_after_s(target)

    def rival(self, course: Course, first: Target, now: float) -> Target | None:
        """Who is to be asked beside a target that is late, which counts as a hedged call; None where nobody may be."""
        if not self.book.has_room(self.settings.max_share):
            return None
        rival = course.beside(first, now, may_be_paid=self.settings.paid)
        if rival is not None:
            self.book.note_hedged()
        return rival

    def note_content(self, attempt: Attempt) -> None:
        """An answer has begun."""
        if attempt.first_content_s is not None:
            self.book.note_content(attempt.target.key, attempt.first_content_s, is_stream=self.is_stream)

    def note_lost(self, attempt: Attempt, seconds: float) -> None:
        """An attempt was ended for another one, so long after it began; one that was late by then took that long.

        Else what is late would be left out of the measure, and what is not so late would be late the next time.
        """
        late_s = self._late_after_s(attempt.target)
        if late_s is not None and seconds >= late_s:
            self.book.note_content(attempt.target.key, seconds, is_stream=self.is_stream)

    def _late_after_s(self, target: Target) -> float | None:
        return self.book.late_after_s(target.key, self.settings.share, is_stream=self.is_stream)


class Race[T]:
    """One call's attempts side by side; `ask` asks a target.

    `failed` is told of each that failed while another goes on, `lost` of each that another was faster than, with what
    it got, if anything, which `release` lets go of before. `leader` is the one that nobody was told of: it won, failed
    last, or is left when the client leaves. Whoever began the race books it.
    """

    def __init__(
        self,
        first: Try,
        ask: Callable[[Attempt], Awaitable[T]],
        failed: Callable[[Try, Exception], None],
        lost: Callable[[Try, T | None, AttemptFailed], None],
        release: Callable[[T], Awaitable[None]],
    ) -> None:
        self.leader = first
        self._ask = ask
        self._failed = failed
        self._lost = lost
        self._release = release
        self._running: dict[asyncio.Task[T], Try] = {}

    async def run(self, late_after_s: float, second: Callable[[], Try | None]) -> T:
        """What the winner got; `second` begins another attempt when the first one is late, None where none may be.

        Raises the error of the last that failed.
        """
        try:
            self._start(self.leader)
            await asyncio.wait(self._running, timeout=late_after_s)
            if not _ended(self._running) and (other := second()) is not None:
                self._start(other)
            won = await self._winner()
        except asyncio.CancelledError:
            await self._close(AttemptFailed(Outcome.CLIENT_GONE, "the client hung up"))
            raise
        except Exception:
            await self._close(AttemptFailed(Outcome.HEDGED_OFF, "the router gave it up"))
            raise
        try:
            await self._close(AttemptFailed(Outcome.HEDGED_OFF, "another target was faster"))
        except asyncio.CancelledError:
            await self._release(won)
            raise
        return won

    def _start(self, one: Try) -> None:
        self._running[asyncio.ensure_future(self._asked(one))] = one

    async def _asked(self, one: Try) -> T:
        return await self._ask(one.attempt)

    async def _winner(self) -> T:
        while True:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            for task in _ended(self._running):
                self.leader = self._running.pop(task)
                error = task.exception()
                if not isinstance(error, Exception) or not self._running:
                    return task.result()
                self._failed(self.leader, error)
                self.leader = next(iter(self._running.values()))

    async def _close(self, why: AttemptFailed) -> None:
        """Ends who still runs, at once; a client that leaves meanwhile is heard when that is done."""
        if not self._running:
            return
        running, self._running = self._running, {}
        closing = asyncio.ensure_future(self._end(running, why))
        left: asyncio.CancelledError | None = None
        while not closing.done():
            try:
                await asyncio.wait([closing])
            except asyncio.CancelledError as error:
                left = error
        closing.result()
        if left is not None:
            raise left

    async def _end(self, running: dict[asyncio.Task[T], Try], why: AttemptFailed) -> None:
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        for task, one in running.items():
            error = None if task.cancelled() else task.exception()
            result = None if task.cancelled() or error is not None else task.result()
            if result is not None:
                await self._release(result)
            if one is self.leader:
                continue
            if isinstance(error, Exception):
                self._failed(one, error)
            else:
                self._lost(one, result, why)


def _ended[T](tasks: Iterable[asyncio.Task[T]]) -> list[asyncio.Task[T]]:
    return [task for task in tasks if task.done()]
