"""Streams of Responses events as streams of chunks; what is plain is shown by the contract cases."""

import contextlib
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.openai_responses import translate
from tests.providers.responses_samples import (
    CREATED,
    a_job,
    custom_call,
    event,
    events_of,
    function_call,
    joined,
    message,
    reasoning,
    response,
    run,
    text_part,
)
from tests.providers.samples import sse
from tests.providers.test_responses_replies import JSON, with_another_value

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
ITEMS = (
    reasoning("First.", "Then."),
    message(text_part("Grüße aus "), text_part("Köln 🐟")),
    message({"type": "refusal", "refusal": "No more."}, id="msg_2"),
    function_call("a", '{"city":"Köln"}'),
    function_call("b", "{}", name="clock"),
    custom_call("c", "ls -la"),
)
EVENTS = events_of(*ITEMS)
SPARE = sorted({each["type"] for each in EVENTS} - {"response.completed", "response.output_item.added"})
SHELL = {"type": "custom", "custom": {"name": "shell"}}


def streaming(**members: Any) -> Any:
    return a_job(stream=True, stream_options={"include_usage": True}, **members)


def whole() -> dict[str, Any]:
    """What a client makes of the same answer where it is no stream."""
    reply = translate(a_job()).read_reply(json.dumps(EVENTS[-1]["response"]).encode())
    choice = json.loads(reply.data)["choices"][0]
    return {**choice["message"], "finish_reason": choice["finish_reason"]}


WHOLE = whole()
COMPARED = ("content", "refusal", "reasoning_content", "tool_calls")


def test_the_sample_is_a_stream_of_openais() -> None:
    for each in EVENTS:
        EVENT.validate_python(each)


def test_a_stream_says_what_the_whole_answer_says() -> None:
    told = joined(streaming(), sse(*EVENTS))
    assert {name: told[name] for name in COMPARED} == {name: WHOLE[name] for name in COMPARED}
    assert WHOLE["finish_reason"] == "tool_calls"


@given(st.sets(st.sampled_from(SPARE)), st.booleans())
def test_nothing_is_lost_or_doubled_whichever_kinds_of_events_a_server_writes(left_out: set[str], begins: bool) -> None:
    left_out = left_out if begins else {*left_out, "response.output_item.added"}
    told = joined(streaming(), sse(*(each for each in EVENTS if each["type"] not in left_out)))
    assert told["finish_reason"] == "tool_calls"
    assert {name: told[name] for name in COMPARED} == {name: WHOLE[name] for name in COMPARED}


@pytest.mark.parametrize("kept", ["delta", "done"])
def test_the_last_response_need_not_repeat_the_output(kept: str) -> None:
    *events, end = EVENTS
    other = "done" if kept == "delta" else "delta"
    kinds = [each for each in events if not each["type"].endswith(f".{other}")]
    empty = {**end, "response": response()}
    told = joined(streaming(), sse(*kinds, empty))
    assert {name: told[name] for name in COMPARED} == {name: WHOLE[name] for name in COMPARED}


@given(st.lists(st.integers(0, len(sse(*EVENTS)))))
@settings(max_examples=30)
def test_it_makes_no_difference_where_a_stream_is_split(cuts: list[int]) -> None:
    data = sse(*EVENTS)
    parts = [data[start:end] for start, end in pairwise([0, *sorted(cuts), len(data)])]
    assert run(translate(streaming()).decoder(), *parts) == run(translate(streaming()).decoder(), data)


def test_byte_by_byte_and_valid() -> None:
    data = sse(*events_of(*ITEMS[:-1]))
    chunks = run(translate(streaming()).decoder(), *(bytes([byte]) for byte in data))
    assert chunks == run(translate(streaming()).decoder(), data)
    parsed = [ChatCompletionChunk.model_validate_json(chunk.data, strict=True) for chunk in chunks]
    assert {(chunk.id, chunk.created) for chunk in parsed} == {("chatcmpl-call-1", CREATED)}
    assert [chunk.choices[0].delta.role for chunk in parsed[:-1]] == ["assistant", *([None] * (len(parsed) - 2))]
    assert parsed[-1].usage is not None
    assert parsed[-1].usage.total_tokens == 18
    assert [chunk.is_content for chunk in chunks[-3:]] == [True, True, False]


def test_custom_tool_calls_come_in_pieces_as_openai_sends_them() -> None:
    chunks = run(translate(streaming(tools=[SHELL])).decoder(), sse(*events_of(custom_call("c", "ls -la"))))
    deltas = [json.loads(chunk.data)["choices"][0]["delta"] for chunk in chunks[:-2]]
    begun = {"index": 0, "id": "c", "type": "custom", "custom": {"name": "shell", "input": ""}}
    assert deltas[0] == {"role": "assistant", "tool_calls": [begun]}
    assert deltas[1:] == [{"tool_calls": [{"index": 0, "custom": {"input": piece}}]} for piece in ("ls ", "-la")]


def test_items_that_all_have_the_same_place_are_known_by_their_ids() -> None:
    events = [{**each, "output_index": 0} if "output_index" in each else each for each in EVENTS]
    told = joined(streaming(), sse(*events))
    assert {name: told[name] for name in COMPARED} == {name: WHOLE[name] for name in COMPARED}


def test_ids_that_are_other_ones_in_every_event_do_no_harm() -> None:
    events = [{**each, "item_id": f"x{number}"} if "item_id" in each else each for number, each in enumerate(EVENTS)]
    told = joined(streaming(), sse(*events))
    assert {name: told[name] for name in COMPARED} == {name: WHOLE[name] for name in COMPARED}


