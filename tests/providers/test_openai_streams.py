"""Streams of providers that speak OpenAI's wire format: whole, in pieces, odd, cut and lying."""

import json
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.openai_compatible.stream import StreamDecoder
from llmrouter.replies import Chunk, Usage
from tests.providers.samples import call_of, chunk_json, job_of, sse, target_of

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
ROLE = chunk_json({"role": "assistant", "content": ""})
HELLO = chunk_json({"content": "Hello"})
STOP = chunk_json({}, "stop")
USAGE_ONLY = {**chunk_json(), "choices": [], "usage": USAGE}
WHOLE = sse(ROLE, HELLO, STOP, USAGE_ONLY, "[DONE]")


def decode(*parts: bytes, include_usage: bool = False) -> list[Chunk]:
    decoder = StreamDecoder(job_of(call_of(include_usage)))
    chunks = [chunk for part in parts for chunk in decoder.feed(part)]
    return chunks + decoder.finish()


def failure(*parts: bytes) -> AttemptFailed:
    with pytest.raises(AttemptFailed) as caught:
        decode(*parts)
    return caught.value


def visible(chunks: list[Chunk]) -> list[Any]:
    return [orjson.loads(chunk.data) for chunk in chunks if chunk.data]


def renamed(*events: dict[str, Any]) -> list[Any]:
    return [{**event, "model": "gpt-4o"} for event in events]


