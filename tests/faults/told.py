"""What a client was told, beside what the providers said."""

import json
from collections.abc import Sequence

from tests.faults.scripted import Served
from tests.faults.truth import events_of


def heard(body: bytes) -> tuple[str, list[str], bool, bool]:
    """The client's own reading: text, finish reasons, whether an error was told, whether `[DONE]` came."""
    text, ids = "", set()
    reasons: list[str] = []
    *events, last = events_of(body)
    for event in [*events, *([] if last == b"[DONE]" else [last])]:
        chunk = json.loads(event)
        if "error" in chunk:
            assert event is last
            return text, reasons, True, False
        ids.add(chunk["id"])
        for choice in chunk["choices"]:
            text += choice["delta"].get("content") or ""
            reasons += [choice["finish_reason"]] if choice["finish_reason"] else []
    assert len(ids) == 1
    return text, reasons, False, last == b"[DONE]"


def what_can_have_been_said(served: Sequence[Served]) -> list[tuple[str, list[str]]]:
    """Every text that targets told, alone or as the rest of what was told before, with the places of its real end.

    What a target is said to go on with must itself have been told.
    """
    reachable: list[tuple[str, list[str]]] = [("", [])]
    for one in served:
        if not any(normal(text).startswith(normal(one.said)) for text, _ in reachable):
            continue
        for truth in one.truths:
            text = joined(one.said, truth.text)
            reachable.append((text, [joined(one.said, end) for end in truth.ends]))
    return reachable


def joined(said: str, rest: str) -> str:
    """A text and what goes on with it, of which the words that both have are told once."""
    if not said:
        return rest
    for length in range(min(len(said), len(rest)), 0, -1):
        if said.endswith(rest[:length]):
            return said + rest[length:]
    return f"{said}{rest}"


def normal(text: str) -> str:
    """Without white space, of which the seam may cut some."""
    return "".join(text.split())
