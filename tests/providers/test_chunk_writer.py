"""Streams and completions that the router writes itself are valid ones."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from llmrouter.providers.chunk_writer import ChunkWriter, choice_json, completion_json, tool_call_json
from llmrouter.replies import Chunk, Usage
from tests.providers.samples import call_of


def deltas(*chunks: Chunk) -> list[Any]:
    events = [orjson.loads(chunk.data) for chunk in chunks]
    for event in events:
        ChatCompletionChunk.model_validate(event, strict=True)
    assert len({(event["id"], event["created"], event["model"]) for event in events}) == 1
    return [event["choices"][0]["delta"] for event in events]


def test_the_role_goes_first_and_once_for_each_choice() -> None:
    writer = ChunkWriter(call_of(), 7)
    assert deltas(writer.text("a"), writer.text("b"), writer.reasoning("c", 1), writer.end("stop", 1)) == [
        {"role": "assistant", "content": "a"},
        {"content": "b"},
        {"role": "assistant", "reasoning_content": "c"},
        {},
    ]


def test_a_tool_call_and_its_fragments() -> None:
    writer = ChunkWriter(call_of(), 7)
    begin, more = writer.tool_call(1, "call_1", "f"), writer.arguments(1, '{"a"')
    function = {"name": "f", "arguments": ""}
    assert deltas(begin, more) == [
        {"role": "assistant", "tool_calls": [{"index": 1, "id": "call_1", "type": "function", "function": function}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": '{"a"'}}]},
    ]
    assert begin.is_content
    assert more.is_content


def test_what_counts_as_content() -> None:
    writer = ChunkWriter(call_of(), 7)
    assert [chunk.is_content for chunk in (writer.text(""), writer.text("a"), writer.refusal("no"))] == [
        False,
        True,
        True,
    ]
    assert writer.end("stop").is_content
    assert not writer.usage(Usage(1, 2)).is_content


@pytest.mark.parametrize("asked", [True, False])
def test_usage_is_shown_where_it_was_asked_for(asked: bool) -> None:
    chunk = ChunkWriter(call_of(include_usage=asked), 7).usage(Usage(5, 3, 2, 1, 1))
    assert chunk.usage == Usage(5, 3, 2, 1, 1)
    assert bool(chunk.data) == asked
    if asked:
        parsed = ChatCompletionChunk.model_validate_json(chunk.data, strict=True)
        assert parsed.choices == []
        assert parsed.usage is not None
        assert Usage.from_openai(parsed.usage.model_dump()) == Usage(5, 3, 2, 1, 1)


@given(st.text())
def test_any_text_comes_through(text: str) -> None:
    (delta,) = deltas(ChunkWriter(call_of(), 7).text(text))
    assert delta["content"] == text


def test_a_whole_completion() -> None:
    calls = [tool_call_json("call_1", "f", "{}")]
    reply = completion_json(call_of(), 7, [choice_json({"tool_calls": calls}, "tool_calls")], Usage(1, 2))
    parsed = ChatCompletion.model_validate_json(reply.data, strict=True)
    assert (parsed.id, parsed.created, parsed.model) == ("chatcmpl-call-1", 7, "gpt-4o")
    assert parsed.choices[0].message.tool_calls is not None
    assert reply.usage == Usage(1, 2)