def text_of(chunks: list[Chunk]) -> str:
    choices = [choice for event in visible(chunks) for choice in event["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def test_a_whole_stream() -> None:
    chunks = decode(WHOLE)
    assert visible(chunks) == renamed(ROLE, HELLO, STOP)
    assert [chunk.is_content for chunk in chunks] == [False, True, True, False]
    assert [chunk.usage for chunk in chunks] == [None, None, None, Usage(3, 2)]


def test_a_client_that_asked_sees_the_usage() -> None:
    assert visible(decode(WHOLE, include_usage=True)) == renamed(ROLE, HELLO, STOP, USAGE_ONLY)


def test_only_the_model_changes() -> None:
    text = (
        '{"id":"c","object":"chat.completion.chunk","created":1,"x": 1.50,"model": "m","choices":[{"index":0,'
        '"delta":{"role":"assistant","content":"\\u00e9"},"finish_reason":"stop"}]}'
    )
    assert decode(sse(text))[0].data == text.replace('"m"', '"gpt-4o"').encode()


def test_openais_client_reads_every_chunk() -> None:
    for chunk in decode(WHOLE):
        if chunk.data:
            assert ChatCompletionChunk.model_validate_json(chunk.data).model == "gpt-4o"


@given(st.lists(st.integers(0, len(WHOLE)), max_size=6))
def test_split_anywhere_it_is_the_same(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(WHOLE)]
    parts = [WHOLE[start:end] for start, end in pairwise(places)]
    assert decode(*parts) == decode(WHOLE)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_byte_by_byte_it_is_the_same(line_end: bytes) -> None:
    stream = WHOLE.replace(b"\n", line_end)
    assert decode(*(bytes([byte]) for byte in stream)) == decode(WHOLE)


def test_done_is_told_and_ends_it() -> None:
    decoder = StreamDecoder(job_of())
    decoder.feed(sse(HELLO, STOP))
    assert not decoder.done
    assert decoder.feed(sse("[DONE]") + b"data: garbage\n\n") == []
    assert decoder.done
    assert decoder.feed(b"more garbage\n\n") == []
    assert decoder.finish() == []


TOLERATED: dict[str, tuple[bytes, str]] = {
    "comments": (b": OPENROUTER PROCESSING\n\n" + WHOLE.replace(b"\n\n", b"\n\n: keep-alive\n\n"), "Hello"),
    "no [DONE]": (sse(HELLO, STOP), "Hello"),
    "no blank line at the end": (sse(HELLO, STOP, "[DONE]").rstrip(), "Hello"),
    "no blank line after the last chunk": (sse(HELLO, STOP).rstrip(), "Hello"),
    "[DONE] with more": (sse(HELLO, STOP, "[DONE] bye"), "Hello"),
    "[DONE] with space": (b"data:[DONE] \n\n".join([sse(HELLO, STOP), b""]), "Hello"),
    "no space after data": (WHOLE.replace(b"data: ", b"data:"), "Hello"),
    "Azure's first chunk": (sse({"choices": [], "prompt_filter_results": []}) + WHOLE, "Hello"),
    "choices null": (sse({"choices": None}) + WHOLE, "Hello"),
    "choices missing": (sse({"id": "x"}) + WHOLE, "Hello"),
    "delta null": (sse({"choices": [{"index": 0, "delta": None}]}) + WHOLE, "Hello"),
    "delta missing": (sse({"choices": [{"finish_reason": None}]}) + WHOLE, "Hello"),
    "no index": (sse({"choices": [{"delta": {"content": "A"}}]}, STOP), "A"),
    "empty finish reason": (sse(chunk_json({"content": "A"}, ""), STOP), "A"),
    "the role repeated": (sse(ROLE, ROLE, HELLO, ROLE, STOP), "Hello"),
    "empty events": (b"data:\n\n" + WHOLE, "Hello"),
    "a named event": (WHOLE.replace(b"data: {", b"event: chunk\ndata: {"), "Hello"),
    "error null": (sse({**HELLO, "error": None}, STOP), "Hello"),
    "usage cut off after the end": (sse(HELLO, STOP) + b'data: {"choices":[],"usa', "Hello"),
    "empty delta after the end": (sse(HELLO, STOP, chunk_json()), "Hello"),
    "a BOM": (b"\xef\xbb\xbf" + WHOLE, "Hello"),
}


@pytest.mark.parametrize(("stream", "expected"), TOLERATED.values(), ids=TOLERATED)
def test_what_is_odd_but_well_meant_passes(stream: bytes, expected: str) -> None:
    chunks = decode(stream)
    assert text_of(chunks) == expected
    assert_valid(chunks)


def assert_valid(chunks: list[Chunk]) -> None:
    """One id, one date, the role first and once, the end last and once."""
    events = visible(chunks)
    for event in events:
        ChatCompletionChunk.model_validate(event, strict=True)
    assert len({(event["id"], event["created"], event["model"]) for event in events}) == 1
    assert ["role" in event["choices"][0]["delta"] for event in events] == [True, *[False] * (len(events) - 1)]
    ends = [event["choices"][0].get("finish_reason") for event in events]
    assert [bool(end) for end in ends] == [*[False] * (len(events) - 1), True]


@pytest.mark.parametrize("lacks", [{}, {"choices": None}])
def test_a_usage_chunk_always_has_a_list_of_choices(lacks: dict[str, Any]) -> None:
    """Apps go through the list without asking whether there is one."""
    last = {name: value for name, value in USAGE_ONLY.items() if name != "choices"} | lacks
    shown = visible(decode(sse(ROLE, HELLO, STOP, last, "[DONE]"), include_usage=True))
    assert shown == renamed(ROLE, HELLO, STOP, USAGE_ONLY)


def test_a_chunk_with_neither_choices_nor_usage_is_hidden() -> None:
    stream = sse({"choices": [], "prompt_filter_results": []}, {"id": "x"}) + WHOLE
    assert visible(decode(stream)) == renamed(ROLE, HELLO, STOP)
    assert visible(decode(stream, include_usage=True)) == renamed(ROLE, HELLO, STOP, USAGE_ONLY)


def test_json_over_several_lines_becomes_one_line() -> None:
    text = b'data: {"choices": [\ndata: {"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'
    (chunk,) = decode(text)
    assert b"\n" not in chunk.data
    assert orjson.loads(chunk.data)["choices"][0]["finish_reason"] == "stop"


CUT: dict[str, bytes] = {
    "nothing": b"",
    "only comments": b": OPENROUTER PROCESSING\n\n",
    "only the role": sse(ROLE),
    "no finish reason": sse(ROLE, HELLO),
    "[DONE] without finish reason": sse(ROLE, HELLO, "[DONE]"),
    "[DONE] alone": sse("[DONE]"),
    "usage without an end": sse(ROLE, HELLO, USAGE_ONLY, "[DONE]"),
    "cut in a chunk": sse(ROLE, HELLO, STOP)[:-30],
    "one of two choices without end": sse(
        HELLO, {"choices": [{"index": 1, "delta": {"content": "B"}}]}, chunk_json({}, "stop"), "[DONE]"
    ),
    "no choices at all": sse({"choices": []}, "[DONE]"),
}


@pytest.mark.parametrize("stream", CUT.values(), ids=CUT)
def test_without_a_real_end_it_is_a_bad_reply(stream: bytes) -> None:
    assert failure(stream).outcome == Outcome.BAD_REPLY
    assert failure(*(bytes([byte]) for byte in stream)).outcome == Outcome.BAD_REPLY


def test_a_false_done_is_not_told_as_done() -> None:
    decoder = StreamDecoder(job_of())
    decoder.feed(sse(HELLO))
    with pytest.raises(AttemptFailed):
        decoder.feed(sse("[DONE]"))
    assert not decoder.done


LIES: dict[str, tuple[bytes, Outcome]] = {
    "malformed JSON": (b"data: {oops}\n\n", Outcome.BAD_REPLY),
    "a number": (b"data: 1\n\n", Outcome.BAD_REPLY),
    "a web page": (b"<html><title>Sign in</title></html>", Outcome.BAD_REPLY),
    "text": (b"upstream connect error", Outcome.BAD_REPLY),
    "JSON in place of a stream": (b'{"error":{"message":"m","code":429}}', Outcome.RATE_LIMITED),
    "an error object": (sse({"error": {"message": "m", "type": "server_error"}}), Outcome.SERVER_ERROR),
    "an error as text": (sse({"error": "oops"}), Outcome.BAD_REPLY),
    "a named error": (b'event: error\ndata: {"message":"m"}\n\n', Outcome.BAD_REPLY),
    "OpenRouter's error": (
        sse({**chunk_json({"content": ""}, "error"), "error": {"code": 502, "message": "m"}}),
        Outcome.SERVER_ERROR,
    ),
    "OpenRouter's rate limit": (sse({"error": {"code": 429, "message": "m"}, "choices": []}), Outcome.RATE_LIMITED),
    "finish reason error": (sse(chunk_json({}, "error")), Outcome.BAD_REPLY),
    "vLLM's abort": (sse(chunk_json({}, "abort")), Outcome.BAD_REPLY),
    "DeepSeek without resources": (sse(chunk_json({}, "insufficient_system_resource")), Outcome.BAD_REPLY),
    "Groq's x_groq.error": (sse(chunk_json({}, "stop", x_groq={"error": "over capacity"})), Outcome.BAD_REPLY),
    "an error in a list": (sse([{"error": {"code": 503, "message": "m"}}]), Outcome.SERVER_ERROR),
    "Cerebras's error": (sse({"error": {"message": "m"}, "status_code": 429}), Outcome.RATE_LIMITED),
    "a flat error": (sse({"object": "error", "message": "m", "code": 401}), Outcome.UNAUTHORIZED),
    "LM Studio's context": (sse({"error": {"message": "greater than the context length"}}), Outcome.CONTEXT_EXCEEDED),
    "choices that are no list": (sse({"choices": {"0": {}}}), Outcome.BAD_REPLY),
    "a choice that is no object": (sse({"choices": [1]}), Outcome.BAD_REPLY),
    "content that is a number": (sse(chunk_json({"content": 5})), Outcome.BAD_REPLY),
    "tool calls that are no list": (sse(chunk_json({"tool_calls": 5})), Outcome.BAD_REPLY),
    "a tool call without a name": (sse(chunk_json({"tool_calls": [{"index": 0}]})), Outcome.BAD_REPLY),
    "an event without end": (b"data: " + b"a" * (17 * 1024 * 1024), Outcome.BAD_REPLY),
}


@pytest.mark.parametrize(("stream", "expected"), LIES.values(), ids=LIES)
def test_errors_in_a_stream_are_told(stream: bytes, expected: Outcome) -> None:
    assert failure(stream).outcome == expected


def test_an_error_after_content_is_told_too() -> None:
    assert failure(sse(ROLE, HELLO), sse({"error": {"code": 502, "message": "m"}})).outcome == Outcome.SERVER_ERROR


CONTENT: dict[str, tuple[Any, bool]] = {
    "empty": ({}, False),
    "role": ({"role": "assistant", "content": ""}, False),
    "null": ({"content": None}, False),
    "text": ({"content": "a"}, True),
    "white space": ({"content": " "}, True),
    "list of parts": ({"content": [{"type": "text", "text": "a"}]}, True),
    "tool call": ({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ""}}]}, True),
    "no tool calls": ({"tool_calls": []}, False),
    "function call": ({"function_call": {"name": "f"}}, True),
    "refusal": ({"refusal": "no"}, True),
    "reasoning": ({"reasoning": "hm"}, True),
    "reasoning_content": ({"reasoning_content": "hm"}, True),
    "audio": ({"audio": {"id": "a"}}, True),
}


