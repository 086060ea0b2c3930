"""The response object: what it repeats of its request, and what a whole chat completion becomes."""

import json
from dataclasses import replace
from typing import Any

import pytest
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from llmrouter.endpoints.responses.failures import error_code
from llmrouter.endpoints.responses.request import custom_tools, echoed, parse
from llmrouter.endpoints.responses.response import response_object, usage_of
from llmrouter.endpoints.responses.whole import response_of
from llmrouter.errors import InvalidRequest, NoAnswer, NoTarget, RelayedError, RouterError, StreamBroken
from tests.endpoints.responses.answers import SHAPE, Ids, citation, token

TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}


def responding(**echoed: Any) -> dict[str, Any]:
    response = response_object(replace(SHAPE, echoed=echoed), "completed", [])
    assert Response.model_validate(response).to_dict() == response
    return response


def test_what_is_missing_has_openais_defaults() -> None:
    assert responding() == {
        "id": "resp_1",
        "object": "response",
        "created_at": 1700000000.0,
        "status": "completed",
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "model": "fast",
        "output": [],
        "usage": None,
        "conversation": None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt": None,
        "prompt_cache_key": None,
        "prompt_cache_retention": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "auto",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "user": None,
    }


FORMAT = {"type": "json_schema", "name": "n", "schema": {"type": "object"}}


@pytest.mark.parametrize(
    ("name", "sent", "told"),
    [
        ("instructions", "Be brief.", "Be brief."),
        ("max_output_tokens", 16, 16),
        ("metadata", {"a": "b"}, {"a": "b"}),
        ("metadata", None, {}),
        ("parallel_tool_calls", False, False),
        ("previous_response_id", "resp_0", "resp_0"),
        ("conversation", "conv_1", {"id": "conv_1"}),
        ("conversation", {"id": "conv_1"}, {"id": "conv_1"}),
        ("reasoning", {"effort": "low"}, {"effort": "low", "summary": None}),
        ("reasoning", {"effort": None, "summary": "auto"}, {"effort": None, "summary": "auto"}),
        ("store", False, False),
        ("temperature", 0, 0),
        ("temperature", None, 1.0),
        ("text", {"verbosity": "low"}, {"format": {"type": "text"}, "verbosity": "low"}),
        ("text", {"format": FORMAT}, {"format": FORMAT}),
        ("tool_choice", {"type": "function", "name": "f"}, {"type": "function", "name": "f"}),
        ("tools", [TOOL], [TOOL]),
        ("tools", [{"type": "custom", "name": "shell"}], [{"type": "custom", "name": "shell"}]),
        ("top_p", 0.5, 0.5),
        ("top_logprobs", 3, 3),
        ("truncation", "auto", "auto"),
        ("service_tier", "flex", "flex"),
        ("user", "u", "u"),
        ("safety_identifier", "s", "s"),
        ("prompt_cache_key", "k", "k"),
        ("prompt_cache_retention", "24h", "24h"),
    ],
)
def test_what_the_request_said_is_repeated(name: str, sent: Any, told: Any) -> None:
    assert responding(**{name: sent})[name] == told


def test_what_was_read_of_a_request_is_repeated() -> None:
    sent = {
        "model": "fast",
        "input": "Hi",
        "instructions": None,
        "metadata": {"a": "b"},
        "reasoning": {"effort": "low"},
        "text": {"format": FORMAT},
        "tools": [TOOL, {"type": "custom", "name": "shell"}],
        "temperature": 0.5,
    }
    request = parse(json.dumps(sent).encode(), "fast")
    expected = {**sent, "reasoning": {"effort": "low", "summary": None}}
    del expected["input"]
    assert responding(**echoed(request)) == responding() | expected
    assert custom_tools(request) == {"shell"}


def test_other_members_of_the_request_are_not_repeated() -> None:
    assert responding(input="secret", stream=True).keys() == responding().keys()


def test_a_default_is_no_other_responses_own() -> None:
    responding()["metadata"]["a"] = "b"
    assert responding()["metadata"] == {}
    responding()["tools"].append(TOOL)
    assert responding()["tools"] == []
    responding()["text"]["format"]["type"] = "json_object"
    assert responding()["text"] == {"format": {"type": "text"}}


