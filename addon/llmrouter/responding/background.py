"""Responses that are made in the background: they go on without their client, and never stay half done.

A run holds the claim "response:<id>" from before it is kept until after its end is. What a dead process left is found
by these claims at the next start.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from llmrouter.endpoints.responses.events import Event, render
from llmrouter.endpoints.responses.streams import ResponseStream
from llmrouter.errors import RouterError
from llmrouter.responding import refusals
from llmrouter.responding.archive import UNFINISHED, Archive, Response, document
from llmrouter.responding.items import new_id
from llmrouter.responding.making import Maker, shape_of
from llmrouter.responding.turns import Turn
from llmrouter.storage.state.store import Claim
from llmrouter.tasks import spawn

logger = logging.getLogger(__name__)

MOST_RUNS = 1000
_CLAIM = "response:"
_CONVERSATION_CLAIM = "conversation:"
_CANCELLED = "The response was cancelled."
_STOPPED = "The router was stopped while it made this response."
_RESTARTED = "The router restarted while it made this response."


@dataclass(slots=True)
class Run:
    """A response in the making; `frames[n]` is the event with the sequence number n."""

    turn: Turn
    stream: ResponseStream
    frames: list[bytes] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    is_over: bool = False
    is_ending: bool = False
    stop_as: str = "cancelled"
    task: asyncio.Task[None] | None = None
    response: Response | None = None

    def frames_with(self, last: list[Event]) -> list[bytes]:
        """All events, to be kept; none where the client did not ask for a stream."""
        return [*self.frames, *map(render, last)] if self.turn.request.stream else []

    @property
    def state(self) -> Response:
        """The response as it is now."""
        return self.response or self.stream.response

    def tell(self, events: list[Event]) -> None:
        """Hands events to all who follow."""
        self.frames += map(render, events)
        self._wake()

    def end(self) -> None:
        """No event follows."""
        self.is_over = True
        self._wake()

    def _wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


class BackgroundRuns:
    """All responses that this process makes in the background."""

    def __init__(self, maker: Maker, archive: Archive) -> None:
        self._maker = maker
        self._archive = archive
        self._runs: dict[tuple[str, str], Run] = {}

    async def start(self, turn: Turn) -> Run:
        """Begins a response, once it is kept as queued; the run lets go of the turn's conversation at its end."""
        if len(self._runs) >= MOST_RUNS:
            await turn.held.aclose()
            raise refusals.TooManyRuns(
                f"{MOST_RUNS} responses are being made in the background; wait until some of them have ended.",
                retry_after_s=10.0,
            )
        run = Run(turn, ResponseStream(shape_of(turn), new_id))
        first = run.stream.begin()
        async with turn.held as held:
            await self._keep_begun(run)
            turn.held = held.pop_all()
        self._runs[turn.caller, turn.id] = run
        run.tell(first)
        run.task = spawn(self._perform(run), f"response {turn.id}")
        return run

    async def _keep_begun(self, run: Run) -> None:
        turn = run.turn
        await self._archive.store.claim(turn.caller, _CLAIM + turn.id, turn.id)
        try:
            data = document(run.state | {"status": "queued"}, turn.given, is_streamed=turn.request.stream)
            await self._archive.add(turn.caller, data)
        except BaseException:
            await self._archive.store.release(turn.caller, _CLAIM + turn.id, turn.id)
            raise

    def get(self, caller: str, id: str) -> Run | None:
        """The run of that id, while it goes on."""
        return self._runs.get((caller, id))

    @property
    def under_way(self) -> int:
        """How many have not ended."""
        return sum(not run.is_over for run in self._runs.values())

    async def follow(self, run: Run, start: int) -> AsyncGenerator[bytes]:
        """The run's events from that number on, those to come as well."""
        while True:
            changed, frames, is_over = run.changed, run.frames[start:], run.is_over
            if frames:
                start += len(frames)
                yield b"".join(frames)
            if is_over:
                return
            if run.changed is changed:
                await changed.wait()

    async def cancel(self, run: Run, status: str = "cancelled") -> None:
        """Ends a run, unless its end is being kept already; returns once that is done."""
        if run.task is not None and not run.is_ending:
            run.is_ending, run.stop_as = True, status
            # A task that is cancelled before its first step would never tell that it is over.
            await run.begun.wait()
            run.task.cancel()
        while not run.is_over:
            await run.changed.wait()

    async def close(self) -> None:
        """Ends all runs as failed; for the router's own end."""
        await asyncio.gather(*(self.cancel(run, "failed") for run in list(self._runs.values())))

    async def recover(self) -> int:
        """Marks as failed what a process that is dead left half done, and frees its conversations.

        To be called before the first operation, and again and again where other processes use the same store. The
        number of responses that failed so.
        """
        failed = 0
        for claim in await self._archive.store.abandoned(_CLAIM, _CONVERSATION_CLAIM):
            if claim.name.startswith(_CLAIM):
                failed += await self._fail(claim)
            await self._archive.store.release(claim.caller, claim.name, claim.owner)
        return failed

    async def _fail(self, claim: Claim) -> bool:
        def fail(data: dict[str, Any]) -> dict[str, Any] | None:
            response = data["response"]
            if response["status"] not in UNFINISHED:
                return None
            error = {"code": "server_error", "message": _RESTARTED}
            return data | {"response": response | {"status": "failed", "error": error}}

        data = await self._archive.change(claim.caller, claim.name.removeprefix(_CLAIM), fail)
        return data is not None and data["response"]["status"] == "failed"

    async def _perform(self, run: Run) -> None:
        """The task of a run: whatever happens, the response ends, and so do those who follow it."""
        is_kept = False
        run.begun.set()
        try:
            async with run.turn.held:
                is_kept = await self._make(run)
            if is_kept:
                await self._archive.store.release(run.turn.caller, _CLAIM + run.turn.id, run.turn.id)
        except RouterError as error:
            logger.warning("the claims of %s could not be released: %s", run.turn.id, error.message)
        finally:
            if is_kept:
                del self._runs[run.turn.caller, run.turn.id]
            run.end()

    async def _make(self, run: Run) -> bool:
        """Whether what it came to is kept; where the store fails this process alone knows it, until it ends."""
        try:
            return await self._make_whole(run)
        except asyncio.CancelledError:
            return await self._end_early(run, run.stop_as, _STOPPED if run.stop_as == "failed" else _CANCELLED)
        except Exception:
            logger.exception("the response %s failed", run.turn.id)
            return await self._end_early(run, "failed", "The router failed on this response.")

    async def _make_whole(self, run: Run) -> bool:
        kept: list[bool] = []

        async def keep(response: Response, last: list[Event]) -> None:
            run.is_ending = True
            run.response = response
            kept.append(False)
            await self._archive.finish(run.turn.caller, run.turn.id, response, run.frames_with(last))
            kept[0] = True
            await self._maker.prolong(run.turn, response)

        answer = await self._maker.answer(run.turn)
        async with aclosing(self._maker.events(run.turn, answer, run.stream, keep)) as batches:
            async for events in batches:
                run.tell(events)
        return kept[0]

    async def _end_early(self, run: Run, status: str, why: str) -> bool:
        last = run.stream.fail("server_error", why)[-1]
        run.response = last.data["response"]
        if status == "cancelled":
            run.response = run.response | {"status": "cancelled", "error": None}
            last = _cancelled_event(last.data["sequence_number"])
        try:
            await self._archive.finish(run.turn.caller, run.turn.id, run.response, run.frames_with([last]))
        except RouterError as error:
            logger.warning("the end of %s could not be kept: %s", run.turn.id, error.message)
            return False
        finally:
            run.tell([last])
        return True


def _cancelled_event(number: int) -> Event:
    """OpenAI's list of events has none for this; an error is what clients end at without taking it for an answer."""
    data = {"sequence_number": number, "code": "response_cancelled", "message": _CANCELLED, "param": None}
    return Event("error", {"type": "error", **data})