@pytest.mark.parametrize(("delta", "expected"), CONTENT.values(), ids=CONTENT)
def test_what_counts_as_content(delta: Any, expected: bool) -> None:
    assert decode(sse(chunk_json(delta), STOP))[0].is_content == expected


def test_openrouters_usage_chunk_with_an_empty_delta_becomes_one_without_choices() -> None:
    last = chunk_json({"role": "assistant", "content": ""}, usage=USAGE)
    chunks = decode(sse(ROLE, HELLO, STOP, last, "[DONE]"))
    assert visible(chunks) == renamed(ROLE, HELLO, STOP)
    assert chunks[-1].usage == Usage(3, 2)
    *shown, end = visible(decode(sse(ROLE, HELLO, STOP, last), include_usage=True))
    assert shown == renamed(ROLE, HELLO, STOP)
    assert (end["choices"], end["id"], end["usage"]["total_tokens"]) == ([], "c1", 5)


MONEY: dict[str, tuple[dict[str, Any], str, float | None]] = {
    "OpenRouter's own": ({"cost": 0.0125}, "openrouter", 0.0125),
    "free": ({"cost": 0}, "openrouter", 0.0),
    "with a key of one's own": (
        {"cost": 0.001, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.02}}, "openrouter", 0.021,
    ),
    "what the model costs elsewhere is not told": ({"cost": 0.001, "is_byok": True}, "openrouter", None),
    "xAI's ticks": ({"cost_in_usd_ticks": 37_756_000}, "openai_compatible", 0.0037756),
    "money of a provider that nobody knows": ({"cost": 12}, "openai_compatible", None),
    "nonsense": ({"cost": "much"}, "openrouter", None),
    "less than nothing": ({"cost": -1}, "openrouter", None),
    "true": ({"cost": True}, "openrouter", None),
}  # fmt: skip


