"""Gemini's complete answers as chat completions."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.gemini import translate
from llmrouter.providers.wire import Job
from llmrouter.replies import Reply, Usage
from tests.providers.test_gemini_requests import PING, WEATHER, job_of

COUNTS = {
    "promptTokenCount": 10,
    "cachedContentTokenCount": 4,
    "candidatesTokenCount": 3,
    "thoughtsTokenCount": 5,
    "totalTokenCount": 18,
}


def candidate(*parts: Any, reason: str | None = "STOP", **members: Any) -> dict[str, Any]:
    end = {} if reason is None else {"finishReason": reason}
    return {"content": {"role": "model", "parts": list(parts)}, **end, **members}


def answer(*candidates: Any, **members: Any) -> dict[str, Any]:
    return {"candidates": list(candidates), "modelVersion": "gemini-3-flash", "responseId": "r1", **members}


def read(answered: Any, job: Job | None = None) -> Reply:
    data = answered if isinstance(answered, bytes) else json.dumps(answered).encode()
    reply = translate(job or job_of()).read_reply(data)
    ChatCompletion.model_validate_json(reply.data)
    return reply


def choices(answered: Any, job: Job | None = None) -> Any:
    return orjson.loads(read(answered, job).data)["choices"]


def failure(answered: Any) -> AttemptFailed:
    with pytest.raises(AttemptFailed) as caught:
        read(answered)
    return caught.value


def call(name: str, args: Any = None, **members: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, "args": args, **members}}


def told_call(id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_a_plain_answer() -> None:
    reply = read(answer(candidate({"text": "po"}, {"text": "ng"}), usageMetadata=COUNTS))
    assert orjson.loads(reply.data) == {
        "id": "chatcmpl-call-1",
        "object": "chat.completion",
        "created": 1_795_000_000,
        "model": "gpt-4o",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "pong", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 8,
            "total_tokens": 18,
            "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 5},
        },
    }
    assert reply.usage == Usage(10, 8, 4, 5)


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({"promptTokenCount": 10, "toolUsePromptTokenCount": 2}, Usage(12, 0)),
        ({"promptTokenCount": 10, "thoughtsTokenCount": "5", "candidatesTokenCount": -3}, Usage(10, 0)),
        ({"promptTokenCount": 10, "candidatesTokenCount": 2**63}, Usage(10, 0)),
        ({"promptTokenCount": True}, None),
        ({}, None),
        ([], None),
        (None, None),
    ],
)
def test_counts(counts: Any, usage: Usage | None) -> None:
    assert read(answer(candidate({"text": "a"}), usageMetadata=counts)).usage == usage


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("CONTINUATION", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("SPII", "content_filter"),
        ("LANGUAGE", "content_filter"),
        ("OTHER", "content_filter"),
        ("MODEL_ARMOR", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("IMAGE_OTHER", "content_filter"),
        ("A_NEW_ONE", "stop"),
    ],
)
def test_ends(reason: str, told: str) -> None:
    assert choices(answer(candidate({"text": "a"}, reason=reason)))[0]["finish_reason"] == told


@pytest.mark.parametrize(
    "reason",
    [
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
        "MALFORMED_RESPONSE",
    ],
)
def test_ends_that_are_failures(reason: str) -> None:
    failed = failure(answer(candidate({"text": "a"}, reason=reason)))
    assert failed.outcome is Outcome.BAD_REPLY
    assert reason in failed.message


def test_an_answer_that_was_all_thought_has_no_text() -> None:
    assert choices(answer({"finishReason": "MAX_TOKENS", "index": 0}))[0]["message"]["content"] == ""
    assert choices(answer({"content": {"role": "model"}, "finishReason": "MAX_TOKENS"}))[0]["finish_reason"] == "length"


def test_thoughts_are_reasoning() -> None:
    message = choices(answer(candidate({"text": "Hm", "thought": True}, {"text": "."}, {"text": "", "thought": True})))
    assert message[0]["message"] == {
        "role": "assistant",
        "content": ".",
        "refusal": None,
        "reasoning_content": "Hm",
    }


def test_tool_calls_get_ids_and_text_arguments() -> None:
    parts = (call("weather", {"city": "Köln"}), call("clock"), call("clock", {}, id="g-1"))
    choice = choices(answer(candidate(*parts)))[0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"] == [
        told_call("call_call-1_0", "weather", '{"city":"Köln"}'),
        told_call("call_call-1_1", "clock", "{}"),
        told_call("g-1", "clock", "{}"),
    ]


def test_text_may_stand_beside_a_tool_call_and_a_limit_may_end_it() -> None:
    choice = choices(answer(candidate({"text": "Let me see."}, call("clock"), reason="MAX_TOKENS")))[0]
    assert choice["message"]["content"] == "Let me see."
    assert choice["finish_reason"] == "length"


def test_one_tool_call_at_a_time_where_the_client_wants_that() -> None:
    job = job_of(tools=[WEATHER], parallel_tool_calls=False)
    message = choices(answer(candidate(call("weather"), call("clock"))), job)[0]["message"]
    assert [told["function"]["name"] for told in message["tool_calls"]] == ["weather"]


def test_a_thought_signature_is_there_again_in_the_next_turn() -> None:
    job = job_of(tools=[WEATHER])
    signed = {**call("weather", {"city": "Bonn"}), "thoughtSignature": "c2lnbmVk"}
    message = choices(answer(candidate(signed, call("clock"))), job)[0]["message"]
    results = [{"role": "tool", "tool_call_id": told["id"], "content": "7"} for told in message["tool_calls"]]
    next_job = Job(
        job_of(messages=[*PING, message, *results], tools=[WEATHER]).call,
        job.target,
        job.dialect,
        job.created,
        job.memory,
    )
    translation = translate(next_job)
    parts = orjson.loads(translation.request.body)["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == ["c2lnbmVk", None]
    assert translation.changes == ()


def test_several_candidates_are_choices() -> None:
    first, second = candidate({"text": "a"}), candidate(call("clock"), index=1)
    read_choices = choices(answer(second, {**first, "index": 0}))
    assert [choice["index"] for choice in read_choices] == [0, 1]
    assert [choice["finish_reason"] for choice in read_choices] == ["stop", "tool_calls"]
    assert read_choices[1]["message"]["tool_calls"][0]["id"] == "call_call-1_1_0"


def test_a_blocked_prompt_is_a_refusal() -> None:
    reply = read({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 4}})
    choice = orjson.loads(reply.data)["choices"][0]
    assert choice["finish_reason"] == "content_filter"
    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "refusal": "The prompt was blocked by the provider: PROHIBITED_CONTENT.",
    }
    assert reply.usage == Usage(4, 0)


LOGPROBS = {
    "topCandidates": [{"candidates": [{"token": "é", "logProbability": -0.25}, {"token": "e", "logProbability": -2}]}],
    "chosenCandidates": [
        {"token": "é", "tokenId": 1, "logProbability": -0.25},
        {"token": "!", "tokenId": 2},
    ],
}
TOLD_LOGPROBS = {
    "content": [
        {
            "token": "é",
            "logprob": -0.25,
            "bytes": [195, 169],
            "top_logprobs": [
                {"token": "é", "logprob": -0.25, "bytes": [195, 169]},
                {"token": "e", "logprob": -2.0, "bytes": [101]},
            ],
        },
        {"token": "!", "logprob": 0.0, "bytes": [33], "top_logprobs": []},
    ],
    "refusal": None,
}


def test_log_probabilities() -> None:
    whole = answer(candidate({"text": "é!"}, logprobsResult=LOGPROBS))
    assert choices(whole, job_of(logprobs=True, top_logprobs=2))[0]["logprobs"] == TOLD_LOGPROBS
    assert choices(whole)[0]["logprobs"] is None


@pytest.mark.parametrize("result", [None, [], {}, {"chosenCandidates": "all"}, {"topCandidates": []}])
def test_log_probabilities_that_are_none(result: Any) -> None:
    whole = answer(candidate({"text": "a"}, logprobsResult=result))
    assert choices(whole, job_of(logprobs=True))[0]["logprobs"] is None


def test_a_list_of_pieces_is_one_answer() -> None:
    pieces = [
        answer(candidate({"text": "po"}, reason=None), usageMetadata={"promptTokenCount": 2}),
        answer(candidate({"text": "ng"}), usageMetadata={"promptTokenCount": 2, "candidatesTokenCount": 1}),
    ]
    reply = read(b"\n " + json.dumps(pieces).encode())
    assert orjson.loads(reply.data)["choices"][0]["message"]["content"] == "pong"
    assert reply.usage == Usage(2, 1)


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (b"", Outcome.BAD_REPLY),
        (b"<html><title>Oops</title></html>", Outcome.BAD_REPLY),
        (b"pong", Outcome.BAD_REPLY),
        ("pong", Outcome.BAD_REPLY),
        ([], Outcome.BAD_REPLY),
        ([3], Outcome.BAD_REPLY),
        ({}, Outcome.BAD_REPLY),
        ({"candidates": []}, Outcome.BAD_REPLY),
        ({"candidates": {}}, Outcome.BAD_REPLY),
        ({"candidates": ["a"]}, Outcome.BAD_REPLY),
        (answer(candidate({"text": "a"}, reason=None)), Outcome.BAD_REPLY),
        (answer(candidate({"text": "a"}, reason="FINISH_REASON_UNSPECIFIED")), Outcome.BAD_REPLY),
        (answer({"content": "a", "finishReason": "STOP"}), Outcome.BAD_REPLY),
        (answer({"content": {"parts": "a"}, "finishReason": "STOP"}), Outcome.BAD_REPLY),
        (answer(candidate("a")), Outcome.BAD_REPLY),
        (answer(candidate({"text": 3})), Outcome.BAD_REPLY),
        (answer(candidate({"functionCall": "clock"})), Outcome.BAD_REPLY),
        (answer(candidate({"functionCall": {"args": {}}})), Outcome.BAD_REPLY),
        (answer(candidate(call("clock", "now"))), Outcome.BAD_REPLY),
        ({"promptFeedback": {"blockReason": 3}}, Outcome.BAD_REPLY),
        ({"promptFeedback": {"blockReason": "BLOCK_REASON_UNSPECIFIED"}}, Outcome.BAD_REPLY),
        ({"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}, Outcome.SERVER_ERROR),
        (
            [{"error": {"code": 429, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED"}}],
            Outcome.RATE_LIMITED,
        ),
    ],
)
def test_what_is_no_answer(body: Any, outcome: Outcome) -> None:
    assert failure(body).outcome is outcome


def test_arguments_nested_too_deep_are_a_bad_reply() -> None:
    args = b'{"a":' * 300 + b"1" + b"}" * 300
    body = b'{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":%b}}]}}]}' % args
    assert failure(body).outcome is Outcome.BAD_REPLY


NAMES = [
    "candidates",
    "content",
    "parts",
    "text",
    "thought",
    "functionCall",
    "name",
    "args",
    "id",
    "index",
    "finishReason",
    "error",
    "promptFeedback",
    "blockReason",
    "usageMetadata",
    "promptTokenCount",
    "logprobsResult",
    "chosenCandidates",
    "topCandidates",
    "token",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.just(2**63) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, JSON, JSON)
def test_whatever_comes_is_an_answer_or_a_failure(whole: Any, first: Any, part: Any) -> None:
    job = job_of(logprobs=True)
    for body in (whole, answer(first), answer(candidate(part)), answer(candidate({"text": "a"}, logprobsResult=part))):
        try:
            read(body, job)
        except AttemptFailed:
            continue
