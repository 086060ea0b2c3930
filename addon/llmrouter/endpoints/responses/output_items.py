"""Output items while they come, and what their events tell (provider reference, section 10.4)."""

from collections.abc import Mapping
from typing import Any

import orjson

type Told = tuple[str, dict[str, Any]]
"""An event's type and its members, without those that every event has."""

IN_PROGRESS, COMPLETED, INCOMPLETE = "in_progress", "completed", "incomplete"

TEXT, REFUSAL, REASONING, SUMMARY = "output_text", "refusal", "reasoning_text", "reasoning_summary_text"
"""Kinds of parts; an event about the text of a part is called `response.<kind>.…`."""

THOUGHTS = frozenset({REASONING, SUMMARY})
"""Kinds of parts that no message has."""


class _Part:
    """A part of a message or of reasoning."""

    __slots__ = ("annotations", "kind", "logprobs", "pieces")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.pieces: list[str] = []
        self.logprobs: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []

    @property
    def place(self) -> str:
        """What the events of its beginning and its end call it."""
        return "reasoning_summary" if self.kind == SUMMARY else "content"

    @property
    def words(self) -> dict[str, str]:
        """The text so far, in the member that the kind has for it."""
        return {"refusal" if self.kind == REFUSAL else "text": "".join(self.pieces)}

    def as_json(self) -> dict[str, Any]:
        """The part as it is now."""
        told: dict[str, Any] = {"type": "summary_text" if self.kind == SUMMARY else self.kind, **self.words}
        if self.kind == TEXT:
            told |= {"annotations": list(self.annotations), "logprobs": list(self.logprobs)}
        return told


class SpokenItem:
    """A message, or reasoning: parts one after another, of which the last is open until the item closes."""

    __slots__ = ("_base", "_is_message", "_parts", "id", "status")

    def __init__(self, id: str, place: int, *, is_message: bool) -> None:
        self.id = id
        self.status = IN_PROGRESS
        self._base = {"item_id": id, "output_index": place}
        self._is_message = is_message
        self._parts: list[_Part] = []

    @property
    def is_message(self) -> bool:
        """Whether this is a message, no reasoning."""
        return self._is_message

    @property
    def may_cite(self) -> bool:
        """Whether an annotation can be told now: the open part is the text of a message."""
        return bool(self._parts) and self._parts[-1].kind == TEXT

    def begin(self) -> list[Told]:
        """The events by which the item begins."""
        return [("response.output_item.added", {"output_index": self._base["output_index"], "item": self.as_json()})]

    def add(self, kind: str, piece: str, logprobs: list[dict[str, Any]]) -> list[Told]:
        """The events for a piece of a part of this kind; `logprobs` stand with text alone."""
        told = self._part_for(kind)
        part = self._parts[-1]
        part.pieces.append(piece)
        delta: dict[str, Any] = {**self._place(), "delta": piece}
        if kind == TEXT:
            part.logprobs += logprobs
            delta["logprobs"] = [_without_bytes(entry) for entry in logprobs]
        return [*told, (f"response.{kind}.delta", delta)]

    def cite(self, annotation: dict[str, Any]) -> list[Told]:
        """The event for an annotation of the open text (see `may_cite`)."""
        known = self._parts[-1].annotations
        known.append(annotation)
        place = {**self._place(), "annotation_index": len(known) - 1}
        return [("response.output_text.annotation.added", {**place, "annotation": annotation})]

    def close(self, status: str, late_logprobs: list[dict[str, Any]]) -> list[Told]:
        """The events by which the item ends; `late_logprobs` came after the last piece of text."""
        if self.may_cite:
            self._parts[-1].logprobs += late_logprobs
        self.status = status
        told = self._close_part()
        told.append(("response.output_item.done", {"output_index": self._base["output_index"], "item": self.as_json()}))
        return told

    def as_json(self) -> dict[str, Any]:
        """The item as it is now."""
        content = [part.as_json() for part in self._parts]
        if self._is_message:
            return {
                "id": self.id,
                "type": "message",
                "status": self.status,
                "role": "assistant",
                "content": content,
            }
        summary = [part for part in content if part["type"] == "summary_text"]
        thoughts = [part for part in content if part["type"] != "summary_text"]
        return {"id": self.id, "type": "reasoning", "status": self.status, "summary": summary, "content": thoughts}

    def _part_for(self, kind: str) -> list[Told]:
        if self._parts and self._parts[-1].kind == kind:
            return []
        told = self._close_part()
        part = _Part(kind)
        self._parts.append(part)
        return [*told, (f"response.{part.place}_part.added", {**self._place(), "part": part.as_json()})]

    def _close_part(self) -> list[Told]:
        if not self._parts:
            return []
        part, place = self._parts[-1], self._place()
        whole: dict[str, Any] = {**place, **part.words}
        if part.kind == TEXT:
            whole["logprobs"] = [_without_bytes(entry) for entry in part.logprobs]
        done = (f"response.{part.kind}.done", whole)
        return [done, (f"response.{part.place}_part.done", {**place, "part": part.as_json()})]

    def _place(self) -> dict[str, Any]:
        name = "summary_index" if self._parts[-1].kind == SUMMARY else "content_index"
        return {**self._base, name: len(self._parts) - 1}


