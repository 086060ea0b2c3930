"""What a run asks of the model: overrides, limits of tokens, and a thread that does not fit."""

from typing import Any

import pytest

from llmrouter.errors import RelayedError
from llmrouter.replies import Usage
from tests.assisting.world import WEATHER, World, call, says

# The SDK still has the API that OpenAI shut down, and says so at each use.
pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")


async def _run(world: World, thread: str, assistant: str, **options: Any) -> Any:
    return await world.client.beta.threads.runs.create_and_poll(
        thread_id=thread, assistant_id=assistant, poll_interval_ms=1, **options
    )


async def test_a_run_overrides_its_assistant(world: World) -> None:
    assistant = await world.assistant(instructions="A", tools=[WEATHER], temperature=0.1, metadata={"of": "assistant"})
    thread = await world.thread("ping")
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}
    run = await _run(
        world,
        thread,
        assistant,
        model="gpt-4o-mini",
        instructions="B",
        additional_instructions="C",
        additional_messages=[{"role": "user", "content": "more"}],
        temperature=0.3,
        top_p=0.9,
        reasoning_effort="high",
        response_format=form,
        tool_choice={"type": "function", "function": {"name": "weather"}},
        parallel_tool_calls=False,
        metadata={"of": "run"},
    )
    assert (run.model, run.instructions, run.metadata) == ("gpt-4o-mini", "B\nC", {"of": "run"})
    body = world.model.bodies[0]
    assert body == {
        "model": "gpt-4o-mini",
        "messages": [
            {"role": "system", "content": "B\nC"},
            {"role": "user", "content": "ping"},
            {"role": "user", "content": "more"},
        ],
        "tools": [WEATHER],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "parallel_tool_calls": False,
        "response_format": form,
        "temperature": 0.3,
        "top_p": 0.9,
        "reasoning_effort": "high",
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert world.model.calls[0].include_usage


async def test_a_forced_call_is_forced_once(world: World) -> None:
    assistant, thread = await world.assistant(tools=[WEATHER]), await world.thread("ping")
    world.model.script.append(says(call(0, "call_a", "weather", "{}")))
    run = await _run(world, thread, assistant, tool_choice="required")
    await world.client.beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=run.id,
        thread_id=thread,
        tool_outputs=[{"tool_call_id": "call_a", "output": "sun"}],
        poll_interval_ms=1,
    )
    assert [body.get("tool_choice") for body in world.model.bodies] == ["required", None]


async def test_an_answer_that_is_cut_off_is_incomplete(world: World) -> None:
    assistant, thread = await world.assistant(), await world.thread("ping")
    world.model.script.append(says("po", finish_reason="length"))
    run = await _run(world, thread, assistant, max_completion_tokens=300)
    assert (run.status, run.incomplete_details.reason) == ("incomplete", "max_completion_tokens")
    assert world.model.bodies[0]["max_completion_tokens"] == 300
    message = (await world.client.beta.threads.messages.list(thread, limit=1)).data[0]
    assert message.incomplete_details is not None and message.incomplete_details.reason == "max_tokens"
    assert message.content[0].to_dict()["text"] == {"value": "po", "annotations": []}


async def test_an_answer_that_is_filtered_is_incomplete(world: World) -> None:
    assistant, thread = await world.assistant(), await world.thread("ping")
    world.model.script.append(says("po", finish_reason="content_filter"))
    run = await _run(world, thread, assistant)
    assert (run.status, run.incomplete_details.reason) == ("incomplete", None)
    message = (await world.client.beta.threads.messages.list(thread, limit=1)).data[0]
    assert message.incomplete_details is not None and message.incomplete_details.reason == "content_filter"


async def test_tool_calls_that_are_cut_off_are_not_asked_for(world: World) -> None:
    assistant, thread = await world.assistant(tools=[WEATHER]), await world.thread("ping")
    world.model.script.append(says(call(0, "call_a", "weather", '{"ci'), finish_reason="length"))
    run = await _run(world, thread, assistant)
    assert (run.status, run.required_action) == ("incomplete", None)
    steps = await world.client.beta.threads.runs.steps.list(run.id, thread_id=thread)
    assert [step.status for step in steps.data] == ["failed"]


