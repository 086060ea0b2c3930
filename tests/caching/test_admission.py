"""Which calls the cache may answer, and which answers it may keep."""

import copy
from typing import Any

import pytest

from llmrouter.caching.admission import Admission, When, admit, why_not_kept
from llmrouter.caching.wishes import read_wishes
from llmrouter.calls import CacheWishes
from llmrouter.errors import InvalidRequest
from llmrouter.replies import Usage
from tests.caching.requests import call_of

ALL, NOTHING = Admission(look_up=True, store=True), Admission()


@pytest.mark.parametrize(
    ("when", "members", "expected"),
    [
        ("deterministic", {}, NOTHING),
        ("deterministic", {"temperature": 0}, ALL),
        ("deterministic", {"temperature": 0.0}, ALL),
        ("deterministic", {"temperature": -0.0}, ALL),
        ("deterministic", {"temperature": False}, NOTHING),
        ("deterministic", {"temperature": "0"}, NOTHING),
        ("deterministic", {"temperature": 0.1}, NOTHING),
        ("deterministic", {"temperature": None}, NOTHING),
        ("deterministic", {"top_p": 0}, ALL),
        ("deterministic", {"top_p": 0.5}, NOTHING),
        ("deterministic", {"seed": 0}, ALL),
        ("deterministic", {"seed": None}, NOTHING),
        ("always", {}, ALL),
        ("always", {"temperature": 1.5}, ALL),
        ("never", {"temperature": 0}, NOTHING),
    ],
)
def test_when(when: When, members: dict[str, Any], expected: Admission) -> None:
    assert admit(call_of(**members), when) == expected


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        (CacheWishes(no_store=True), NOTHING),
        (CacheWishes(no_cache=True), Admission(store=True)),
        (CacheWishes(no_cache=True, no_store=True), NOTHING),
        (CacheWishes(max_age_s=60), Admission(look_up=True, store=True, max_age_s=60)),
        (CacheWishes(max_age_s=0), Admission(store=True, max_age_s=0)),
        (CacheWishes(only_if_cached=True), Admission(look_up=True, only_if_cached=True)),
        (CacheWishes(only_if_cached=True, no_store=True), Admission(look_up=True, only_if_cached=True)),
        (CacheWishes(only_if_cached=True, no_cache=True), Admission(only_if_cached=True)),
        (CacheWishes(only_if_cached=True, max_age_s=0), Admission(only_if_cached=True, max_age_s=0)),
    ],
)
def test_a_client_can_ask_for_less(wishes: CacheWishes, expected: Admission) -> None:
    assert admit(call_of(wishes=wishes), "always") == expected


@pytest.mark.parametrize("when", ["never", "deterministic"])
def test_who_wants_a_kept_answer_only_never_causes_another(when: When) -> None:
    wishes = CacheWishes(only_if_cached=True)
    assert admit(call_of(wishes=wishes), when) == Admission(only_if_cached=True)


@pytest.mark.parametrize(
    ("own", "http", "expected"),
    [
        (None, None, CacheWishes()),
        ("no-store", None, CacheWishes(no_store=True)),
        (" No-Cache ", None, CacheWishes(no_cache=True)),
        ("only-if-cached", None, CacheWishes(only_if_cached=True)),
        ("no-store, no-cache", None, CacheWishes(no_store=True, no_cache=True)),
        (None, "no-cache", CacheWishes(no_cache=True)),
        (None, "max-age=60", CacheWishes(max_age_s=60)),
        (None, 'Max-Age="60", no-store', CacheWishes(no_store=True, max_age_s=60)),
        (None, "max-age=60, max-age=30", CacheWishes(max_age_s=30)),
        (None, "max-age=000000000060", CacheWishes(max_age_s=60)),
        (None, "max-age=00", CacheWishes(max_age_s=0)),
        (None, "max-age=-1, max-age=x, max-stale=5, private, =, ,", CacheWishes()),
        (None, "max-age=" + "9" * 500, CacheWishes(max_age_s=9_999_999_999)),
        ("no-store", "max-age=5", CacheWishes(no_store=True, max_age_s=5)),
        ("", "", CacheWishes()),
    ],
)
def test_the_headers(own: str | None, http: str | None, expected: CacheWishes) -> None:
    assert read_wishes(own, http) == expected


