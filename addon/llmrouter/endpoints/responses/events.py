"""A chat completion's chunks as the events of a response (provider reference, sections 10.4 and 10.5)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from llmrouter.endpoints.responses.output_items import (
    COMPLETED,
    IN_PROGRESS,
    INCOMPLETE,
    REASONING,
    REFUSAL,
    SUMMARY,
    TEXT,
    THOUGHTS,
    CallItem,
    SpokenItem,
    Told,
)
from llmrouter.endpoints.responses.response import ResponseShape, response_object, usage_of
from llmrouter.endpoints.responses.text_marks import citations_of, logprobs_of, objects

_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"})
"""Service tiers of responses (`ServiceTier` of OpenAI's SDK 3.54)."""

_CUT_SHORT = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Finish reasons of an answer that is not whole, and why a response is incomplete then."""


@dataclass(frozen=True)
class Event:
    """One event of a response's stream; `data` has its type and sequence number, too."""

    type: str
    data: dict[str, Any]


def render(event: Event) -> bytes:
    """The event as a frame of server-sent events."""
    return b"event: %b\ndata: %b\n\n" % (event.type.encode(), orjson.dumps(event.data))


class _Call:
    """A tool call as its fragments come; its item begins with its name."""

    __slots__ = ("call_id", "early", "is_custom", "item", "name")

    def __init__(self) -> None:
        self.call_id = ""
        self.name = ""
        self.is_custom = False
        self.early: list[str] = []
        self.item: CallItem | None = None


class EventStream:
    """The events of one response, which is told by one choice of a chat completion.

    `new_id` makes an id of a prefix such as `msg`. A message or reasoning closes when something else begins; tool
    calls stay open until the end, for their fragments may come in any order. Citations that come when their message
    has closed are lost. After `fail`, items that were open are not in the output: half a tool call must not be run.
    """

    def __init__(self, shape: ResponseShape, new_id: Callable[[str], str]) -> None:
        self._shape = shape
        self._new_id = new_id
        # Whoever wants a summary looks for the thoughts there, and no provider of chats makes any other.
        self._thoughts = SUMMARY if (shape.echoed.get("reasoning") or {}).get("summary") else REASONING
        self._next = 0
        self._status = "queued" if shape.background else IN_PROGRESS
        self._items: list[SpokenItem | CallItem] = []
        self._spoken: SpokenItem | None = None
        self._latest: SpokenItem | CallItem | None = None
        self._calls: dict[int | None, _Call] = {}
        self._call_ids: set[str] = set()
        self._citations: list[dict[str, Any]] = []
        self._logprobs: list[dict[str, Any]] = []
        self._usage: dict[str, Any] | None = None
        self._finish_reason: str | None = None
        self._ending: dict[str, Any] = {}
        self._tier: dict[str, str] = {}

    @property
    def next_number(self) -> int:
        """The sequence number of the next event."""
        return self._next

    @property
    def output(self) -> list[dict[str, Any]]:
        """The output items as they are now."""
        return [item.as_json() for item in self._items]

    @property
    def response(self) -> dict[str, Any]:
        """The response as it is now."""
        return response_object(self._shape, self._status, self.output, self._usage, **self._ending) | self._tier

    def begin(self) -> list[Event]:
        """The events before the answer."""
        told = [self._lifecycle("created")]
        if self._shape.background:
            told.append(self._lifecycle("queued"))
        self._status = IN_PROGRESS
        return self._events([*told, self._lifecycle("in_progress")])

    def feed(self, chunk: dict[str, Any]) -> list[Event]:
        """The events for one chunk, or for what has the shape of one."""
        self._usage = usage_of(chunk.get("usage")) or self._usage
        if isinstance(tier := chunk.get("service_tier"), str) and tier in _TIERS:
            self._tier = {"service_tier": tier}
        told: list[Told] = []
        for choice in objects(chunk.get("choices")):
            if choice.get("index", 0) == 0:
                told += self._read(choice)
        return self._events(told)

    def end(self, completed_at: float) -> list[Event]:
        """The last events of an answer that ended; `completed_at` is Unix seconds."""
        told = [event for call in self._calls.values() if call.item is None for event in self._begin_call(call)]
        reason = _CUT_SHORT.get(self._finish_reason or "")
        for item in self._items:
            if item.status == IN_PROGRESS:
                told += self._close(item, INCOMPLETE if reason and item is self._latest else COMPLETED)
        self._status = INCOMPLETE if reason else COMPLETED
        self._ending = {"incomplete_details": {"reason": reason}} if reason else {"completed_at": completed_at}
        return self._events([*told, self._lifecycle(self._status)])

    def fail(self, code: str, message: str) -> list[Event]:
        """The last event of an answer that broke off, or never came; `code` is one of `failures.error_code`."""
        self._items = [item for item in self._items if item.status != IN_PROGRESS]
        self._status = "failed"
        self._ending = {"error": {"code": code, "message": message}}
        return self._events([self._lifecycle("failed")])

    def _lifecycle(self, name: str) -> Told:
        return f"response.{name}", {"response": self.response}

    def _events(self, told: list[Told]) -> list[Event]:
        events = []
        for kind, members in told:
            events.append(Event(kind, {"type": kind, "sequence_number": self._next, **members}))
            self._next += 1
        return events

    def _read(self, choice: Mapping[str, Any]) -> list[Told]:
        """One choice's delta, in the order of section 10.3: reasoning, text, refusal, tool calls."""
        delta = choice.get("delta")
        told: list[Told] = []
        if isinstance(delta, dict):
            told += self._say(self._thoughts, delta.get("reasoning_content") or delta.get("reasoning"))
            text, marked = delta.get("content"), choice.get("logprobs")
            if marked and (text or (self._spoken is not None and self._spoken.may_cite)):
                self._logprobs += logprobs_of(marked)
            told += self._say(TEXT, text)
            told += self._cite(delta.get("annotations"))
            told += self._say(REFUSAL, delta.get("refusal"))
            for fragment in objects(delta.get("tool_calls")):
                told += self._add_to_call(fragment)
        if isinstance(reason := choice.get("finish_reason"), str):
            self._finish_reason = reason
        return told

    def _say(self, kind: str, piece: Any) -> list[Told]:
        if not isinstance(piece, str) or not piece:
            return []
        is_message = kind not in THOUGHTS
        told: list[Told] = []
        if self._spoken is None or self._spoken.is_message != is_message:
            told += self._close_spoken()
            id = self._new_id("msg" if is_message else "rs")
            self._spoken = SpokenItem(id, len(self._items), is_message=is_message)
            self._items.append(self._spoken)
            told += self._spoken.begin()
        self._latest = self._spoken
        logprobs: list[dict[str, Any]] = []
        if kind == TEXT:
            logprobs, self._logprobs = self._logprobs, []
        return told + self._spoken.add(kind, piece, logprobs)

    def _cite(self, annotations: Any) -> list[Told]:
        """Citations wait for the text that they stand in; those of a text that has closed are lost."""
        self._citations += citations_of(annotations)
        if not self._citations:
            return []
        told: list[Told] = []
        if self._spoken is not None and self._spoken.may_cite:
            told = [event for citation in self._citations for event in self._spoken.cite(citation)]
        elif not any(isinstance(item, SpokenItem) and item.is_message for item in self._items):
            return []
        self._citations = []
        return told

    def _close_spoken(self) -> list[Told]:
        return [] if self._spoken is None else self._close(self._spoken, COMPLETED)

    def _close(self, item: SpokenItem | CallItem, status: str) -> list[Told]:
        if isinstance(item, CallItem):
            return item.close(status)
        self._spoken = None
        late: list[dict[str, Any]] = []
        if item.is_message:
            late, self._logprobs = self._logprobs, []
        return item.close(status, late)

    def _add_to_call(self, fragment: Mapping[str, Any]) -> list[Told]:
        index = fragment.get("index")
        call = self._calls.setdefault(index if isinstance(index, int) else None, _Call())
        custom = fragment.get("custom")
        inner = custom if isinstance(custom, dict) else fragment.get("function")
        inner = inner if isinstance(inner, dict) else {}
        call.is_custom = call.is_custom or isinstance(custom, dict)
        call.call_id = call.call_id or _text(fragment, "id")
        call.name = call.name or _text(inner, "name")
        piece = _text(inner, "input" if isinstance(custom, dict) else "arguments")
        if call.item is not None:
            self._latest = call.item if piece else self._latest
            return call.item.add(piece)
        call.early.append(piece)
        return self._begin_call(call) if call.name else []

    def _begin_call(self, call: _Call) -> list[Told]:
        told = self._close_spoken()
        if not call.call_id or call.call_id in self._call_ids:
            call.call_id = self._new_id("call")
        self._call_ids.add(call.call_id)
        is_bridged = not call.is_custom and call.name in self._shape.custom_tools
        id = self._new_id("ctc" if call.is_custom or is_bridged else "fc")
        place = len(self._items)
        call.item = CallItem(id, place, call.call_id, call.name, is_custom=call.is_custom, is_bridged=is_bridged)
        self._items.append(call.item)
        self._latest = call.item
        told += call.item.begin()
        return told + call.item.add("".join(call.early))


def _text(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) else ""