class CallItem:
    """A call of a function or a custom tool.

    What a custom tool is given comes as plain text, or, where the tool `is_bridged`, as the arguments of a function
    whose one parameter is `input`; these are told when they are whole.
    """

    __slots__ = ("_base", "_is_bridged", "_is_custom", "_name", "_pieces", "call_id", "id", "status")

    def __init__(self, id: str, place: int, call_id: str, name: str, *, is_custom: bool, is_bridged: bool) -> None:
        self.id = id
        self.call_id = call_id
        self.status = IN_PROGRESS
        self._base = {"item_id": id, "output_index": place}
        self._name = name
        self._pieces: list[str] = []
        self._is_custom = is_custom or is_bridged
        self._is_bridged = is_bridged

    def begin(self) -> list[Told]:
        """The events by which the item begins."""
        return [("response.output_item.added", {"output_index": self._base["output_index"], "item": self.as_json()})]

    def add(self, piece: str) -> list[Told]:
        """The events for a piece of what the tool is given."""
        self._pieces.append(piece)
        return [] if self._is_bridged or not piece else [self._delta(piece)]

    def close(self, status: str) -> list[Told]:
        """The events by which the item ends."""
        self.status = status
        whole = self._given()
        told = [self._delta(whole)] if self._is_bridged and whole else []
        if self._is_custom:
            told.append(("response.custom_tool_call_input.done", {**self._base, "input": whole}))
        else:
            told.append(("response.function_call_arguments.done", {**self._base, "arguments": whole}))
        told.append(("response.output_item.done", {"output_index": self._base["output_index"], "item": self.as_json()}))
        return told

    def as_json(self) -> dict[str, Any]:
        """The item as it is now; what of a bridged call is not told yet is not in it."""
        kind, member = ("custom_tool_call", "input") if self._is_custom else ("function_call", "arguments")
        given = "" if self._is_bridged and self.status == IN_PROGRESS else self._given()
        told = {"id": self.id, "type": kind, "status": self.status, "call_id": self.call_id, "name": self._name}
        return {**told, member: given}

    def _delta(self, piece: str) -> Told:
        name = "response.custom_tool_call_input.delta" if self._is_custom else "response.function_call_arguments.delta"
        return name, {**self._base, "delta": piece}

    def _given(self) -> str:
        whole = "".join(self._pieces)
        return unwrapped(whole) if self._is_bridged else whole


def unwrapped(arguments: str) -> str:
    """The text in the arguments of a bridged custom tool; the arguments themselves where they do not hold it."""
    try:
        parsed = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return arguments
    given = parsed.get("input") if isinstance(parsed, dict) else None
    return given if isinstance(given, str) else arguments


def _without_bytes(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A token's log probability as events tell it; the part that holds the text tells its bytes, too."""
    others = [{"token": other["token"], "logprob": other["logprob"]} for other in entry["top_logprobs"]]
    return {"token": entry["token"], "logprob": entry["logprob"], "top_logprobs": others}
