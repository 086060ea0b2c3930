"""Stored answers told again: a valid stream, from which every reader makes the same answer again."""

import itertools
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai._models import construct_type
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from llmrouter.caching.collecting import Collector
from llmrouter.caching.entries import Entry
from llmrouter.caching.replay import PIECE_CHARACTERS, as_chunks, as_json
from llmrouter.replies import Chunk, Usage
from tests.caching.completions import FUNCTION_CALLS, completions, meaning_of
from tests.contract.cases import cases, decoded, events_of

USAGE = Usage(10, 20, 3, 4)
STREAMS = {case.name: case for case in cases() if case.has("reply.sse")}


def entry(completion: Any, usage: Usage | None = USAGE) -> Entry:
    return Entry(orjson.dumps(completion), usage, 0.5, 1_795_000_000.0, "groq/llama")


def completion(message: dict[str, Any], **choice: Any) -> dict[str, Any]:
    whole = {"index": 0, "message": {"role": "assistant", **message}, "logprobs": None, "finish_reason": "stop"}
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [whole | choice],
        "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30},
    }


def replayed(stored: Any, *, include_usage: bool = True, size: int = PIECE_CHARACTERS) -> list[Chunk]:
    chunks = as_chunks(entry(stored), id="new", model="gpt-4o", include_usage=include_usage, size=size)
    assert chunks is not None
    return chunks


def read(chunk: Any) -> ChatCompletionChunk:
    """A chunk as openai's own client reads it, that takes what it does not know."""
    parsed = construct_type(type_=ChatCompletionChunk, value=chunk)
    assert isinstance(parsed, ChatCompletionChunk)
    return parsed


def accumulated(chunks: list[Any]) -> dict[str, Any]:
    """What openai's own client makes of these chunks."""
    state = ChatCompletionStreamState()
    for chunk in chunks:
        state.handle_chunk(read(chunk))
    # The final completion is the same, but ends of the kinds `length` and `content_filter` make it raise.
    whole = without_null(state.current_completion_snapshot.model_dump(mode="json", warnings=False))
    for choice in whole["choices"]:
        for call in choice["message"].get("tool_calls", ()):
            del call["index"]
    return meaning_of(whole)


