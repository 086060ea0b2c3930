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
    "no messages": ([], ""),
    "odd messages": ([1, None, {"role": "user", "content": [1, {"text": 2}]}], ""),
}


@pytest.mark.parametrize(("messages", "expected"), CONTENTS.values(), ids=CONTENTS)
def test_the_last_user_message_is_repeated(messages: Any, expected: str) -> None:
    call = call_of(messages=messages)
    reply = ChatCompletion.model_validate_json(completion(call, NOW, "chatcmpl-1").data, strict=True)
    assert reply.choices[0].message.content == expected
    stream = chunks(call, NOW, "chatcmpl-1")
    parsed = [ChatCompletionChunk.model_validate(dict(chunk.fields)) for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in parsed if chunk.choices) == expected


def test_a_completion_names_the_requested_model_and_counts_words() -> None:
    call = call_of(messages=[{"role": "system", "content": "be brief"}, {"role": "user", "content": "one two three"}])
    reply = completion(call, NOW + 0.5, "chatcmpl-1")
    fields = orjson.loads(reply.data)
    assert (fields["id"], fields["created"], fields["model"]) == ("chatcmpl-1", int(NOW), "gpt-4o")
    assert fields["usage"] == {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
    assert reply.usage == Usage(5, 3)


def test_a_stream_has_the_role_the_words_the_end_and_hidden_usage() -> None:
    stream = chunks(call_of(messages=[{"role": "user", "content": "one two"}]), NOW, "chatcmpl-1")
    choices = [(chunk.fields["choices"] or [{}])[0] for chunk in stream]
    assert [choice.get("delta") for choice in choices] == [
        {"role": "assistant", "content": ""},
        {"content": "one "},
        {"content": "two"},
        {},
        None,
    ]
    assert [choice.get("finish_reason") for choice in choices] == [None, None, None, "stop", None]
    assert [chunk.is_content for chunk in stream] == [False, True, True, True, False]
    assert [chunk.usage for chunk in stream] == [None, None, None, None, Usage(2, 2)]
    assert [bool(chunk.data) for chunk in stream] == [True, True, True, True, False]
    assert all(orjson.loads(chunk.data) == chunk.fields for chunk in stream if chunk.data)
    assert {chunk.fields["id"] for chunk in stream} == {"chatcmpl-1"}
    assert {chunk.fields["model"] for chunk in stream} == {"gpt-4o"}


def test_usage_is_shown_to_a_client_that_asked() -> None:
    stream = chunks(call_of(include_usage=True), NOW, "chatcmpl-1")
    assert [orjson.loads(chunk.data)["usage"] for chunk in stream] == [
        *[None] * (len(stream) - 1),
        {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    ]
    assert orjson.loads(stream[-1].data)["choices"] == []


def test_a_huge_message_does_not_become_millions_of_chunks() -> None:
    text = "word " * 50_000
    stream = chunks(call_of(messages=[{"role": "user", "content": text}]), NOW, "chatcmpl-1")
    assert len(stream) <= 2003
    assert "".join(chunk.fields["choices"][0]["delta"].get("content", "") for chunk in stream[:-1]) == text
