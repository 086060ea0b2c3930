"""`docs/operations.md` names every operation of five surfaces, and says the truth about each."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.e2e.conftest import StartRouter
from tests.e2e.router_process import REPOSITORY, RouterProcess
from tests.fakes.provider import Answer, FakeProvider, Seen, Status, StreamSteps, sse
from tests.providers.responses_samples import events_of, message, response, text_part

_ROW = re.compile(r"^\| `([A-Z]+) (/v1/[^`]*)` \| ([a-z ]+) \|", re.MULTILINE)
_IN_SDK = re.compile(
    r'self\._(get|post|delete|put|patch|get_api_list)\(\s*(?:path_template\(\s*)?f?"(/[^"]*)"', re.MULTILINE
)
_RESOURCES = (
    "chat/completions",
    "completions.py",
    "embeddings.py",
    "models.py",
    "responses",
    "conversations",
    "beta/assistants.py",
    "beta/threads",
)

type Operation = tuple[str, str]


def documented() -> dict[Operation, str]:
    text = (REPOSITORY / "docs" / "operations.md").read_text()
    return {(method, path): kind for method, path, kind in _ROW.findall(text)}


def known_to_the_sdk() -> set[Operation]:
    root = Path(openai.__path__[0]) / "resources"
    found = set()
    for resource in _RESOURCES:
        place = root / resource
        for file in [place] if place.is_file() else place.rglob("*.py"):
            for method, path in _IN_SDK.findall(file.read_text()):
                found.add((method.upper().replace("GET_API_LIST", "GET"), f"/v1{path}"))
    return found


def test_every_operation_is_named() -> None:
    assert len(documented()) > 40
    assert set(documented()) == known_to_the_sdk()


class Embedded:
    """Embeddings for `/embeddings`, a text for `/completions`, and a chat for all else."""

    async def perform(self, exchange: Any) -> None:
        if exchange.seen.path.endswith("/embeddings"):
            data = [{"object": "embedding", "index": 0, "embedding": [0.5]}]
            usage = {"prompt_tokens": 1, "total_tokens": 1}
            await Status(200, {"object": "list", "data": data, "model": "m", "usage": usage}).perform(exchange)
        elif exchange.seen.path == "/v1/completions":
            choice = {"index": 0, "text": "once", "logprobs": None, "finish_reason": "stop"}
            usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
            body = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m", "choices": [choice]}
            await Status(200, body | {"usage": usage}).perform(exchange)
        elif exchange.seen.path == "/v1/responses":
            said = message(text_part("hello there"))
            events = [sse(event) for event in events_of(said)]
            is_stream = exchange.seen.json().get("stream")
            await (StreamSteps(events) if is_stream else Status(200, response(said))).perform(exchange)
        else:
            await Answer("hello there").perform(exchange)


CALLS = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "delta": {
                "tool_calls": [
                    {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                ]
            },
            "finish_reason": "tool_calls",
        }
    ],
}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
TEXT = {"role": "user", "content": "ping"}
BODIES: Mapping[str, Any] = {
    "POST /v1/chat/completions": {"model": "gpt-4o", "messages": [TEXT]},
    "POST /v1/completions": {"model": "gpt-4o", "prompt": "ping"},
    "POST /v1/embeddings": {"model": "m", "input": "ping"},
    "POST /v1/responses": {"model": "gpt-4o", "input": "ping"},
    "POST /v1/responses/input_tokens": {"model": "gpt-4o", "input": "ping"},
    "POST /v1/responses/compact": {"model": "gpt-4o", "input": "ping"},
    "POST /v1/conversations": {"items": [{"type": "message", **TEXT}]},
    "POST /v1/conversations/{conversation_id}": {"metadata": {"a": "b"}},
    "POST /v1/conversations/{conversation_id}/items": {"items": [{"type": "message", **TEXT}]},
    "POST /v1/assistants": {"model": "gpt-4o", "tools": [FUNCTION]},
    "POST /v1/threads": {"messages": [TEXT]},
    "POST /v1/threads/runs": {"thread": {"messages": [TEXT]}, "stream": True},
    "POST /v1/threads/{thread_id}/messages": TEXT,
    "POST /v1/threads/{thread_id}/runs": {"stream": True},
    "POST /v1/threads/{thread_id}/runs/{run_id}/submit_tool_outputs": {
        "tool_outputs": [{"tool_call_id": "call_1", "output": "x"}],
        "stream": True,
    },
}
"""What is sent where an empty object will not do."""


@dataclass
class World:
    """A running router, and the ids of what was made there."""

    client: httpx.Client
    fake: FakeProvider
    openai: FakeProvider
    ids: dict[str, str] = field(default_factory=lambda: {"model": "gpt-4o", "completion_id": "chatcmpl-1"})

    def send(self, method: str, path: str, body: Any = None) -> httpx.Response:
        url = "https://api.openai.com" + re.sub(r"\{(\w+)\}", lambda found: self.ids[found[1]], path)
        headers = {"authorization": "Bearer key-of-the-app", "openai-beta": "assistants=v2"}
        return self.client.request(method, url, headers=headers, json=body)

    def make(self, name: str, path: str, body: Any, **more: Any) -> None:
        answer = self.send("POST", path, body | more)
        assert answer.status_code == 200, answer.text
        self.ids[name] = answer.json()["id"]

    def prepare(self, method: str, path: str) -> Any:
        """Makes what the operation asks for; the body to send."""
        for name, made_by in (
            ("conversation_id", "POST /v1/conversations"),
            ("assistant_id", "POST /v1/assistants"),
            ("thread_id", "POST /v1/threads"),
        ):
            self.make(name, made_by.removeprefix("POST "), BODIES[made_by])
        is_background = path.endswith("/cancel")
        self.make("response_id", "/v1/responses", BODIES["POST /v1/responses"], background=is_background)
        items = self.send("GET", "/v1/conversations/{conversation_id}/items").json()
        self.ids["item_id"] = items["data"][0]["id"]
        messages = self.send("GET", "/v1/threads/{thread_id}/messages").json()
        self.ids["message_id"] = messages["data"][0]["id"]
        if "{run_id}" in path:
            self._run()
        body = BODIES.get(f"{method} {path}", {} if method == "POST" else None)
        return body | {"assistant_id": self.ids["assistant_id"]} if path.endswith("/runs") and body else body

    def _run(self) -> None:
        """A run that waits for the output of a tool."""
        chunk = b"data: " + json.dumps(CALLS).encode() + b"\n\ndata: [DONE]\n\n"
        self.fake.script(Status(200, chunk, {"content-type": "text/event-stream"}))
        body = {"assistant_id": self.ids["assistant_id"], "stream": True}
        told = self.send("POST", "/v1/threads/{thread_id}/runs", body).text
        self.ids["run_id"] = json.loads(re.findall(r"event: thread.run.created\ndata: (.*)", told)[0])["id"]
        self.ids["step_id"] = json.loads(re.findall(r"event: thread.run.step.created\ndata: (.*)", told)[0])["id"]

    def kind(self, method: str, path: str) -> str:
        """What becomes of an operation, as it is seen from outside."""
        body = self.prepare(method, path)
        before, passed = len(self.fake.requests), len(self.openai.requests)
        answer = self.send(method, path, body)
        if len(self.openai.requests) > passed:
            return "passed through"
        error = answer.status_code >= 400 or "event: error" in answer.text
        if error:
            return f"refused: {answer.status_code} {answer.text[:300]}"
        asked: list[Seen] = self.fake.requests[before:]
        if not asked:
            return "emulated"
        return "native" if asked[0].path == path else "translated"


@pytest.fixture
async def router(
    start_router: StartRouter, fake_openai: tuple[FakeProvider, tuple[str, ...]]
) -> AsyncIterator[tuple[RouterProcess, FakeProvider, FakeProvider]]:
    """A router over a provider that has all endpoints of models."""
    server, options = fake_openai
    async with FakeProvider(default=Embedded()) as fake:
        provider = {"name": "fake", "type": "vllm", "base_url": fake.base_url}
        models = [{"id": "m", "serves": ["gpt-4o", "m"]}]
        yield await start_router({"providers": [provider | {"models": models}]}, options=options), fake, server


async def test_every_row_is_true(router: tuple[RouterProcess, FakeProvider, FakeProvider]) -> None:
    process, fake, server = router

    def seen() -> dict[Operation, str]:
        with process.client() as client:
            world = World(client, fake, server)
            return {operation: world.kind(*operation) for operation in documented()}

    assert await asyncio.to_thread(seen) == documented()
    await fake.__aexit__()
