"""How hard Anthropic's models are told to think, and their signed thinking brought back."""

import json
from typing import Any

import pytest

from llmrouter.providers.anthropic import translate
from llmrouter.providers.turn_memory import TurnMemory
from tests.providers.test_anthropic_requests import (
    ALWAYS,
    BUDGET,
    LEVEL,
    OLD,
    WEATHER,
    assistant,
    body_of,
    job_of,
    result,
    text,
    told,
    untold,
    use,
    user,
)

ADAPTIVE = {"type": "adaptive", "display": "summarized"}
SIGNED = {"type": "thinking", "thinking": " Höm…\n", "signature": "c2ln"}
REDACTED = {"type": "redacted_thinking", "data": "b3BhcXVl"}


def use_block(id: str = "t1") -> dict[str, Any]:
    return {"type": "tool_use", "id": id, "name": "weather", "input": {}}


@pytest.mark.parametrize(
    ("asked", "level", "changes"),
    [
        ("minimal", "low", ["reasoning_effort minimal as low"]),
        ("low", "low", []),
        ("medium", "medium", []),
        ("xhigh", "xhigh", []),
        ("max", "max", []),
    ],
)
def test_levels(asked: str, level: str, changes: list[str]) -> None:
    for model in (LEVEL, ALWAYS):
        body, changed = told(model, reasoning_effort=asked)
        assert (body["thinking"], body["output_config"], changed) == (ADAPTIVE, {"effort": level}, changes)


def test_no_reasoning() -> None:
    assert told(LEVEL, reasoning_effort="none")[0]["thinking"] == {"type": "disabled"}
    assert told(BUDGET, reasoning_effort="none") == told(BUDGET)
    assert told(OLD, reasoning_effort="none") == told(OLD)
    body, changes = told(ALWAYS, reasoning_effort="none")
    assert (body["output_config"], changes) == ({"effort": "low"}, ["reasoning_effort none as low"])


def test_budgets_fit_below_the_limit() -> None:
    def budget(**members: Any) -> tuple[Any, list[str]]:
        body, changes = told(BUDGET, **members)
        return body.get("thinking"), changes

    assert budget(reasoning_effort="high") == ({"type": "enabled", "budget_tokens": 4096}, [])
    assert budget(reasoning_effort="high", max_tokens=4097) == ({"type": "enabled", "budget_tokens": 4096}, [])
    lowered = ["reasoning_effort high as 2000 tokens"]
    assert budget(reasoning_effort="high", max_tokens=4000) == ({"type": "enabled", "budget_tokens": 2000}, lowered)
    lowest = ["reasoning_effort low as 1024 tokens"]
    assert budget(reasoning_effort="low", max_tokens=1024) == (None, ["without reasoning_effort"])
    assert budget(reasoning_effort="medium", max_tokens=1025)[0] == {"type": "enabled", "budget_tokens": 1024}
    assert budget(reasoning_effort="medium", max_tokens=1025)[1] != lowest


def test_efforts_that_are_not_said() -> None:
    assert told(OLD, reasoning_effort="high") == (told(OLD)[0], ["without reasoning_effort"])
    assert told(reasoning_effort="high", unsupported=["reasoning_effort"])[1] == ["without reasoning_effort"]
    assert untold(reasoning_effort="huge")
    assert untold(reasoning_effort=7)


def test_the_names_of_members_are_known() -> None:
    members = translate(job_of(reasoning_effort="high")).members
    assert members["thinking"] == members["output_config"] == members["output_config.effort"] == "reasoning_effort"
    assert translate(job_of(BUDGET, reasoning_effort="high")).members["budget_tokens"] == "reasoning_effort"


def answered(blocks: list[Any], memory: TurnMemory, model: str = LEVEL, **members: Any) -> dict[str, Any]:
    """The message of an answer with these blocks, as the client gets it."""
    job = job_of(model, memory, tools=[WEATHER], messages=[user("hi")], **members)
    reply = {"type": "message", "role": "assistant", "content": blocks, "stop_reason": "tool_use"}
    data = translate(job).read_reply(json.dumps(reply).encode()).data
    message: dict[str, Any] = json.loads(data)["choices"][0]["message"]
    return {name: value for name, value in message.items() if value is not None}


def brought_back(blocks: list[Any], change: Any = None, model: str = LEVEL, **members: Any) -> list[Any]:
    """The blocks of the assistant's turn in the request that follows an answer with these blocks."""
    memory = TurnMemory()
    message = answered(blocks, memory, model, **members)
    if change:
        change(message)
    results = [result("sunny", call["id"]) for call in message["tool_calls"]]
    messages = [user("hi"), message, *results]
    body = body_of(translate(job_of(model, memory, tools=[WEATHER], messages=messages, **members)))
    blocks_told: list[Any] = body["messages"][1]["content"]
    return blocks_told


@pytest.mark.parametrize(
    "blocks",
    [
        [SIGNED, use_block()],
        [SIGNED, text("Let me look. "), use_block()],
        [REDACTED, SIGNED, use_block("a"), use_block("b")],
        [SIGNED, text("One"), SIGNED, use_block("a"), REDACTED, text("two"), use_block("b")],
        [{**SIGNED, "thinking": ""}, use_block()],
    ],
)
def test_signed_thinking_is_brought_back_in_its_place(blocks: list[Any]) -> None:
    for model in (LEVEL, ALWAYS):
        assert brought_back(blocks, model=model) == blocks
    assert brought_back(blocks, model=BUDGET, reasoning_effort="low") == blocks


def test_a_turn_that_the_client_changed_begins_with_its_thinking() -> None:
    def shorten(message: dict[str, Any]) -> None:
        message["content"] = "Else"

    blocks = [SIGNED, text("One"), use_block("a"), REDACTED, use_block("b")]
    assert brought_back(blocks, shorten) == [SIGNED, REDACTED, text("Else"), use_block("a"), use_block("b")]


def test_thinking_that_must_not_come_back() -> None:
    assert brought_back([SIGNED, use_block()], reasoning_effort="none") == [use_block()]
    assert brought_back([SIGNED, use_block()], model=BUDGET) == [use_block()]


def test_thinking_without_signature_is_not_kept() -> None:
    assert brought_back([{"type": "thinking", "thinking": "hm"}, use_block()]) == [use_block()]


def test_a_budget_is_not_told_in_a_turn_whose_thinking_is_gone() -> None:
    turn = [user("hi"), assistant(None, use()), result("1")]
    body, changes = told(BUDGET, reasoning_effort="high", messages=turn, tools=[WEATHER])
    assert "thinking" not in body
    assert changes == ["without reasoning_effort"]
    for messages in ([*turn, assistant("sunny"), user("thanks")],):
        assert "thinking" in told(BUDGET, reasoning_effort="high", messages=messages, tools=[WEATHER])[0]
    assert "thinking" in told(LEVEL, reasoning_effort="high", messages=turn, tools=[WEATHER])[0]
