"""Gemini's streams as streams of chat completion chunks: whole, in pieces, odd, cut and lying."""

from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.gemini import translate
from llmrouter.providers.wire import Job
from llmrouter.replies import Chunk, Usage
from tests.providers.samples import sse
from tests.providers.test_gemini_replies import (
    COUNTS,
    LOGPROBS,
    TOLD_LOGPROBS,
    answer,
    call,
    candidate,
    told_call,
)
from tests.providers.test_gemini_requests import WEATHER, job_of

EARLY = {"promptTokenCount": 10, "totalTokenCount": 10}
THOUGHT = answer(candidate({"text": "Hm, größer", "thought": True}, reason=None), usageMetadata=EARLY)
PO = answer(candidate({"text": "pö"}, reason=None, index=0), usageMetadata=EARLY)
NG = answer(candidate({"text": "ng"}, index=0), usageMetadata=COUNTS)
WHOLE = sse(THOUGHT, PO, NG)
FIRST_CALL = {**call("weather", {"city": "Bonn"}), "thoughtSignature": "c2lnbmVk"}
CALLS = sse(
    answer(candidate(FIRST_CALL, call("weather", {"city": "Köln"}), reason=None)),
    answer(candidate({"text": ""}), usageMetadata=COUNTS),
)


def job(**members: Any) -> Job:
    return job_of(stream=True, **members)


def decode(*parts: bytes, of: Job | None = None) -> list[Chunk]:
    decoder = translate(of or job()).decoder()
    chunks = [chunk for part in parts for chunk in decoder.feed(part)]
    chunks += decoder.finish()
    assert decoder.done
    assert not decoder.is_holding
    assert decoder.feed(WHOLE) == decoder.finish() == []
    return chunks


def visible(chunks: list[Chunk]) -> list[Any]:
    for chunk in chunks:
        if chunk.data:
            ChatCompletionChunk.model_validate_json(chunk.data)
    return [orjson.loads(chunk.data) for chunk in chunks if chunk.data]


def deltas(*parts: bytes, of: Job | None = None) -> list[Any]:
    """(delta, finish reason) of the only choice."""
    told = [choice for chunk in visible(decode(*parts, of=of)) for choice in chunk["choices"]]
    return [(choice["delta"], choice["finish_reason"]) for choice in told]


def failure(*parts: bytes) -> AttemptFailed:
    with pytest.raises(AttemptFailed) as caught:
        decode(*parts)
    return caught.value


def test_a_whole_stream() -> None:
    chunks = decode(WHOLE)
    assert deltas(WHOLE) == [
        ({"role": "assistant", "reasoning_content": "Hm, größer"}, None),
        ({"content": "pö"}, None),
        ({"content": "ng"}, None),
        ({}, "stop"),
    ]
    assert [chunk.usage for chunk in chunks] == [None, None, None, None, Usage(10, 8, 4, 5)]
    frames = {(chunk["id"], chunk["created"], chunk["model"]) for chunk in visible(chunks)}
    assert frames == {("chatcmpl-call-1", 1_795_000_000, "gpt-4o")}


def test_a_client_that_asked_sees_the_last_usage() -> None:
    last = visible(decode(WHOLE, of=job(stream_options={"include_usage": True})))[-1]
    assert last["choices"] == []
    assert last["usage"]["prompt_tokens"] == 10
    assert last["usage"]["completion_tokens"] == 8


def test_an_event_gives_its_text_at_once() -> None:
    decoder = translate(job()).decoder()
    assert [chunk.is_content for chunk in decoder.feed(sse(PO))] == [True]
    assert decoder.feed(sse(NG))[0].is_content
    assert not decoder.done


@given(st.lists(st.integers(0, len(WHOLE)), max_size=6), st.sampled_from([WHOLE, CALLS]))
def test_split_anywhere_it_is_the_same(cuts: list[int], stream: bytes) -> None:
    places = [0, *sorted(cuts), len(stream)]
    assert decode(*(stream[start:end] for start, end in pairwise(places))) == decode(stream)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("stream", [WHOLE, CALLS])
def test_byte_by_byte_it_is_the_same(stream: bytes, line_end: bytes) -> None:
    pieces = (bytes([byte]) for byte in stream.replace(b"\n", line_end))
    assert decode(*pieces) == decode(stream)


def test_tool_calls_come_whole() -> None:
    of = job(tools=[WEATHER])
    first = {"index": 0, **told_call("call_call-1_0", "weather", '{"city":"Bonn"}')}
    second = {"index": 1, **told_call("call_call-1_1", "weather", '{"city":"Köln"}')}
    assert deltas(CALLS, of=of) == [
        ({"role": "assistant", "tool_calls": [first]}, None),
        ({"tool_calls": [second]}, None),
        ({}, "tool_calls"),
    ]
    assert of.memory.recall(of.call, of.target, "call_call-1_0") == "c2lnbmVk"


def test_tool_calls_are_numbered_on_from_event_to_event() -> None:
    stream = sse(
        answer(candidate(call("a", id="one"), reason=None)), answer(candidate(call("b"))), answer(candidate(call("c")))
    )
    told = [delta["tool_calls"][0] for delta, _ in deltas(stream) if "tool_calls" in delta]
    assert [(piece["index"], piece["id"]) for piece in told] == [
        (0, "one"),
        (1, "call_call-1_1"),
        (2, "call_call-1_2"),
    ]


