"""A response that its provider told in events of its own, as one of the router's responses.

What the provider says goes on as it is, but for what must be the router's: the response's id and what it repeats of
its request, the numbers of the events, and the ids of items that every provider has. Items of OpenAI's own tools keep
their ids, for a later turn sends them back.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from llmrouter.endpoints.responses.events import Event
from llmrouter.endpoints.responses.output_items import COMPLETED, IN_PROGRESS
from llmrouter.endpoints.responses.response import ResponseShape, response_object, without_secrets

_BEGINNINGS = frozenset({"response.created", "response.queued", "response.in_progress"})
_ENDS = frozenset({"response.completed", "response.incomplete"})
_DONE = "response.output_item.done"
_PREFIXES: Mapping[str, str] = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "custom_tool_call": "ctc",
}
_DETAILS: Mapping[str, dict[str, int]] = {
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens_details": {"reasoning_tokens": 0},
}
_OF_THE_ROUTER = frozenset(
    {
        *("id", "object", "created_at", "status", "background", "completed_at", "error", "incomplete_details", "model"),
        *("output", "usage", "previous_response_id", "conversation", "store", "metadata"),
    }
)
"""Members of a response that its provider cannot know, or that are told from elsewhere."""


class RelayedStream:
    """The events of one response after its beginning; `number` is that of the first of them."""

    def __init__(self, shape: ResponseShape, new_id: Callable[[str], str], number: int) -> None:
        self._shape = shape
        self._ids = _Ids(new_id)
        self._next = number
        self._items: dict[Any, dict[str, Any]] = {}
        self._done: set[Any] = set()
        self._last: dict[str, Any] | None = None
        self._response: dict[str, Any] | None = None

    @property
    def response(self) -> dict[str, Any]:
        """The response as it is now."""
        return self._response or response_object(self._shape, IN_PROGRESS, list(self._items.values()))

    def feed(self, data: bytes) -> list[Event]:
        """The event for one of the provider's, whose JSON this is; the last one is told at the `end`."""
        fields = orjson.loads(data)
        kind = fields.get("type")
        if kind in _BEGINNINGS or not isinstance(kind, str):
            return []
        if kind in _ENDS:
            self._last = fields["response"]
            return []
        return [self._event(kind, self._with_own_ids(kind, fields))]

    def end(self, completed_at: float) -> list[Event]:
        """The last event of an answer that ended; `completed_at` is Unix seconds."""
        if self._last is None:
            return self.fail("server_error", "The provider's answer ended before its last event.")
        # Some servers do not repeat the output at the end.
        output = self._last.get("output") or list(self._items.values())
        self._response = _response(self._shape, self._last, self._ids.of_output(output), completed_at)
        return [self._event(f"response.{self._response['status']}", {"response": self._response})]

    def fail(self, code: str, message: str) -> list[Event]:
        """The last event of an answer that broke off; `code` is one of `failures.error_code`."""
        whole = [item for id, item in self._items.items() if id in self._done]
        error = {"code": code, "message": message}
        self._response = response_object(self._shape, "failed", whole, error=error)
        return [self._event("response.failed", {"response": self._response})]

    def _event(self, kind: str, members: Mapping[str, Any]) -> Event:
        number, self._next = self._next, self._next + 1
        return Event(kind, {**members, "type": kind, "sequence_number": number})

    def _with_own_ids(self, kind: str, fields: dict[str, Any]) -> dict[str, Any]:
        place = fields.get("output_index")
        if isinstance(item := fields.get("item"), dict):
            told = self._ids.of_item(item, place, is_done=kind == _DONE)
            self._items[id := told.get("id", place)] = told
            if kind == _DONE:
                self._done.add(id)
            return {**fields, "item": told}
        if isinstance(id := fields.get("item_id"), str):
            return {**fields, "item_id": self._ids.known(id, place)}
        return fields


class _Ids:
    """The router's own ids for a provider's.

    Some gateways give an item another id in every event, others give every item the same place: an id that is not
    known is that of the item which is open in its place, and in the last response of the one that was told there.
    """

    def __init__(self, new_id: Callable[[str], str]) -> None:
        self._new_id = new_id
        self._by_id: dict[str, str] = {}
        self._open: dict[Any, str] = {}
        self._told: list[str] = []

    def known(self, id: str, place: Any) -> str:
        """For an event about an item that has begun."""
        return self._by_id.get(id) or self._open.get(place) or id

    def of_item(self, item: dict[str, Any], place: Any, *, is_done: bool) -> dict[str, Any]:
        """The item with its id, as an event tells it."""
        told = self._with_own(item, self._open.get(place, ""))
        self._open[place] = own = str(told.get("id"))
        if own not in self._told:
            self._told.append(own)
        if is_done:
            del self._open[place]
        return told

    def of_output(self, output: Sequence[Any]) -> list[dict[str, Any]]:
        """The items of a last response, which were told before where it was a stream."""
        items = [item for item in output if isinstance(item, dict)]
        told = self._told + [""] * len(items)
        return [self._with_own(item, known) for item, known in zip(items, told, strict=False)]

    def _with_own(self, item: dict[str, Any], known: str) -> dict[str, Any]:
        kind, id = item.get("type"), str(item.get("id"))
        prefix = _PREFIXES.get(kind if isinstance(kind, str) else "")
        if prefix is None or id in self._told:
            return item
        own = self._by_id.get(id)
        if own is None:
            own = self._by_id[id] = known if known.startswith(f"{prefix}_") else self._new_id(prefix)
        return {**item, "id": own}


def relayed_response(
    data: bytes, shape: ResponseShape, new_id: Callable[[str], str], completed_at: float
) -> dict[str, Any]:
    """The response for one that came as a whole; `data` is its JSON, `completed_at` is Unix seconds."""
    native = orjson.loads(data)
    return _response(shape, native, _Ids(new_id).of_output(native.get("output") or []), completed_at)


def _response(
    shape: ResponseShape, native: Mapping[str, Any], output: list[dict[str, Any]], completed_at: float
) -> dict[str, Any]:
    reason = native.get("incomplete_details")
    is_whole = native.get("status") != "incomplete"
    told = response_object(
        shape,
        COMPLETED if is_whole else "incomplete",
        output,
        _usage(native.get("usage")),
        incomplete_details=None if is_whole else reason,
        completed_at=completed_at if is_whole else None,
    )
    own = {name: value for name, value in native.items() if name not in _OF_THE_ROUTER}
    return told | own | {"tools": without_secrets(native.get("tools", told["tools"]))}


def _usage(told: Any) -> dict[str, Any] | None:
    """The provider's counts; OpenAI's SDK reads details unasked of which some servers tell nothing."""
    if not isinstance(told, dict):
        return None
    details = {name: {**default, **(told.get(name) or {})} for name, default in _DETAILS.items()}
    return {**told, **details}
