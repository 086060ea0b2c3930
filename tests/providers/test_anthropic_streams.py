"""Anthropic's streams as streams of chat completion chunks: whole, in pieces, odd, cut and lying."""

import contextlib
import json
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.anthropic import translate
from llmrouter.providers.turn_memory import TurnMemory
from llmrouter.providers.wire import Job
from llmrouter.replies import Chunk, Usage
from tests.providers.test_anthropic_replies import COUNTED, COUNTS, NAMES, TYPES, VALUES, error_body
from tests.providers.test_anthropic_requests import OLD, UNFORCED, WEATHER, body_of, job_of, result, user
from tests.providers.test_anthropic_structured import CITY, form

PING = {"type": "ping"}
STOP = {"type": "message_stop"}
START = {
    "type": "message_start",
    "message": {"id": "msg_1", "type": "message", "content": [], "usage": {**COUNTS, "output_tokens": 1}},
}


def sse(*events: Any) -> bytes:
    """A stream as Anthropic writes it, every event with its name."""
    texts = (
        event if isinstance(event, str) else f"event: {event['type']}\ndata: {json.dumps(event)}" for event in events
    )
    return "".join(f"{text}\n\n" for text in texts).encode()


def start(kind: str, index: int = 0, **members: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **members}}


def delta(kind: str, index: int = 0, **members: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **members}}


def stop(index: int = 0) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def end(stop_reason: Any = "end_turn", **members: Any) -> dict[str, Any]:
    usage = {"output_tokens": 20, "input_tokens": None}
    return {"type": "message_delta", "delta": {"stop_reason": stop_reason, **members}, "usage": usage}


def said(*pieces: str, index: int = 0) -> list[Any]:
    return [start("text", index, text=""), *(delta("text_delta", index, text=piece) for piece in pieces), stop(index)]


def thought(*pieces: str, index: int = 0, signature: str = "c2ln") -> list[Any]:
    deltas = [delta("thinking_delta", index, thinking=piece) for piece in pieces]
    begin = start("thinking", index, thinking="", signature="")
    return [begin, *deltas, delta("signature_delta", index, signature=signature), stop(index)]


def called(*pieces: str, index: int = 0, id: str = "toolu_1", name: str = "weather", **given: Any) -> list[Any]:
    deltas = [delta("input_json_delta", index, partial_json=piece) for piece in pieces]
    return [start("tool_use", index, id=id, name=name, input=given), *deltas, stop(index)]


TEXT = sse(START, PING, *said("pö", "ng", ""), end(), STOP)
CALLS = sse(
    START,
    *thought("Hm, ", "größer"),
    *said("Wait.", index=1),
    *called("", '{"ci', 'ty":"Köln"}', index=2),
    PING,
    *called(index=3, id="toolu_2", name="time"),
    end("tool_use"),
    STOP,
)


def job(model: str = "claude-opus-5", memory: TurnMemory | None = None, **members: Any) -> Job:
    return job_of(model, memory, stream=True, **members)


def decode(*parts: bytes, of: Job | None = None) -> list[Chunk]:
    decoder = translate(of or job()).decoder()
    chunks = [chunk for part in parts for chunk in decoder.feed(part)]
    chunks += decoder.finish()
    assert decoder.done
    assert not decoder.is_holding
    assert decoder.feed(TEXT) == decoder.finish() == []
    return chunks


def visible(chunks: list[Chunk]) -> list[Any]:
    return [orjson.loads(chunk.data) for chunk in chunks if chunk.data]


def validated(chunks: list[Chunk]) -> list[Any]:
    for chunk in chunks:
        if chunk.data:
            ChatCompletionChunk.model_validate_json(chunk.data, strict=True)
    return visible(chunks)


def deltas_of(chunks: list[Chunk]) -> list[Any]:
    return [event["choices"][0]["delta"] for event in visible(chunks) if event["choices"]]


def content_of(chunks: list[Chunk]) -> str:
    return "".join(delta.get("content") or "" for delta in deltas_of(chunks))


