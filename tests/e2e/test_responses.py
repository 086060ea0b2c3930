"""The Responses API through the real SDK and the real proxy, on a provider that only speaks chat."""

import asyncio
import json
from typing import Any

import httpx
import openai
import pytest
from openai.types.responses import (
    ResponseCompletedEvent,
    ResponseCreatedEvent,
    ResponseFunctionToolCall,
    ResponseTextDeltaEvent,
)
from pydantic import BaseModel

from tests.e2e.conftest import StartRouter, routed_to
from tests.e2e.router_process import RouterProcess, app_environment, async_sdk, sync_sdk
from tests.endpoints.responses.event_order import check_order
from tests.fakes.provider import CUT, END, PAUSE, Answer, FakeProvider, Status, StreamSteps, sse, sse_chunk

WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Ulm"}'}}
CALLS = Status(
    200,
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "fake-model",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": None, "tool_calls": [CALL]},
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13},
    },
)


@pytest.fixture
async def router(start_router: StartRouter, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> Any:
    started = await start_router(routed_to(fake))
    with app_environment(started, monkeypatch):
        yield started


def asked(fake: FakeProvider, number: int = -1) -> Any:
    """The messages that the provider got."""
    return json.loads(fake.requests[number].body)["messages"]


async def test_a_blocking_app_and_its_next_turn(router: RouterProcess, fake: FakeProvider) -> None:
    def app() -> tuple[str, str, str | None]:
        with sync_sdk() as client:
            first = client.responses.create(model="gpt-4o", instructions="be kind", input="ping")
            second = client.responses.create(model="gpt-4o", input="again", previous_response_id=first.id)
            return first.output_text, second.output_text, second.previous_response_id

    one, two, _ = await asyncio.to_thread(app)
    assert (one, two) == ("hello there", "hello there")
    assert asked(fake, 0) == [{"role": "system", "content": "be kind"}, {"role": "user", "content": "ping"}]
    assert [message["content"] for message in asked(fake)] == ["ping", "hello there", "again"]
    assert fake.requests[0].headers["authorization"] == "Bearer key-of-groq"
    decisions = router.decisions(2)
    assert [decision["answered_by"] for decision in decisions] == ["fake/fake-model"] * 2
    assert [decision["endpoint"] for decision in decisions] == ["responses"] * 2


async def test_a_stream_in_the_documented_order(router: RouterProcess) -> None:
    async with async_sdk() as client:
        stream = await client.responses.create(model="gpt-4o", input="ping", stream=True)
        events = [event async for event in stream]

    check_order([(event.type, event.to_dict()) for event in events])
    assert "".join(event.delta for event in events if isinstance(event, ResponseTextDeltaEvent)) == "hello there"
    last = events[-1]
    assert isinstance(last, ResponseCompletedEvent)
    assert last.response.usage is not None
    async with async_sdk() as client:
        assert (await client.responses.retrieve(last.response.id)).output_text == "hello there"


async def test_no_done_follows_a_response(router: RouterProcess) -> None:
    body = {"model": "gpt-4o", "input": "ping", "stream": True}

    def app() -> httpx.Response:
        with router.client() as client:
            return client.post("https://api.openai.com/v1/responses", json=body, headers={"authorization": "Bearer k"})

    answer = await asyncio.to_thread(app)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-llmrouter-provider"] == "fake"
    assert "[DONE]" not in answer.text
    assert answer.text.startswith("event: response.created\ndata: {")


async def test_the_stream_helper_and_parsed_answers(router: RouterProcess, fake: FakeProvider) -> None:
    class Answered(BaseModel):
        word: str

    fake.script(Answer('{"word":"yes"}'), Answer('{"word":"streamed"}'))
    async with async_sdk() as client:
        parsed = await client.responses.parse(model="gpt-4o", input="ping", text_format=Answered)
        async with client.responses.stream(model="gpt-4o", input="ping", text_format=Answered) as stream:
            async for _ in stream:
                pass
            final = await stream.get_final_response()
    assert parsed.output_parsed == Answered(word="yes")
    assert final.output_parsed == Answered(word="streamed")
    assert json.loads(fake.requests[0].body)["response_format"]["type"] in ("json_schema", "json_object")


async def test_a_tool_is_called_and_answered(router: RouterProcess, fake: FakeProvider) -> None:
    fake.script(CALLS)
    async with async_sdk() as client:
        first = await client.responses.create(model="gpt-4o", input="weather in Ulm?", tools=[WEATHER])
        (call,) = first.output
        assert isinstance(call, ResponseFunctionToolCall)
        assert json.loads(call.arguments) == {"city": "Ulm"}
        output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
        second = await client.responses.create(
            model="gpt-4o", input=[output], previous_response_id=first.id, tools=[WEATHER]
        )
    assert second.output_text == "hello there"
    assert [message["role"] for message in asked(fake)] == ["user", "assistant", "tool"]
    assert asked(fake)[1]["tool_calls"][0]["id"] == asked(fake)[2]["tool_call_id"] == "call_1"


async def test_everything_else_that_is_kept(router: RouterProcess) -> None:
    async with async_sdk() as client:
        made = await client.responses.create(model="gpt-4o", input="ping", metadata={"a": "b"})
        items = [item async for item in client.responses.input_items.list(made.id)]
        assert [item.type for item in items] == ["message"]
        counted = await client.responses.input_tokens.count(model="gpt-4o", input="ping pong " * 100)
        assert 100 < counted.input_tokens < 500
        with pytest.raises(openai.BadRequestError):
            await client.responses.cancel(made.id)
        await client.responses.delete(made.id)
        with pytest.raises(openai.APIStatusError):
            await client.responses.create(model="gpt-4o", input="x", previous_response_id="resp_unknown")


async def test_conversations(router: RouterProcess, fake: FakeProvider) -> None:
    async with async_sdk() as client:
        conversation = await client.conversations.create(metadata={"topic": "x"})
        await client.responses.create(model="gpt-4o", input="one", conversation=conversation.id)
        await client.responses.create(model="gpt-4o", input="two", conversation=conversation.id)
        items = [item async for item in client.conversations.items.list(conversation.id, order="asc", limit=2)]
        assert [item.type for item in items] == ["message"] * 4
        assert (await client.conversations.retrieve(conversation.id)).metadata == {"topic": "x"}
        assert (await client.conversations.delete(conversation.id)).deleted
    assert [message["content"] for message in asked(fake)] == ["one", "hello there", "two"]


async def test_in_the_background(router: RouterProcess, fake: FakeProvider) -> None:
    slow = StreamSteps([sse_chunk("late "), PAUSE, sse_chunk("answer"), sse_chunk(finish="stop"), sse("[DONE]"), END])
    fake.script(slow)
    async with async_sdk() as client:
        stream = await client.responses.create(model="gpt-4o", input="ping", background=True, stream=True)
        first = await anext(stream)
        assert isinstance(first, ResponseCreatedEvent)
        id = first.response.id
        await slow.reached.wait()
        await stream.close()
        assert (await client.responses.retrieve(id)).status == "in_progress"
        following = await client.responses.retrieve(id, stream=True)
        slow.resume.set()
        events = [event async for event in following]
        check_order([(event.type, event.to_dict()) for event in events])
        done = await client.responses.retrieve(id)
        assert (done.status, done.output_text) == ("completed", "late answer")
        rest = [event async for event in await client.responses.retrieve(id, stream=True, starting_after=3)]
        assert [event.sequence_number for event in rest] == [e.sequence_number for e in events if e.sequence_number > 3]


async def test_a_response_in_the_background_is_polled_or_given_up(router: RouterProcess, fake: FakeProvider) -> None:
    slow = StreamSteps([sse_chunk("begun "), PAUSE, CUT])
    fake.script(Answer("hello there"), slow)
    async with async_sdk() as client:
        made = await client.responses.create(model="gpt-4o", input="ping", background=True)
        while made.status in ("queued", "in_progress"):
            made = await client.responses.retrieve(made.id)
        assert (made.status, made.output_text) == ("completed", "hello there")
        other = await client.responses.create(model="gpt-4o", input="ping", background=True)
        await slow.reached.wait()
        assert (await client.responses.cancel(other.id)).status == "cancelled"
        await slow.client_left.wait()
        assert (await client.responses.retrieve(other.id)).status == "cancelled"


async def test_a_stream_that_breaks_fails(router: RouterProcess, fake: FakeProvider) -> None:
    fake.script(StreamSteps([sse_chunk("begun "), CUT]))
    async with async_sdk() as client:
        stream = await client.responses.create(model="gpt-4o", input="ping", stream=True)
        events = [event async for event in stream]
    check_order([(event.type, event.to_dict()) for event in events])
    assert events[-1].type == "response.failed"


async def test_a_provider_that_fails_is_passed_over(start_router: StartRouter, monkeypatch: Any) -> None:
    async with FakeProvider(default=Status(500)) as bad, FakeProvider() as good:
        common = {"type": "groq", "model": "m"}
        providers = [
            {"name": "bad", "base_url": bad.base_url, "priority": 1, **common},
            {"name": "good", "base_url": good.base_url, "priority": 2, **common},
        ]
        router = await start_router({"providers": providers})
        with app_environment(router, monkeypatch):
            async with async_sdk() as client:
                stream = await client.responses.create(model="gpt-4o", input="ping", stream=True)
                events = [event async for event in stream]
        assert events[-1].type == "response.completed"
        assert router.decisions(1)[0]["attempts"][0]["outcome"] == "server_error"


async def test_another_callers_ids_are_unknown(
    start_router: StartRouter, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = await start_router(routed_to(fake) | {"unmatched": "reject"})
    with app_environment(router, monkeypatch):
        async with async_sdk() as mine, async_sdk(api_key="key-of-another-app") as other:
            made = await mine.responses.create(model="gpt-4o", input="ping")
            for id in (made.id, "resp_unknown"):
                with pytest.raises(openai.NotFoundError) as caught:
                    await other.responses.retrieve(id)
                assert str(caught.value.body["message"]) == f"Response with id '{id}' not found."  # type: ignore[index]
            with pytest.raises(openai.NotFoundError):
                await other.responses.create(model="gpt-4o", input="x", previous_response_id=made.id)


async def test_hosted_tools(
    start_router: StartRouter,
    fake: FakeProvider,
    fake_openai: tuple[FakeProvider, tuple[str, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They go to OpenAI with the app's own key, or a clear error says why not."""
    server, options = fake_openai
    server.default = Status(200, {"id": "resp_of_openai", "object": "response", "output": []})
    tools: Any = [{"type": "web_search"}]
    passing = await start_router(routed_to(fake), options=options)
    with app_environment(passing, monkeypatch):
        async with async_sdk() as client:
            made = await client.responses.create(model="gpt-4o", input="news?", tools=tools)
            assert made.id == "resp_of_openai"
            assert server.requests[-1].headers["authorization"] == "Bearer key-of-the-app"
            await client.responses.retrieve("resp_of_openai")
            assert server.requests[-1].path == "/v1/responses/resp_of_openai"
    rejecting = await start_router(routed_to(fake) | {"unmatched": "reject"}, options=options)
    with app_environment(rejecting, monkeypatch):
        async with async_sdk() as client:
            with pytest.raises(openai.BadRequestError, match="'web_search' run at OpenAI only"):
                await client.responses.create(model="gpt-4o", input="news?", tools=tools)
    assert fake.requests == []


def upgrade(router: RouterProcess, query: str = "") -> httpx.Response:
    headers = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    headers |= {"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "authorization": "Bearer key-of-the-app"}
    with router.client() as client:
        return client.get(f"https://api.openai.com/v1/responses{query}", headers=headers)


def test_a_websocket_is_refused_at_once(router: RouterProcess, fake: FakeProvider) -> None:
    answer = upgrade(router)
    assert (answer.status_code, answer.json()["error"]["code"]) == (426, "upgrade_refused")
    assert upgrade(router, "?model=gpt-4o").status_code == 426
    assert fake.requests == []


async def test_a_websocket_is_not_passed_where_nothing_is(start_router: StartRouter, fake: FakeProvider) -> None:
    settings = routed_to(fake, models=[{"id": "m", "serves": ["gpt-4o"]}]) | {"unmatched": "reject"}
    del settings["providers"][0]["model"]
    router = await start_router(settings)
    answer = await asyncio.to_thread(upgrade, router, "?model=unmatched")
    assert (answer.status_code, answer.json()["error"]["code"]) == (426, "upgrade_refused")
