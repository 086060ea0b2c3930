"""Every operation on what is kept, through the real SDK, and what is refused."""

import json
from typing import Any

import openai
import pytest

from llmrouter.errors import InvalidRequest
from llmrouter.operations import Operation
from tests.assisting.world import START, WEATHER, Hold, World, call, says

# The SDK still has the API that OpenAI shut down, and says so at each use.
pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")


async def test_assistants(world: World) -> None:
    assistants = world.client.beta.assistants
    made = await assistants.create(
        model="gpt-4o",
        name="Ann",
        description="helps",
        instructions="Help.",
        tools=[WEATHER],  # type: ignore[list-item] # a dict is what apps pass
        metadata={"team": "a"},
        reasoning_effort="low",
        response_format={"type": "json_object"},
        top_p=0.5,
    )
    assert (made.object, made.created_at, made.name, made.top_p, made.temperature) == (
        "assistant",
        int(START),
        "Ann",
        0.5,
        1.0,
    )
    assert await assistants.retrieve(made.id) == made
    changed = await assistants.update(made.id, name=None, model="gpt-4o-mini", response_format="auto")
    assert (changed.name, changed.model, changed.instructions, changed.response_format) == (
        None,
        "gpt-4o-mini",
        "Help.",
        "auto",
    )
    assert [one.id async for one in assistants.list()] == [made.id]
    gone = await assistants.delete(made.id)
    assert gone.to_dict() == {"id": made.id, "object": "assistant.deleted", "deleted": True}
    with pytest.raises(openai.NotFoundError) as caught:
        await assistants.retrieve(made.id)
    assert caught.value.body == {
        "message": f"No assistant found with id '{made.id}'.",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }
    assert (await assistants.create(model=None)).model == "gpt-4o-mini"  # type: ignore[arg-type] # the default


async def test_threads(world: World) -> None:
    threads = world.client.beta.threads
    made = await threads.create(metadata={"a": "1"})
    assert (await threads.retrieve(made.id)) == made
    assert (await threads.update(made.id, metadata={"b": "2"})).metadata == {"b": "2"}
    await threads.messages.create(made.id, role="user", content="hello")
    assert (await threads.delete(made.id)).to_dict() == {"id": made.id, "object": "thread.deleted", "deleted": True}
    with pytest.raises(openai.NotFoundError, match="No thread found with id"):
        await threads.messages.list(made.id)
    assert await world.store.every("Bearer key-of-the-app", "message", made.id) == [], "its messages are gone, too"


async def test_messages(world: World) -> None:
    thread = await world.thread("first")
    messages = world.client.beta.threads.messages
    made = await messages.create(
        thread,
        role="user",
        content=[
            {"type": "text", "text": "what is this?"},
            {"type": "image_url", "image_url": {"url": "https://images.test/a.png", "detail": "low"}},
        ],
        metadata={"a": "1"},
    )
    assert [part.to_dict() for part in made.content] == [
        {"type": "text", "text": {"value": "what is this?", "annotations": []}},
        {"type": "image_url", "image_url": {"url": "https://images.test/a.png", "detail": "low"}},
    ]
    assert (made.status, made.role, made.thread_id) == ("completed", "user", thread)
    assert await messages.retrieve(made.id, thread_id=thread) == made
    assert (await messages.update(made.id, thread_id=thread, metadata={})).metadata == {}
    gone = await messages.delete(made.id, thread_id=thread)
    assert gone.to_dict() == {"id": made.id, "object": "thread.message.deleted", "deleted": True}
    assert len((await messages.list(thread)).data) == 1
    other = await world.thread()
    with pytest.raises(openai.NotFoundError, match="No message found with id"):
        await messages.retrieve((await messages.list(thread)).data[0].id, thread_id=other)


