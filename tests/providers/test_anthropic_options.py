"""Tools, tool choice and the options of a call in the words of Anthropic's Messages API."""

from typing import Any

import pytest

from tests.providers.test_anthropic_requests import (
    ALWAYS,
    BUDGET,
    LEVEL,
    OLD,
    SAMPLED,
    TIME,
    UNFORCED,
    WEATHER,
    assistant,
    result,
    told,
    untold,
    user,
)


def test_tools() -> None:
    body, changes = told(tools=[WEATHER, TIME])
    assert body["tools"] == [
        {
            "name": "weather",
            "description": "Tells the weather.",
            "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
        {"name": "time", "input_schema": {"type": "object", "properties": {}}},
    ]
    assert "tool_choice" not in body
    assert changes == []


def named(kind: str, name: str) -> dict[str, Any]:
    return {"type": kind, kind: {"name": name}}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        (named("function", "time"), {"type": "tool", "name": "time"}),
    ],
)
def test_tool_choice(choice: Any, expected: Any) -> None:
    body, changes = told(tools=[WEATHER, TIME], tool_choice=choice)
    assert body["tool_choice"] == expected
    assert changes == []
    both, _ = told(tools=[WEATHER, TIME], tool_choice=choice, parallel_tool_calls=False)
    one = {} if choice == "none" else {"disable_parallel_tool_use": True}
    assert both["tool_choice"] == expected | one


def test_one_tool_call_at_a_time() -> None:
    body, changes = told(tools=[TIME], parallel_tool_calls=False)
    assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert changes == []
    assert "tool_choice" not in told(parallel_tool_calls=False)[0]


def allowed_tools(mode: str, *names: str) -> dict[str, Any]:
    tools = [named("function", name) for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


def test_allowed_tools() -> None:
    body, _ = told(tools=[WEATHER, TIME], tool_choice=allowed_tools("required", "time"))
    assert [tool["name"] for tool in body["tools"]] == ["time"]
    assert body["tool_choice"] == {"type": "any"}
    assert "tool_choice" not in told(tools=[WEATHER, TIME], tool_choice=allowed_tools("auto", "time"))[0]
    assert told(tools=[TIME], tool_choice=allowed_tools("auto"))[0]["tool_choice"] == {"type": "none"}
    assert untold(tools=[TIME], tool_choice=allowed_tools("required"))


@pytest.mark.parametrize(
    ("model", "members"), [(UNFORCED, {}), (BUDGET, {"reasoning_effort": "low"}), (LEVEL, {"reasoning_effort": "low"})]
)
def test_a_tool_that_cannot_be_forced_is_asked_for(model: str, members: dict[str, Any]) -> None:
    body, changes = told(model, tools=[TIME], tool_choice="required", parallel_tool_calls=False, **members)
    assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert "at least one of the tools" in body["system"][-1]["text"]
    assert changes == ["a forced tool by the prompt"]
    by_name, _ = told(model, tools=[TIME], tool_choice=named("function", "time"), **members)
    assert "'time'" in by_name["system"][-1]["text"]


def test_a_model_that_always_thinks_may_be_forced() -> None:
    assert told(ALWAYS, tools=[TIME], tool_choice="required")[0]["tool_choice"] == {"type": "any"}


def test_custom_tools_are_functions() -> None:
    grammar = {"type": "grammar", "grammar": {"syntax": "regex", "definition": "a+"}}
    tool = {"type": "custom", "custom": {"name": "shell", "description": "Runs.", "format": grammar}}
    called = {"id": "t1", "type": "custom", "custom": {"name": "shell", "input": "ls"}}
    body, changes = told(
        messages=[user("hi"), assistant(None, called), result("a")], tools=[tool], tool_choice=named("custom", "shell")
    )
    assert body["tools"] == [
        {
            "name": "shell",
            "description": "Runs.\n\n`input` must be valid under this regex grammar:\na+",
            "input_schema": {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]},
        }
    ]
    assert body["messages"][1]["content"][0]["input"] == {"input": "ls"}
    assert body["tool_choice"] == {"type": "tool", "name": "shell"}
    assert changes == ["the grammar of a custom tool by its description"]


