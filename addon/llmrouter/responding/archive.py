"""Responses that are kept: the object, what went into it, and what it goes on from.

A document of a response is {"response": the object as clients get it, "input": its own input items, "previous": the id
of the response it goes on from or null, "bytes": the size of its input and output, "background": bool, "streamed":
bool}. Beside it, with the response as their parent, are where each of its items is ("response_item"), so that
`item_reference` finds them, and the events of a response that was streamed in the background ("response_events").
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from llmrouter.errors import InvalidRequest
from llmrouter.responding import refusals
from llmrouter.responding.items import Item, finished
from llmrouter.storage.state.store import StateStore

RESPONSE, ITEM, EVENTS = "response", "response_item", "response_events"
UNFINISHED = frozenset({"queued", "in_progress"})

MOST_TURNS = 1000
MOST_ITEMS = 20_000
MOST_BYTES = 64 * 1024 * 1024
"""What is put into one prompt at most; no model reads as much, and reading it must not stop the router."""

Response = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Archive:
    """The kept responses of all callers; `caller` is the keyed hash of a caller's credential."""

    store: StateStore

    async def get(self, caller: str, id: str) -> dict[str, Any] | None:
        """The response's document as above, None where this caller has none of that id."""
        document = await self.store.get(caller, RESPONSE, id)
        return None if document is None else document.data

    async def add(self, caller: str, data: dict[str, Any]) -> None:
        """Keeps a response for the first time; see `document`."""
        await self.store.add(caller, RESPONSE, [(data["response"]["id"], data)])
        await self._index(caller, data, [*data["input"], *data["response"]["output"]])

    async def finish(self, caller: str, id: str, response: Response, frames: Sequence[bytes]) -> bool:
        """Keeps what a response in the background came to, and the events that were told of it; False where it is
        deleted."""

        def end(data: dict[str, Any]) -> dict[str, Any]:
            return _measured(data | {"response": response})

        document = await self.store.change(caller, RESPONSE, id, end)
        if document is None:
            return False
        await self._index(caller, document.data, response["output"])
        if frames:
            events = {"frames": [frame.decode() for frame in frames]}
            await self.store.add(caller, EVENTS, [(id, events)], parent=id)
        return True

    async def change(
        self, caller: str, id: str, change: Callable[[dict[str, Any]], dict[str, Any] | None]
    ) -> dict[str, Any] | None:
        """Changes a response's document in one step; None where there is none."""
        document = await self.store.change(caller, RESPONSE, id, change)
        return None if document is None else document.data

    async def frames(self, caller: str, id: str) -> list[bytes]:
        """The events that a finished response in the background was streamed with; empty where none are kept."""
        document = await self.store.get(caller, EVENTS, id)
        return [] if document is None else [frame.encode() for frame in document.data["frames"]]

    async def delete(self, caller: str, id: str) -> bool:
        """Forgets a response and all that belongs to it."""
        return await self.store.delete(caller, RESPONSE, id)

    async def item(self, caller: str, item_id: str) -> Item | None:
        """An item of any of the caller's responses."""
        place = await self.store.get(caller, ITEM, item_id)
        data = None if place is None else await self.get(caller, place.parent)
        return None if data is None else find(items_of(data), item_id)

    async def is_taken(self, caller: str, item_id: str) -> bool:
        """Whether an item of any of the caller's responses has this id."""
        return await self.store.get(caller, ITEM, item_id) is not None

    async def history(self, caller: str, id: str) -> list[Item] | None:
        """What a response and all before it were given and said, the oldest first; None where it is not kept.

        Raises `HistoryTooLong` beyond the bounds above, and `UnknownPreviousResponse` where one in the middle is gone.
        """
        turns: list[list[Item]] = []
        count = size = 0
        next_id: str | None = id
        while next_id is not None:
            data = await self.get(caller, next_id)
            if data is None:
                if not turns:
                    return None
                raise refusals.unknown_previous(next_id)
            _check_finished(data["response"])
            turns.append(items_of(data))
            count, size = count + len(turns[-1]), size + data["bytes"]
            check_bounds(len(turns), count, size)
            next_id = data["previous"]
        return [item for turn in reversed(turns) for item in turn]

    async def _index(self, caller: str, data: dict[str, Any], items: Sequence[Item]) -> None:
        places: list[tuple[str, dict[str, Any]]] = [(item["id"], {}) for item in items]
        if places:
            await self.store.add(caller, ITEM, places, parent=data["response"]["id"])


def document(response: Response, given: Sequence[Item], *, is_streamed: bool) -> dict[str, Any]:
    """A response's document, as above."""
    data = {
        "response": response,
        "input": list(given),
        "previous": response.get("previous_response_id"),
        "background": bool(response.get("background")),
        "streamed": is_streamed,
    }
    return _measured(data)


def items_of(data: dict[str, Any]) -> list[Item]:
    """What the next turn builds on."""
    return [*data["input"], *finished(data["response"]["output"])]


def find(items: Sequence[Item], id: str) -> Item | None:
    """The item of that id."""
    return next((item for item in items if item.get("id") == id), None)


def check_bounds(turns: int, items: int, size: int = 0) -> None:
    """Raises `HistoryTooLong` where more is to come before a turn than the router puts into one prompt."""
    if turns > MOST_TURNS or items > MOST_ITEMS or size > MOST_BYTES:
        raise refusals.HistoryTooLong(
            f"Too much comes before this turn: the router goes back {MOST_TURNS} responses, {MOST_ITEMS} items and "
            f"{MOST_BYTES // 2**20} MiB at most. Start anew, with what still matters in 'input'.",
            param="previous_response_id",
        )


def _check_finished(response: Response) -> None:
    if response["status"] in UNFINISHED:
        raise InvalidRequest(
            f"The response '{response['id']}' is still {response['status']}: wait for its end, or cancel it.",
            param="previous_response_id",
        )


def _measured(data: dict[str, Any]) -> dict[str, Any]:
    return data | {"bytes": len(orjson.dumps([data["input"], data["response"]["output"]]))}