async def test_lists_are_paged(world: World) -> None:
    thread = await world.thread(*(f"message {number}" for number in range(5)))
    messages = world.client.beta.threads.messages
    every = [one.id async for one in messages.list(thread, limit=2, order="asc")]
    assert len(every) == 5
    page = await world.raw("GET", f"/v1/threads/{thread}/messages", limit="2")
    assert [one["id"] for one in page["data"]] == [every[4], every[3]]
    assert (page["object"], page["first_id"], page["last_id"], page["has_more"]) == ("list", every[4], every[3], True)
    page = await world.raw("GET", f"/v1/threads/{thread}/messages", limit="2", order="asc", after=every[2])
    assert ([one["id"] for one in page["data"]], page["has_more"]) == (every[3:], False)
    page = await world.raw("GET", f"/v1/threads/{thread}/messages", order="asc", before=every[2])
    assert [one["id"] for one in page["data"]] == every[:2]
    assert (await world.raw("GET", f"/v1/threads/{thread}/runs")) == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"order": "up"}, "order"),
        ({"after": "msg_unknown"}, "after"),
        ({"before": "msg_unknown"}, "before"),
        ({"after": "msg_unknown", "run_id": "run_x"}, "after"),
    ],
)
async def test_a_wrong_page_is_refused(world: World, query: dict[str, str], param: str) -> None:
    thread = await world.thread("ping")
    with pytest.raises(InvalidRequest) as caught:
        await world.raw("GET", f"/v1/threads/{thread}/messages", **query)
    assert (caught.value.status, caught.value.param) == (400, param)


async def test_messages_of_one_run(world: World) -> None:
    assistant, thread = await world.assistant(), await world.thread("ping")
    runs, messages = world.client.beta.threads.runs, world.client.beta.threads.messages
    first = await runs.create_and_poll(thread_id=thread, assistant_id=assistant, poll_interval_ms=1)
    second = await runs.create_and_poll(thread_id=thread, assistant_id=assistant, poll_interval_ms=1)
    found = {run.id: [one.run_id async for one in messages.list(thread, run_id=run.id)] for run in (first, second)}
    assert found == {first.id: [first.id], second.id: [second.id]}
    assert [one.id async for one in runs.list(thread)] == [second.id, first.id]
    changed = await runs.update(first.id, thread_id=thread, metadata={"seen": "yes"})
    assert (changed.metadata, changed.status) == ({"seen": "yes"}, "completed")


async def test_another_callers_objects_look_unknown(world: World) -> None:
    assistant, thread = await world.assistant(), await world.thread("ping")
    other = world.client_of("key-of-another-app").beta
    for wanted in (other.assistants.retrieve(assistant), other.threads.retrieve(thread), other.threads.delete(thread)):
        with pytest.raises(openai.NotFoundError, match=r"No (assistant|thread) found with id"):
            await wanted
    assert (await other.assistants.list()).data == []
    mine = await other.threads.create()
    with pytest.raises(openai.NotFoundError, match="No assistant found"):
        await other.threads.runs.create(mine.id, assistant_id=assistant)


