"""What one caller keeps: the objects of the Assistants API in the store, by kind and by what they belong to.

`assistant` and `thread` belong to nothing, `message` and `run` to a thread, `run_step` to a run. All are kept as the
objects themselves, except a run: `{"run": the object, "work": ...}` (see `endpoints.assistants.run_state`).
An `exchange` belongs to a thread: answered tool calls of a run, for the runs after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from llmrouter.endpoints.assistants import objects, refusals
from llmrouter.endpoints.assistants.events import Event
from llmrouter.endpoints.assistants.history import Past, Placed
from llmrouter.endpoints.assistants.objects import Object
from llmrouter.endpoints.assistants.requests import Listing, NewMessage
from llmrouter.endpoints.assistants.run_state import ENDED, Change, State
from llmrouter.errors import InvalidRequest
from llmrouter.storage.state.store import Document, StateStore, UnknownCursor

_MOST_MESSAGES = 2000
"""So much of a thread a run reads at most; no model reads more."""


def _parent_of(kind: str, data: Object) -> str:
    return str(data["run_id"] if kind == "run_step" else data["thread_id"])


@dataclass(frozen=True, slots=True)
class Records:
    """One caller's objects."""

    store: StateStore
    caller: str

    async def find(self, kind: str, id: str, parent: str | None = None) -> Object:
        """What is kept of an object; raises `NotFound`."""
        found = await self.store.get(self.caller, kind, id, parent)
        if found is None:
            raise refusals.NotFound(kind, id)
        return found.data

    async def add(self, kind: str, new: Sequence[Object], parent: str = "") -> list[Document]:
        """Keeps new objects, in this order."""
        return await self.store.add(self.caller, kind, [(one["id"], one) for one in new], parent)

    async def save(self, kind: str, data: Object) -> bool:
        """Keeps a message or a step as it is now; False where it is gone."""
        return await self.store.replace(self.caller, kind, data["id"], data)

    async def keep(self, event: Event, is_again: bool = False) -> int | None:
        """Keeps what an event tells of a message or a step, before anybody hears of it; a delta is not kept.

        Gives the position of a new message in its thread. `is_again`: the store failed on it, and may have it already.
        """
        kind = {"thread.message": "message", "thread.run.step": "run_step"}.get(event.data["object"])
        if kind is None or event.name.endswith(".in_progress"):
            return None
        is_new = event.name.endswith(".created")
        if (is_again or not is_new) and (await self.save(kind, event.data) or not is_new):
            return None
        [document] = await self.add(kind, [event.data], _parent_of(kind, event.data))
        return document.position if kind == "message" else None

    async def set(self, kind: str, id: str, members: Object) -> Object:
        """Sets members of an object; raises `NotFound`."""
        document = await self.store.change(self.caller, kind, id, lambda before: before | members)
        if document is None:
            raise refusals.NotFound(kind, id)
        return document.data

    async def is_worked_on(self, run_id: str) -> bool:
        """Whether a run still is to go on."""
        document = await self.store.get(self.caller, "run", run_id)
        return document is not None and document.data["run"]["status"] == "in_progress"

    async def change_run(self, id: str, change: Change) -> State | None:
        """What a run is after a change, None where there is no such run."""
        document = await self.store.change(self.caller, "run", id, change)
        return None if document is None else document.data

    async def page(self, kind: str, parent: str, listing: Listing) -> tuple[list[Object], bool]:
        """A part of a list, and whether there is more; raises `InvalidRequest` for a cursor that is not in it."""
        try:
            page = await self.store.page(
                self.caller,
                kind,
                parent,
                limit=listing.limit,
                descending=listing.descending,
                after=listing.after,
                before=listing.before,
            )
        except UnknownCursor as error:
            raise _unknown_cursor(error.which, error.id) from None
        return [document.data for document in page.documents], page.has_more

    async def messages_of_run(self, thread_id: str, run_id: str, listing: Listing) -> tuple[list[Object], bool]:
        """A part of the list of those messages of a thread that a run wrote."""
        every = [document.data for document in await self.store.every(self.caller, "message", thread_id)]
        if listing.descending:
            every.reverse()
        begin, end = 0, len(every)
        for which, id in (("after", listing.after), ("before", listing.before)):
            if id is None:
                continue
            place = next((number for number, message in enumerate(every) if message["id"] == id), None)
            if place is None:
                raise _unknown_cursor(which, id)
            begin, end = (place + 1, end) if which == "after" else (begin, place)
        found = [message for message in every[begin:end] if message["run_id"] == run_id]
        if listing.before is not None and listing.after is None:
            return found[-listing.limit :], len(found) > listing.limit
        return found[: listing.limit], len(found) > listing.limit

    async def active_run(self, thread_id: str) -> State | None:
        """The run of a thread that has not ended: only the newest can be one."""
        page = await self.store.page(self.caller, "run", thread_id, limit=1, descending=True)
        newest = page.documents[0].data if page.documents else None
        return newest if newest is not None and newest["run"]["status"] not in ENDED else None

    async def add_messages(self, thread_id: str, new: Sequence[NewMessage], ids: Sequence[str], now: float) -> None:
        """Adds a client's messages to a thread."""
        if new:
            made = [objects.message(id, now, thread_id, one) for id, one in zip(ids, new, strict=True)]
            await self.add("message", made, thread_id)

    async def keep_exchange(self, id: str, state: State) -> None:
        """Keeps a run's newest exchange for the runs that come after it."""
        exchange = state["work"]["exchanges"][-1] | {"id": id, "run_id": state["run"]["id"]}
        await self.add("exchange", [exchange], state["run"]["thread_id"])

    async def past(self, state: State) -> Past:
        """What a run reads of its thread."""
        thread_id, run_id = state["run"]["thread_id"], state["run"]["id"]
        page = await self.store.page(self.caller, "message", thread_id, limit=_MOST_MESSAGES, descending=True)
        messages = [Placed(document.position, document.data) for document in reversed(page.documents)]
        answered = await self.store.page(self.caller, "exchange", thread_id, limit=_MOST_MESSAGES, descending=True)
        exchanges = [_in_place(document, page.documents) for document in reversed(answered.documents)]
        earlier = [exchange for exchange in exchanges if exchange["run_id"] != run_id]
        if page.has_more:
            earlier = [exchange for exchange in earlier if exchange["after"] >= messages[0].position]
        return Past(messages, state["work"]["exchanges"], earlier)


def _in_place(exchange: Document, messages: Sequence[Document]) -> Object:
    """An exchange with the position after which it happened.

    Where the newest messages of a thread were deleted, later ones have got their positions.
    """
    after = exchange.data["after"]
    while any(message.position == after and message.created > exchange.created for message in messages):
        after -= 1
    return exchange.data | {"after": after}


def _unknown_cursor(which: str, id: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid '{which}': no object with id '{id[:100]}' in this list.", param=which)