def end_of(chunks: list[Chunk]) -> Any:
    ends = [event["choices"][0]["finish_reason"] for event in visible(chunks) if event["choices"]]
    assert all(reason is None for reason in ends[:-1])
    return ends[-1]


def failed(*events: Any, of: Job | None = None) -> AttemptFailed:
    with pytest.raises(AttemptFailed) as caught:
        decode(sse(*events), of=of)
    return caught.value


def test_text() -> None:
    chunks = decode(TEXT)
    assert deltas_of(chunks) == [{"role": "assistant", "content": ""}, {"content": "pö"}, {"content": "ng"}, {}]
    assert end_of(chunks) == "stop"
    assert [chunk.is_content for chunk in chunks] == [False, True, True, True, False]
    assert [chunk.usage for chunk in chunks if chunk.usage] == [COUNTED]
    assert not chunks[-1].data
    assert len({(event["id"], event["created"], event["model"]) for event in validated(chunks)}) == 1


def test_usage_for_a_client_that_asked() -> None:
    last = validated(decode(TEXT, of=job(stream_options={"include_usage": True})))[-1]
    assert (last["choices"], last["usage"]) == ([], COUNTED.to_openai())


def test_thinking_and_tool_calls() -> None:
    chunks = decode(CALLS)
    validated(chunks)

    def begin(number: int, id: str, name: str) -> Any:
        function = {"name": name, "arguments": ""}
        return {"tool_calls": [{"index": number, "id": id, "type": "function", "function": function}]}

    def more(number: int, arguments: str) -> Any:
        return {"tool_calls": [{"index": number, "function": {"arguments": arguments}}]}

    assert deltas_of(chunks)[1:] == [
        {"reasoning_content": "Hm, "},
        {"reasoning_content": "größer"},
        {"content": "Wait."},
        begin(0, "toolu_1", "weather"),
        more(0, '{"ci'),
        more(0, 'ty":"Köln"}'),
        begin(1, "toolu_2", "time"),
        more(1, "{}"),
        {},
    ]
    assert end_of(chunks) == "tool_calls"


@pytest.mark.parametrize("stream", [TEXT, CALLS])
def test_byte_by_byte(stream: bytes) -> None:
    assert decode(*(bytes([byte]) for byte in stream)) == decode(stream)


@given(st.sampled_from([TEXT, CALLS, CALLS.replace(b"\n", b"\r\n")]), st.lists(st.integers(0, 1500), max_size=8))
def test_split_anywhere(stream: bytes, cuts: list[int]) -> None:
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    parts = [stream[begin:stop] for begin, stop in pairwise(places)]
    assert decode(*parts) == decode(stream.replace(b"\r\n", b"\n"))


def test_what_says_nothing_is_ignored() -> None:
    noise = [": keep-alive", PING, {"type": "brand_new"}, delta("citations_delta", citation={}), delta("new_delta")]
    own = [
        start("server_tool_use", 5, id="s", name="web_search"),
        delta("input_json_delta", 5, partial_json="{"),
        stop(5),
    ]
    assert decode(sse(START, *noise, *own, "data:", *said("pö", "ng"), stop(9), end(), STOP)) == decode(TEXT)


def test_the_input_may_come_with_the_start() -> None:
    chunks = decode(sse(START, *called(city="Bonn"), end("tool_use"), STOP))
    assert deltas_of(chunks)[2]["tool_calls"][0]["function"]["arguments"] == '{"city":"Bonn"}'


def test_text_and_thinking_may_come_with_the_start() -> None:
    chunks = decode(sse(START, start("thinking", thinking="Hm"), stop(), start("text", 1, text="a"), end(), STOP))
    assert deltas_of(chunks)[1:3] == [{"reasoning_content": "Hm"}, {"content": "a"}]


