"""Chunks become steps, messages and their events, however they were cut."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming._assistants import accumulate_event, accumulate_run_step
from openai.types.beta import AssistantStreamEvent
from openai.types.beta.threads import Message
from openai.types.beta.threads.runs import RunStep
from pydantic import TypeAdapter

from llmrouter.endpoints.assistants import objects
from llmrouter.endpoints.assistants.events import Event
from llmrouter.endpoints.assistants.requests import run
from llmrouter.endpoints.assistants.turn import Turn

_EVENT: TypeAdapter[Any] = TypeAdapter(AssistantStreamEvent)
_ASSISTANT = objects.assistant("asst_1", 1.0, "gpt-4o", {})
_RUN = objects.run("run_1", 1.0, "thread_1", _ASSISTANT, run({"assistant_id": "asst_1"}))
_USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def _turn() -> Turn:
    numbers = itertools.count(1)
    return Turn(_RUN, lambda prefix: f"{prefix}{next(numbers)}")


def _chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


def _text(piece: str) -> dict[str, Any]:
    return _chunk({"content": piece})


def _call(index: int, arguments: str, id: str | None = None, name: str | None = None) -> dict[str, Any]:
    function = {"arguments": arguments} | ({"name": name} if name else {})
    return _chunk({"tool_calls": [{"index": index, "function": function} | ({"id": id} if id else {})]})


def _feed(turn: Turn, *chunks: dict[str, Any]) -> list[Event]:
    return [event for chunk in chunks for event in turn.feed(chunk, 2.0)]


def _names(events: list[Event]) -> list[str]:
    return [event.name.removeprefix("thread.") for event in events]


def _accumulated(events: list[Event]) -> tuple[dict[str, Message], dict[str, RunStep]]:
    """What the SDK makes of the events."""
    messages: dict[str, Message] = {}
    steps: dict[str, RunStep] = {}
    current: Message | None = None
    for event in events:
        told = _EVENT.validate_python({"event": event.name, "data": event.data})
        current, _ = accumulate_event(event=told, current_message_snapshot=current)
        accumulate_run_step(event=told, run_step_snapshots=steps)
        if current is not None:
            messages[current.id] = current
    return messages, steps


def _pieces(text: str, cuts: list[int]) -> list[str]:
    places = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    return [text[begin:end] for begin, end in itertools.pairwise(places)]


@given(
    st.text(min_size=1),
    st.lists(st.tuples(st.text(min_size=1), st.text()), max_size=3),
    st.lists(st.integers(0, 30), max_size=6),
)
def test_the_sdk_puts_together_what_the_model_said(text: str, calls: list[tuple[str, str]], cuts: list[int]) -> None:
    turn = _turn()
    events = _feed(turn, *(_text(piece) for piece in _pieces(text, cuts)))
    for index, (name, arguments) in enumerate(calls):
        first, *rest = [*_pieces(arguments, cuts), ""]
        events += _feed(turn, _call(index, first, f"call_{index}", name), *(_call(index, piece) for piece in rest))
    events += turn.finish(3.0, _USAGE)
    messages, steps = _accumulated(events)
    if text.strip() or not calls:
        [message] = messages.values()
        assert [part.to_dict()["text"] for part in message.content] == [{"value": text, "annotations": []}]
        assert turn.message is not None
        assert turn.message["content"] == [{"type": "text", "text": {"value": text, "annotations": []}}]
    else:
        assert messages == {}
    wanted = [{"id": f"call_{index}", "name": name, "arguments": args} for index, (name, args) in enumerate(calls)]
    assert turn.calls == wanted
    if calls:
        details = list(steps.values())[-1].step_details
        assert details.type == "tool_calls"
        functions = [one.function for one in details.tool_calls if one.type == "function"]
        assert [(one.name, one.arguments) for one in functions] == calls


def test_text_before_calls_is_a_message_of_its_own() -> None:
    turn = _turn()
    events = _feed(turn, _text("Let me look."), _call(0, "{}", "call_a", "f"), _chunk({}, "tool_calls"))
    events += turn.finish(3.0, _USAGE)
    assert _names(events) == [
        "run.step.created",
        "run.step.in_progress",
        "message.created",
        "message.in_progress",
        "message.delta",
        "message.completed",
        "run.step.completed",
        "run.step.created",
        "run.step.in_progress",
        "run.step.delta",
    ]
    assert turn.message is not None and turn.tool_step is not None
    assert turn.led_by == turn.message["id"]
    assert (turn.tool_step["status"], turn.tool_step["usage"]) == ("in_progress", _USAGE)


def test_text_after_calls_is_a_message_at_the_end_unless_it_is_blank() -> None:
    turn = _turn()
    events = _feed(turn, _call(0, "{}", "call_a", "f"), _text("I "), _text("called."))
    assert "message.created" not in _names(events)
    assert _names(turn.finish(3.0, None))[-3:] == ["message.delta", "message.completed", "run.step.completed"]
    assert turn.message is not None and turn.led_by is None
    blank = _turn()
    _feed(blank, _call(0, "{}", "call_a", "f"), _text("\n"))
    assert blank.finish(3.0, None) == []


def test_calls_may_come_mixed_and_without_ids() -> None:
    turn = _turn()
    _feed(turn, _call(7, "{", None, "f"), _call(3, "[", "call_b", "g"), _call(7, "}"), _call(3, "]"))
    turn.finish(3.0, None)
    assert [(call["name"], call["arguments"]) for call in turn.calls] == [("f", "{}"), ("g", "[]")]
    assert turn.calls[0]["id"].startswith("call_")


def test_a_refusal_is_a_part_of_its_own() -> None:
    turn = _turn()
    events = _feed(turn, _text("I "), _chunk({"refusal": "can"}), _chunk({"refusal": "not"}), _chunk({}, "stop"))
    events += turn.finish(3.0, None)
    assert turn.message is not None
    assert turn.message["content"] == [
        {"type": "text", "text": {"value": "I ", "annotations": []}},
        {"type": "refusal", "refusal": "cannot"},
    ]
    [message] = _accumulated(events)[0].values()
    assert [part.to_dict() for part in message.content][1]["refusal"] == "cannot"


def test_an_empty_answer_is_an_empty_message() -> None:
    turn = _turn()
    events = _feed(turn, _chunk({"role": "assistant", "content": ""}), _chunk({}, "stop"), {"choices": []})
    assert events == []
    assert _names(turn.finish(3.0, None))[-2:] == ["message.completed", "run.step.completed"]
    assert turn.message is not None and turn.message["content"] == []


@pytest.mark.parametrize(("status", "reason"), [("cancelled", "run_cancelled"), ("expired", "run_expired")])
def test_what_is_cut_ends_with_its_run(status: str, reason: str) -> None:
    turn = _turn()
    assert turn.cut(status, reason, 3.0) == []
    _feed(turn, _text("po"))
    events = turn.cut(status, reason, 3.0)
    assert _names(events) == ["message.incomplete", f"run.step.{status}"]
    assert events[0].data["content"][0]["text"]["value"] == "po"
    assert (events[0].data["incomplete_details"], events[1].data[f"{status}_at"]) == ({"reason": reason}, 3)
    assert turn.cut(status, reason, 4.0) == [], "it ends once"


def test_calls_that_are_cut_keep_what_there_was() -> None:
    turn = _turn()
    _feed(turn, _text("Let me look."), _call(0, '{"ci', "call_a", "f"))
    error = {"code": "invalid_prompt", "message": "No."}
    [event] = turn.cut("failed", "run_failed", 3.0, error)
    assert event.name == "thread.run.step.failed"
    assert event.data["step_details"]["tool_calls"][0]["function"]["arguments"] == '{"ci'
    assert event.data["last_error"] == {"code": "server_error", "message": "No."}, "steps know two codes only"
