"""Every operation that the router answers itself, asked by the real SDK: by the blocking client and by the other."""

import asyncio
import inspect
import json
import re
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import StartRouter
from tests.e2e.router_process import app_environment, async_sdk, sync_sdk
from tests.e2e.test_operations import CALLS, Embedded, documented
from tests.fakes.provider import FakeProvider, Status

TEXT: Any = {"role": "user", "content": "ping"}
FUNCTION: Any = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
TOOL_CALL = Status(
    200, b"data: " + json.dumps(CALLS).encode() + b"\n\ndata: [DONE]\n\n", {"content-type": "text/event-stream"}
)
_ID = re.compile(r"/(?:resp|conv|asst|thread|msg|run|step)_[0-9a-zA-Z]+")


async def done(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


async def drained(stream: Any) -> list[Any]:
    stream = await done(stream)
    return [event async for event in stream] if hasattr(stream, "__aiter__") else list(stream)


async def models_and_answers(client: Any) -> None:
    assert "m" in [model.id for model in (await done(client.models.list())).data]
    assert (await done(client.models.retrieve("m"))).id == "m"
    chat = await done(client.chat.completions.create(model="gpt-4o", messages=[TEXT]))
    assert chat.choices[0].message.content == "hello there"
    assert (await done(client.completions.create(model="gpt-4o", prompt="ping"))).choices[0].text == "once"
    assert (await done(client.embeddings.create(model="m", input="ping"))).data[0].embedding == [0.5]


async def responses(client: Any) -> None:
    api = client.responses
    made = await done(api.create(model="gpt-4o", input="ping"))
    assert made.output_text == "hello there"
    assert (await done(api.retrieve(made.id))).output_text == "hello there"
    assert (await done(api.input_items.list(made.id))).data[0].content[0].text == "ping"
    assert (await done(api.input_tokens.count(model="gpt-4o", input="ping"))).input_tokens > 0
    events = await drained(api.create(model="gpt-4o", input="ping", stream=True))
    assert events[-1].response.output_text == "hello there"
    begun = await done(api.create(model="gpt-4o", input="ping", background=True))
    assert (await done(api.cancel(begun.id))).id == begun.id
    await done(api.delete(made.id))


async def conversations(client: Any) -> None:
    api = client.conversations
    conversation = await done(api.create(items=[{"type": "message", **TEXT}]))
    assert (await done(api.retrieve(conversation.id))).id == conversation.id
    assert (await done(api.update(conversation.id, metadata={"a": "b"}))).metadata == {"a": "b"}
    added = (await done(api.items.create(conversation.id, items=[{"type": "message", **TEXT}]))).data[0]
    assert (await done(api.items.retrieve(added.id, conversation_id=conversation.id))).id == added.id
    assert len((await done(api.items.list(conversation.id))).data) == 2
    await done(client.responses.create(model="gpt-4o", input="more", conversation=conversation.id))
    await done(api.items.delete(added.id, conversation_id=conversation.id))
    assert len((await done(api.items.list(conversation.id))).data) == 3
    assert (await done(api.delete(conversation.id))).deleted is True


async def assistants(client: Any) -> str:
    api = client.beta.assistants
    made = await done(api.create(model="gpt-4o", instructions="be kind", tools=[FUNCTION]))
    assert (await done(api.retrieve(made.id))).instructions == "be kind"
    assert (await done(api.update(made.id, name="n"))).name == "n"
    assert made.id in [one.id for one in (await done(api.list())).data]
    gone = await done(api.create(model="gpt-4o"))
    assert (await done(api.delete(gone.id))).deleted is True
    return str(made.id)


async def threads(client: Any) -> str:
    api = client.beta.threads
    made = await done(api.create(messages=[TEXT]))
    assert (await done(api.retrieve(made.id))).id == made.id
    assert (await done(api.update(made.id, metadata={"a": "b"}))).metadata == {"a": "b"}
    message = await done(api.messages.create(made.id, **TEXT))
    assert (await done(api.messages.retrieve(message.id, thread_id=made.id))).id == message.id
    await done(api.messages.update(message.id, thread_id=made.id, metadata={"a": "b"}))
    assert len((await done(api.messages.list(made.id))).data) == 2
    await done(api.messages.delete(message.id, thread_id=made.id))
    gone = await done(api.create())
    assert (await done(api.delete(gone.id))).deleted is True
    return str(made.id)


async def runs(client: Any, fake: FakeProvider, assistant: str, thread: str) -> None:
    api, whose = client.beta.threads.runs, {"thread_id": thread}
    fake.script(TOOL_CALL)
    run = await done(api.create_and_poll(assistant_id=assistant, **whose))
    assert run.status == "requires_action"
    outputs: Any = [{"tool_call_id": "call_1", "output": "x"}]
    told = await done(api.submit_tool_outputs_and_poll(run_id=run.id, tool_outputs=outputs, **whose))
    assert told.status == "completed"
    steps = (await done(api.steps.list(run.id, **whose))).data
    assert {step.type for step in steps} == {"tool_calls", "message_creation"}
    assert (await done(api.steps.retrieve(steps[0].id, run_id=run.id, **whose))).id == steps[0].id
    assert (await done(api.update(run.id, metadata={"a": "b"}, **whose))).metadata == {"a": "b"}
    assert [one.id for one in (await done(api.list(thread))).data] == [run.id]
    fake.script(TOOL_CALL)
    waiting = await done(api.create_and_poll(assistant_id=assistant, **whose))
    assert (await done(api.cancel(waiting.id, **whose))).status in ("cancelling", "cancelled")
    events = await drained(
        client.beta.threads.create_and_run(assistant_id=assistant, thread={"messages": [TEXT]}, stream=True)
    )
    assert "thread.run.completed" in [event.event for event in events]


async def everything(client: Any, fake: FakeProvider) -> None:
    await models_and_answers(client)
    await responses(client)
    await conversations(client)
    await runs(client, fake, await assistants(client), await threads(client))


@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
@pytest.mark.parametrize("client", ["blocking", "async"])
async def test_the_sdk_asks_for_everything(
    start_router: StartRouter, monkeypatch: pytest.MonkeyPatch, client: str
) -> None:
    asked: set[tuple[str, str]] = set()

    def note(request: httpx.Request) -> None:
        asked.add((request.method, _ID.sub("/{}", request.url.path.replace("/models/m", "/models/{}"))))

    async def note_too(request: httpx.Request) -> None:
        note(request)

    async with FakeProvider(default=Embedded()) as fake:
        models = [{"id": "m", "serves": ["gpt-4o", "m"]}]
        provider = {"name": "fake", "type": "vllm", "base_url": fake.base_url, "models": models}
        router = await start_router({"providers": [provider], "unmatched": "reject"})
        with app_environment(router, monkeypatch):
            if client == "async":
                http = httpx.AsyncClient(event_hooks={"request": [note_too]})
                async with async_sdk(http_client=http) as sdk:
                    await everything(sdk, fake)
            else:
                with sync_sdk(http_client=httpx.Client(event_hooks={"request": [note]})) as blocking:
                    await asyncio.to_thread(lambda: asyncio.run(everything(blocking, fake)))
    answered = {
        (method, re.sub(r"\{\w+\}", "{}", path))
        for (method, path), kind in documented().items()
        if "passed" not in kind
    }
    assert answered - asked == set()
