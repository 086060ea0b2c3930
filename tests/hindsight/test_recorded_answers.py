"""What recorded answers used: what they say, else an estimate by what was written."""

import json
from typing import Any

import pytest

from llmrouter.calls import Caller
from llmrouter.errors import InvalidRequest
from llmrouter.hindsight.exchanges import RecordedExchange
from llmrouter.hindsight.recorded_answers import RecordedAnswer, answer_of
from llmrouter.hindsight.recorded_calls import OnlyOpenAI, call_of
from llmrouter.replies import Usage

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
MESSAGES = [{"role": "user", "content": "x" * 400}]


def exchange(
    path: str, body: dict[str, Any], answer: bytes, content_type: str = "application/json"
) -> RecordedExchange:
    sent = json.dumps({"model": "gpt-4o"} | body).encode()
    return RecordedExchange(0.0, "api.openai.com", "POST", path, Caller(), sent, 200, content_type, answer)


def told(path: str, body: dict[str, Any], answer: Any) -> RecordedAnswer:
    one = exchange(path, body, json.dumps(answer).encode())
    return answer_of(one, call_of(one, "gpt-4o").call)


def streamed(path: str, body: dict[str, Any], *pieces: Any) -> RecordedAnswer:
    events = b"".join(b"data: %b\n\n" % json.dumps(piece).encode() for piece in pieces)
    one = exchange(path, body | {"stream": True}, events, "text/event-stream; charset=utf-8")
    return answer_of(one, call_of(one, "gpt-4o").call)


def test_a_chat_tells_its_usage() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}}
    answer = told(CHAT, {"messages": MESSAGES}, {"model": "gpt-4o-x", "service_tier": "flex", "usage": usage})
    assert answer.usage == Usage(7, 3, 2)
    assert (answer.is_estimate, answer.model, answer.is_standard) == (False, "gpt-4o-x", False)


def test_tool_calls_and_reasoning_are_written_too() -> None:
    call = {"index": 0, "id": "call_1", "function": {"name": "abcd", "arguments": "x" * 36}}
    answer = streamed(
        CHAT,
        {"messages": MESSAGES},
        {"choices": [{"delta": {"role": "assistant", "content": ""}}]},
        {"choices": [{"delta": {"reasoning_content": "y" * 20}}]},
        {"choices": [{"delta": {"tool_calls": [call]}}]},
        {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]},
    )
    assert answer.is_estimate
    assert answer.usage is not None
    assert answer.usage.output_tokens == (20 + 4 + 36) / 4


def test_a_response_is_not_counted_twice() -> None:
    """Its stream repeats each part at its end, and all of it in the last event."""
    item = {"type": "message", "content": [{"type": "output_text", "text": "z" * 40}]}
    answer = streamed(
        RESPONSES,
        {"input": "ping"},
        {"type": "response.created", "response": {"output": [], "usage": None}},
        {"type": "response.output_text.delta", "delta": "z" * 40},
        {"type": "response.output_text.done", "text": "z" * 40},
        {"type": "response.output_item.done", "item": item},
        {"type": "response.completed", "response": {"output": [item], "usage": None}},
    )
    assert answer.usage is not None
    assert (answer.is_estimate, answer.usage.output_tokens) == (True, 10)


def test_a_response_tells_its_usage() -> None:
    usage = {"input_tokens": 7, "output_tokens": 3, "output_tokens_details": {"reasoning_tokens": 1}}
    completed = {"type": "response.completed", "response": {"model": "gpt-4o-x", "usage": usage}}
    answer = streamed(RESPONSES, {"input": "ping"}, completed)
    assert (answer.usage, answer.model) == (Usage(7, 3, reasoning_tokens=1), "gpt-4o-x")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b"data: \n\n"])
def test_what_cannot_be_read_is_unknown(body: bytes) -> None:
    one = exchange(CHAT, {"messages": MESSAGES}, body)
    assert answer_of(one, call_of(one, "gpt-4o").call).usage is None


def test_calls_of_responses() -> None:
    def of(**body: Any) -> Any:
        return call_of(exchange(RESPONSES, body, b""), "gpt-4o")

    assert of(input="ping").call.surface == "responses"
    assert not of(input="ping").goes_on
    assert of(input="ping", previous_response_id="resp_1").goes_on
    with pytest.raises(OnlyOpenAI, match="file_search"):
        of(input="ping", tools=[{"type": "file_search", "vector_store_ids": ["vs_1"]}])
    with pytest.raises(InvalidRequest):
        of(input=7)
