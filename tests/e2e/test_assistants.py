"""The Assistants API through the real SDK and the real proxy, and state that outlives kill -9 in both databases."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AssistantEventHandler

from tests.e2e.conftest import StartRouter, routed_to
from tests.e2e.router_process import RouterProcess, app_environment, async_sdk, running_router, sync_sdk
from tests.fakes.postgres_server import PostgresServer
from tests.fakes.provider import END, PAUSE, FakeProvider, StreamSteps, sse, sse_chunk

pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")

WEATHER: Any = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Ulm"}'}}


def calling() -> StreamSteps:
    """A stream that calls a tool."""
    return StreamSteps([sse_chunk(delta={"tool_calls": [CALL]}), sse_chunk(finish="tool_calls"), sse("[DONE]"), END])


@pytest.fixture
async def router(start_router: StartRouter, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> Any:
    started = await start_router(routed_to(fake))
    with app_environment(started, monkeypatch):
        yield started


async def test_a_blocking_app_polls(router: RouterProcess, fake: FakeProvider) -> None:
    def app() -> tuple[str, list[str], list[str]]:
        with sync_sdk() as client:
            assistant = client.beta.assistants.create(model="gpt-4o", instructions="be kind")
            thread = client.beta.threads.create(messages=[{"role": "user", "content": "ping"}])
            run = client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
            messages = list(client.beta.threads.messages.list(thread.id, order="asc", limit=1))
            steps = list(client.beta.threads.runs.steps.list(run.id, thread_id=thread.id))
            texts = [message.content[0].text.value for message in messages]  # type: ignore[union-attr]
            return run.status, texts, [step.type for step in steps]

    assert await asyncio.to_thread(app) == ("completed", ["ping", "hello there"], ["message_creation"])
    said = json.loads(fake.requests[0].body)["messages"]
    assert [message["content"] for message in said] == ["be kind", "ping"]
    (decision,) = router.decisions(1)
    assert (decision["answered_by"], decision["endpoint"]) == ("fake/fake-model", "assistants")


async def test_an_event_handler_hears_the_stream(router: RouterProcess) -> None:
    class Handler(AssistantEventHandler):
        def __init__(self) -> None:
            super().__init__()
            self.heard = ""

        def on_text_delta(self, delta: Any, snapshot: Any) -> None:
            self.heard += delta.value

    def app() -> tuple[str, str]:
        with sync_sdk() as client:
            assistant = client.beta.assistants.create(model="gpt-4o")
            thread = client.beta.threads.create(messages=[{"role": "user", "content": "ping"}])
            handler = Handler()
            with client.beta.threads.runs.stream(
                thread_id=thread.id, assistant_id=assistant.id, event_handler=handler
            ) as stream:
                stream.until_done()
                run = stream.current_run
            assert run is not None
            return handler.heard, run.status

    assert await asyncio.to_thread(app) == ("hello there", "completed")


async def test_a_tool_is_called_and_its_output_given(router: RouterProcess, fake: FakeProvider) -> None:
    fake.script(calling())
    async with async_sdk() as client:
        assistant = await client.beta.assistants.create(model="gpt-4o", tools=[WEATHER])
        run = await client.beta.threads.create_and_run_poll(
            assistant_id=assistant.id, thread={"messages": [{"role": "user", "content": "weather?"}]}
        )
        assert (run.status, run.required_action is not None) == ("requires_action", True)
        with pytest.raises(openai.ConflictError):
            await client.beta.threads.runs.create(run.thread_id, assistant_id=assistant.id)
        done = await client.beta.threads.runs.submit_tool_outputs_and_poll(
            run_id=run.id, thread_id=run.thread_id, tool_outputs=[{"tool_call_id": "call_1", "output": "sunny"}]
        )
        assert done.status == "completed"
    roles = [message["role"] for message in json.loads(fake.requests[-1].body)["messages"]]
    assert roles == ["user", "assistant", "tool"]


async def test_a_run_is_cancelled(router: RouterProcess, fake: FakeProvider) -> None:
    slow = StreamSteps([sse_chunk("begun "), PAUSE])
    fake.script(slow)
    async with async_sdk() as client:
        assistant = await client.beta.assistants.create(model="gpt-4o")
        run = await client.beta.threads.create_and_run(
            assistant_id=assistant.id, thread={"messages": [{"role": "user", "content": "ping"}]}
        )
        await slow.reached.wait()
        await client.beta.threads.runs.cancel(run.id, thread_id=run.thread_id)
        await slow.client_left.wait()
        ended = await client.beta.threads.runs.poll(run_id=run.id, thread_id=run.thread_id)
        assert ended.status == "cancelled"


async def test_what_is_refused(router: RouterProcess) -> None:
    tools: Any = [{"type": "code_interpreter"}]
    async with async_sdk() as mine, async_sdk(api_key="key-of-another-app") as other:
        with pytest.raises(openai.BadRequestError, match="code_interpreter"):
            await mine.beta.assistants.create(model="gpt-4o", tools=tools)
        thread = await mine.beta.threads.create()
        for client, id in ((other, thread.id), (mine, "thread_unknown")):
            with pytest.raises(openai.NotFoundError, match=f"No thread found with id '{id}'"):
                await client.beta.threads.retrieve(id)
        with pytest.raises(openai.NotFoundError):
            await mine.get("/threads/x/y/z", cast_to=object)


@pytest.fixture(params=["sqlite", "postgresql"])
def storage(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """Where state is kept."""
    if request.param == "sqlite":
        yield {}
        return
    server = PostgresServer()
    server.start()
    yield {"storage": {"url": server.url}}
    server.remove()


async def test_kill_9_loses_nothing(
    tmp_path: Path, fake: FakeProvider, storage: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was under way is failed, what waited for the app waits on, and threads are free."""
    slow, slower = (StreamSteps([sse_chunk("begun "), PAUSE]) for _ in range(2))
    fake.script(calling(), slow, slower)
    config = routed_to(fake) | storage
    with running_router(tmp_path, config) as router, app_environment(router, monkeypatch):
        async with async_sdk() as client:
            assistant = await client.beta.assistants.create(model="gpt-4o", tools=[WEATHER])
            thread: Any = {"messages": [{"role": "user", "content": "ping"}]}
            waiting = await client.beta.threads.create_and_run_poll(assistant_id=assistant.id, thread=thread)
            assert waiting.status == "requires_action"
            working = await client.beta.threads.create_and_run(assistant_id=assistant.id, thread=thread)
            await slow.reached.wait()
            response = await client.responses.create(model="gpt-4o", input="ping", background=True)
            await slower.reached.wait()
            router.process.kill()

    with running_router(tmp_path, config) as router, app_environment(router, monkeypatch):
        async with async_sdk() as client:
            runs = client.beta.threads.runs
            failed = await runs.retrieve(working.id, thread_id=working.thread_id)
            assert (failed.status, failed.last_error is not None) == ("failed", True)
            again = await runs.create_and_poll(thread_id=working.thread_id, assistant_id=assistant.id)
            assert again.status == "completed"
            outputs: Any = [{"tool_call_id": "call_1", "output": "sunny"}]
            done = await runs.submit_tool_outputs_and_poll(
                run_id=waiting.id, thread_id=waiting.thread_id, tool_outputs=outputs
            )
            assert done.status == "completed"
            ended = await client.responses.retrieve(response.id)
            assert (ended.status, ended.error is not None) == ("failed", True)