def test_a_word_of_our_own_header_that_is_none_is_told() -> None:
    told = "'x-llmrouter-cache' must be one of no-store, no-cache, only-if-cached, not 'off'"
    with pytest.raises(InvalidRequest, match=told):
        read_wishes("no-store, off", None)


def answer_of(**choice: Any) -> dict[str, Any]:
    whole = {"index": 0, "message": {"role": "assistant", "content": "pong"}, "finish_reason": "stop"}
    return {"id": "c", "object": "chat.completion", "choices": [whole | choice]}


def message(**members: Any) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": None} | members}


def called(arguments: Any, **members: Any) -> dict[str, Any]:
    function = {"id": "1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    return message(tool_calls=[function]) | {"finish_reason": "tool_calls"} | members


TOOLS: dict[str, Any] = {"tools": [{"type": "function", "function": {"name": "f"}}]}
CUSTOM: dict[str, Any] = {"tools": [{"type": "custom", "custom": {"name": "c"}}]}
FUNCTIONS: dict[str, Any] = {"functions": [{"name": "f"}]}
JSON_WANTED: dict[str, Any] = {"response_format": {"type": "json_object"}}
SCHEMA_WANTED = {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}}
TWO: dict[str, Any] = {"n": 2}
NO_OBJECT = "the arguments of a tool call are no JSON object"


@pytest.mark.parametrize(
    ("asked", "choice"),
    [
        ({}, {}),
        (TOOLS, called("{}")),
        (TOOLS, called('{"a": [1]}')),
        (TOOLS, called("{}", finish_reason="stop")),
        (TOOLS | {"tool_choice": "required"}, called("{}")),
        (CUSTOM, message(tool_calls=[{"id": "1", "type": "custom", "custom": {"name": "c", "input": "any"}}])),
        (FUNCTIONS, message(function_call={"name": "f", "arguments": "{}"}) | {"finish_reason": "function_call"}),
        ({}, message(content="hi", tool_calls=[], function_call=None, audio=None, refusal=None)),
        ({}, {"native_finish_reason": "STOP"}),
        ({"n": 1, "max_tokens": 20}, {"finish_reason": "length"}),
        ({}, message(audio={"id": "a", "data": "AAAA"})),
        ({"max_tokens": 20}, {"finish_reason": "length"}),
        ({"max_completion_tokens": 21}, {"finish_reason": "length"}),
        ({}, message(content="pong", function_call=None, tool_calls=[], refusal=None)),
        ({}, message(content="pong", function_call=None, tool_calls=None)),
        (JSON_WANTED, message(content='{"a": 1}')),
        (SCHEMA_WANTED, message(content="5")),
        (JSON_WANTED | TOOLS, called("{}")),
    ],
    ids=str,
)
def test_sound_answers_are_kept(asked: dict[str, Any], choice: dict[str, Any]) -> None:
    assert why_not_kept(answer_of(**choice), Usage(10, 20), call_of(**asked)) is None