@pytest.mark.parametrize("status", ["queued", "in_progress", "cancelled"])
def test_a_response_may_have_any_status(status: str) -> None:
    response = response_object(replace(SHAPE, background=True), status, [])
    assert Response.model_validate(response).to_dict() == response
    assert (response["status"], response["background"]) == (status, True)


@pytest.mark.parametrize("told", [None, {}, [], {"prompt_tokens": 1}, {"prompt_tokens": "1", "completion_tokens": 1}])
def test_usage_that_is_not_known_is_null(told: Any) -> None:
    assert usage_of(told) is None


def completion(reason: str = "stop", logprobs: Any = None, **message: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": None} | message, "logprobs": logprobs}
    whole = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{**choice, "finish_reason": reason}],
        "usage": {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5},
    }
    ChatCompletion.model_validate(whole)
    return whole


def responded(whole: dict[str, Any], *custom_tools: str) -> dict[str, Any]:
    shape = replace(SHAPE, custom_tools=frozenset(custom_tools))
    response = response_of(whole, shape, Ids(), 1700000002.0)
    assert Response.model_validate(response).to_dict() == response
    return response


def test_a_whole_completion() -> None:
    calls = [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "b", "type": "function", "function": {"name": "shell", "arguments": '{"input":"ls"}'}},
        {"id": "c", "type": "custom", "custom": {"name": "grammar", "input": "x"}},
    ]
    response = responded(
        completion(
            "tool_calls",
            logprobs={"content": [token("Fish")], "refusal": None},
            content="Fish",
            reasoning_content="Hm",
            annotations=[citation(0, 4)],
            tool_calls=calls,
        ),
        "shell",
    )
    thought, message, function, shell, grammar = response["output"]
    assert thought["content"] == [{"type": "reasoning_text", "text": "Hm"}]
    (part,) = message["content"]
    assert (part["text"], part["annotations"][0]["title"], part["logprobs"][0]["token"]) == ("Fish", "Fish", "Fish")
    assert (function["type"], function["call_id"], function["arguments"]) == ("function_call", "a", "{}")
    assert (shell["type"], shell["call_id"], shell["input"]) == ("custom_tool_call", "b", "ls")
    assert (grammar["type"], grammar["call_id"], grammar["input"]) == ("custom_tool_call", "c", "x")
    assert (response["status"], response["completed_at"]) == ("completed", 1700000002.0)
    assert response["usage"]["input_tokens"] == 2 and response["usage"]["total_tokens"] == 5


def test_a_whole_completion_that_refuses() -> None:
    (message,) = responded(completion(refusal="No."))["output"]
    assert message["content"] == [{"type": "refusal", "refusal": "No."}]


def test_a_whole_completion_that_is_cut_short() -> None:
    response = responded(completion("length", content="Fi"))
    assert (response["status"], response["completed_at"]) == ("incomplete", None)
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert response["output"][0]["status"] == "incomplete"


def test_only_the_first_choice_counts() -> None:
    whole = completion(content="one")
    whole["choices"].append({**whole["choices"][0], "index": 1, "message": {"role": "assistant", "content": "two"}})
    assert [part["text"] for item in responded(whole)["output"] for part in item["content"]] == ["one"]


@pytest.mark.parametrize("choices", [None, [], [{"index": 0}], [{"index": 0, "message": None}]])
def test_a_completion_without_a_message_has_no_output(choices: Any) -> None:
    response = response_of({"choices": choices}, SHAPE, Ids(), 2.0)
    assert (response["output"], response["status"]) == ([], "completed")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidRequest("no"), "invalid_prompt"),
        (RelayedError(400, {"code": "context_length_exceeded"}), "invalid_prompt"),
        (RelayedError(400, {"code": "image_too_large"}), "image_too_large"),
        (RelayedError(422, {}), "invalid_prompt"),
        (RelayedError(429, {"code": "insufficient_quota"}), "rate_limit_exceeded"),
        (RelayedError(403, {}), "server_error"),
        (NoTarget("no"), "server_error"),
        (NoAnswer("no"), "server_error"),
        (NoAnswer("no", rate_limited=True), "rate_limit_exceeded"),
        (StreamBroken("no"), "server_error"),
    ],
)
def test_how_a_failed_response_calls_its_error(error: RouterError, code: str) -> None:
    assert error_code(error) == code
    failed = response_object(SHAPE, "failed", [], error={"code": error_code(error), "message": "no"})
    assert Response.model_validate(failed).to_dict() == failed
