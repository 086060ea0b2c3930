"""A chat request becomes a Call that says what it needs; wrong ones are told what would be right."""

import json
from typing import Any

import pytest

from llmrouter.calls import Call, Caller, Need, Preferences
from llmrouter.endpoints import chat
from llmrouter.errors import InvalidRequest
from llmrouter.replies import Chunk

USER: Any = {"role": "user", "content": "ping"}


def parse(**body: Any) -> Call:
    whole = {"messages": [USER]} | body
    return chat.parse(json.dumps(whole).encode(), "default", id="req-1", caller=Caller(), preferences=Preferences())


def part(kind: str) -> Any:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": kind, kind: {}}]}]}


TOOLS = {"tools": [{"type": "function", "function": {"name": "f"}}]}


@pytest.mark.parametrize(
    ("body", "needs"),
    [
        ({}, set()),
        (TOOLS, {Need.TOOLS}),
        (TOOLS | {"parallel_tool_calls": True}, {Need.TOOLS, Need.PARALLEL_TOOLS}),
        (TOOLS | {"parallel_tool_calls": False}, {Need.TOOLS}),
        ({"tools": []}, set()),
        ({"functions": [{"name": "f"}]}, {Need.TOOLS}),
        ({"response_format": {"type": "json_schema"}}, {Need.JSON_SCHEMA}),
        ({"response_format": {"type": "json_object"}}, {Need.JSON_OBJECT}),
        ({"response_format": {"type": "text"}}, set()),
        ({"response_format": {"type": ["odd"]}}, set()),
        (part("image_url"), {Need.VISION}),
        (part("input_audio"), {Need.AUDIO}),
        (part("file"), {Need.FILES}),
        ({"n": 1}, set()),
        ({"n": 2}, {Need.SEVERAL_CHOICES}),
        ({"logprobs": True}, {Need.LOGPROBS}),
        ({"logprobs": False}, set()),
        ({"seed": 0}, {Need.SEED}),
    ],
)
def test_needs(body: dict[str, Any], needs: set[Need]) -> None:
    """What a call asks for beyond plain chat is known before a target is chosen."""
    assert parse(**body).needs == needs


def test_what_the_router_reads() -> None:
    """Model, stream, usage and limits, with null as absent."""
    call = parse(model="gpt-4o", stream=True, stream_options={"include_usage": True}, max_tokens=5)
    assert (call.model, call.stream, call.include_usage, call.max_output_tokens) == ("gpt-4o", True, True, 5)

    call = parse(model=None, stream=None, stream_options=None, max_tokens=None, tools=None, n=None)
    assert (call.model, call.stream, call.include_usage, call.max_output_tokens) == ("default", False, False, None)


def test_the_newer_limit_wins() -> None:
    """`max_completion_tokens` is what OpenAI goes by."""
    assert parse(max_completion_tokens=7, max_tokens=5).max_output_tokens == 7


def test_an_empty_model_is_the_default_one() -> None:
    """As good as none."""
    assert parse(model="").model == "default"


@pytest.mark.parametrize(
    "content", [None, "", "text", [], [{"type": "text", "text": "x"}], [5, None, "odd"], [{"type": []}]]
)
def test_contents_that_are_the_providers_to_judge(content: Any) -> None:
    """Only the shape that the router reads is checked."""
    assert parse(messages=[{"role": "assistant", "content": content}]).needs == frozenset()


@pytest.mark.parametrize("body", [{"messages": [5]}, {"messages": [{"role": 5}]}, {"n": "2"}, {"stream": 1}])
def test_wrong_types(body: dict[str, Any]) -> None:
    """400 before any provider is asked."""
    with pytest.raises(InvalidRequest):
        parse(**body)


def test_a_chunk_that_the_client_must_not_see_is_no_event() -> None:
    """Hidden usage leaves no empty event behind."""
    assert chat.render_chunk(Chunk(b"", False)) == b""
    assert chat.render_chunk(Chunk(b"{}", False)) == b"data: {}\n\n"


def test_media_do_not_count_as_prompt_text() -> None:
    """A picture of a megabyte is no million characters of text; a picture's address is."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_000_000}}
    linked = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    sound = {"type": "input_audio", "input_audio": {"data": "A" * 1_000_000, "format": "wav"}}
    assert parse(messages=[{"role": "user", "content": [picture, sound]}]).input_characters < 400
    assert parse(messages=[{"role": "user", "content": [linked]}]).input_characters > 90


MEMBERS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "nothing": ({}, set()),
    "what OpenAI does anyway": (
        {"n": 1, "temperature": 1.0, "top_p": 1, "logprobs": False, "stop": [], "tools": [], "logit_bias": {}},
        set(),
    ),
    "nulls": ({"tools": None, "seed": None, "stop": None}, set()),
    "plain text": ({"response_format": {"type": "text"}}, set()),
    "what asks for something": ({"temperature": 0, "seed": 0, "n": 2, "x": False}, {"temperature", "seed", "n", "x"}),
    "a tool that must be called": ({"tool_choice": "required"}, {"tool_choice", "tool_choice:forced"}),
    "a named tool": (
        {"tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"tool_choice", "tool_choice:forced"},
    ),
    "no tool": ({"tool_choice": "none"}, {"tool_choice"}),
    "any tool": ({"tool_choice": "auto"}, set()),
    "no reasoning": ({"reasoning_effort": "none"}, {"reasoning_effort", "reasoning_effort:none"}),
    "some reasoning": ({"reasoning_effort": "low"}, {"reasoning_effort"}),
}


@pytest.mark.parametrize(("members", "expected"), MEMBERS.values(), ids=MEMBERS)
def test_the_members_that_ask_for_something(members: dict[str, Any], expected: set[str]) -> None:
    """Null and OpenAI's own defaults ask for nothing."""
    assert parse(**members).members == expected


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("limit", [0, -1, -(10**15)])
def test_a_limit_of_no_tokens_is_refused(name: str, limit: int) -> None:
    """It would count as money given back."""
    body = json.dumps({"messages": [{"role": "user", "content": "a"}], name: limit}).encode()
    with pytest.raises(InvalidRequest, match=f"'{name}' must be at least 1"):
        chat.parse(body, "m", id="req-1", caller=Caller(), preferences=Preferences())


def test_a_limit_without_measure_is_counted_with_measure() -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "a"}], "max_tokens": 2**62}).encode()
    call = chat.parse(body, "m", id="req-1", caller=Caller(), preferences=Preferences())
    assert call.max_output_tokens == 10_000_000
    assert str(2**62).encode() in call.body.encode({})