def strict(**parameters: Any) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {"name": "f", "strict": True, "parameters": {"type": "object", **parameters}},
    }


def test_strict_tools() -> None:
    limited = strict(properties={"n": {"type": "integer", "minimum": 1}}, required=["n"], additionalProperties=False)
    body, changes = told(tools=[limited])
    assert body["tools"][0]["strict"] is True
    assert body["tools"][0]["input_schema"]["properties"] == {"n": {"type": "integer", "description": "{minimum: 1}"}}
    assert changes == ["minimum of strict tools by descriptions"]
    assert told(tools=[strict()])[0]["tools"][0]["strict"] is True
    for model, tool in ((OLD, limited), (LEVEL, strict(additionalProperties=True, properties={}))):
        body, changes = told(model, tools=[tool])
        assert "strict" not in body["tools"][0]
        assert changes == ["without strict tools"]


def test_alternatives_at_the_top_of_parameters() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"anyOf": [{"required": ["a"]}]}}}
    body, changes = told(tools=[tool])
    schema = body["tools"][0]["input_schema"]
    assert (schema["type"], "anyOf" in schema, "anyOf" in schema["description"]) == ("object", False, True)
    assert changes == ["alternatives in a tool's parameters by its description"]


@pytest.mark.parametrize("choice", ["any", {"type": "mcp"}, {"type": "function"}, {"type": "allowed_tools"}, 7])
def test_choices_and_tools_that_cannot_be_said(choice: Any) -> None:
    assert untold(tools=[TIME], tool_choice=choice)
    for tool in ({"type": "mcp"}, {"type": "function"}, "f", {"type": "function", "function": {"name": 7}}):
        assert untold(tools=[tool])


def test_sampling() -> None:
    assert told(BUDGET, temperature=0.2)[0]["temperature"] == 0.2
    assert told(BUDGET, temperature=1.4) == (told(BUDGET)[0] | {"temperature": 1}, ["temperature 1.4 as 1"])
    body, changes = told(BUDGET, temperature=0.2, top_p=0.5, top_k=3)
    assert (body["temperature"], "top_p" in body, body["top_k"], changes) == (0.2, False, 3, ["without top_p"])
    assert told(BUDGET, temperature=1, top_p=0.5)[0]["top_p"] == 0.5
    body, changes = told(LEVEL, temperature=0.2, top_p=0.5, top_k=3)
    assert changes == ["without temperature", "without top_p", "without top_k"]
    body, changes = told(SAMPLED, temperature=0.2, top_p=0.96, reasoning_effort="low")
    assert (body["top_p"], changes) == (0.96, ["without temperature"])
    assert told(BUDGET, temperature=0.2, unsupported=["temperature"])[1] == ["without temperature"]


def test_stop() -> None:
    assert told(stop="END")[0]["stop_sequences"] == ["END"]
    body, changes = told(stop=["\n", "END"])
    assert (body["stop_sequences"], changes) == (["END"], ["without a blank stop sequence"])
    assert "stop_sequences" not in told(stop="\n\n")[0]


@pytest.mark.parametrize(
    ("tier", "expected", "changes"),
    [("default", "standard_only", []), ("priority", "auto", []), ("flex", None, ["without service_tier"])],
)
def test_service_tier(tier: str, expected: Any, changes: list[str]) -> None:
    body, changed = told(service_tier=tier)
    assert (body.get("service_tier"), changed) == (expected, changes)


def test_users() -> None:
    assert told(user="u1")[0]["metadata"] == {"user_id": "u1"}
    assert told(user="u1", safety_identifier="s1") == (told(safety_identifier="s1")[0], ["without user"])
    body, changes = told(user="ann@example.com")
    assert "@" not in body["metadata"]["user_id"]
    assert changes == ["user as a hash"]
    assert told(user=7)[1] == ["without user"]


def test_what_anthropic_does_not_know_is_left_out_and_named() -> None:
    body, changes = told(seed=1, metadata={"a": "b"}, presence_penalty=1, cool_new_member=True)
    assert body == told()[0]
    assert changes == [
        "without cool_new_member",
        "without metadata",
        "without presence_penalty",
        "without seed",
    ]
