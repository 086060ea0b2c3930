"""The Assistants API in one process: the real SDK in front, a scripted model behind, and a clock that tests set."""

import asyncio
import itertools
import json
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import openai
from openai.types.beta import AssistantStreamEvent
from pydantic import SecretStr, TypeAdapter

from llmrouter.assisting.assistants import Assistants
from llmrouter.call_record import Answer
from llmrouter.calls import Call, Caller, Endpoint, Preferences
from llmrouter.clock import Clock
from llmrouter.errors import RouterError
from llmrouter.operations import Operation
from llmrouter.replies import Chunk, Usage
from llmrouter.sse import SseDecoder
from llmrouter.storage.state.processes import Process
from llmrouter.storage.state.sql_store import SqlStore
from llmrouter.storage.state.store import StateStore
from llmrouter.telemetry.decisions import Decision
from tests.fakes.state_store import FakeStateStore

_numbers = itertools.count(1)
_EVENT: TypeAdapter[Any] = TypeAdapter(AssistantStreamEvent)
START = 1_800_000_000.0

type Delta = dict[str, Any]


class Hold:
    """A place in a script where the model waits until the test lets it go on; `reached` when it does."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()
        self.closed = asyncio.Event()


@dataclass
class Says:
    """One answer of the model: pieces of text, deltas, holds, or an error that breaks the stream off."""

    steps: list[str | Delta | Hold | RouterError]
    finish_reason: str = "stop"
    usage: Usage | None = field(default_factory=lambda: Usage(10, 5))


def says(*steps: str | Delta | Hold | RouterError, **options: Any) -> Says:
    return Says(list(steps), **options)


def call(index: int, id: str, name: str, arguments: str) -> Delta:
    """The first fragment of a tool call."""
    function = {"name": name, "arguments": arguments}
    return {"tool_calls": [{"index": index, "id": id, "type": "function", "function": function}]}


def more(index: int, arguments: str) -> Delta:
    """A later fragment of a tool call."""
    return {"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}


class Model:
    """Answers chat calls by a script; an error in it is an answer without a stream."""

    def __init__(self) -> None:
        self.script: deque[Says | RouterError | Exception] = deque()
        self.calls: list[Call] = []

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(call.body.encode({})) for call in self.calls]

    async def __call__(self, call: Call) -> Answer:
        self.calls.append(call)
        step = self.script.popleft() if self.script else says("pong")
        decision = Decision(call.id, 0.0, Endpoint.CHAT_COMPLETIONS, call.model, call.stream)
        if isinstance(step, RouterError):
            return Answer(step.status, {}, decision, error=step)
        if isinstance(step, Exception):
            raise step
        return Answer(200, {}, decision, chunks=_chunks(step))


async def _chunks(said: Says) -> AsyncGenerator[list[Chunk]]:
    hold: Hold | None = None
    try:
        for step in said.steps:
            match step:
                case Hold():
                    hold = step
                    hold.reached.set()
                    await hold.go_on.wait()
                case RouterError():
                    raise step
                case str():
                    yield [_chunk({"content": step})]
                case _:
                    yield [_chunk(step)]
        yield [_chunk({}, said.finish_reason)]
        yield [Chunk(json.dumps({"choices": []}).encode(), False, said.usage)]
    finally:
        if hold is not None:
            hold.closed.set()


def _chunk(delta: Delta, finish_reason: str | None = None) -> Chunk:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return Chunk(json.dumps({"object": "chat.completion.chunk", "choices": [choice]}).encode(), True)


class _Frames(httpx.AsyncByteStream):
    def __init__(self, frames: AsyncGenerator[bytes]) -> None:
        self._frames = frames

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        async for frame in self._frames:
            yield frame

    async def aclose(self) -> None:
        await self._frames.aclose()


class World:
    """One router with its kept state; `client` is the SDK of the caller with that key."""

    def __init__(self, store: StateStore | None = None, ask: Callable[[Call], Any] | None = None) -> None:
        self.now = START
        self.model = Model()
        self.store: StateStore = store or FakeStateStore()
        self.assistants = Assistants(
            ask or self.model,
            self.store,
            Clock(monotonic=lambda: self.now, wall=lambda: self.now),
            lambda: "gpt-4o-mini",
            lambda caller: caller.authorization.get_secret_value() if caller.authorization else "",
        )
        self.client = self.client_of("key-of-the-app")

    def client_of(self, key: str) -> openai.AsyncOpenAI:
        transport = httpx.MockTransport(self._serve)
        return openai.AsyncOpenAI(
            api_key=key,
            base_url="http://router.test/v1",
            max_retries=0,
            http_client=httpx.AsyncClient(transport=transport),  # type: ignore[arg-type] # the SDK takes both httpx
        )

    async def _serve(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        try:
            result = await self.assistants.answer(
                Operation(
                    f"req-{next(_numbers)}",
                    request.method,
                    request.url.path,
                    dict(request.url.params),
                    body,
                    Caller(SecretStr(request.headers["authorization"])),
                    Preferences(),
                )
            )
        except RouterError as error:
            return httpx.Response(error.status, content=error.to_json(), headers={"content-type": "application/json"})
        if result is None:
            return httpx.Response(418)
        if result.frames is not None:
            return httpx.Response(result.status, headers=result.headers, stream=_Frames(result.frames))
        return httpx.Response(result.status, headers=result.headers, content=result.body)

    async def raw(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """An operation without the SDK; the JSON of the answer. Raises `RouterError`."""
        text = b"" if body is None else json.dumps(body).encode()
        caller = Caller(SecretStr("Bearer key-of-the-app"))
        result = await self.assistants.answer(Operation("req-raw", method, path, query, text, caller))
        assert result is not None
        if result.frames is not None:
            return [event async for event in read_events(result.frames)]
        return json.loads(result.body)

    async def assistant(self, **options: Any) -> str:
        """A new assistant's id."""
        return (await self.client.beta.assistants.create(**{"model": "gpt-4o", **options})).id

    async def thread(self, *texts: str) -> str:
        """A new thread's id, with messages of the user."""
        made = await self.client.beta.threads.create(messages=[{"role": "user", "content": text} for text in texts])
        return made.id

    async def at_rest(self, thread_id: str, run_id: str) -> Any:
        """The run when nothing works on it any more."""
        for task in [task for task in asyncio.all_tasks() if task.get_name().startswith(f"run {run_id}")]:
            await asyncio.wait({task})
        return await self.client.beta.threads.runs.retrieve(run_id, thread_id=thread_id)

    def kill(self) -> "World":
        """The process dies without a word; gives the one that starts next, on the same state."""
        for task in asyncio.all_tasks():
            if task.get_name().startswith("run "):
                task.cancel()
        if isinstance(self.store, SqlStore):
            self.store.process = Process()
        after = World(self.store)
        after.now = self.now
        return after


async def read_events(frames: AsyncGenerator[bytes]) -> AsyncGenerator[tuple[str, Any]]:
    """Name and data of each event; all that the SDK has a type for fit it strictly."""
    decoder = SseDecoder()
    async for frame in frames:
        for event in decoder.feed(frame):
            if event.data == b"[DONE]":
                yield event.event, None
                continue
            data = json.loads(event.data)
            if event.event != "error":
                _EVENT.validate_python({"event": event.event, "data": data}, strict=True)
            yield event.event, data


WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