@pytest.mark.parametrize(
    ("asked", "choice", "why"),
    [
        ({}, message(refusal="no"), "the model refused"),
        ({}, message(content=""), "it is empty"),
        ({}, {"message": None}, "a choice has no message"),
        ({}, {"finish_reason": "content_filter"}, "it ended with content_filter"),
        ({}, {"finish_reason": None}, "it ended with None"),
        (TOOLS, called('"abc"'), NO_OBJECT),
        (TOOLS, called("NaN"), NO_OBJECT),
        (TOOLS, called("[1]"), NO_OBJECT),
        (TOOLS, called('{"a": '), NO_OBJECT),
        (TOOLS, called(""), NO_OBJECT),
        (TOOLS, called(None), NO_OBJECT),
        (TOOLS, called("null"), NO_OBJECT),
        (TOOLS, called('{"a": NaN}'), NO_OBJECT),
        (TOOLS, called('{"a": "\\ud800"}'), NO_OBJECT),
        (FUNCTIONS, message(function_call={}), NO_OBJECT),
        (FUNCTIONS, message(function_call={"name": "f", "arguments": "{"}), NO_OBJECT),
        ({}, called("{}"), "it calls a tool that there is not"),
        (TOOLS | {"tool_choice": "required"}, {}, "it calls no tool, and must"),
        ({}, message(content=" \n"), "it is empty"),
        ({}, {"error": {"code": 502}}, "a choice has an error"),
        ({}, {"content_filter_results": {"hate": {"filtered": True}}}, "a choice has an error"),
        ({}, {"native_finish_reason": "weird"}, "it ended with weird"),
        ({}, {"native_finish_reason": None}, "it ended with None"),
        ({}, {"finish_reason": "length"}, "it was cut short, and not by the client's own limit"),
        ({"max_tokens": 500}, {"finish_reason": "length"}, "it was cut short, and not by the client's own limit"),
        (JSON_WANTED, {}, "it is not the JSON that was asked for"),
        (JSON_WANTED, message(content="5"), "it is not the JSON that was asked for"),
        (JSON_WANTED, message(content='{"a": NaN}'), "it is not the JSON that was asked for"),
        (SCHEMA_WANTED, message(content='```json\n{"a": 1}\n```'), "it is not the JSON that was asked for"),
        (
            JSON_WANTED | {"max_tokens": 20},
            message(content='{"a": ') | {"finish_reason": "length"},
            "it is not the JSON that was asked for",
        ),
        (TWO, {}, "it has 1 choices instead of 2"),
    ],
    ids=str,
)
def test_others_are_not(asked: dict[str, Any], choice: dict[str, Any], why: str) -> None:
    assert why_not_kept(answer_of(**choice), Usage(10, 20), call_of(**asked)) == why


@pytest.mark.parametrize("answer", [{}, {"choices": []}, {"choices": None}, answer_of() | {"error": {"message": "x"}}])
def test_what_is_no_answer_is_not(answer: dict[str, Any]) -> None:
    assert why_not_kept(answer, None, call_of()) == "it is no answer"


def test_an_error_that_is_null_is_none() -> None:
    """Some servers name the member in each answer."""
    assert why_not_kept(answer_of() | {"error": None}, None, call_of()) is None


@pytest.mark.parametrize(("made", "is_kept"), [(40, True), (38, True), (37, False), (20, False)])
def test_the_limit_holds_for_each_choice(made: int, is_kept: bool) -> None:
    """Two choices that a provider cut at half of the client's limit have as many tokens as one of full length."""
    answer = answer_of(finish_reason="length")
    answer["choices"].append(copy.deepcopy(answer["choices"][0]) | {"index": 1})
    why = why_not_kept(answer, Usage(10, made), call_of(n=2, max_tokens=20))
    assert why == (None if is_kept else "it was cut short, and not by the client's own limit")


def test_each_choice_must_be_sound() -> None:
    answer = answer_of()
    answer["choices"].append(copy.deepcopy(answer["choices"][0]) | {"index": 1})
    assert why_not_kept(answer, None, call_of(n=2)) is None
    answer["choices"][1]["finish_reason"] = "content_filter"
    assert why_not_kept(answer, None, call_of(n=2)) == "it ended with content_filter"


def test_the_limit_is_that_of_each_choice_and_the_usage_that_of_all() -> None:
    choice = {"finish_reason": "length"}
    answer = answer_of(**choice)
    answer["choices"] = [answer["choices"][0] | {"index": n} for n in range(4)]
    call = call_of(n=4, max_tokens=100)
    assert why_not_kept(answer, Usage(10, 120), call) == "it was cut short, and not by the client's own limit"
    assert why_not_kept(answer, Usage(10, 400), call) is None
