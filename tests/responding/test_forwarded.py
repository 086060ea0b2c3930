"""Responses forwarded to targets that speak Responses themselves: as they are, with the router's own state."""

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.provider import CUT, PAUSE, Answer, FakeProvider, Status, StreamSteps, completion
from tests.gateways import provider
from tests.providers.responses_samples import events_of, function_call, message, reasoning, response, text_part
from tests.responding.world import Heard, World, text_of, world

SEARCH: dict[str, Any] = {"type": "web_search"}
SEARCHED = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}}
FILE_ITEM = {"role": "user", "content": [{"type": "input_image", "file_id": "file-1", "detail": "auto"}]}


def native(name: str, fake: FakeProvider, type: str = "vllm", **settings: Any) -> dict[str, Any]:
    keys = {"api_key": "caller"} if type == "openai" else {}
    return provider(name, fake, type=type, **keys, **settings)


def said(*output: dict[str, Any], **members: Any) -> Status:
    return Status(200, response(*output, **members))


def frames(events: Sequence[dict[str, Any]]) -> list[bytes]:
    return [f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in events]


def told(*output: dict[str, Any], **members: Any) -> StreamSteps:
    return StreamSteps(frames(events_of(*output, **members)))


def is_whole(heard: Heard) -> None:
    """One id in all events, numbers without a gap, each item by one id, and the end as it can be looked at again."""
    assert [one["sequence_number"] for one in heard.events] == list(range(len(heard.events)))
    assert len({one["response"]["id"] for one in heard.events if "response" in one}) == 1
    begun = {one["output_index"]: one["item"]["id"] for one in heard.events if one["type"].endswith("item.added")}
    for one in heard.events:
        if "output_index" in one and "item_id" in one:
            assert one["item_id"] == begun[one["output_index"]]
    assert [item["id"] for item in heard.events[-1]["response"]["output"]] == list(begun.values())


async def test_a_request_goes_as_it_is_but_for_what_is_the_routers(tmp_path: Path) -> None:
    async with FakeProvider(said(message(text_part("hello")))) as fake, world(tmp_path, native("own", fake)) as w:
        made = await w.create(
            "hi", instructions="be brief", metadata={"a": "b"}, max_output_tokens=50, text={"verbosity": "low"}
        )
        sent = fake.requests[0].json()
        assert fake.requests[0].path == "/v1/responses"
        assert [text_of(item["content"]) for item in sent.pop("input")] == ["hi"]
        assert sent == {
            "model": "model-of-own",
            "instructions": "be brief",
            "max_output_tokens": 50,
            "text": {"verbosity": "low"},
            "include": ["reasoning.encrypted_content"],
            "store": False,
        }
        assert (made.response.output_text, made.json["model"], made.json["store"]) == ("hello", "gpt-4o", True)
        assert made.response.id.startswith("resp_")
        assert made.response.id != "resp_1"
        assert made.response.metadata == {"a": "b"}
        assert made.response.usage is not None
        assert made.response.usage.output_tokens_details.reasoning_tokens == 5
        assert (await w.ask("GET", f"/responses/{made.response.id}")).json == made.json
        usage = w.gateway.decisions[-1].usage
        assert usage is not None
        assert (usage.input_tokens, usage.output_tokens) == (11, 7)


async def test_a_stream_is_told_in_the_providers_own_events(tmp_path: Path) -> None:
    parts = (reasoning("first", "then"), message(text_part("hello you")), function_call("call_1"))
    async with FakeProvider(told(*parts)) as fake, world(tmp_path, native("own", fake)) as w:
        heard = await w.create("hi", stream=True, tools=[{"type": "function", "name": "weather"}])
        is_whole(heard)
        assert "reasoning_summary_text.delta" in heard.kinds
        assert "function_call_arguments.done" in heard.kinds
        ended = heard.events[-1]["response"]
        assert [item["type"] for item in ended["output"]] == ["reasoning", "message", "function_call"]
        assert ended["output"][0]["encrypted_content"] == "llmrouter:own:opaque"
        assert (await w.ask("GET", f"/responses/{ended['id']}")).json == ended


async def test_the_next_turn_brings_what_was_said_and_thought(tmp_path: Path) -> None:
    first = said(reasoning("hm"), message(text_part("one")))
    async with FakeProvider(first, said(message(text_part("two")))) as fake, world(tmp_path, native("own", fake)) as w:
        made = await w.create("a")
        await w.create("b", previous_response_id=made.response.id)
        items = fake.requests[1].json()["input"]
        assert [item["type"] for item in items] == ["message", "reasoning", "message", "message"]
        assert items[1]["encrypted_content"] == "opaque"
        assert not any("id" in item for item in items)
        assert "previous_response_id" not in fake.requests[1].json()


