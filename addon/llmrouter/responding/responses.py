"""Operations of /v1/responses and /v1/conversations: which is asked, and what answers it."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

from llmrouter.call_record import Answer
from llmrouter.calls import Call, Caller
from llmrouter.clock import Clock
from llmrouter.endpoints.chat import headers_for
from llmrouter.endpoints.responses import request as requests
from llmrouter.endpoints.responses.events import render
from llmrouter.endpoints.responses.streams import ResponseStream
from llmrouter.errors import RouterError
from llmrouter.operations import Operation, Result
from llmrouter.responding import refusals
from llmrouter.responding.archive import Archive
from llmrouter.responding.background import BackgroundRuns
from llmrouter.responding.conversations import Conversations, ok
from llmrouter.responding.items import new_id
from llmrouter.responding.kept_responses import KeptResponses
from llmrouter.responding.making import Maker, hosted_in, shape_of
from llmrouter.responding.turns import Turn, Turns
from llmrouter.storage.state.store import StateStore

RESPONSES, CONVERSATIONS = "/v1/responses", "/v1/conversations"


@dataclass(frozen=True, slots=True)
class Asking:
    """What responses are made with: the gateway's `answer`, the model where a request names none, the estimate of a
    call's input tokens, and whether any target may answer it."""

    answer: Callable[[Call], Awaitable[Answer]]
    default_model: Callable[[], str]
    input_tokens: Callable[[Call], int]
    can_serve: Callable[[Call], bool]


class Responses:
    """Answers the operations of /v1/responses and /v1/conversations out of the router's own state.

    `caller_key` gives the keyed hash of a caller's credential, by which all state is kept apart.
    """

    def __init__(self, asking: Asking, store: StateStore, clock: Clock, caller_key: Callable[[Caller], str]) -> None:
        self._archive = Archive(store)
        self._conversations = Conversations(store, clock)
        self._turns = Turns(self._archive, self._conversations, clock, asking.default_model)
        self._maker = Maker(asking.answer, self._archive, self._conversations, clock, asking.default_model)
        self.runs = BackgroundRuns(self._maker, self._archive)
        self._kept = KeptResponses(self._archive, self.runs)
        self._asking = asking
        self._caller_key = caller_key

    async def answer(self, operation: Operation) -> Result | None:
        """What the client gets; None where the router does not know the id, or only OpenAI can do what is asked.

        Raises `RouterError`. `refusal` gives the error where what is None cannot be passed to OpenAI.
        """
        caller = self._caller_key(operation.caller)
        if (rest := _rest_of(operation.path, CONVERSATIONS)) is not None:
            return await self._conversations.answer(operation, caller, rest)
        match operation.method, _rest_of(operation.path, RESPONSES):
            case "POST", []:
                return await self._create(operation, caller)
            case "POST", ["input_tokens"]:
                return await self._count(operation, caller)
            case "POST", ["compact"]:
                return None
            case method, [id, *what]:
                return await self._kept.answer(operation, caller, id, [method, *what])
            case _:
                return None

    def refusal(self, operation: Operation) -> RouterError:
        """The error for an operation that `answer` gave None for, where it may not be passed to OpenAI."""
        path = operation.path
        match _rest_of(path, RESPONSES), _rest_of(path, CONVERSATIONS):
            case (([] | ["input_tokens"]), _):
                return self._refusal_of_request(operation)
            case [id] | [id, "cancel" | "input_items"], _ if id != "compact":
                return refusals.unknown_response(id)
            case _, [id] | [id, "items"] | [id, "items", _]:
                return refusals.unknown_conversation(id)
            case _:
                return refusals.not_served(path)

    @property
    def under_way(self) -> int:
        """How many responses are made in the background."""
        return self.runs.under_way

    async def recover(self) -> int:
        """Ends what a dead process left half done; see `BackgroundRuns.recover`."""
        return await self.runs.recover()

    async def close(self) -> None:
        """Ends all responses in the background as failed; before the store is closed."""
        await self.runs.close()

    def _refusal_of_request(self, operation: Operation) -> RouterError:
        request = requests.parse(operation.body, "")
        if request.hosted_tools:
            return refusals.hosted_tools(request.hosted_tools)
        if request.conversation is not None:
            return refusals.unknown_conversation(request.conversation, "conversation")
        return refusals.unknown_previous(str(request.previous_response_id))

    async def _create(self, operation: Operation, caller: str) -> Result | None:
        turn = await self._turns.of(operation, caller)
        if turn is None or not await self._is_for_router(turn):
            return None
        if turn.request.background:
            return await self._begin_in_background(turn)
        async with turn.held as held:
            answer = await self._maker.answer(turn)
            if answer.error is not None:
                return Result(answer.status, {**answer.headers, **headers_for(stream=False)}, answer.error.to_json())
            if answer.chunks is None:
                return ok(await self._maker.whole(turn, answer), answer.headers)
            turn.held = held.pop_all()
        frames = self._frames(turn, answer)
        # Its first item is nothing: having begun, it lets go of all that it holds, whenever it is closed.
        await anext(frames)
        return Result(200, {**answer.headers, **headers_for(stream=True)}, frames=frames, ends_by=answer.ends_by)

    async def _is_for_router(self, turn: Turn) -> bool:
        """Whether a target can do what is asked; raises `RouterError` where OpenAI lacks what only the router knows."""
        hosted = hosted_in(turn.request, turn.items)
        if not hosted or self._asking.can_serve(self._maker.call_of(turn.operation, turn.request, turn.items)):
            return True
        await turn.held.aclose()
        if turn.request.conversation or turn.request.previous_response_id:
            raise refusals.hosted_tools(hosted)
        return False

    async def _begin_in_background(self, turn: Turn) -> Result:
        headers = {"x-request-id": turn.operation.id, "x-llmrouter-request-id": turn.operation.id}
        run = await self.runs.start(turn)
        if turn.request.stream:
            return Result(200, {**headers, **headers_for(stream=True)}, frames=self.runs.follow(run, 0))
        return ok(run.state | {"status": "queued"}, headers)

    async def _frames(self, turn: Turn, answer: Answer) -> AsyncGenerator[bytes]:
        """The events of a response that ends with its client."""
        stream = ResponseStream(shape_of(turn), new_id)
        events = self._maker.events(turn, answer, stream, self._maker.keeper(turn))
        async with turn.held, aclosing(events) as batches:
            batch = [*stream.begin(), *await anext(batches)]
            yield b""
            yield b"".join(map(render, batch))
            async for batch in batches:
                yield b"".join(map(render, batch))

    async def _count(self, operation: Operation, caller: str) -> Result | None:
        """An estimate: the router cannot know whose tokens will be counted."""
        request = requests.parse(operation.body, self._turns.default_model())
        history = await self._turns.history(request, caller)
        if request.hosted_tools or history is None:
            return None
        items = [*history, *await self._turns.input_of(request, caller, history)]
        tokens = self._asking.input_tokens(self._maker.call_of(operation, request, items))
        return ok({"object": "response.input_tokens", "input_tokens": tokens})


def _rest_of(path: str, of: str) -> list[str] | None:
    """The parts of a path after another one; None where it is not below it."""
    if path.rstrip("/") == of:
        return []
    return path.removeprefix(of + "/").rstrip("/").split("/") if path.startswith(of + "/") else None
