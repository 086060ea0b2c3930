"""The mock provider answers in valid OpenAI form."""

from typing import Any

import orjson
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from llmrouter.providers.echo import chunks, completion
from llmrouter.replies import Usage
from tests.providers.samples import NOW, call_of

CONTENTS: dict[str, tuple[Any, str]] = {
    "one user message": ([{"role": "user", "content": "ping"}], "ping"),
    "the last user message": (
        [
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {"role": "user", "content": "three"},
            {"role": "assistant", "content": "four"},
        ],
        "three",
    ),
    "parts": (
        [
            {
                "role": "user",
                "content": [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}],
            }
        ],
        "a\nb",
    ),
    "white space stays": ([{"role": "user", "content": "  a  b\n\nc "}], "  a  b\n\nc "),
    "no user message": ([{"role": "system", "content": "x"}], ""),
    "no content": ([{"role": "user", "content": None}], ""),
    "odd parts": ([{"role": "user", "content": [1, {"text": 2}]}], ""),
}


@pytest.mark.parametrize(("messages", "expected"), CONTENTS.values(), ids=CONTENTS)
def test_the_last_user_message_is_repeated(messages: Any, expected: str) -> None:
    call = call_of(messages=messages)
    reply = ChatCompletion.model_validate_json(completion(call, NOW).data, strict=True)
    assert reply.choices[0].message.content == expected
    stream = chunks(call, NOW)
    parsed = [ChatCompletionChunk.model_validate_json(chunk.data) for chunk in stream if chunk.data]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in parsed if chunk.choices) == expected


def test_a_completion_names_the_requested_model_and_counts_words() -> None:
    call = call_of(messages=[{"role": "system", "content": "be brief"}, {"role": "user", "content": "one two three"}])
    reply = completion(call, NOW + 0.5)
    fields = orjson.loads(reply.data)
    assert (fields["id"], fields["created"], fields["model"]) == ("chatcmpl-call-1", int(NOW), "gpt-4o")
    assert fields["usage"]["total_tokens"] == 8
    assert reply.usage == Usage(5, 3)


def test_a_stream_has_the_words_with_the_role_before_them_the_end_and_hidden_usage() -> None:
    stream = chunks(call_of(messages=[{"role": "user", "content": "one two"}]), NOW)
    events = [orjson.loads(chunk.data) for chunk in stream if chunk.data]
    choices = [event["choices"][0] for event in events]
    assert [choice["delta"] for choice in choices] == [
        {"role": "assistant", "content": "one "},
        {"content": "two"},
        {},
    ]
    assert [choice["finish_reason"] for choice in choices] == [None, None, "stop"]
    assert [chunk.is_content for chunk in stream] == [True, True, True, False]
    assert [chunk.usage for chunk in stream] == [None, None, None, Usage(2, 2)]
    assert stream[-1].data == b""
    assert {(event["id"], event["model"]) for event in events} == {("chatcmpl-call-1", "gpt-4o")}


def test_usage_is_shown_to_a_client_that_asked() -> None:
    last = orjson.loads(chunks(call_of(include_usage=True), NOW)[-1].data)
    assert (last["choices"], last["usage"]["total_tokens"]) == ([], 2)


def test_a_huge_message_does_not_become_millions_of_chunks() -> None:
    text = "word " * 50_000
    stream = chunks(call_of(messages=[{"role": "user", "content": text}]), NOW)
    assert len(stream) <= 2003
    deltas = [orjson.loads(chunk.data)["choices"][0]["delta"] for chunk in stream[:-1]]
    assert "".join(delta.get("content", "") for delta in deltas) == text