_FUNCTION = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"tools": [{"type": "code_interpreter"}]}, "tools[0].type"),
        ({"tools": [_FUNCTION, {"type": "file_search"}]}, "tools[1].type"),
        ({"tools": [{"type": "magic"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tools": [_FUNCTION] * 129}, "tools"),
        ({"tools": "all"}, "tools"),
        ({"tool_resources": {"file_search": {"vector_store_ids": ["vs_1"]}}}, "tool_resources"),
        ({"file_ids": ["file_1"]}, "file_ids"),
        ({"name": "n" * 257}, "name"),
        ({"description": "n" * 513}, "description"),
        ({"instructions": "n" * 256_001}, "instructions"),
        ({"model": 5}, "model"),
        ({"temperature": 2.5}, "temperature"),
        ({"top_p": -1}, "top_p"),
        ({"top_p": True}, "top_p"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"metadata": {str(number): "x" for number in range(17)}}, "metadata"),
        ({"metadata": {"k" * 65: "x"}}, "metadata"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k"),
        ({"metadata": {"k": 1}}, "metadata.k"),
        ({"metadata": []}, "metadata"),
    ],
)
async def test_a_wrong_assistant_is_refused(world: World, body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await world.raw("POST", "/v1/assistants", {"model": "gpt-4o"} | body)
    assert (caught.value.status, caught.value.type, caught.value.param) == (400, "invalid_request_error", param)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"content": "hello"}, "role"),
        ({"role": "system", "content": "hello"}, "role"),
        ({"role": "user"}, "content"),
        ({"role": "user", "content": ""}, "content"),
        ({"role": "user", "content": []}, "content"),
        ({"role": "user", "content": 7}, "content"),
        ({"role": "user", "content": ["text"]}, "content[0]"),
        ({"role": "user", "content": [{"text": "text"}]}, "content[0].type"),
        ({"role": "user", "content": [{"type": "text"}]}, "content[0].text"),
        ({"role": "user", "content": [{"type": "image_url"}]}, "content[0].image_url.url"),
        ({"role": "user", "content": [{"type": "image_file"}]}, "content[0].image_file"),
        ({"role": "user", "content": [{"type": "sound"}]}, "content[0].type"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u", "detail": "x"}}]},
            "content[0].image_url.detail",
        ),
        ({"role": "user", "content": "a", "attachments": [{"file_id": "file_1"}]}, "attachments"),
    ],
)
async def test_a_wrong_message_is_refused(world: World, body: dict[str, Any], param: str) -> None:
    thread = await world.thread()
    with pytest.raises(InvalidRequest) as caught:
        await world.raw("POST", f"/v1/threads/{thread}/messages", body)
    assert (caught.value.status, caught.value.param) == (400, param)
    with pytest.raises(InvalidRequest) as caught:
        await world.raw("POST", "/v1/threads", {"messages": [body]})
    assert caught.value.param == f"messages[0].{param}"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"assistant_id": None}, "assistant_id"),
        ({"stream": "yes"}, "stream"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": {"type": "file_search"}}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.function"),
        ({"max_prompt_tokens": 255}, "max_prompt_tokens"),
        ({"max_completion_tokens": "9"}, "max_completion_tokens"),
        ({"truncation_strategy": {"type": "last_messages"}}, "truncation_strategy.last_messages"),
        ({"truncation_strategy": {"type": "last_messages", "last_messages": 0}}, "truncation_strategy.last_messages"),
        ({"truncation_strategy": {"type": "auto", "last_messages": 3}}, "truncation_strategy.last_messages"),
        ({"truncation_strategy": {"type": "all"}}, "truncation_strategy.type"),
        ({"truncation_strategy": "auto"}, "truncation_strategy"),
        ({"additional_messages": [{"role": "user"}]}, "additional_messages[0].content"),
        ({"tools": [{"type": "code_interpreter"}]}, "tools[0].type"),
        ({"parallel_tool_calls": 1}, "parallel_tool_calls"),
    ],
)
async def test_a_wrong_run_is_refused(world: World, body: dict[str, Any], param: str) -> None:
    thread, assistant = await world.thread("ping"), await world.assistant()
    with pytest.raises(InvalidRequest) as caught:
        await world.raw("POST", f"/v1/threads/{thread}/runs", {"assistant_id": assistant} | body)
    assert (caught.value.status, caught.value.param) == (400, param)
    assert await world.store.claims() == [], "the thread is free"


async def test_bodies_that_are_no_objects_are_refused(world: World) -> None:
    for body in (b"{", b"[]", b'"text"', b"\xff"):
        with pytest.raises(InvalidRequest):
            await world.assistants.answer(Operation("req-1", "POST", "/v1/threads", body=body))


async def test_paths_and_methods(world: World) -> None:
    for path in ("/v1/chat/completions", "/v1/threads/a/b", "/v1", "/", "/v1/threads//messages", "/v1/vector_stores"):
        assert await world.assistants.answer(Operation("req-1", "GET", path)) is None, path
    with pytest.raises(InvalidRequest, match="Not allowed to PUT on /v1/assistants") as caught:
        await world.assistants.answer(Operation("req-1", "PUT", "/v1/assistants"))
    assert caught.value.status == 405