def test_events_without_id_and_place_belong_to_the_latest_item() -> None:
    events = [{name: each[name] for name in each if name not in ("item_id", "output_index")} for each in EVENTS]
    told = joined(streaming(), sse(*events))
    assert {name: told[name] for name in COMPARED} == {name: WHOLE[name] for name in COMPARED}


def test_an_item_that_is_announced_twice_is_told_once() -> None:
    events = [each for each in EVENTS for _ in range(2 if each["type"] == "response.output_item.added" else 1)]
    told = joined(streaming(), sse(*events))
    assert {name: told[name] for name in COMPARED} == {name: WHOLE[name] for name in COMPARED}


def test_a_whole_that_is_another_text_than_its_pieces_is_not_told_again() -> None:
    events = events_of(function_call("a", '{"x":1}'))
    for each in events:
        if "arguments" in each:
            each["arguments"] = '{"x": 1}'
    [call] = joined(streaming(), sse(*events))["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"x": 1}


def test_usage_is_counted_though_the_client_did_not_ask() -> None:
    chunks = run(translate(a_job(stream=True)).decoder(), sse(*events_of(message(text_part("pong")))))
    assert chunks[-1].data == b""
    assert chunks[-1].usage is not None
    assert (chunks[-1].usage.input_tokens, chunks[-1].usage.cached_tokens) == (11, 3)


def test_what_follows_the_end_is_not_looked_at() -> None:
    decoder = translate(streaming()).decoder()
    chunks = decoder.feed(sse(*events_of(message(text_part("pong"))), "[DONE]", "{"))
    assert decoder.done
    assert decoder.feed(b"data: {\n\n") == []
    assert decoder.finish() == []
    assert chunks[-1].usage is not None


def test_the_name_of_the_event_counts_where_the_data_tell_no_type() -> None:
    events = events_of(message(text_part("pong")))
    text = "".join(
        f"event: {each['type']}\ndata: {json.dumps({name: each[name] for name in each if name != 'type'})}\n\n"
        for each in events
    )
    assert joined(streaming(), text.encode())["content"] == "pong"


@pytest.mark.parametrize("length", range(len(EVENTS)))
def test_every_stream_without_the_last_response_was_cut_off(length: int) -> None:
    for last in (b"", b"data: [DONE]\n\n"):
        with pytest.raises(AttemptFailed) as caught:
            run(translate(streaming()).decoder(), sse(*EVENTS[:length]) + last)
        assert caught.value.outcome is Outcome.BAD_REPLY


@pytest.mark.parametrize(
    ("last", "outcome"),
    [
        (event("error", code="rate_limit_exceeded", message="Slow down."), Outcome.RATE_LIMITED),
        (event("error", code=None, message="Boom."), Outcome.BAD_REPLY),
        ({"error": {"message": "The engine is overloaded", "code": 503}}, Outcome.SERVER_ERROR),
        (event("failed", response={"error": None}), Outcome.BAD_REPLY),
        (event("completed", response={"error": {"code": "server_error", "message": "x"}}), Outcome.SERVER_ERROR),
    ],
)
def test_errors_in_a_stream(last: dict[str, Any], outcome: Outcome) -> None:
    with pytest.raises(AttemptFailed) as caught:
        run(translate(streaming()).decoder(), sse(*EVENTS[:6], last))
    assert caught.value.outcome is outcome


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (b"", Outcome.BAD_REPLY),
        (b": keep-alive\n\n", Outcome.BAD_REPLY),
        (b"<html><title>502 Bad Gateway</title></html>", Outcome.BAD_REPLY),
        (b'{"error":{"code":"insufficient_quota","message":"no money"}}', Outcome.OUT_OF_CREDIT),
        (b"data: [1]\n\n", Outcome.BAD_REPLY),
        (b"data: {\n\n", Outcome.BAD_REPLY),
        (b"data: " + b"x" * (17 * 1024 * 1024), Outcome.BAD_REPLY),
    ],
    ids=lambda value: str(value[:20]),
)
def test_what_is_no_stream(body: bytes, outcome: Outcome) -> None:
    with pytest.raises(AttemptFailed) as caught:
        run(translate(streaming()).decoder(), body)
    assert caught.value.outcome is outcome


@given(value=JSON, data=st.data())
def test_values_of_other_types_never_raise_anything_else(value: Any, data: st.DataObject) -> None:
    changed = with_another_value(EVENTS, value, lambda bound: data.draw(st.integers(0, bound - 1)))
    events = changed if isinstance(changed, list) else [changed]
    with contextlib.suppress(AttemptFailed):
        run(translate(streaming()).decoder(), sse(*(json.dumps(each) for each in events)))


@given(st.lists(st.sampled_from(EVENTS), max_size=12))
def test_events_in_any_order_make_a_valid_stream_or_none(events: list[dict[str, Any]]) -> None:
    try:
        chunks = run(translate(streaming()).decoder(), sse(*events))
    except AttemptFailed:
        return
    parsed = [json.loads(chunk.data) for chunk in chunks]
    assert len({(chunk["id"], chunk["created"]) for chunk in parsed}) == 1
    choices = [choice for chunk in parsed for choice in chunk["choices"]]
    assert [bool(choice["delta"].get("role")) for choice in choices] == [True, *([False] * (len(choices) - 1))]
    assert [choice["finish_reason"] is None for choice in choices] == [*([True] * (len(choices) - 1)), False]


@given(st.binary(max_size=80))
def test_other_bytes_never_raise_anything_else(body: bytes) -> None:
    with pytest.raises(AttemptFailed):
        run(translate(streaming()).decoder(), body)