def test_the_thinking_of_a_stream_is_brought_back() -> None:
    memory = TurnMemory()
    redacted = [start("redacted_thinking", 0, data="b3BhcXVl"), stop()]
    blocks = [*redacted, *thought("Hm", "…\n", index=1), *said("One", index=2), *called("{}", index=3)]
    decode(sse(START, *blocks, end("tool_use"), STOP), of=job(memory=memory, messages=[user("a")], tools=[WEATHER]))
    call = {"id": "toolu_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    turn = {"role": "assistant", "content": "One", "tool_calls": [call]}
    told = body_of(
        translate(job_of(memory=memory, messages=[user("a"), turn, result("b", "toolu_1")], tools=[WEATHER]))
    )
    assert told["messages"][1]["content"] == [
        {"type": "redacted_thinking", "data": "b3BhcXVl"},
        {"type": "thinking", "thinking": "Hm…\n", "signature": "c2ln"},
        {"type": "text", "text": "One"},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}},
    ]


def test_custom_tools() -> None:
    of = job(tools=[{"type": "custom", "custom": {"name": "shell"}}])
    decoder = translate(of).decoder()
    begun = sse(START, *called('{"input":', '"ls"}', name="shell")[:-1])
    assert len(decoder.feed(begun)) == 1
    assert decoder.is_holding
    rest = decoder.feed(sse(stop(), end("tool_use"), STOP))
    custom = {"name": "shell", "input": "ls"}
    assert deltas_of(rest)[0] == {"tool_calls": [{"index": 0, "id": "toolu_1", "type": "custom", "custom": custom}]}
    cut = decode(sse(START, *called('{"input": "l', name="shell"), end("max_tokens"), STOP), of=of)
    assert end_of(cut) == "length"


def test_the_client_gets_its_own_names_back() -> None:
    of = job(tools=[{"type": "function", "function": {"name": "files.read"}}])
    name = orjson.loads(translate(of).request.body)["tools"][0]["name"]
    chunks = decode(sse(START, *called("{}", name=name), end("tool_use"), STOP), of=of)
    assert deltas_of(chunks)[1]["tool_calls"][0]["function"]["name"] == "files.read"


def test_refusal() -> None:
    details = {"type": "refusal", "explanation": "Not that."}
    chunks = decode(sse(START, *said("Par"), end("refusal", stop_details=details), STOP))
    assert deltas_of(chunks)[1:3] == [{"content": "Par"}, {"refusal": "Not that."}]
    assert end_of(chunks) == "content_filter"


def test_later_counts_take_the_place_of_earlier_ones() -> None:
    last = {**end(), "usage": {"input_tokens": 50, "output_tokens": 9, "cache_read_input_tokens": 0}}
    chunks = decode(sse(START, *said("a"), end(), last, STOP))
    assert chunks[-1].usage == Usage(53, 9, 0, 7, 3)
    assert all(chunk.usage is None for chunk in decode(sse(*said("a"), {**end(), "usage": None}, STOP)))


def test_a_tool_whose_input_is_the_answer() -> None:
    of = job(OLD, response_format=form(CITY))
    answer = called('{"city"', ':"Bonn"}', index=1, name="json_answer")
    chunks = decode(sse(START, *said("Here:"), *answer, end("tool_use"), STOP), of=of)
    assert (content_of(chunks), end_of(chunks)) == ('{"city":"Bonn"}', "stop")
    without = decode(sse(START, *said("I can", "not"), end("refusal"), STOP), of=of)
    assert (content_of(without), end_of(without)) == ("I cannot", "content_filter")


def test_text_is_held_while_a_tool_call_is_demanded() -> None:
    of = job(UNFORCED, tools=[WEATHER], tool_choice="required")
    decoder = translate(of).decoder()
    assert len(decoder.feed(sse(START, *said("Let me ", "see")))) == 1
    assert decoder.is_holding
    chunks = decoder.feed(sse(*called("{}", index=1), *said("a", index=2), end("tool_use"), STOP))
    assert deltas_of(chunks)[:2] == [{"content": "Let me "}, {"content": "see"}]
    assert content_of(chunks) == "Let me seea"
    assert failed(START, *said("Sunny."), end(), STOP, of=of).outcome is Outcome.BAD_REPLY
    cut = decode(sse(START, *said("Sun"), end("max_tokens"), STOP), of=of)
    assert (content_of(cut), end_of(cut)) == ("Sun", "length")


