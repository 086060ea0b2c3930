"""A race of two attempts: where the first target is late by its own measure, the next one is asked, too.

The first content wins. What is lost is closed at once, and booked for what it may have cost.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from llmrouter.calls import Call
from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.routing.claims import Claim
from llmrouter.settling import Settling
from llmrouter.transports import Attempt


def is_hosted(call: Call) -> bool:
    """Whether a call lets OpenAI's own tools act, of which twice may be once too much."""
    return call.responses is not None and bool(call.responses.hosted)


@dataclass(frozen=True, slots=True)
class Try:
    """An attempt, with what it has taken from the quotas and who books it."""

    attempt: Attempt
    claim: Claim
    settling: Settling


class Race[T]:
    """One call's attempts side by side; `ask` asks a target.

    `failed` is told of each that failed while another goes on, `lost` of each that another was faster than, with what
    it got, if anything. `leader` is the one that won, or failed last, or was first when nobody waits any more: whoever
    began the race books it.
    """

    def __init__(
        self,
        first: Try,
        ask: Callable[[Attempt], Awaitable[T]],
        failed: Callable[[Try, AttemptFailed], None],
        lost: Callable[[Try, T | None, AttemptFailed], Awaitable[None]],
    ) -> None:
        self.leader = first
        self._ask = ask
        self._failed = failed
        self._lost = lost
        self._running: dict[asyncio.Task[T], Try] = {}

    async def run(self, late_after_s: float, second: Callable[[], Try | None]) -> T:
        """What the winner got; `second` begins another attempt when the first one is late, None where none may be.

        Raises `AttemptFailed` of the last that failed.
        """
        why = AttemptFailed(Outcome.HEDGED_OFF, "another target was faster")
        try:
            self._start(self.leader)
            await asyncio.wait(self._running, timeout=late_after_s)
            if not any(task.done() for task in self._running) and (other := second()) is not None:
                self._start(other)
            return await self._winner()
        except asyncio.CancelledError:
            why = AttemptFailed(Outcome.CLIENT_GONE, "the client hung up")
            raise
        finally:
            await self._close(why)

    def _start(self, one: Try) -> None:
        self._running[asyncio.ensure_future(self._asked(one))] = one

    async def _asked(self, one: Try) -> T:
        return await self._ask(one.attempt)

    async def _winner(self) -> T:
        while True:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in self._running if task.done()]:
                self.leader = self._running.pop(task)
                error = task.exception()
                if not isinstance(error, AttemptFailed) or not self._running:
                    return task.result()
                self._failed(self.leader, error)

    async def _close(self, why: AttemptFailed) -> None:
        """Ends who still runs, at once."""
        running, self._running = self._running, {}
        for task in running:
            task.cancel()
        for task, one in running.items():
            result: T | None = None
            with suppress(asyncio.CancelledError, Exception):
                result = await task
            if one is not self.leader:
                await self._lost(one, result, why)
