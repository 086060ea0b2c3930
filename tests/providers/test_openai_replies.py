"""Complete answers of providers that speak OpenAI's wire format, good and bad."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.openai_compatible.reply import read_reply
from llmrouter.replies import Usage
from tests.providers.samples import job_of, told

JOB = job_of()
CHOICE = {"index": 0, "message": {"role": "assistant", "content": "pong"}, "finish_reason": "stop"}


def reply(**members: Any) -> dict[str, Any]:
    frame = {"id": "c1", "object": "chat.completion", "created": 1, "model": "llama-3.3-70b", "choices": [CHOICE]}
    return {**frame, "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}, **members}


def failure(data: bytes) -> AttemptFailed:
    with pytest.raises(AttemptFailed) as caught:
        read_reply(data, JOB)
    return caught.value


def test_only_the_model_changes() -> None:
    frame = b'{"id": "c1","object":"chat.completion","created":1,"model": "llama-3.3-70b",\n"choices":[%s],"x":1.50}'
    data = frame % json.dumps(CHOICE).encode()
    assert read_reply(data, JOB).data == data.replace(b'"llama-3.3-70b"', b'"gpt-4o"')


def test_openais_client_reads_it() -> None:
    parsed = ChatCompletion.model_validate_json(read_reply(json.dumps(reply()).encode(), JOB).data, strict=True)
    assert (parsed.model, parsed.choices[0].message.content) == ("gpt-4o", "pong")


def test_usage_is_read() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 8}}
    assert read_reply(json.dumps(reply(usage=usage)).encode(), JOB).usage == Usage(9, 4, 8)
    assert read_reply(json.dumps(reply(usage=None)).encode(), JOB).usage is None


@pytest.mark.parametrize("noise", [b"\n\n\n", b"\r\n \t", b"\xef\xbb\xbf"])
def test_noise_before_the_json_is_dropped(noise: bytes) -> None:
    data = json.dumps(reply(model="gpt-4o")).encode()
    assert read_reply(noise + data + b"\n", JOB).data == data


BAD: dict[str, bytes] = {
    "empty": b"",
    "blank lines": b"\n\n\n",
    "web page": b"<!DOCTYPE html><html><title>Sign in</title></html>",
    "text": b"upstream connect error",
    "cut JSON": b'{"choices":[{"index":0,"mess',
    "not UTF-8": b'{"choices":["\xff"]}',
    "null": b"null",
    "a list": b"[]",
    "a number": b"1",
    "empty object": b"{}",
    "no choices": json.dumps(reply(choices=[])).encode(),
    "null choices": json.dumps(reply(choices=None)).encode(),
    "choices that are no list": json.dumps(reply(choices={"0": CHOICE})).encode(),
    "a choice that is no object": json.dumps(reply(choices=[1])).encode(),
    "no message": json.dumps(reply(choices=[{"index": 0, "finish_reason": "stop"}])).encode(),
    "content that is a number": json.dumps(reply(choices=[{**CHOICE, "message": {"content": 5}}])).encode(),
    "tool calls that are no list": json.dumps(reply(choices=[{**CHOICE, "message": {"tool_calls": 5}}])).encode(),
    "a tool call that is no object": json.dumps(reply(choices=[{**CHOICE, "message": {"tool_calls": [5]}}])).encode(),
    "a tool call without a name": json.dumps(reply(choices=[{**CHOICE, "message": {"tool_calls": [{}]}}])).encode(),
    "finish reason error": json.dumps(reply(choices=[{**CHOICE, "finish_reason": "error"}])).encode(),
    "an error": b'{"error":{"message":"Provider returned error"}}',
    "an error as text": b'{"error":"oops"}',
    "an error beside choices": json.dumps(reply(error={"message": "m"})).encode(),
    "an error in a list": b'[{"error":{"message":"m"}}]',
    "deep nesting": b"[" * 100_000,
    "deep nesting that ends": b'{"choices":' + b"[" * 1000 + b"]" * 1000 + b"}",
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_a_success_that_is_none_is_a_bad_reply(data: bytes) -> None:
    failed = failure(data)
    assert failed.outcome == Outcome.BAD_REPLY
    assert failed.message


TOLD: dict[str, tuple[bytes, Outcome]] = {
    "rate limit": (b'{"error":{"message":"m","code":429}}', Outcome.RATE_LIMITED),
    "no credit": (b'{"error":{"message":"m","code":402}}', Outcome.OUT_OF_CREDIT),
    "server": (b'{"error":{"message":"m","code":502}}', Outcome.SERVER_ERROR),
    "context": (b'{"error":"5 tokens, which is greater than the context length"}', Outcome.CONTEXT_EXCEEDED),
    "without the member error": (b'{"status":429,"title":"Too Many Requests"}', Outcome.RATE_LIMITED),
}


@pytest.mark.parametrize(("data", "expected"), TOLD.values(), ids=TOLD)
def test_an_error_inside_a_success_is_believed(data: bytes, expected: Outcome) -> None:
    assert failure(data).outcome == expected


def test_a_context_error_inside_a_success_can_be_handed_on() -> None:
    failed = failure(b'{"error":"greater than the context length"}')
    assert (failed.status, told(failed)["code"]) == (400, "context_length_exceeded")


def test_an_empty_error_member_is_none() -> None:
    data = json.dumps(reply(error=None)).encode()
    assert read_reply(data, JOB).usage == Usage(3, 2)


@given(st.binary())
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    with pytest.raises(AttemptFailed):
        read_reply(data, JOB)