@pytest.mark.parametrize(
    "events",
    [
        [],
        [START],
        [START, *said("a")],
        [START, *said("a"), end()],
        [START, *said("a"), STOP],
        [START, *said("a"), end(None), STOP],
        [{"type": "message_start", "message": "m"}],
        [START, {"type": "content_block_start", "index": 0, "content_block": "text"}],
        [START, {"type": "content_block_start", "content_block": {"type": "text"}}],
        [START, start("tool_use", id="a")],
        [START, *called(name="f")[:1], {"type": "content_block_delta", "index": 0, "delta": "x"}],
        [START, delta("text_delta", text=7)],
        [START, delta("thinking_delta")],
        [START, delta("input_json_delta", partial_json={})],
        [START, start("tool_use", id="a", name="f", input="x"), stop()],
        ["data: {"],
        ["data: 7"],
        ["data: {}"],
        ["data: " + "x" * 17_000_000],
    ],
)
def test_what_is_no_whole_stream(events: list[Any]) -> None:
    assert failed(*events).outcome is Outcome.BAD_REPLY


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        ("event: error\ndata: " + error_body("overloaded_error", "Overloaded").decode(), Outcome.SERVER_ERROR),
        ('event: error\ndata: {"error":{"type":"rate_limit_error","message":"m"}}', Outcome.RATE_LIMITED),
        ('event: error\ndata: {"type":"overloaded_error","message":"m"}', Outcome.SERVER_ERROR),
        (error_body("overloaded_error", "Overloaded").decode(), Outcome.SERVER_ERROR),
        ("<html>", Outcome.BAD_REPLY),
        (": ping", Outcome.BAD_REPLY),
        ("{}", Outcome.BAD_REPLY),
    ],
)
def test_errors_inside_a_stream(event: str, outcome: Outcome) -> None:
    assert failed(event).outcome is outcome
    if event.startswith("event"):
        assert failed(START, *said("a"), event).outcome is outcome


KINDS = ("message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta")
DELTAS = st.sampled_from(["text_delta", "thinking_delta", "input_json_delta", "signature_delta"])
INNER = st.fixed_dictionaries(
    {"type": TYPES | DELTAS | VALUES}, optional=dict.fromkeys((*NAMES, "partial_json"), VALUES)
)
EVENTS = st.fixed_dictionaries(
    {"type": st.sampled_from((*KINDS, "message_stop", "error")) | DELTAS | VALUES},
    optional={
        "index": st.integers(0, 1) | VALUES,
        "content_block": INNER | VALUES,
        "delta": INNER | st.just({"stop_reason": "tool_use"}) | VALUES,
        "message": st.fixed_dictionaries({"usage": VALUES}) | VALUES,
        "usage": VALUES,
    },
)


@given(st.lists(EVENTS, max_size=6))
def test_any_events_are_chunks_or_a_failed_attempt(events: list[Any]) -> None:
    stream = b"".join(b"data: %b\n\n" % orjson.dumps(event) for event in [*events, end("tool_use"), STOP])
    for of in (job(), job(OLD, response_format=form(CITY)), job(UNFORCED, tools=[WEATHER], tool_choice="required")):
        with contextlib.suppress(AttemptFailed):
            validated(decode(stream, of=of))


@given(st.binary(max_size=80), st.integers(0, len(CALLS)))
def test_any_bytes_in_a_stream_are_chunks_or_a_failed_attempt(noise: bytes, place: int) -> None:
    with contextlib.suppress(AttemptFailed):
        decode(CALLS[:place] + noise + CALLS[place:])
