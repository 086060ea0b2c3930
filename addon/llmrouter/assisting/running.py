"""One run at work: a chat call, whose chunks become steps and messages; it goes on when the client has left.

What happened is kept before anybody hears of it. A worker asks and reads; it may be stopped at any moment. Its keeper
waits for it and writes down what it came to, so a stop never interrupts that.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

import orjson

from llmrouter.assisting.ending import REASONS, claim_of
from llmrouter.assisting.listening import Listener
from llmrouter.assisting.records import Records
from llmrouter.call_record import Answer
from llmrouter.calls import Call
from llmrouter.clock import Clock
from llmrouter.endpoints import chat
from llmrouter.endpoints.assistants import events, run_state
from llmrouter.endpoints.assistants.events import Event
from llmrouter.endpoints.assistants.history import CHARACTERS_PER_TOKEN, Past, chat_body
from llmrouter.endpoints.assistants.objects import Object
from llmrouter.endpoints.assistants.run_state import Change, State
from llmrouter.endpoints.assistants.turn import Turn
from llmrouter.errors import InternalError, RouterError
from llmrouter.operations import Operation
from llmrouter.replies import Usage
from llmrouter.tasks import spawn

logger = logging.getLogger(__name__)

_MOST_SHORTENINGS = 6
"""How often a prompt is halved until it fits a model's context."""
_LOOK_EVERY_S = 2.0

type Ask = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Means:
    """What every run works with; `new_id` makes an id of a prefix."""

    ask: Ask
    clock: Clock
    new_id: Callable[[str], str]
    default_model: Callable[[], str]


@dataclass(frozen=True, slots=True)
class _End:
    """What a turn came to: the run's final status, or `requires_action`, and the members that say why."""

    status: str
    last_error: Object | None = None
    incomplete_reason: str | None = None


