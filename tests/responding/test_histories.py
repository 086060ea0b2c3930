"""What comes before a response: chains of responses, conversations, and items that are referred to."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from llmrouter.responding import archive
from tests.fakes.provider import CUT, Answer, FakeProvider, Stall, Status, StreamSteps, sse_chunk
from tests.gateways import provider
from tests.responding.world import World, world

CALLER = "hash of Bearer key-of-a"


async def test_a_chain_is_told_in_order_and_instructions_are_not_carried_over(tmp_path: Path) -> None:
    async with FakeProvider(Answer("two"), Answer("four")) as fake, world(tmp_path, provider("a", fake)) as w:
        first = await w.create("one", instructions="be brief")
        assert w.said == ["be brief", "one"]
        second = await w.create("three", previous_response_id=first.response.id)
        assert w.said == ["one", "two", "three"]
        await w.create("five", previous_response_id=second.response.id, instructions="be long")
        assert w.said == ["be long", "one", "two", "three", "four", "five"]


async def test_two_turns_may_go_on_from_the_same_response(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        first = (await w.create("one")).response.id
        await w.create("left", previous_response_id=first)
        await w.create("right", previous_response_id=first)
        assert w.said == ["one", "one", "right"]


async def test_the_next_turn_may_go_to_another_provider(tmp_path: Path) -> None:
    async with (
        FakeProvider(Answer("from a"), default=Status(500)) as a,
        FakeProvider(default=Answer("from b")) as b,
        world(tmp_path, provider("a", a), provider("b", b)) as w,
    ):
        first = await w.create("one")
        second = await w.create("two", previous_response_id=first.response.id)
        assert (first.response.output_text, second.response.output_text) == ("from a", "from b")
        assert [message["content"] for message in b.requests[0].json()["messages"]] == ["one", "from a", "two"]
        assert b"resp_" not in b.requests[0].body


async def test_a_chain_of_a_response_that_is_gone_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        first = (await w.create("one")).response.id
        second = (await w.create("two", previous_response_id=first)).response.id
        await w.ask("DELETE", f"/responses/{first}")
        told = await w.create("three", previous_response_id=second)
        assert (told.status, told.error["code"]) == (404, "previous_response_not_found")
        assert first in told.error["message"]


async def test_a_loop_of_responses_ends_in_an_error(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        first = (await w.create("one")).response.id
        second = (await w.create("two", previous_response_id=first)).response.id
        await w.store.change(CALLER, "response", first, lambda data: data | {"previous": second})
        told = await w.create("three", previous_response_id=second)
        assert (told.status, told.error["code"]) == (400, "history_too_long")
        assert str(archive.MOST_TURNS) in told.error["message"]


@pytest.mark.parametrize(("bound", "value"), [("MOST_TURNS", 2), ("MOST_ITEMS", 5), ("MOST_BYTES", 800)])
async def test_too_long_a_history_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, value: int
) -> None:
    monkeypatch.setattr(archive, bound, value)
    async with world(tmp_path) as w:
        made = await w.create("one")
        for _ in range(2):
            made = await w.create("more", previous_response_id=made.response.id)
            assert made.status == 200
        told = await w.create("last", previous_response_id=made.response.id)
        assert (told.status, told.error["code"]) == (400, "history_too_long")


async def test_a_failed_response_is_no_answer_to_build_on(tmp_path: Path) -> None:
    steps = StreamSteps([sse_chunk("half"), CUT])
    async with FakeProvider(steps) as fake, world(tmp_path, provider("a", fake)) as w:
        failed = (await w.create("one", stream=True)).events[-1]["response"]["id"]
        assert (await w.create("two", previous_response_id=failed)).status == 200
        assert w.said == ["one", "two"]


async def test_items_may_be_referred_to(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        made = await w.create("one")
        answer = made.json["output"][0]["id"]
        given = (await w.ask("GET", f"/responses/{made.response.id}/input_items")).json["data"][0]["id"]
        references = [{"type": "item_reference", "id": id} for id in (given, answer)]
        told = await w.create([*references, {"role": "user", "content": "two"}])
        assert told.status == 200
        assert w.said == ["one", "one", "two"]
        kept = (await w.ask("GET", f"/responses/{told.response.id}/input_items")).json["data"]
        assert len({item["id"] for item in kept} | {given, answer}) == 5
        unknown = await w.create([{"type": "item_reference", "id": "msg_unknown"}])
        assert (unknown.status, unknown.error["param"]) == (404, "input")


async def test_an_item_of_a_conversation_may_be_referred_to(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        _, items = await _conversation(w, "told before")
        assert (await w.create([{"type": "item_reference", "id": items[0]}])).status == 200
        assert w.said == ["told before"]


async def test_a_conversation_grows_by_its_responses(tmp_path: Path) -> None:
    async with FakeProvider(Answer("two"), Answer("four")) as fake, world(tmp_path, provider("a", fake)) as w:
        id, _ = await _conversation(w, "zero")
        first = await w.create("one", conversation=id)
        assert first.json["conversation"] == {"id": id}
        await w.create("three", conversation={"id": id}, store=False)
        assert w.said == ["zero", "one", "two", "three"]
        listed = (await w.ask("GET", f"/conversations/{id}/items", order="asc")).json["data"]
        assert [item["content"][0]["text"] for item in listed] == ["zero", "one", "two", "three", "four"]
        assert first.json["output"][0]["id"] == listed[2]["id"]


async def test_a_streamed_response_is_in_its_conversation_before_its_end_is_told(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        id, _ = await _conversation(w)
        told = await w.create("one", conversation=id, stream=True)
        assert told.kinds[-1] == "completed"
        assert len((await w.ask("GET", f"/conversations/{id}/items")).json["data"]) == 2
        assert await w.store.claims() == []


async def test_a_failed_response_leaves_its_conversation_as_it_was(tmp_path: Path) -> None:
    steps = StreamSteps([sse_chunk("half"), CUT])
    async with FakeProvider(steps, default=Status(500)) as fake, world(tmp_path, provider("a", fake)) as w:
        id, _ = await _conversation(w, "zero")
        assert (await w.create("one", conversation=id, stream=True)).kinds[-1] == "failed"
        assert (await w.create("one", conversation=id)).status == 503
        assert len((await w.ask("GET", f"/conversations/{id}/items")).json["data"]) == 1
        assert await w.store.claims() == []


async def test_a_conversation_is_one_responses_alone_until_its_end(tmp_path: Path) -> None:
    stall = Stall()
    async with FakeProvider(stall) as fake, world(tmp_path, provider("a", fake)) as w:
        id, items = await _conversation(w, "zero")
        running = asyncio.ensure_future(w.create("one", conversation=id))
        await stall.reached.wait()
        message = {"items": [{"role": "user", "content": "x"}]}
        for told in (
            await w.create("two", conversation=id),
            await w.create("two", conversation=id, background=True),
            await w.ask("POST", f"/conversations/{id}/items", message),
            await w.ask("DELETE", f"/conversations/{id}/items/{items[0]}"),
            await w.ask("DELETE", f"/conversations/{id}"),
        ):
            assert (told.status, told.error["code"]) == (409, "conversation_locked")
        assert (await w.ask("GET", f"/conversations/{id}/items")).status == 200
        stall.resume.set()
        assert (await running).status == 200
        assert (await w.create("two", conversation=id)).status == 200
        assert w.said == ["zero", "one", "late", "two"]


async def test_of_many_at_once_each_is_whole_or_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        id, _ = await _conversation(w)
        told = await asyncio.gather(*(w.create(f"text {n}", conversation=id) for n in range(10)))
        answered = [one for one in told if one.status == 200]
        assert answered
        assert {one.status for one in told} <= {200, 409}
        listed = (await w.ask("GET", f"/conversations/{id}/items", order="asc", limit="100")).json["data"]
        texts = [item["content"][0]["text"] for item in listed]
        assert len(texts) == 2 * len(answered)
        assert texts[::2] == texts[1::2]


async def test_both_a_response_and_a_conversation_to_go_on_from_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        id, _ = await _conversation(w)
        previous = (await w.create()).response.id
        told = await w.create("x", conversation=id, previous_response_id=previous)
        assert told.status == 400


async def _conversation(w: World, *texts: str) -> tuple[str, list[str]]:
    items: list[dict[str, Any]] = [{"role": "user", "content": text} for text in texts]
    made = await w.ask("POST", "/conversations", {"items": items})
    listed = await w.ask("GET", f"/conversations/{made.conversation.id}/items", order="asc")
    return made.conversation.id, [item["id"] for item in listed.json["data"]]