async def test_one_run_at_a_time(world: World) -> None:
    assistant, thread = await world.assistant(), await world.thread("ping")
    hold = Hold()
    world.model.script.append(says(hold, "pong"))
    runs = world.client.beta.threads.runs
    run = await runs.create(thread, assistant_id=assistant)
    await hold.reached.wait()
    with pytest.raises(openai.ConflictError) as caught:
        await runs.create(thread, assistant_id=assistant)
    assert f"Thread {thread} already has an active run {run.id}." in caught.value.message
    with pytest.raises(openai.BadRequestError) as refused:
        await world.client.beta.threads.messages.create(thread, role="user", content="wait")
    assert f"Can't add messages to {thread} while a run {run.id} is active." in refused.value.message
    hold.go_on.set()
    assert (await world.at_rest(thread, run.id)).status == "completed"
    await world.client.beta.threads.messages.create(thread, role="user", content="now")


async def test_outputs_answer_all_pending_calls(world: World) -> None:
    assistant, thread = await world.assistant(tools=[WEATHER]), await world.thread("ping")
    world.model.script.append(says(call(0, "a", "weather", "{}"), call(1, "b", "weather", "{}")))
    runs = world.client.beta.threads.runs
    run = await runs.create_and_poll(thread_id=thread, assistant_id=assistant, poll_interval_ms=1)
    path = f"/v1/threads/{thread}/runs/{run.id}/submit_tool_outputs"
    for ids in ([], ["a"], ["a", "x"], ["a", "b", "b"], ["a", "b", "c"]):
        with pytest.raises(InvalidRequest, match="Expected tool outputs for call_ids") as caught:
            await world.raw("POST", path, {"tool_outputs": [{"tool_call_id": id, "output": "1"} for id in ids]})
        assert (caught.value.status, caught.value.param) == (400, "tool_outputs")
    for wrong in ({}, {"tool_outputs": [{"output": "1"}]}, {"tool_outputs": [{"tool_call_id": "a", "output": 1}]}):
        with pytest.raises(InvalidRequest):
            await world.raw("POST", path, wrong)
    outputs = {"tool_outputs": [{"tool_call_id": "b", "output": "2"}, {"tool_call_id": "a", "output": "1"}]}
    assert (await world.raw("POST", path, outputs))["status"] == "queued"
    with pytest.raises(InvalidRequest, match="do not accept tool outputs"):
        await world.raw("POST", path, outputs)
    assert (await world.at_rest(thread, run.id)).status == "completed"


async def test_polls_are_told_when_to_come_again(world: World) -> None:
    assistant, thread = await world.assistant(), await world.thread("ping")
    hold = Hold()
    world.model.script.append(says(hold, "pong"))
    runs = world.client.beta.threads.runs
    run = await runs.create(thread, assistant_id=assistant)
    await hold.reached.wait()
    response = await runs.with_raw_response.retrieve(run.id, thread_id=thread)
    assert response.headers["openai-poll-after-ms"] == "500"
    assert json.loads(response.text)["status"] == "in_progress"
    hold.go_on.set()
    await world.at_rest(thread, run.id)
    response = await runs.with_raw_response.retrieve(run.id, thread_id=thread)
    assert "openai-poll-after-ms" not in response.headers


async def test_a_thread_with_an_active_run_is_deleted_with_it(world: World) -> None:
    assistant, thread = await world.assistant(), await world.thread("ping")
    hold = Hold()
    world.model.script.append(says("po", hold))
    await world.client.beta.threads.runs.create(thread, assistant_id=assistant)
    await hold.reached.wait()
    await world.client.beta.threads.delete(thread)
    assert hold.closed.is_set()
    for kind in ("message", "run", "exchange"):
        assert await world.store.every("Bearer key-of-the-app", kind, thread) == []
    assert await world.store.claims() == []
