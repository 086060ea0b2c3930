"""Whether the events of a response's stream come in the order, and with the content, that OpenAI promises."""

from collections.abc import Sequence
from typing import Any

LAST = ("response.completed", "response.incomplete", "response.failed")
_LIFECYCLE = ("response.created", "response.queued", "response.in_progress", *LAST)

_TEXT_OF = {
    "response.output_text": "text",
    "response.refusal": "refusal",
    "response.reasoning_summary_text": "text",
    "response.reasoning_text": "text",
    "response.function_call_arguments": "arguments",
    "response.custom_tool_call_input": "input",
}
"""Families of `.delta` and `.done`, and the member of the latter that has the whole text."""


def check_order(events: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Raises AssertionError where these events, (name, data) each, are no sound stream of one response.

    A response that failed may leave items open; they are not in its output then.
    """
    _Checker().check(events)


class _Part:
    """A part of an item while it is open."""

    def __init__(self, part: dict[str, Any]) -> None:
        self.part = part
        self.is_done = False


class _Item:
    """An output item while it is open."""

    def __init__(self, item: dict[str, Any]) -> None:
        self.item = item
        self.parts: list[_Part] = []
        self.deltas: dict[int | None, str] = {}
        self.texts: dict[int | None, str] = {}
        self.annotations: dict[int, list[Any]] = {}
        self.logprobs: dict[int, list[Any]] = {}
        self.done: dict[str, Any] | None = None


def _place(data: dict[str, Any]) -> int | None:
    """The number of the part that an event is about."""
    place: int | None = data.get("content_index", data.get("summary_index"))
    return place


class _Checker:
    def __init__(self) -> None:
        self._items: list[_Item] = []
        self._where = ""

    def check(self, events: Sequence[tuple[str, dict[str, Any]]]) -> None:
        assert events, "there is no event"
        for number, (name, data) in enumerate(events):
            self._where = f"event {number} ({name})"
            self._expect(data.get("type") == name, f"its type is {data.get('type')!r}")
            self._expect(data.get("sequence_number") == number, f"its number is {data.get('sequence_number')}")
            self._read(name, data)
        self._check_lifecycle(events)
        self._check_end(*events[-1])

    def _expect(self, holds: bool, otherwise: str) -> None:
        assert holds, f"{self._where}: {otherwise}"

    def _read(self, name: str, data: dict[str, Any]) -> None:
        family, _, step = name.rpartition(".")
        if name in _READERS:
            _READERS[name](self, data)
        elif family in _TEXT_OF and step == "delta":
            self._add_delta(data)
        elif family in _TEXT_OF and step == "done":
            self._end_text(data, data[_TEXT_OF[family]])
        elif "response" in data:
            self._expect(name in _LIFECYCLE and data["response"].get("object") == "response", "it has no response")
        else:
            self._expect(False, "no such event is known")

    def _add_item(self, data: dict[str, Any]) -> None:
        item = data["item"]
        self._expect(data["output_index"] == len(self._items), f"output_index is not {len(self._items)}")
        self._expect(item["id"] not in {other.item["id"] for other in self._items}, "its item's id was there before")
        self._expect(item.get("status") == "in_progress", "its item is not in progress")
        empty = (item.get(name) for name in ("content", "arguments", "input"))
        self._expect(not any(empty), "its item holds something already")
        self._items.append(_Item(item))

    def _item(self, data: dict[str, Any]) -> _Item:
        index: int = data["output_index"]
        self._expect(0 <= index < len(self._items), f"there is no item {index}")
        item = self._items[index]
        self._expect(item.done is None, f"item {index} is done already")
        id = data["item"]["id"] if "item" in data else data["item_id"]
        self._expect(id == item.item["id"], f"its item {id} is not that of place {index}, {item.item['id']}")
        return item

    def _open_part(self, data: dict[str, Any]) -> tuple[_Item, int | None]:
        """The item, and which of its parts this is about: the last one, None for tool calls, which have none."""
        item, index = self._item(data), _place(data)
        is_call = item.item["type"].endswith("_call")
        self._expect(is_call == (index is None), f"content_index is {index} for an item {item.item['type']}")
        if index is not None:
            self._expect(index == len(item.parts) - 1, f"part {index} is not the last of its item")
            self._expect(not item.parts[-1].is_done, f"part {index} is done already")
        return item, index

    def _add_part(self, data: dict[str, Any]) -> None:
        item, index, part = self._item(data), _place(data), data["part"]
        assert index is not None
        self._expect(index == len(item.parts), f"content_index is not {len(item.parts)}")
        self._expect(not item.parts or item.parts[-1].is_done, f"part {index - 1} is not done")
        self._expect(not (part.get("text") or part.get("refusal")), "its part holds something already")
        item.parts.append(_Part(part))

    def _add_delta(self, data: dict[str, Any]) -> None:
        item, index = self._open_part(data)
        self._expect(data["delta"] != "", "its delta is empty")
        self._expect(index not in item.texts, "its text is done already")
        item.deltas[index] = item.deltas.get(index, "") + data["delta"]
        if index is not None:
            item.logprobs.setdefault(index, []).extend(data.get("logprobs", ()))

    def _end_text(self, data: dict[str, Any], text: str) -> None:
        item, index = self._open_part(data)
        self._expect(index not in item.texts, "its text is done already")
        told = item.deltas.get(index, "")
        self._expect(told == text, f"the deltas say {told!r}, and it says {text!r}")
        if "logprobs" in data and index is not None:
            told_logprobs = item.logprobs.get(index, [])
            self._expect(
                data["logprobs"][: len(told_logprobs)] == told_logprobs, "logprobs are not those of the deltas"
            )
        item.texts[index] = text

    def _annotate(self, data: dict[str, Any]) -> None:
        item, index = self._open_part(data)
        self._expect(index is not None and item.parts[-1].part["type"] == "output_text", "it is not about a text")
        known = item.annotations.setdefault(data["content_index"], [])
        self._expect(data["annotation_index"] == len(known), f"annotation_index is not {len(known)}")
        known.append(data["annotation"])

    def _end_part(self, data: dict[str, Any]) -> None:
        item, index = self._open_part(data)
        assert index is not None
        part = data["part"]
        text = part["refusal"] if part["type"] == "refusal" else part["text"]
        self._expect(part["type"] == item.parts[-1].part["type"], "its part is of another type than at first")
        self._expect(index in item.texts, "its text is not done")
        self._expect(item.texts[index] == text, f"the text says {item.texts[index]!r}, and its part {text!r}")
        annotations = item.annotations.get(index, [])
        self._expect(part.get("annotations", []) == annotations, "its part has not the annotations that were told")
        item.parts[-1] = _Part(part)
        item.parts[-1].is_done = True

    def _end_item(self, data: dict[str, Any]) -> None:
        item, done = self._item(data), data["item"]
        same = ("id", "type", "role", "name", "call_id")
        self._expect(all(done.get(name) == item.item.get(name) for name in same), "its item is another than at first")
        self._expect(done["status"] in ("completed", "incomplete"), f"its item's status is {done['status']!r}")
        if done["type"].endswith("_call"):
            given = done["input" if done["type"] == "custom_tool_call" else "arguments"]
            self._expect(item.texts.get(None) == given, f"it says {given!r}, told was {item.texts.get(None)!r}")
        else:
            self._expect(all(part.is_done for part in item.parts), "its last part is not done")
            self._expect(
                [*done.get("summary", ()), *done["content"]] == [part.part for part in item.parts],
                "its content is not its parts",
            )
        item.done = done

    def _check_lifecycle(self, events: Sequence[tuple[str, dict[str, Any]]]) -> None:
        names = [name for name, _ in events]
        begun = ["response.created", "response.in_progress"]
        if "response.queued" in names:
            begun.insert(1, "response.queued")
        assert names[: len(begun)] == begun, f"the stream begins with {names[: len(begun)]}, not {begun}"
        ends = [name for name in names if name in LAST]
        assert len(ends) == 1, f"there are {len(ends)} ends: {ends}"
        assert names[-1] in LAST, f"the last event is {names[-1]}"
        told = [name for name in names[:-1] if name in _LIFECYCLE]
        assert told == begun, f"the response's state is told as {told}"
        ids = {data["response"]["id"] for name, data in events if name in _LIFECYCLE}
        assert len(ids) == 1, f"the response has several ids: {sorted(ids)}"

    def _check_end(self, name: str, data: dict[str, Any]) -> None:
        response = data["response"]
        assert f"response.{response['status']}" == name, f"{name} has a response that is {response['status']}"
        left = [index for index, item in enumerate(self._items) if item.done is None]
        assert not left or name == "response.failed", f"the items at {left} are not done"
        done = [item.done for item in self._items if item.done is not None]
        assert response["output"] == done, f"the output is not the items that are done:\n{response['output']}\n{done}"
        assert (response["error"] is not None) == (name == "response.failed"), f"{name} with error {response['error']}"
        why = response["incomplete_details"]
        assert (why is not None) == (name == "response.incomplete"), f"{name} with incomplete_details {why}"


_READERS = {
    "response.output_item.added": _Checker._add_item,
    "response.output_item.done": _Checker._end_item,
    "response.content_part.added": _Checker._add_part,
    "response.content_part.done": _Checker._end_part,
    "response.reasoning_summary_part.added": _Checker._add_part,
    "response.reasoning_summary_part.done": _Checker._end_part,
    "response.output_text.annotation.added": _Checker._annotate,
}
