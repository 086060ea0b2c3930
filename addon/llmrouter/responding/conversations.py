"""Operations of /v1/conversations: the conversation, its items, and the lock that a response in the making holds."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from llmrouter.calls import JsonObject
from llmrouter.clock import Clock
from llmrouter.endpoints.request_members import expect, kind_of, read_object
from llmrouter.errors import InvalidRequest
from llmrouter.operations import Operation, Result
from llmrouter.responding import paging, refusals
from llmrouter.responding.items import Item, kept_items, new_id
from llmrouter.storage.state.store import Document, StateStore, UnknownCursor

CONVERSATION, ITEM = "conversation", "conversation_item"

_MOST_ITEMS_AT_ONCE = 20
_MOST_PAIRS, _LONGEST_KEY, _LONGEST_VALUE = 16, 64, 512


@dataclass(frozen=True, slots=True)
class Conversations:
    """The conversations of all callers; `caller` is the keyed hash of a caller's credential."""

    store: StateStore
    clock: Clock

    async def answer(self, operation: Operation, caller: str, rest: list[str]) -> Result | None:
        """`rest` is the path's parts after /v1/conversations; None where the id or the path is not the router's."""
        match operation.method, rest:
            case "POST", []:
                return await self._create(operation, caller)
            case "GET", [id]:
                return await self._retrieve(caller, id)
            case "POST", [id]:
                return await self._update(operation, caller, id)
            case "DELETE", [id]:
                return await self._delete(caller, id)
            case method, [id, "items", *item] if await self.get(caller, id) is not None:
                return await self._answer_items(operation, caller, id, [method, *item])
            case _:
                return None

    async def get(self, caller: str, id: str) -> Document | None:
        """The conversation of that id, where this caller has it."""
        return await self.store.get(caller, CONVERSATION, id)

    async def items(self, caller: str, id: str) -> list[Item]:
        """All items, the oldest first."""
        return [document.data for document in await self.store.every(caller, ITEM, id)]

    async def append(self, caller: str, id: str, items: list[Item]) -> None:
        """Adds the items at the end, all or none."""
        if items:
            await self.store.add(caller, ITEM, [(item["id"], item) for item in items], parent=id)

    async def item(self, caller: str, item_id: str) -> Item | None:
        """An item of any of the caller's conversations."""
        document = await self.store.get(caller, ITEM, item_id)
        return None if document is None else document.data

    async def is_taken(self, caller: str, item_id: str) -> bool:
        """Whether an item of any of the caller's conversations has this id."""
        return await self.store.get(caller, ITEM, item_id) is not None

    async def lock(self, caller: str, id: str, owner: str) -> None:
        """Takes the conversation for one owner; raises `ConversationLocked` where another one has it."""
        if await self.store.claim(caller, f"conversation:{id}", owner) is not None:
            raise refusals.locked()

    async def unlock(self, caller: str, id: str, owner: str) -> None:
        """Lets others change the conversation again."""
        await self.store.release(caller, f"conversation:{id}", owner)

    @contextlib.asynccontextmanager
    async def _locked(self, caller: str, id: str) -> AsyncIterator[None]:
        owner = new_id("change")
        await self.lock(caller, id, owner)
        try:
            yield
        finally:
            await self.unlock(caller, id, owner)

    async def _create(self, operation: Operation, caller: str) -> Result:
        fields = _fields(operation)
        items = await self._new_items(fields, caller)
        id = new_id("conv")
        data = {"created_at": int(self.clock.wall()), "metadata": _metadata(fields)}
        await self.store.add(caller, CONVERSATION, [(id, data)])
        await self.append(caller, id, items)
        return ok(_shown(id, data))

    async def _retrieve(self, caller: str, id: str) -> Result | None:
        document = await self.get(caller, id)
        return None if document is None else ok(_shown(id, document.data))

    async def _update(self, operation: Operation, caller: str, id: str) -> Result | None:
        fields = _fields(operation)
        if "metadata" not in fields:
            raise InvalidRequest("Missing required parameter: 'metadata'.", param="metadata")
        metadata = _metadata(fields)
        document = await self.store.change(caller, CONVERSATION, id, lambda data: data | {"metadata": metadata})
        return None if document is None else ok(_shown(id, document.data))

    async def _delete(self, caller: str, id: str) -> Result | None:
        if await self.get(caller, id) is None:
            return None
        async with self._locked(caller, id):
            await self.store.delete(caller, CONVERSATION, id)
        return ok({"id": id, "object": "conversation.deleted", "deleted": True})

    async def _answer_items(self, operation: Operation, caller: str, id: str, what: list[str]) -> Result | None:
        match what:
            case ["POST"]:
                return await self._add_items(operation, caller, id)
            case ["GET"]:
                return await self._list_items(operation.query, caller, id)
            case ["GET", item_id]:
                return ok((await self._item(caller, id, item_id)).data)
            case ["DELETE", item_id]:
                return await self._delete_item(caller, id, item_id)
            case _:
                return None

    async def _add_items(self, operation: Operation, caller: str, id: str) -> Result:
        fields = _fields(operation)
        if fields.get("items") is None:
            raise InvalidRequest("Missing required parameter: 'items'.", param="items")
        items = await self._new_items(fields, caller)
        async with self._locked(caller, id):
            await self.append(caller, id, items)
        return ok(paging.listed(items, has_more=False))

    async def _list_items(self, query: Mapping[str, str], caller: str, id: str) -> Result:
        wanted = paging.list_query(query)
        try:
            page = await self.store.page(
                caller,
                ITEM,
                id,
                limit=wanted.limit,
                descending=wanted.is_descending,
                after=wanted.after,
                before=wanted.before,
            )
        except UnknownCursor as error:
            raise paging.unknown_cursor(error.which, error.id) from None
        return ok(paging.listed([document.data for document in page.documents], page.has_more))

    async def _item(self, caller: str, id: str, item_id: str) -> Document:
        document = await self.store.get(caller, ITEM, item_id, parent=id)
        if document is None:
            raise refusals.unknown_item(item_id)
        return document

    async def _delete_item(self, caller: str, id: str, item_id: str) -> Result | None:
        await self._item(caller, id, item_id)
        async with self._locked(caller, id):
            await self.store.delete(caller, ITEM, item_id)
        return await self._retrieve(caller, id)

    async def _new_items(self, fields: JsonObject, caller: str) -> list[Item]:
        given = expect(fields, "items", list, "an array of items") or []
        if len(given) > _MOST_ITEMS_AT_ONCE:
            raise InvalidRequest(
                f"Invalid 'items': at most {_MOST_ITEMS_AT_ONCE} items may be added at a time, not {len(given)}.",
                param="items",
            )
        for number, item in enumerate(given):
            if not isinstance(item, dict):
                where = f"items[{number}]"
                message = f"Invalid type for '{where}': expected an object, but got {kind_of(item)}."
                raise InvalidRequest(message, param=where)

        async def is_taken(item_id: str) -> bool:
            return await self.is_taken(caller, item_id)

        return await kept_items(given, is_taken)