class Running:
    """A run that is worked on; `operation` is the client's request that started or continued it."""

    def __init__(self, means: Means, records: Records, state: State, operation: Operation) -> None:
        self.state = state
        self._means = means
        self._records = records
        self._operation = operation
        self._listeners: list[Listener] = []
        self._turn = Turn(state["run"], means.new_id)
        self._spent: Object = state["work"]["spent"]
        self._usage: Usage | None = None
        self._prompt_characters = 0
        self._position = -1
        self._stopped: _End | None = None
        self._happening: deque[Event] = deque()
        self._keeping: asyncio.Future[int | None] | None = None
        self._is_doubtful = False
        self._looked = self._now()
        self._worker: asyncio.Task[_End] | None = None
        self._keeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins the work."""
        name = f"run {self.state['run']['id']}"
        self._worker = spawn(self._work(), name)
        self._keeper = spawn(self._keep_end(self._worker), f"{name} keeper")

    def listen(self, listener: Listener) -> None:
        """A client hears what happens from now on."""
        self._listeners.append(listener)

    def stop(self, status: str, last_error: Object | None = None) -> None:
        """Ends the work early; the provider's stream is closed at once. Without effect on work that is done."""
        if self._stopped is None and self._worker is not None:
            self._stopped = _End(status, last_error)
            self._worker.cancel()

    async def ended(self) -> None:
        """Waits until what the work came to is written down."""
        if self._keeper is not None:
            await asyncio.wait({self._keeper})

    def tell(self, event: Event) -> None:
        """Lets every client that listens know."""
        for listener in self._listeners:
            listener.put(event)

    async def _happen(self, found: list[Event]) -> None:
        """Keeps what happened, and lets it be known; what a stop interrupts is done by the next one.

        A store ends what it began, whoever has stopped waiting for it: so it is waited for again.
        """
        self._happening.extend(found)
        while self._happening:
            event = self._happening[0]
            if not event.is_delta:
                await self._keep(event)
            self.tell(event)
            self._happening.popleft()

    async def _keep(self, event: Event) -> None:
        if self._keeping is None:
            self._keeping = asyncio.ensure_future(self._records.keep(event, self._is_doubtful))
        try:
            position = await asyncio.shield(self._keeping)
        except RouterError:
            self._keeping, self._is_doubtful = None, True
            raise
        self._keeping, self._is_doubtful = None, False
        self._position = self._position if position is None else position

    async def _change(self, change: Change) -> None:
        """Changes the run, and lets its new status be known, where it has one."""
        after = await self._records.change_run(self.state["run"]["id"], change)
        self.changed(after or self.state)

    def changed(self, state: State) -> None:
        """The run is now as `state` says; clients that listen hear of a new status, once."""
        if self.state["run"]["status"] in run_state.ENDED:
            return
        before, self.state = self.state, state
        if state["run"]["status"] != before["run"]["status"]:
            self.tell(events.of_run(state["run"]))

    async def _work(self) -> _End:
        try:
            await self._change(run_state.began(self._now()))
            if self.state["run"]["status"] != "in_progress":
                return _End("cancelled")
            past = await self._records.past(self.state)
            self._position = past.messages[-1].position if past.messages else -1
            return await self._answer(past)
        except RouterError as error:
            return _End("failed", run_state.last_error(error))
        except Exception:
            logger.exception("a run failed unexpectedly")
            return _End("failed", run_state.last_error(InternalError("The router failed on this run.")))

    async def _answer(self, past: Past) -> _End:
        """Asks the model, with less of the thread where all of it does not fit its context."""
        run = self.state["run"]
        left = _left(run["max_prompt_tokens"], self._spent["prompt"])
        completion = _left(run["max_completion_tokens"], self._spent["completion"])
        if left is not None and left <= 0:
            return _End("incomplete", incomplete_reason="max_prompt_tokens")
        if completion is not None and completion <= 0:
            return _End("incomplete", incomplete_reason="max_completion_tokens")
        characters = None if left is None else left * CHARACTERS_PER_TOKEN
        refusal: RouterError | None = None
        for number in range(_MOST_SHORTENINGS):
            body = chat_body(run, past, characters, completion)
            if body is None:
                break
            text = orjson.dumps(body)
            self._prompt_characters = len(text)
            answer = await self._means.ask(self._call(text, number))
            if answer.error is None:
                return await self._read(answer)
            refusal = answer.error
            if refusal.code != "context_length_exceeded" or run["truncation_strategy"]["type"] != "auto":
                break
            characters = len(text) // 2
        if refusal is None:
            return _End("incomplete", incomplete_reason="max_prompt_tokens")
        return _End("failed", run_state.last_error(refusal))

    def _call(self, text: bytes, number: int) -> Call:
        operation = self._operation
        call = chat.parse(
            text,
            self._means.default_model(),
            id=operation.id if number == 0 else f"{operation.id}-{number + 1}",
            caller=operation.caller,
            preferences=operation.preferences,
        )
        return replace(call, include_usage=True, surface="assistants")

    async def _read(self, answer: Answer) -> _End:
        if answer.chunks is None:
            raise InternalError("A run was answered without a stream.")
        async with aclosing(answer.chunks) as batches:
            async for batch in batches:
                if not await self._goes_on():
                    return _End("cancelled")
                for chunk in batch:
                    self._usage = chunk.usage or self._usage
                    if chunk.data:
                        await self._happen(self._turn.feed(orjson.loads(chunk.data), self._now()))
        return self._end_of_turn()

    async def _goes_on(self) -> bool:
        """Whether the run is still wanted, now and then: another router on the same state may have ended it."""
        now = self._now()
        if now - self._looked < _LOOK_EVERY_S:
            return True
        self._looked = now
        return await self._records.is_worked_on(self.state["run"]["id"])

    def _end_of_turn(self) -> _End:
        match self._turn.finish_reason:
            case "length":
                return _End("incomplete", incomplete_reason="max_completion_tokens")
            case "content_filter":
                # The API has no word for it: its reasons are the two limits of tokens.
                return _End("incomplete")
            case _:
                return _End("requires_action" if self._turn.calls else "completed")

    async def _keep_end(self, worker: asyncio.Task[_End]) -> None:
        await asyncio.wait({worker})
        end = (self._stopped or _STOPPED_BY_NOBODY) if worker.cancelled() else worker.result()
        failure: RouterError | None = None
        try:
            await self._write_end(end)
        except RouterError as error:
            failure = error
        except Exception:
            failure = InternalError("The router failed on this run.")
            logger.exception("the end of a run could not be kept")
        for listener in self._listeners:
            listener.end(failure)

    async def _write_end(self, end: _End) -> None:
        turn, now, status = self._turn, self._now(), end.status
        spent = self._spent
        if self._prompt_characters:
            guess = (self._prompt_characters, turn.output_characters)
            spent = run_state.spend(
                spent, self._usage, (guess[0] // CHARACTERS_PER_TOKEN, guess[1] // CHARACTERS_PER_TOKEN)
            )
        if status in REASONS:
            await self._happen([])
            await self._happen(turn.cut(status, REASONS[status], now, end.last_error))
        elif turn.calls or turn.finish_reason is not None or status == "completed":
            await self._happen(turn.finish(now, run_state.usage_of(self._usage)))
        if status == "requires_action" and turn.tool_step is not None:
            await self._wait_for_outputs(spent, now)
        else:
            await self._finish(end, spent, now)

    async def _wait_for_outputs(self, spent: Object, now: float) -> None:
        step = self._turn.tool_step
        assert step is not None
        await self._records.save("run_step", step)
        exchange = {"after": self._position, "message_id": self._turn.led_by, "tool_calls": self._turn.calls}
        await self._change(run_state.waits(exchange, step["id"], spent, now))
        if self.state["run"]["status"] != "requires_action":
            await self._happen(self._turn.cut("cancelled", REASONS["cancelled"], now))
            await self._release()

    async def _finish(self, end: _End, spent: Object, now: float) -> None:
        if end.status == "incomplete":
            await self._happen(self._turn.cut("failed", "max_tokens", now, _CUT_SHORT))
        members: Object = {} if end.last_error is None else {"last_error": end.last_error}
        if end.status == "incomplete":
            members["incomplete_details"] = {"reason": end.incomplete_reason}
        await self._change(run_state.ended(end.status, now, spent, **members))
        await self._release()

    async def _release(self) -> None:
        run = self.state["run"]
        await self._records.store.release(self._records.caller, claim_of(run["thread_id"]), run["id"])

    def _now(self) -> float:
        return self._means.clock.wall()


_STOPPED_BY_NOBODY = _End("failed", run_state.last_error(InternalError("The router stopped while the run was on.")))
_CUT_SHORT = {"code": "server_error", "message": "The run's limit of tokens cut the tool calls short."}


def _left(limit: int | None, spent: int) -> int | None:
    return None if limit is None else limit - spent
