"""The Responses surface over a real gateway and a state store in memory, and a client that reads what it gives."""

import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openai.types.conversations import Conversation
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import SecretStr, TypeAdapter

from llmrouter.calls import Call, Caller, Preferences
from llmrouter.clock import Clock
from llmrouter.errors import RouterError, StateUnavailable
from llmrouter.operations import Operation, Result
from llmrouter.responding.background import Run
from llmrouter.responding.responses import Asking, Responses
from llmrouter.storage.state.store import Document, StateStore
from tests.fakes.state_store import FakeStateStore
from tests.gateways import GatewayUnderTest, gateway

_EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
_numbers = itertools.count(1)


@dataclass
class Heard:
    """What a client got, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.json["error"]
        return error

    @property
    def response(self) -> Response:
        return Response.model_validate(self.json)

    @property
    def conversation(self) -> Conversation:
        return Conversation.model_validate(self.json)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of a stream; each is one that the SDK knows, under its own name."""
        events = []
        for block in self.body.decode().split("\n\n")[:-1]:
            name, data = block.split("\n")
            events.append(json.loads(data.removeprefix("data: ")))
            assert name == f"event: {events[-1]['type']}"
            _EVENTS.validate_python(events[-1])
        return events

    @property
    def kinds(self) -> list[str]:
        return [event["type"].removeprefix("response.") for event in self.events]


def refused(error: RouterError) -> Heard:
    return Heard(error.status, {}, error.to_json())


@dataclass
class World:
    """`serve` makes the surface anew over the same store, as a restart does."""

    gateway: GatewayUnderTest
    store: StateStore
    now: float = 1_800_000_000.0
    calls: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.responses = self.serve()

    def serve(self) -> Responses:
        answer = self.gateway.runtime.gateway.answer

        async def ask(call: Call) -> Any:
            self.calls.append(call)
            return await answer(call)

        def can_serve(call: Call) -> bool:
            return bool(self.gateway.runtime.gateway.router.acceptable(call)[0])

        asking = Asking(ask, lambda: "gpt-4o-mini", lambda call: call.input_characters // 4, can_serve)
        return Responses(asking, self.store, Clock(wall=lambda: self.now), _key_of)

    def operation(self, method: str, path: str, body: Any = None, *, key: str = "a", **query: str) -> Operation:
        content = b"" if body is None else json.dumps(body).encode()
        caller = Caller(SecretStr(f"Bearer key-of-{key}"))
        return Operation(f"req-{next(_numbers)}", method, f"/v1{path}", query, content, caller, Preferences())

    async def open(self, method: str, path: str, body: Any = None, **options: str) -> Result | None:
        """What the surface gives; a stream is not read yet."""
        return await self.responses.answer(self.operation(method, path, body, **options))

    async def refusal(self, method: str, path: str, body: Any = None) -> Heard:
        """The error for what the router does not answer, and may not pass on."""
        assert await self.open(method, path, body) is None
        return refused(self.responses.refusal(self.operation(method, path, body)))

    async def ask(self, method: str, path: str, body: Any = None, **options: str) -> Heard:
        """The answer, read to its end; one that is an error, and one that is not the router's (status 0)."""
        try:
            result = await self.open(method, path, body, **options)
        except RouterError as error:
            return refused(error)
        return Heard(0, {}, b"") if result is None else await read(result)

    async def create(self, input: Any = "hello", *, key: str = "a", **members: Any) -> Heard:
        return await self.ask("POST", "/responses", {"model": "gpt-4o", "input": input, **members}, key=key)

    async def begin(self, input: Any = "hello", **members: Any) -> Result:
        """A new response, whose stream is not read yet."""
        result = await self.open("POST", "/responses", {"model": "gpt-4o", "input": input, **members})
        assert result is not None
        return result

    def run_of(self, id: str, key: str = "a") -> Run | None:
        """A response of the background, while it is being made."""
        return self.responses.runs.get(f"hash of Bearer key-of-{key}", id)

    @property
    def prompt(self) -> list[dict[str, Any]]:
        """The messages of the last call."""
        messages: list[dict[str, Any]] = self.calls[-1].body["messages"]
        return messages

    @property
    def said(self) -> list[str]:
        """The texts of the last call's messages."""
        return [text_of(message["content"]) for message in self.prompt]


def text_of(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


async def read(result: Result) -> Heard:
    body = result.body if result.frames is None else b"".join([frame async for frame in result.frames])
    return Heard(result.status, result.headers, body)


def _key_of(caller: Caller) -> str:
    assert caller.authorization is not None
    return f"hash of {caller.authorization.get_secret_value()}"


@contextlib.asynccontextmanager
async def world(
    folder: Path, *providers: dict[str, Any], store: StateStore | None = None, **settings: Any
) -> AsyncIterator[World]:
    """The surface over these providers; what runs in the background ends with it."""
    async with gateway(folder, *(providers or (ECHO,)), **settings) as under_test:
        made = World(under_test, store or FakeStateStore())
        try:
            yield made
        finally:
            await made.responses.close()


class BrokenStore(FakeStateStore):
    """Keeps nothing, and says so; what asks for nothing new works."""

    async def add(self, *_: Any, **__: Any) -> list[Document]:
        raise StateUnavailable("What the router keeps cannot be reached.")


ECHO: dict[str, Any] = {"name": "echo", "type": "echo", "model": "model-of-echo"}