def without_null(value: Any) -> Any:
    """The value without the members that openai's client adds to say that they are not there."""
    if isinstance(value, list):
        return [without_null(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: without_null(inner) for name, inner in value.items() if inner is not None}


@given(completions(), st.sampled_from([1, 7, 80]))
@settings(max_examples=150, deadline=None)
def test_a_replayed_answer_is_collected_as_the_same(stored: dict[str, Any], size: int) -> None:
    collector = Collector()
    collector.add(replayed(stored, size=size))
    reply = collector.reply()
    assert reply is not None
    usage = stored.get("usage", USAGE.to_openai())
    expected = {**stored, "id": "new", "model": "gpt-4o", "usage": usage}
    assert meaning_of(orjson.loads(reply.data)) == meaning_of(expected)
    assert reply.usage == USAGE


@given(completions(FUNCTION_CALLS), st.sampled_from([7, 80]))
@settings(max_examples=60, deadline=None)
def test_openais_client_reads_the_same_answer(stored: dict[str, Any], size: int) -> None:
    for choice in stored["choices"]:
        # It adds up the numbers of what it does not know.
        choice["message"].pop("reasoning_details", None)
    told = accumulated([orjson.loads(chunk.data) for chunk in replayed(stored, size=size)])
    expected = {**stored, "id": "new", "model": "gpt-4o", "usage": stored.get("usage", USAGE.to_openai())}
    wanted = without_null(meaning_of(expected))
    for of_told, of_wanted in zip(told["choices"], wanted["choices"], strict=True):
        # It keeps what the first chunk of a choice says, and these stand in the last one.
        assert {**of_wanted, **of_told} == of_wanted
        assert of_told.keys() >= {"message", "finish_reason"}
    names = ("id", "created", "model", "system_fingerprint", "service_tier", "usage")
    assert {name: told.get(name) for name in names} == {name: wanted.get(name) for name in names}


@given(completions(), st.booleans())
@settings(max_examples=50, deadline=None)
def test_the_stream_is_valid(stored: dict[str, Any], include_usage: bool) -> None:
    chunks = replayed(stored, include_usage=include_usage)
    events = [orjson.loads(chunk.data) for chunk in chunks if chunk.data]
    begun: list[int] = []
    ended: list[int] = []
    for event in events:
        parsed = read(event)
        assert (parsed.id, parsed.object, parsed.model) == ("new", "chat.completion.chunk", "gpt-4o")
        assert parsed.created == stored["created"]
        assert ("usage" in event) is include_usage
        for choice in parsed.choices:
            assert choice.index not in ended
            assert (choice.delta.role == "assistant") is (choice.index not in begun)
            begun += [choice.index] if choice.index not in begun else []
            ended += [choice.index] if choice.finish_reason else []
    assert begun == ended == [choice["index"] for choice in stored["choices"]]
    assert chunks[-1].usage == USAGE
    assert bool(chunks[-1].data) is include_usage
    assert not any(chunk.usage for chunk in chunks[:-1])


def test_a_text_comes_in_several_pieces_that_end_after_words() -> None:
    text = "The quick brown fox jumps over the lazy dog. " * 40
    chunks = replayed(completion({"content": text}))
    pieces = [orjson.loads(chunk.data)["choices"][0]["delta"]["content"] for chunk in chunks[:-2]]
    assert len(pieces) > 10
    assert "".join(pieces) == text
    assert all(piece.endswith(" ") for piece in pieces[1:])
    assert [chunk.is_content for chunk in chunks] == [False, *[True] * (len(chunks) - 2), False]


def test_thoughts_come_before_the_text_and_tool_calls_after_it() -> None:
    calls = [{"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"city": "Bonn"}'}}]
    message = {"content": "pong", "reasoning_content": "hm", "tool_calls": calls, "annotations": [{"type": "x"}]}
    deltas = [orjson.loads(chunk.data)["choices"][0]["delta"] for chunk in replayed(completion(message))[:-1]]
    assert deltas == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "hm"},
        {"content": "pong"},
        {"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"city": "Bonn"}'}}]},
        {"annotations": [{"type": "x"}]},
        {},
    ]


def test_tool_calls_are_numbered_anew() -> None:
    """Ollama numbers the calls of a whole answer, too, and Gemini's compatible route gives each the index 0."""
    calls = [
        {"index": 0, "id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}} for id in ("a", "b")
    ]
    told = accumulated([orjson.loads(chunk.data) for chunk in replayed(completion({"tool_calls": calls}))])
    assert [call["id"] for call in told["choices"][0]["message"]["tool_calls"]] == ["a", "b"]


def test_what_says_nothing_makes_no_chunk() -> None:
    silent: dict[str, Any] = {
        "annotations": [],
        "tool_calls": [],
        "audio": None,
        "function_call": None,
        "x_none": None,
        "refusal": None,
    }
    chunks = [orjson.loads(chunk.data) for chunk in replayed(completion({"content": "pong", **silent}))]
    assert [chunk["choices"][0]["delta"].get("content") for chunk in chunks[:-1]] == ["", "pong", None]
    assert chunks[2]["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]


def test_unknown_members_of_the_completion_come_once_with_the_first_chunk() -> None:
    stored = completion({"content": "pong"}) | {"citations": ["https://example.com"], "x_none": None}
    stored["choices"].append({**stored["choices"][0], "index": 1})
    chunks = [orjson.loads(chunk.data) for chunk in replayed(stored)]
    assert chunks[0]["citations"] == ["https://example.com"]
    assert not any("citations" in chunk for chunk in chunks[1:])
    assert not any("x_none" in chunk for chunk in chunks)


def test_log_probabilities_come_with_their_own_text() -> None:
    tokens = [{"token": word, "logprob": -1.0, "bytes": list(word.encode())} for word in ["The ", "quick ", "fox"] * 20]
    text = "".join(str(token["token"]) for token in tokens)
    chunks = replayed(completion({"content": text}, logprobs={"content": tokens, "refusal": None}))
    told = [orjson.loads(chunk.data)["choices"][0] for chunk in chunks[1:-2]]
    assert len(told) > 2
    for choice in told:
        assert choice["delta"]["content"] == "".join(token["token"] for token in choice["logprobs"]["content"])
    assert list(itertools.chain.from_iterable(choice["logprobs"]["content"] for choice in told)) == tokens


def test_the_usage_is_what_the_provider_said_or_what_was_counted() -> None:
    stored = completion({"content": "pong"})
    told = orjson.loads(replayed(stored)[-1].data)
    assert (told["choices"], told["usage"]) == ([], stored["usage"])
    del stored["usage"]
    assert orjson.loads(replayed(stored)[-1].data)["usage"] == USAGE.to_openai()
    without = as_chunks(entry(stored, None), id="new", model="m", include_usage=True)
    assert without is not None
    assert orjson.loads(without[-1].data)["choices"][0]["finish_reason"] == "stop"


def test_json_is_the_stored_answer_under_another_id_and_model() -> None:
    stored = b'{"id":"c1","model":"m", "choices" : [ 1.50, "\\u00e9"],"x":1e3}'
    told = as_json(Entry(stored, None, None, 0.0, "a/b"), id="new", model="gpt-4o")
    assert told == b'{"id":"new","model":"gpt-4o","choices":[ 1.50, "\\u00e9"],"x":1e3}'


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"[]",
        b"{}",
        b'"text"',
        b'{"choices":[]}',
        b'{"choices":[1]}',
        b'{"choices":[{"index":0,"message":null,"finish_reason":"stop"}]}',
        b'{"choices":[{"index":0,"message":{},"finish_reason":null}]}',
        b'{"choices":[{"message":{},"finish_reason":"stop"}]}',
        b'{"choices":[{"index":"0","message":{},"finish_reason":"stop"}]}',
        b'{"choices":[%b,%b]}' % ((b'{"index":0,"message":{},"finish_reason":"stop"}',) * 2),
        b'{"choices":[{"index":0,"message":{},"finish_reason":"stop"}],"usage":%b{}%b}' % (b'{"a":' * 500, b"}" * 500),
        b'{"choices":[{"index":0,"message":{"content":["text"]},"finish_reason":"stop"}]}',
        b'{"choices":[{"index":0,"message":{"tool_calls":"none"},"finish_reason":"stop"}]}',
        b'{"choices":[{"index":0,"message":{"tool_calls":[{"function":{"arguments":{"a":1}}}]},"finish_reason":"stop"}]}',
        b'{"choices":[{"index":0,"message":{"function_call":"f"},"finish_reason":"stop"}]}',
        b'{"choices":[{"index":0,"message":{"audio":"AAAA"},"finish_reason":"stop"}]}',
        b'{"choices":[{"index":0,"message":{"audio":{"data":7}},"finish_reason":"stop"}]}',
    ],
)
def test_what_no_stream_can_tell_is_none(stored: bytes) -> None:
    assert as_chunks(Entry(stored, None, None, 0.0, "a/b"), id="new", model="m", include_usage=True) is None


@pytest.mark.parametrize("case", STREAMS.values(), ids=STREAMS)
def test_streams_of_providers_are_collected_as_openais_client_reads_them(case: Any) -> None:
    chunks, stream = decoded(case.translate(), [(case.folder / "upstream_reply.sse").read_bytes()])
    collector = Collector()
    for chunk in chunks:
        collector.add([chunk])
    reply = collector.reply()
    assert reply is not None
    collected = orjson.loads(reply.data)
    ChatCompletion.model_validate_json(reply.data, strict=True)
    told = accumulated(events_of(stream)[:-1])
    assert without_null(meaning_of(collected))["choices"] == told["choices"]
    assert {collected[name] == told[name] for name in ("id", "created", "model")} == {True}
    assert reply.usage == next((chunk.usage for chunk in reversed(chunks) if chunk.usage), None)
    assert "usage" not in told or collected["usage"] == told["usage"]

    again = Collector()
    again.add(replayed(collected, size=3))
    twice = again.reply()
    assert twice is not None
    assert meaning_of(orjson.loads(twice.data))["choices"] == meaning_of(collected)["choices"]
