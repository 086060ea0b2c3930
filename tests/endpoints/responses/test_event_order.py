"""The checker of the events' order finds what is wrong with them."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from tests.endpoints.responses.answers import call, citation, delta, told
from tests.endpoints.responses.event_order import check_order

Events = list[tuple[str, dict[str, Any]]]

CHUNKS = [
    delta(reasoning="Hm"),
    delta(content="Fi"),
    delta(content="sh", annotations=[citation(0, 4)]),
    delta(tool_calls=[call(0, "a", "f", "{}"), call(1, "b", "g", "[]")]),
    delta("tool_calls"),
]


def sound() -> Events:
    return [(event.type, deepcopy(event.data)) for event in told(CHUNKS)]


def at(events: Events, name: str, number: int = 0) -> int:
    """The place of this event, the first one or another."""
    return [place for place, (kind, _) in enumerate(events) if kind == f"response.{name}"][number]


def of(events: Events, name: str, number: int = 0) -> dict[str, Any]:
    return events[at(events, name, number)][1]


def without(name: str, number: int = 0) -> Callable[[Events], object]:
    """Takes an event out, and numbers the others anew."""

    def change(events: Events) -> None:
        del events[at(events, name, number)]
        for place, (_, data) in enumerate(events):
            data["sequence_number"] = place

    return change


def with_member(name: str, member: str, value: Any) -> Callable[[Events], object]:
    return lambda events: of(events, name).update({member: value})


def in_response(member: str, value: Any) -> Callable[[Events], object]:
    return lambda events: of(events, "completed")["response"].update({member: value})


def twice(name: str) -> Callable[[Events], object]:
    def change(events: Events) -> None:
        place = at(events, name)
        events.insert(place, deepcopy(events[place]))
        for number, (_, data) in enumerate(events):
            data["sequence_number"] = number

    return change


def test_sound_events_pass() -> None:
    check_order(sound())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (list.clear, "there is no event"),
        (lambda events: events.pop(), "0 ends"),
        (lambda events: events[3][1].update(sequence_number=9), "its number is 9"),
        (lambda events: events.__setitem__(3, ("response.other", events[3][1])), "its type is"),
        (with_member("output_text.delta", "type", "x"), "its type is 'x'"),
        (without("created"), "the stream begins with"),
        (without("in_progress"), "the stream begins with"),
        (twice("in_progress"), "the response's state is told as"),
        (twice("completed"), "2 ends"),
        (twice("output_item.added"), "output_index is not 1"),
        (twice("output_item.done"), "is done already"),
        (twice("content_part.added"), "content_index is not 1"),
        (twice("content_part.done"), "part 0 is done already"),
        (twice("output_text.delta"), "the deltas say 'FiFish'"),
        (twice("output_text.done"), "its text is done already"),
        (twice("output_text.annotation.added"), "annotation_index is not 1"),
        (without("output_item.added"), "output_index is not 0|there is no item 0"),
        (without("output_item.done"), "the items at \\[0\\] are not done"),
        (without("output_item.done", 3), "the items at \\[3\\] are not done"),
        (without("content_part.added"), "part 0 is not the last"),
        (without("content_part.done"), "its last part is not done"),
        (without("output_text.delta"), "the deltas say 'sh'"),
        (without("output_text.done"), "its text is not done"),
        (without("function_call_arguments.done"), "told was None"),
        (without("output_text.annotation.added"), "has not the annotations"),
        (with_member("output_text.delta", "delta", ""), "its delta is empty"),
        (with_member("output_text.delta", "output_index", 7), "there is no item 7"),
        (with_member("output_text.delta", "item_id", "msg_x"), "its item msg_x is not that of place 1"),
        (with_member("output_text.delta", "content_index", 1), "part 1 is not the last"),
        (with_member("output_text.delta", "content_index", None), "content_index is None"),
        (lambda events: of(events, "output_item.added")["item"].update(content=["x"]), "holds something already"),
        (lambda events: of(events, "output_item.added")["item"].update(status="completed"), "is not in progress"),
        (lambda events: of(events, "output_item.added", 1)["item"].update(id="rs_1"), "was there before"),
        (lambda events: of(events, "content_part.added")["part"].update(text="x"), "holds something already"),
        (lambda events: of(events, "content_part.done")["part"].update(text="x"), "and its part 'x'"),
        (lambda events: of(events, "content_part.done")["part"].update(type="x"), "of another type than at first"),
        (lambda events: of(events, "output_item.done")["item"].update(content=[]), "its content is not its parts"),
        (lambda events: of(events, "output_item.done", 2)["item"].update(name="x"), "another than at first"),
        (lambda events: of(events, "output_item.done", 2)["item"].update(arguments="x"), "it says 'x'"),
        (lambda events: of(events, "output_item.done")["item"].update(status="in_progress"), "status is 'in_progress'"),
        (in_response("id", "resp_2"), "several ids"),
        (in_response("object", "x"), "it has no response"),
        (in_response("output", []), "the output is not the items"),
        (in_response("status", "failed"), "has a response that is failed"),
        (in_response("error", {"code": "server_error"}), "with error"),
        (in_response("incomplete_details", {"reason": "x"}), "with incomplete_details"),
    ],
)
def test_what_is_wrong_is_found(change: Callable[[Events], object], message: str) -> None:
    events = sound()
    change(events)
    with pytest.raises(AssertionError, match=message):
        check_order(events)
