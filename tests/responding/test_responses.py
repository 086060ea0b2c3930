"""POST /v1/responses, plain and streamed, and what may be done with the response afterwards."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from openai.types.responses.response_item_list import ResponseItemList

from llmrouter.responding.making import without_oldest
from tests.fakes.provider import CUT, PAUSE, Answer, FakeProvider, Stall, Status, StreamSteps, completion, sse_chunk
from tests.gateways import provider
from tests.responding.world import BrokenStore, Heard, world


async def test_a_response_is_made_and_can_be_looked_at_again(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        made = await w.create("one two", metadata={"a": "b"})
        assert (made.status, made.headers["content-type"]) == (200, "application/json")
        assert made.headers["x-llmrouter-provider"] == "echo"
        assert made.response.output_text == "one two"
        assert made.response.status == "completed"
        assert (await w.ask("GET", f"/responses/{made.response.id}")).json == made.json


async def test_a_stream_ends_once_its_response_is_kept(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        result = await w.begin("one two", stream=True)
        assert result.headers["content-type"].startswith("text/event-stream")
        assert result.frames is not None
        body = b""
        async for frame in result.frames:
            body += frame
            if b"event: response.completed" in frame:
                id = json.loads(frame.split(b"data: ")[-1])["response"]["id"]
                assert (await w.ask("GET", f"/responses/{id}")).response.output_text == "one two"
        told = Heard(200, {}, body)
        assert [told.kinds[0], told.kinds[-1]] == ["created", "completed"]
        assert [event["sequence_number"] for event in told.events] == list(range(len(told.events)))
        assert {event["response"]["id"] for event in told.events if "response" in event} == {id}


async def test_what_may_not_be_stored_is_not(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        made = await w.create(store=False)
        assert made.response.output_text == "hello"
        assert (await w.ask("GET", f"/responses/{made.response.id}")).status == 0
        assert (await w.create(previous_response_id=made.response.id)).status == 0


async def test_a_deleted_response_is_unknown(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        id = (await w.create()).response.id
        gone = await w.ask("DELETE", f"/responses/{id}")
        assert gone.json == {"id": id, "object": "response", "deleted": True}
        for method, rest in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")):
            assert (await w.ask(method, f"/responses/{id}{rest}")).status == 0


async def test_another_callers_ids_look_unknown(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        id = (await w.create()).response.id
        assert (await w.ask("GET", f"/responses/{id}", key="b")).status == 0
        assert (await w.create(previous_response_id=id, key="b")).status == 0
        reference = [{"type": "item_reference", "id": (await w.create()).json["output"][0]["id"]}]
        assert (await w.create(reference)).status == 200
        assert (await w.create(reference, key="b")).status == 404


async def test_input_items_are_listed_in_pages(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        id = (await w.create([{"role": "user", "content": f"text {n}"} for n in range(5)])).response.id

        async def page(**query: str) -> tuple[list[str], bool, dict[str, Any]]:
            told = await w.ask("GET", f"/responses/{id}/input_items", **query)
            items = ResponseItemList.model_validate(told.json)
            texts = [item["content"][0]["text"].removeprefix("text ") for item in told.json["data"]]
            assert (items.first_id, items.last_id) == (items.data[0].id, items.data[-1].id)
            return texts, items.has_more, told.json

        texts, has_more, _ = await page()
        assert (texts, has_more) == (["4", "3", "2", "1", "0"], False)
        texts, has_more, told = await page(limit="2", order="asc")
        assert (texts, has_more) == (["0", "1"], True)
        texts, has_more, last = await page(limit="3", order="asc", after=told["last_id"])
        assert (texts, has_more) == (["2", "3", "4"], False)
        texts, has_more, _ = await page(limit="2", order="asc", before=last["last_id"])
        assert (texts, has_more) == (["2", "3"], True)


@pytest.mark.parametrize(
    "query",
    [{"limit": "0"}, {"limit": "101"}, {"limit": "x"}, {"order": "up"}, {"after": "msg_x"}, {"before": "msg_x"}],
)
async def test_bad_list_queries_are_refused(tmp_path: Path, query: dict[str, str]) -> None:
    async with world(tmp_path) as w:
        id = (await w.create()).response.id
        told = await w.ask("GET", f"/responses/{id}/input_items", **query)
        assert (told.status, told.error["param"]) == (400, next(iter(query)))


async def test_input_tokens_are_estimated(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        first = (await w.create("word " * 400)).response.id
        body = {"model": "gpt-4o", "input": "more", "previous_response_id": first}
        told = await w.ask("POST", "/responses/input_tokens", body)
        assert told.json["object"] == "response.input_tokens"
        assert told.json["input_tokens"] > 900  # the first turn's input and its echo
        unknown = body | {"previous_response_id": "resp_unknown"}
        assert (await w.ask("POST", "/responses/input_tokens", unknown)).status == 0


async def test_what_is_openais_alone_is_not_answered(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        search = [{"type": "web_search"}]
        assert (await w.create(tools=search)).status == 0
        assert (await w.ask("POST", "/responses/compact", {})).status == 0
        assert (await w.ask("GET", "/responses/resp_unknown")).status == 0
        assert (await w.create(conversation="conv_unknown")).status == 0
        # OpenAI knows nothing of what comes before.
        mine = (await w.create()).response.id
        told = await w.create(tools=search, previous_response_id=mine)
        assert (told.status, told.error["param"]) == (400, "tools")
        assert "web_search" in told.error["message"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/responses", {"input": "x", "tools": [{"type": "mcp"}]}, 400, "unsupported_tool"),
        ("POST", "/responses", {"input": "x", "previous_response_id": "resp_x"}, 404, "previous_response_not_found"),
        ("POST", "/responses", {"input": "x", "conversation": "conv_x"}, 404, None),
        ("GET", "/responses/resp_x", None, 404, None),
        ("POST", "/responses/resp_x/cancel", None, 404, None),
        ("GET", "/conversations/conv_x/items", None, 404, None),
        ("POST", "/responses/compact", {}, 404, None),
    ],
)
async def test_each_none_has_its_refusal(
    tmp_path: Path, method: str, path: str, body: Any, status: int, code: str | None
) -> None:
    async with world(tmp_path) as w:
        told = await w.refusal(method, path, body)
        assert (told.status, told.error["code"]) == (status, code)
        assert told.error["type"] == "invalid_request_error"


@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_before_the_first_content_is_an_http_error(tmp_path: Path, stream: bool) -> None:
    refusal = {"error": {"message": "no such thing", "type": "invalid_request_error", "param": "x", "code": "bad"}}
    async with FakeProvider(default=Status(400, refusal)) as fake, world(tmp_path, provider("a", fake)) as w:
        told = await w.create(stream=stream)
        assert told.status == 400
        assert (told.error["code"], told.headers["content-type"]) == ("bad", "application/json")
        assert told.headers["x-llmrouter-attempts"] == "1"


async def test_a_stream_that_breaks_off_ends_as_failed(tmp_path: Path) -> None:
    steps = StreamSteps([sse_chunk("half"), CUT])
    async with FakeProvider(steps) as fake, world(tmp_path, provider("a", fake)) as w:
        told = await w.create(stream=True)
        assert told.kinds[-1] == "failed"
        assert "completed" not in told.kinds
        last = told.events[-1]["response"]
        assert (last["status"], last["error"]["code"]) == ("failed", "server_error")
        kept = await w.ask("GET", f"/responses/{last['id']}")
        assert kept.response.status == "failed"


async def test_a_client_that_hangs_up_ends_the_call_and_keeps_nothing(tmp_path: Path) -> None:
    steps = StreamSteps([sse_chunk("half"), PAUSE])
    async with FakeProvider(steps) as fake, world(tmp_path, provider("a", fake)) as w:
        conversation = (await w.ask("POST", "/conversations", {})).json["id"]
        result = await w.begin(stream=True, conversation=conversation)
        assert result.frames is not None
        first = Heard(200, {}, await anext(result.frames))
        await result.frames.aclose()
        await steps.client_left.wait()
        assert (await w.ask("GET", f"/responses/{first.events[0]['response']['id']}")).status == 0
        assert (await w.ask("GET", f"/conversations/{conversation}/items")).json["data"] == []
        assert (await w.create("again", conversation=conversation)).status == 200
        assert w.gateway.decisions[-2].result == "client_gone"


async def test_a_client_that_leaves_before_the_first_event_leaves_nothing_behind(tmp_path: Path) -> None:
    steps = StreamSteps([sse_chunk("half"), PAUSE])
    async with FakeProvider(steps) as fake, world(tmp_path, provider("a", fake)) as w:
        conversation = (await w.ask("POST", "/conversations", {})).json["id"]
        result = await w.begin(stream=True, conversation=conversation)
        assert result.frames is not None
        await result.frames.aclose()
        await steps.client_left.wait()
        assert await w.store.claims() == []


async def test_a_client_that_leaves_while_it_waits_frees_the_conversation(tmp_path: Path) -> None:
    stall = Stall()
    async with FakeProvider(stall) as fake, world(tmp_path, provider("a", fake)) as w:
        conversation = (await w.ask("POST", "/conversations", {})).json["id"]
        waiting = asyncio.ensure_future(w.create(conversation=conversation))
        await stall.reached.wait()
        waiting.cancel()
        await asyncio.wait([waiting])
        await stall.client_left.wait()
        assert await w.store.claims() == []


async def test_truncation_auto_drops_the_oldest_until_it_fits(tmp_path: Path) -> None:
    too_long = Status(
        400, {"error": {"message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"}}
    )
    items = [{"role": "user", "content": f"text {n}"} for n in range(8)]
    async with FakeProvider(too_long, too_long, Answer("fits")) as fake, world(tmp_path, provider("a", fake)) as w:
        told = await w.create(items, truncation="auto")
        assert told.response.output_text == "fits"
        assert w.said == ["text 6", "text 7"]
        listed = await w.ask("GET", f"/responses/{told.response.id}/input_items")
        assert len(listed.json["data"]) == 8


async def test_without_truncation_a_prompt_that_is_too_long_is_an_error(tmp_path: Path) -> None:
    too_long = Status(
        400, {"error": {"message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"}}
    )
    async with FakeProvider(default=too_long) as fake, world(tmp_path, provider("a", fake)) as w:
        told = await w.create("x")
        assert (told.status, told.error["code"]) == (400, "context_length_exceeded")
        assert len(w.calls) == 1
        items = [{"role": "user", "content": f"text {n}"} for n in range(100)]
        assert (await w.create(items, truncation="auto")).status == 400
        assert len(w.calls) == 1 + 6


async def test_an_answer_is_not_lost_where_it_cannot_be_kept(tmp_path: Path) -> None:
    async with world(tmp_path, store=BrokenStore()) as w:
        told = await w.create("hello")
        assert (told.response.output_text, told.json["store"]) == ("hello", False)
        streamed = await w.create("hello", stream=True)
        assert streamed.kinds[-1] == "completed"
        assert streamed.events[-1]["response"]["store"] is False


async def test_function_calls_and_their_outputs_go_on_in_the_next_turn(tmp_path: Path) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    body = completion("")
    body["choices"][0]["message"] = {"role": "assistant", "content": None, "tool_calls": [call]}
    body["choices"][0]["finish_reason"] = "tool_calls"
    async with FakeProvider(Status(200, body)) as fake, world(tmp_path, provider("a", fake)) as w:
        tools = [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}]
        first = await w.create("go", tools=tools)
        assert first.json["output"][0]["call_id"] == "call_1"
        output = {"type": "function_call_output", "call_id": "call_1", "output": "42"}
        second = await w.create([output], tools=tools, previous_response_id=first.response.id)
        assert second.status == 200
        assert [message["role"] for message in w.prompt] == ["user", "assistant", "tool"]
        assert w.prompt[2]["tool_call_id"] == "call_1"


def test_what_the_user_asked_stays_where_a_long_loop_of_tools_is_cut() -> None:
    asked = {"type": "message", "role": "user", "content": "do it"}
    loop = [
        item
        for n in range(6)
        for item in (
            {"type": "function_call", "call_id": str(n), "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": str(n), "output": "x"},
        )
    ]
    cut = without_oldest([asked, *loop])
    assert cut == [asked, *loop[6:]]
    assert without_oldest([asked]) == [asked]


async def test_a_defect_of_the_router_is_not_booked_as_a_client_that_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a defect")

    async with world(tmp_path) as w:
        monkeypatch.setattr("llmrouter.endpoints.responses.streams.ResponseStream.feed", fail)
        heard = await w.create("one two", stream=True)
        assert heard.kinds[-1] == "failed"
        assert w.gateway.decisions[-1].result == "broken"