async def test_limits_hold_over_all_calls_of_a_run(world: World) -> None:
    assistant = await world.assistant(tools=[WEATHER])
    for limits, usage, reason in (
        ({"max_completion_tokens": 300}, Usage(10, 300), "max_completion_tokens"),
        ({"max_prompt_tokens": 300}, Usage(301, 10), "max_prompt_tokens"),
    ):
        thread = await world.thread("ping")
        world.model.script.append(says(call(0, "call_a", "weather", "{}"), usage=usage))
        run = await _run(world, thread, assistant, **limits)
        assert run.status == "requires_action"
        asked = len(world.model.calls)
        done = await world.client.beta.threads.runs.submit_tool_outputs_and_poll(
            run_id=run.id,
            thread_id=thread,
            tool_outputs=[{"tool_call_id": "call_a", "output": "sun"}],
            poll_interval_ms=1,
        )
        assert (done.status, len(world.model.calls)) == ("incomplete", asked)
        assert done.incomplete_details is not None and done.incomplete_details.reason == reason


async def test_what_is_left_of_a_limit_is_asked_for(world: World) -> None:
    assistant, thread = await world.assistant(tools=[WEATHER]), await world.thread("ping")
    world.model.script.append(says(call(0, "call_a", "weather", "{}"), usage=Usage(10, 100)))
    run = await _run(world, thread, assistant, max_completion_tokens=300)
    await world.client.beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=run.id,
        thread_id=thread,
        tool_outputs=[{"tool_call_id": "call_a", "output": "sun"}],
        poll_interval_ms=1,
    )
    assert world.model.bodies[1]["max_completion_tokens"] == 200


def _texts(body: dict[str, Any]) -> list[str]:
    return [message["content"][:7] for message in body["messages"]]


async def test_last_messages(world: World) -> None:
    assistant, thread = await world.assistant(), await world.thread("one", "two", "three", "four")
    await _run(world, thread, assistant, truncation_strategy={"type": "last_messages", "last_messages": 2})
    assert _texts(world.model.bodies[0]) == ["three", "four"]


async def test_a_prompt_over_its_limit_loses_its_middle(world: World) -> None:
    texts = [f"text {number} " + "x" * 300 for number in range(10)]
    assistant, thread = await world.assistant(instructions="Help."), await world.thread(*texts)
    await _run(world, thread, assistant, max_prompt_tokens=300)
    assert _texts(world.model.bodies[0]) == ["Help.", "text 0 ", "text 8 ", "text 9 "]
    run = await _run(world, await world.thread("x" * 3000), assistant, max_prompt_tokens=300)
    assert (run.status, run.incomplete_details.reason) == ("incomplete", "max_prompt_tokens")


async def test_a_thread_that_no_model_can_read_loses_its_middle(world: World) -> None:
    texts = [f"text {number} " + "x" * 300 for number in range(10)]
    assistant, thread = await world.assistant(), await world.thread(*texts)
    too_long = RelayedError(400, {"message": "Too long.", "code": "context_length_exceeded"})
    world.model.script.extend([too_long, too_long, says("pong")])
    run = await _run(world, thread, assistant)
    assert run.status == "completed"
    assert [len(body["messages"]) for body in world.model.bodies] == [10, 5, 2]
    assert _texts(world.model.bodies[2]) == ["text 0 ", "text 9 "]
    assert len({call.id for call in world.model.calls}) == 3

    world.model.script.extend([too_long])
    strategy = {"type": "last_messages", "last_messages": 9}
    run = await _run(world, thread, assistant, truncation_strategy=strategy)
    assert run.status == "failed", "what the client chose is what is read"
    world.model.script.extend([too_long] * 10)
    run = await _run(world, await world.thread("only one"), assistant)
    assert (run.status, run.last_error.code) == ("failed", "invalid_prompt")


async def test_calls_stay_where_they_were_when_newer_messages_were_deleted(world: World) -> None:
    assistant, thread = await world.assistant(tools=[WEATHER]), await world.thread("one", "two")
    world.model.script.extend([says(call(0, "call_a", "weather", "{}")), says("sunny")])
    run = await _run(world, thread, assistant)
    await world.client.beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=run.id,
        thread_id=thread,
        tool_outputs=[{"tool_call_id": "call_a", "output": "sun"}],
        poll_interval_ms=1,
    )
    messages = world.client.beta.threads.messages
    for message in (await messages.list(thread, limit=2)).data:
        await messages.delete(message.id, thread_id=thread)
    await messages.create(thread, role="user", content="another")
    await _run(world, thread, assistant)
    assert [one["role"] for one in world.model.bodies[2]["messages"]] == ["user", "assistant", "tool", "user"]
    assert world.model.bodies[2]["messages"][-1]["content"] == "another"