async def test_what_one_provider_thought_no_other_one_gets(tmp_path: Path) -> None:
    async with FakeProvider(said(reasoning("hm"), message(text_part("one")))) as one, FakeProvider() as two:
        two.script(said(message(text_part("two"))))
        async with world(tmp_path, native("one", one), native("two", two)) as w:
            made = await w.create("a")
            one.script(Status(503))
            await w.create("b", previous_response_id=made.response.id)
        assert [item["type"] for item in two.requests[0].json()["input"]] == ["message", "message", "message"]
        assert b"opaque" not in two.requests[0].body


async def test_a_target_that_only_chats_goes_on_with_the_conversation(tmp_path: Path) -> None:
    thought = said(reasoning("a summary"), message(text_part("one")))
    async with FakeProvider(thought, Status(500)) as own, FakeProvider(default=Answer("two")) as chat:
        async with world(tmp_path, native("own", own), provider("chat", chat)) as w:
            made = await w.create("a")
            following = await w.create("b", previous_response_id=made.response.id)
        assert following.response.output_text == "two"
        assert following.headers["x-llmrouter-provider"] == "chat"
        assert [text_of(m["content"]) for m in chat.requests[0].json()["messages"]] == ["a", "one", "b"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_target_that_has_no_responses_for_a_model_is_asked_by_chat(tmp_path: Path, stream: bool) -> None:
    missing = Status(404, {"detail": "Not Found"})
    async with FakeProvider(missing, default=Answer("by chat")) as fake, world(tmp_path, native("own", fake)) as w:
        heard = await w.create("hi", stream=stream)
        await w.create("again")
        assert [request.path.removeprefix("/v1") for request in fake.requests] == [
            "/responses",
            "/chat/completions",
            "/chat/completions",
        ]
        assert heard.status == 200


async def test_a_member_that_is_refused_is_left_out_the_next_time(tmp_path: Path) -> None:
    error = {"message": "Unknown parameter: 'include'.", "param": "include", "code": "unknown_parameter"}
    refusal = Status(400, {"error": {**error, "type": "invalid_request_error"}})
    async with FakeProvider(refusal, default=said(message(text_part("hi")))) as fake:
        async with world(tmp_path, native("own", fake)) as w:
            assert (await w.create("hi")).response.output_text == "hi"
        assert [("include" in request.json()) for request in fake.requests] == [True, False]


async def test_a_stream_that_breaks_off_ends_as_failed(tmp_path: Path) -> None:
    events = frames(events_of(message(text_part("hello you"))))
    steps = StreamSteps([*events[:6], CUT])
    async with FakeProvider(steps) as fake, FakeProvider(default=Answer("more")) as other:
        async with world(tmp_path, native("own", fake), provider("chat", other)) as w:
            heard = await w.create("hi", stream=True)
            assert heard.kinds[-1] == "failed"
            assert heard.events[-1]["response"]["output"] == []
            assert [one["sequence_number"] for one in heard.events] == list(range(len(heard.events)))
        assert other.requests == []


async def test_an_answer_that_never_began_is_another_targets(tmp_path: Path) -> None:
    events = frames(events_of(message(text_part("hello you"))))
    async with FakeProvider(StreamSteps([*events[:3], CUT])) as fake, FakeProvider(default=Answer("hello")) as other:
        async with world(tmp_path, native("own", fake), provider("chat", other)) as w:
            heard = await w.create("hi", stream=True)
        is_whole(heard)
        assert heard.kinds[-1] == "completed"
        assert heard.events[-1]["response"]["output"][0]["content"][0]["text"] == "hello"


async def test_what_is_cut_short_is_incomplete(tmp_path: Path) -> None:
    short = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    async with FakeProvider(said(message(text_part("hel")), **short), told(message(text_part("hel")), **short)) as fake:
        async with world(tmp_path, native("own", fake)) as w:
            whole = (await w.create("hi")).response
            heard = await w.create("hi", stream=True)
        assert (whole.status, whole.completed_at) == ("incomplete", None)
        assert whole.incomplete_details is not None
        assert whole.incomplete_details.reason == "max_output_tokens"
        assert heard.kinds[-1] == "incomplete"
        assert heard.events[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


async def test_servers_that_do_not_repeat_the_output_and_change_ids(tmp_path: Path) -> None:
    events = events_of(message(text_part("hello")))
    for number, one in enumerate(events):
        if "item_id" in one:
            one["item_id"] = f"msg_{number}"
    events[-1]["response"]["output"] = []
    async with FakeProvider(StreamSteps(frames(events))) as fake, world(tmp_path, native("own", fake)) as w:
        heard = await w.create("hi", stream=True)
        is_whole(heard)
        assert heard.events[-1]["response"]["output"][0]["content"][0]["text"] == "hello"


async def test_in_the_background(tmp_path: Path) -> None:
    events = frames(events_of(reasoning("hm"), message(text_part("hello you"))))
    steps = StreamSteps([*events[:-1], PAUSE, events[-1]])
    async with FakeProvider(steps) as fake, world(tmp_path, native("own", fake)) as w:
        begun = await w.begin("hi", background=True, stream=True)
        await steps.reached.wait()
        steps.resume.set()
        body = b"" if begun.frames is None else b"".join([frame async for frame in begun.frames])
        heard = Heard(200, {}, body)
        is_whole(heard)
        assert heard.kinds[:3] == ["created", "queued", "in_progress"]
        assert heard.events[-1]["response"]["background"] is True
        assert "background" not in fake.requests[0].json()
        again = await w.ask("GET", f"/responses/{heard.events[-1]['response']['id']}", stream="true")
        assert again.events == heard.events


async def test_hosted_tools_are_openais_and_the_conversation_is_ours(tmp_path: Path) -> None:
    found = told(SEARCHED, message(text_part("news")))
    async with contextlib.AsyncExitStack() as stack:
        openai = await stack.enter_async_context(FakeProvider(found, said(message(text_part("more")))))
        chat = await stack.enter_async_context(FakeProvider())
        async with world(tmp_path, provider("chat", chat), native("openai", openai, "openai")) as w:
            heard = await w.create("news?", stream=True, tools=[SEARCH])
            is_whole(heard)
            ended = heard.events[-1]["response"]
            assert [item["type"] for item in ended["output"]] == ["web_search_call", "message"]
            assert ended["output"][0]["id"] == "ws_1"
            assert openai.requests[0].json()["tools"] == [SEARCH]
            assert openai.requests[0].headers["authorization"] == "Bearer key-of-a"
            await w.create("more?", tools=[SEARCH], previous_response_id=ended["id"])
            kinds = [item["type"] for item in openai.requests[1].json()["input"]]
            assert kinds == ["message", "web_search_call", "message", "message"]
            # Without them anybody can go on.
            await w.create("thanks", previous_response_id=ended["id"])
            assert [text_of(m["content"]) for m in chat.requests[0].json()["messages"]] == ["news?", "news", "thanks"]


async def test_hosted_tools_that_are_at_work_have_begun_the_answer(tmp_path: Path) -> None:
    """Nobody else is asked while OpenAI searches, however long that takes."""
    events = frames(events_of(SEARCHED, message(text_part("news"))))
    steps = StreamSteps([*events[:3], PAUSE, *events[3:]])
    async with FakeProvider(steps) as openai:
        settings = native("openai", openai, "openai")
        async with world(tmp_path, settings) as w:
            begun = await w.begin("news?", stream=True, tools=[SEARCH])
            assert begun.frames is not None
            first = Heard(200, {}, await anext(begun.frames))
            assert first.kinds == ["created", "in_progress", "output_item.added"]
            steps.resume.set()
            rest = b"".join([frame async for frame in begun.frames])
            assert rest.count(b"event: response.completed") == 1


async def test_hosted_tools_are_no_other_targets_business(tmp_path: Path) -> None:
    async with FakeProvider() as chat, FakeProvider() as own:
        settings = provider("chat", chat), native("own", own)
        async with world(tmp_path, *settings) as w:
            assert (await w.create("news?", tools=[SEARCH])).status == 0
            made = await w.create("hello")
            refused = await w.create("news?", tools=[SEARCH], previous_response_id=made.response.id)
            assert (refused.status, refused.error["code"]) == (400, "unsupported_tool")
            conversation = (await w.ask("POST", "/conversations", {})).conversation.id
            for _ in range(2):
                refused = await w.create("news?", tools=[SEARCH], conversation=conversation)
                assert (refused.status, refused.error["code"]) == (400, "unsupported_tool")
    assert len(chat.requests) + len(own.requests) == 1


async def test_what_lies_in_the_apps_own_account_needs_the_apps_own_key(tmp_path: Path) -> None:
    async with FakeProvider(default=said(message(text_part("a cat")))) as openai, FakeProvider() as chat:
        shared = provider("openai", openai, type="openai", api_key_env="KEY")
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
        async with world(tmp_path / "a", shared, provider("chat", chat)) as w:
            assert (await w.create([FILE_ITEM])).status == 0
        async with world(tmp_path / "b", native("openai", openai, "openai", priority=1), provider("chat", chat)) as w:
            made = await w.create([FILE_ITEM])
            await w.create("what else?", previous_response_id=made.response.id)
        assert [len(request.json()["input"]) for request in openai.requests] == [1, 3]
        assert openai.requests[0].json()["input"][0]["content"] == FILE_ITEM["content"]
        assert chat.requests == []


async def test_no_answer_of_hosted_tools_is_kept_for_others(tmp_path: Path) -> None:
    async with FakeProvider(default=said(message(text_part("news")))) as openai:
        async with world(tmp_path, native("openai", openai, "openai")) as w:
            for _ in range(2):
                await w.create("news?", tools=[SEARCH], temperature=0)
        assert len(openai.requests) == 2


async def test_secrets_of_tools_are_not_repeated(tmp_path: Path) -> None:
    mcp: dict[str, Any] = {"type": "mcp", "server_label": "s", "server_url": "https://s"}
    mcp |= {"authorization": "secret-of-s", "headers": {"x-key": "secret-of-s"}}
    async with FakeProvider(said(message(text_part("done")))) as openai:
        settings = native("openai", openai, "openai")
        async with world(tmp_path, settings) as w:
            begun = await w.begin("go", tools=[mcp], background=True)
            assert b"secret-of-s" not in begun.body
            made = await w.create("go", tools=[mcp])
            assert b"secret-of-s" not in made.body
            assert openai.requests[-1].json()["tools"] == [mcp]


async def test_custom_tools_are_bridged_where_the_target_has_none(tmp_path: Path) -> None:
    shell = {"type": "custom", "name": "shell"}
    async with FakeProvider(default=Status(200, completion("ok"))) as fake, world(tmp_path, native("own", fake)) as w:
        await w.create("hi", tools=[shell])
        assert fake.requests[0].path == "/v1/chat/completions"


async def test_a_shared_or_kept_answer_has_an_id_of_its_own(tmp_path: Path) -> None:
    async with FakeProvider(said(message(text_part("hello")))) as fake, world(tmp_path, native("own", fake)) as w:
        one, two = await _twice(w)
        assert one.response.output_text == two.response.output_text == "hello"
        assert one.response.id != two.response.id
        assert two.headers["x-llmrouter-cache"] == "hit"


async def _twice(w: World) -> tuple[Heard, Heard]:
    return await w.create("hi", temperature=0), await w.create("hi", temperature=0)


async def test_an_approval_and_its_request_go_back_as_they_came(tmp_path: Path) -> None:
    """Their ids refer to one another, and what the app sends without an id gets none that OpenAI would refuse."""
    wanted = {"id": "mcpr_1", "type": "mcp_approval_request", "server_label": "s", "name": "go", "arguments": "{}"}
    approval = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}
    mcp = {"type": "mcp", "server_label": "s", "server_url": "https://s"}
    async with FakeProvider(said(wanted), said(message(text_part("gone")))) as openai:
        settings = native("openai", openai, "openai")
        async with world(tmp_path, settings) as w:
            made = await w.create("go", tools=[mcp])
            assert made.json["output"] == [wanted]
            done = await w.create([approval], tools=[mcp], previous_response_id=made.json["id"])
            assert done.response.output_text == "gone"
        assert openai.requests[1].json()["input"][1:] == [wanted, approval]


async def test_a_usage_without_details_has_all_that_the_sdk_reads(tmp_path: Path) -> None:
    counts = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    body = response(message(text_part("hi"))) | {"usage": counts}
    async with FakeProvider(Status(200, body)) as fake, world(tmp_path, native("own", fake)) as w:
        usage = (await w.create("hi")).response.usage
        assert usage is not None
        assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (3, 2, 5)
        assert (usage.input_tokens_details.cached_tokens, usage.output_tokens_details.reasoning_tokens) == (0, 0)
