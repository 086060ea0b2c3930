"""Operations of /v1/conversations."""

from pathlib import Path
from typing import Any

import pytest
from openai.types.conversations import ConversationDeletedResource, ConversationItemList

from tests.responding.world import world

MESSAGE = {"role": "user", "content": "hello"}


async def test_a_conversation_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        made = await w.ask("POST", "/conversations", {"metadata": {"a": "b"}})
        assert (made.conversation.metadata, made.conversation.created_at) == ({"a": "b"}, 1_800_000_000)
        path = f"/conversations/{made.conversation.id}"
        assert (await w.ask("GET", path)).json == made.json
        changed = await w.ask("POST", path, {"metadata": {"c": "d"}})
        assert changed.conversation.metadata == {"c": "d"}
        assert (await w.ask("GET", path)).json == changed.json
        gone = ConversationDeletedResource.model_validate((await w.ask("DELETE", path)).json)
        assert (gone.id, gone.deleted) == (made.conversation.id, True)
        for method, rest in (("GET", ""), ("POST", ""), ("DELETE", ""), ("GET", "/items"), ("POST", "/items")):
            assert (await w.ask(method, path + rest, {"metadata": {}})).status == 0
        assert await w.store.claims() == []


async def test_a_conversation_needs_no_body(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        assert (await w.ask("POST", "/conversations")).conversation.metadata == {}


async def test_items_are_added_listed_and_deleted(tmp_path: Path) -> None:
    items: list[dict[str, Any]] = [
        MESSAGE,
        {"role": "assistant", "content": "hi"},
        {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "42"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "parts"}]},
        {"type": "reasoning", "summary": []},
    ]
    async with world(tmp_path) as w:
        path = f"/conversations/{(await w.ask('POST', '/conversations', {})).conversation.id}/items"
        added = await w.ask("POST", path, {"items": items})
        told = ConversationItemList.model_validate(added.json)
        assert [item.type for item in told.data] == [item.get("type", "message") for item in items]
        assert len({item.id for item in told.data}) == len(items)
        listed = await w.ask("GET", path, order="asc", limit="4")
        assert listed.json["data"] == added.json["data"][:4]
        assert listed.json["has_more"] is True
        rest = await w.ask("GET", path, order="asc", after=listed.json["last_id"])
        assert (rest.json["data"], rest.json["has_more"]) == (added.json["data"][4:], False)
        newest = await w.ask("GET", path, limit="1")
        assert newest.json["data"] == added.json["data"][-1:]
        one = await w.ask("GET", f"{path}/{told.first_id}")
        assert one.json == added.json["data"][0]
        gone = await w.ask("DELETE", f"{path}/{told.first_id}")
        assert gone.conversation.id in path
        assert (await w.ask("GET", f"{path}/{told.first_id}")).status == 404
        assert (await w.ask("DELETE", f"{path}/{told.first_id}")).status == 404
        assert len((await w.ask("GET", path)).json["data"]) == len(items) - 1


async def test_an_item_is_found_in_its_own_conversation_alone(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        mine, other = [(await w.ask("POST", "/conversations", {"items": [MESSAGE]})).conversation.id for _ in range(2)]
        item = (await w.ask("GET", f"/conversations/{mine}/items")).json["first_id"]
        assert (await w.ask("GET", f"/conversations/{mine}/items/{item}")).status == 200
        assert (await w.ask("GET", f"/conversations/{other}/items/{item}")).status == 404
        assert (await w.ask("DELETE", f"/conversations/{other}/items/{item}")).status == 404
        assert (await w.ask("GET", f"/conversations/{mine}/items/{item}", key="b")).status == 0
        assert (await w.ask("GET", f"/conversations/{mine}", key="b")).status == 0


async def test_an_id_of_the_clients_own_stays_where_it_is_free(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        path = f"/conversations/{(await w.ask('POST', '/conversations', {})).conversation.id}/items"
        for _ in range(2):
            added = await w.ask("POST", path, {"items": [MESSAGE | {"id": "msg_mine"}]})
            assert added.status == 200
        ids = [item["id"] for item in (await w.ask("GET", path, order="asc")).json["data"]]
        assert ids[0] == "msg_mine"
        assert len(set(ids)) == 2


@pytest.mark.parametrize(
    ("rest", "body", "param"),
    [
        ("", {"metadata": {"a": 1}}, "metadata"),
        ("", {"metadata": {"a" * 65: "x"}}, "metadata"),
        ("", {"metadata": {"a": "x" * 513}}, "metadata"),
        ("", {"metadata": {str(n): "x" for n in range(17)}}, "metadata"),
        ("", {"metadata": []}, "metadata"),
        ("", {}, "metadata"),
        ("/items", {}, "items"),
        ("/items", {"items": "x"}, "items"),
        ("/items", {"items": [MESSAGE] * 21}, "items"),
        ("/items", {"items": [MESSAGE, 1]}, "items[1]"),
    ],
    ids=str,
)
async def test_bad_requests_are_refused(tmp_path: Path, rest: str, body: Any, param: str) -> None:
    async with world(tmp_path) as w:
        id = (await w.ask("POST", "/conversations", {})).conversation.id
        told = await w.ask("POST", f"/conversations/{id}{rest}", body)
        assert (told.status, told.error["param"]) == (400, param)


@pytest.mark.parametrize("query", [{"after": "msg_x"}, {"before": "msg_x"}, {"limit": "101"}, {"order": "x"}], ids=str)
async def test_bad_list_queries_are_refused(tmp_path: Path, query: dict[str, str]) -> None:
    async with world(tmp_path) as w:
        id = (await w.ask("POST", "/conversations", {"items": [MESSAGE]})).conversation.id
        told = await w.ask("GET", f"/conversations/{id}/items", **query)
        assert (told.status, told.error["param"]) == (400, next(iter(query)))