def ok(value: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Result:
    """A whole JSON answer."""
    return Result(200, {**(headers or {}), "content-type": "application/json"}, orjson.dumps(value))


def _fields(operation: Operation) -> JsonObject:
    """The body's object; OpenAI takes none at all for one without members."""
    return read_object(operation.body if operation.body.strip() else b"{}", "the conversation's members")


def _metadata(fields: JsonObject) -> dict[str, str]:
    """Up to 16 pairs of strings, as OpenAI bounds them (`types/conversations/conversation_update_params.py`)."""
    metadata = expect(fields, "metadata", dict, "an object") or {}
    if len(metadata) > _MOST_PAIRS:
        raise InvalidRequest(f"Invalid 'metadata': at most {_MOST_PAIRS} pairs are allowed.", param="metadata")
    for key, value in metadata.items():
        if len(key) > _LONGEST_KEY or not isinstance(value, str) or len(value) > _LONGEST_VALUE:
            raise InvalidRequest(
                f"Invalid 'metadata': a key has up to {_LONGEST_KEY} characters, a value is a string of up to "
                f"{_LONGEST_VALUE}; see '{key[:_LONGEST_KEY]}'.",
                param="metadata",
            )
    return dict(metadata)


def _shown(id: str, data: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": id, "object": "conversation", **data}