@pytest.mark.parametrize(("told", "brand", "cost_usd"), MONEY.values(), ids=MONEY)
@pytest.mark.parametrize("place", ["alone", "with the last choice"])
def test_the_cost_that_a_provider_tells(told: dict[str, Any], brand: str, cost_usd: float | None, place: str) -> None:
    """Wherever it stands, it is read, and a client that asked for the usage sees it."""
    usage = USAGE | told
    events = [STOP, {**USAGE_ONLY, "usage": usage}] if place == "alone" else [{**STOP, "usage": usage}]
    decoder = StreamDecoder(job_of(call_of(True), target_of(brand)))
    chunks = decoder.feed(sse(ROLE, HELLO, *events, "[DONE]"))
    (read,) = [chunk.usage for chunk in chunks if chunk.usage is not None]
    assert decoder.usage == read
    assert (read.input_tokens, read.output_tokens) == (3, 2)
    assert read.cost_usd == pytest.approx(cost_usd)
    assert visible(chunks)[-1]["usage"].items() >= told.items()


def test_usage_beside_content_or_the_end_is_told_once_and_last() -> None:
    stream = sse({**ROLE, "usage": USAGE}, {**HELLO, "usage": USAGE}, {**STOP, "usage": USAGE}, "[DONE]")
    chunks = decode(stream)
    assert visible(chunks) == renamed(ROLE, HELLO, STOP)
    assert [chunk.usage for chunk in chunks] == [Usage(3, 2)] * 3
    *shown, end = visible(decode(stream, include_usage=True))
    assert shown == renamed(ROLE, HELLO, STOP)
    assert (end["choices"], end["usage"]["prompt_tokens"]) == ([], 3)


def test_groqs_own_usage_is_read() -> None:
    assert decode(sse(HELLO, chunk_json({}, "stop", x_groq={"usage": USAGE})))[-1].usage == Usage(3, 2)


FRAGMENTS = st.sampled_from(
    [
        b"data: ",
        b"\n\n",
        b"\n",
        b"\r",
        b"[DONE]",
        b'{"choices":',
        b"[",
        b"]",
        b"{}",
        b"}",
        b'"error":',
        b"null",
        b"1",
        b":",
    ]
    + [sse(event) for event in (ROLE, HELLO, STOP, USAGE_ONLY)]
)


@given(st.lists(FRAGMENTS | st.binary(max_size=10), max_size=12))
def test_no_bytes_raise_anything_else(parts: list[bytes]) -> None:
    try:
        chunks = decode(*parts)
    except AttemptFailed as failed:
        assert failed.message
    else:
        assert any(chunk.is_content for chunk in chunks)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "delta", "content", "usage", "index", "model", "finish_reason", "x_groq"]),
            inner,
        )
    ),
)


@given(st.lists(JSON_VALUES, max_size=3))
def test_no_json_raises_anything_else(events: list[Any]) -> None:
    try:
        decode(sse(*(json.dumps(event) for event in events)))
    except AttemptFailed as failed:
        assert failed.message


def test_the_input_of_a_custom_tool_comes_in_pieces() -> None:
    first = {"index": 0, "id": "call_1", "type": "custom", "custom": {"name": "shell", "input": ""}}
    pieces = [first, *({"index": 0, "custom": {"input": text}} for text in ("ls ", "-l"))]
    chunks = decode(sse(ROLE, *(chunk_json({"tool_calls": [piece]}) for piece in pieces), STOP, "[DONE]"))
    told = [event["choices"][0]["delta"].get("tool_calls") for event in visible(chunks)]
    assert [calls[0] for calls in told if calls] == pieces