def test_one_tool_call_at_a_time_where_the_client_wants_that() -> None:
    of = job(tools=[WEATHER], parallel_tool_calls=False)
    assert [reason for _, reason in deltas(CALLS, of=of)] == [None, "tool_calls"]


def test_an_end_in_every_event_is_no_end() -> None:
    stream = sse(answer(candidate({"text": "po"})), answer(candidate({"text": "ng"}, reason="MAX_TOKENS")))
    assert [reason for _, reason in deltas(stream)] == [None, None, "length"]


def test_several_candidates() -> None:
    stream = sse(
        answer(candidate({"text": "a"}, reason=None), candidate({"text": "x"}, reason=None, index=1)),
        answer(candidate({"text": "y"}, index=1)),
        answer(candidate({"text": "b"}, reason="MAX_TOKENS", index=0)),
    )
    told = [choice for chunk in visible(decode(stream)) for choice in chunk["choices"]]
    assert [(choice["index"], choice["delta"].get("content")) for choice in told] == [
        *((0, "a"), (1, "x"), (1, "y"), (0, "b")),
        *((0, None), (1, None)),
    ]
    assert [choice["finish_reason"] for choice in told[-2:]] == ["length", "stop"]
    assert [choice["delta"].get("role") for choice in told].count("assistant") == 2


def test_log_probabilities_go_with_their_text() -> None:
    stream = sse(answer(candidate({"text": "é!"}, logprobsResult=LOGPROBS, reason=None)), NG)
    told = [chunk["choices"][0].get("logprobs") for chunk in visible(decode(stream, of=job(logprobs=True)))]
    assert told == [TOLD_LOGPROBS, None, None]
    bare = sse(answer(candidate(logprobsResult=LOGPROBS)))
    assert [delta for delta, _ in deltas(bare, of=job(logprobs=True))] == [{"role": "assistant", "content": ""}, {}]


def test_a_blocked_prompt_is_a_refusal() -> None:
    stream = sse({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}})
    assert deltas(stream) == [
        ({"role": "assistant", "refusal": "The prompt was blocked by the provider: SAFETY."}, None),
        ({}, "content_filter"),
    ]
    assert decode(stream)[-1].usage == Usage(4, 0)


def test_a_prompt_that_is_blocked_later_ends_the_answer() -> None:
    stream = sse(PO, {"promptFeedback": {"blockReason": "SAFETY"}})
    assert deltas(stream) == [({"role": "assistant", "content": "pö"}, None), ({}, "content_filter")]


def test_noise_is_not_looked_at() -> None:
    noise = b": keep-alive\n\n\n\nevent: ping\ndata:\n\nid: 1\nretry: 3\n\n"
    assert decode(noise + sse(THOUGHT), noise, sse(PO, {"modelVersion": "x"}, [NG]), b"data: [DONE]\n\n") == decode(
        WHOLE
    )


def test_the_last_event_may_lack_its_blank_line() -> None:
    assert decode(WHOLE.removesuffix(b"\n\n")) == decode(WHOLE)


def test_what_is_cut_off_after_the_end_is_dropped() -> None:
    assert decode(WHOLE + b'data: {"candi') == decode(WHOLE)


@pytest.mark.parametrize(
    ("stream", "outcome"),
    [
        (b"", Outcome.BAD_REPLY),
        (b": keep-alive\n", Outcome.BAD_REPLY),
        (b"<html><title>Oops</title></html>", Outcome.BAD_REPLY),
        (b"[]", Outcome.BAD_REPLY),
        (orjson.dumps(NG), Outcome.BAD_REPLY),
        (sse(PO), Outcome.BAD_REPLY),
        (sse(PO) + b'data: {"candi', Outcome.BAD_REPLY),
        (sse(PO, "[DONE]"), Outcome.BAD_REPLY),
        (sse("pong"), Outcome.BAD_REPLY),
        (sse({"modelVersion": "x"}), Outcome.BAD_REPLY),
        (sse(PO, answer(candidate(reason="MALFORMED_FUNCTION_CALL"))), Outcome.BAD_REPLY),
        (sse(answer(candidate({"text": "a"}), candidate({"text": "b"}, reason=None, index=1))), Outcome.BAD_REPLY),
        (sse(PO, {"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}), Outcome.SERVER_ERROR),
        (
            b'[{\n "error": {\n  "code": 429,\n  "message": "Quota",\n  "status": "RESOURCE_EXHAUSTED"\n }\n}\n]',
            Outcome.RATE_LIMITED,
        ),
        (b"data: " + b"a" * (16 * 1024 * 1024), Outcome.BAD_REPLY),
    ],
)
def test_what_is_no_answer(stream: bytes, outcome: Outcome) -> None:
    assert failure(stream).outcome is outcome


@given(st.lists(st.binary(max_size=60) | st.sampled_from([sse(PO), sse(NG), b"data: ", b"\n\n"]), max_size=8))
def test_fuzzed_bytes_are_chunks_or_a_failure(parts: list[bytes]) -> None:
    try:
        visible(decode(*parts))
    except AttemptFailed:
        return


@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=3))
def test_changed_bytes_are_chunks_or_a_failure(place: int, change: bytes) -> None:
    try:
        visible(decode(WHOLE[:place] + change + WHOLE[place + len(change) :]))
    except AttemptFailed:
        return
