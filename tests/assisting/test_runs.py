"""Runs, from their creation to each of their ends, through the real SDK."""

from typing import Any

import openai
import pytest

from llmrouter.errors import NoAnswer, RelayedError, StreamBroken
from llmrouter.replies import Usage
from tests.assisting.world import START, WEATHER, Hold, World, call, more, says

# The SDK still has the API that OpenAI shut down, and says so at each use.
pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")


async def test_a_run_answers_on_the_thread(world: World) -> None:
    assistant = await world.assistant(instructions="Be brief.", temperature=0.2)
    thread = await world.thread("ping")
    runs = world.client.beta.threads.runs
    run = await runs.create_and_poll(thread_id=thread, assistant_id=assistant, poll_interval_ms=1)
    assert (run.status, run.started_at, run.completed_at) == ("completed", int(START), int(START))
    assert run.usage is not None
    assert (run.usage.prompt_tokens, run.usage.completion_tokens, run.usage.total_tokens) == (10, 5, 15)
    messages = await world.client.beta.threads.messages.list(thread)
    newest = messages.data[0]
    assert [(one.role, one.content[0].text.value) for one in messages.data if one.content[0].type == "text"] == [
        ("assistant", "pong"),
        ("user", "ping"),
    ]
    assert (newest.status, newest.run_id, newest.assistant_id) == ("completed", run.id, assistant)
    assert world.model.bodies == [
        {
            "model": "gpt-4o",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "ping"}],
            "temperature": 0.2,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    ]
    steps = await runs.steps.list(run.id, thread_id=thread)
    assert [(step.type, step.status) for step in steps.data] == [("message_creation", "completed")]
    assert steps.data[0].step_details.to_dict() == {
        "type": "message_creation",
        "message_creation": {"message_id": newest.id},
    }
    assert steps.data[0].usage is not None and steps.data[0].usage.to_dict() == run.usage.to_dict()
    assert await runs.steps.retrieve(steps.data[0].id, thread_id=thread, run_id=run.id) == steps.data[0]


async def test_the_events_of_a_text_come_in_the_documented_order(world: World) -> None:
    assistant, thread = await world.assistant(), await world.thread("ping")
    world.model.script.append(says("po", "ng"))
    events = await world.raw("POST", f"/v1/threads/{thread}/runs", {"assistant_id": assistant, "stream": True})
    assert [name for name, _ in events] == [
        "thread.run.created",
        "thread.run.queued",
        "thread.run.in_progress",
        "thread.run.step.created",
        "thread.run.step.in_progress",
        "thread.message.created",
        "thread.message.in_progress",
        "thread.message.delta",
        "thread.message.delta",
        "thread.message.completed",
        "thread.run.step.completed",
        "thread.run.completed",
        "done",
    ]
    told = dict(events)
    assert told["thread.message.created"]["content"] == []
    assert told["thread.message.completed"]["content"] == [
        {"type": "text", "text": {"value": "pong", "annotations": []}}
    ]
    assert events[7][1]["delta"]["content"] == [
        {"index": 0, "type": "text", "text": {"value": "po", "annotations": []}}
    ]
    assert told["thread.run.in_progress"]["usage"] is None
    assert told["thread.run.completed"]["usage"]["total_tokens"] == 15


class Recorder(openai.AsyncAssistantEventHandler):
    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    async def on_text_done(self, text: Any) -> None:
        self.heard.append(f"text {text.value}")

    async def on_tool_call_done(self, tool_call: Any) -> None:
        self.heard.append(f"call {tool_call.function.name}({tool_call.function.arguments})")

    async def on_end(self) -> None:
        self.heard.append("end")


async def test_tool_calls_through_the_sdks_event_handler(world: World) -> None:
    assistant = await world.assistant(tools=[WEATHER])
    thread = await world.thread("how is the weather in Rome and Oslo?")
    world.model.script.append(
        says(
            "Let me ",
            "look.",
            call(0, "call_a", "weather", '{"city"'),
            more(0, ':"Rome"}'),
            call(1, "call_b", "weather", ""),
            more(1, '{"city":"Oslo"}'),
            finish_reason="tool_calls",
        )
    )
    handler = Recorder()
    runs = world.client.beta.threads.runs
    async with runs.stream(thread_id=thread, assistant_id=assistant, event_handler=handler) as stream:
        await stream.until_done()
    run = await handler.get_final_run()
    assert run.status == "requires_action" and run.usage is None and run.required_action is not None
    asked = run.required_action.submit_tool_outputs.tool_calls
    assert [(one.id, one.function.name, one.function.arguments) for one in asked] == [
        ("call_a", "weather", '{"city":"Rome"}'),
        ("call_b", "weather", '{"city":"Oslo"}'),
    ]
    assert handler.heard[:2] == ["text Let me look.", 'call weather({"city":"Rome"})']
    assert handler.heard[-1] == "end"
    step = (await handler.get_final_run_steps())[-1]
    assert step.step_details.type == "tool_calls"
    assert [one.function.to_dict() for one in step.step_details.tool_calls if one.type == "function"] == [
        {"name": "weather", "arguments": '{"city":"Rome"}', "output": None},
        {"name": "weather", "arguments": '{"city":"Oslo"}', "output": None},
    ]

    world.model.script.append(says("Sunny and snowy.", usage=Usage(20, 7)))
    answered = Recorder()
    outputs = [{"tool_call_id": "call_b", "output": "snow"}, {"tool_call_id": "call_a", "output": "sun"}]
    async with runs.submit_tool_outputs_stream(
        run_id=run.id,
        thread_id=thread,
        tool_outputs=outputs,  # type: ignore[arg-type] # a list of dicts is what apps pass
        event_handler=answered,
    ) as stream:
        await stream.until_done()
    done = await answered.get_final_run()
    assert (done.status, done.required_action) == ("completed", None)
    assert done.usage is not None and done.usage.total_tokens == 42
    assert [part async for part in _texts(answered)] == ["Sunny and snowy."]
    assert world.model.bodies[1]["messages"] == [
        {"role": "user", "content": "how is the weather in Rome and Oslo?"},
        {
            "role": "assistant",
            "content": "Let me look.",
            "tool_calls": [
                {"id": "call_a", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}},
                {"id": "call_b", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}},
            ],
        },
        {"role": "tool", "tool_call_id": "call_a", "content": "sun"},
        {"role": "tool", "tool_call_id": "call_b", "content": "snow"},
    ]
    steps = (await runs.steps.list(run.id, thread_id=thread, order="asc")).data
    assert [(one.type, one.status) for one in steps] == [
        ("message_creation", "completed"),
        ("tool_calls", "completed"),
        ("message_creation", "completed"),
    ]
    calls = steps[1].step_details
    assert calls.type == "tool_calls"
    assert [one.function.output for one in calls.tool_calls if one.type == "function"] == ["sun", "snow"]

    await runs.create_and_poll(thread_id=thread, assistant_id=assistant, poll_interval_ms=1)
    roles = [message["role"] for message in world.model.bodies[2]["messages"]]
    assert roles == ["user", "assistant", "tool", "tool", "assistant"], "later runs read the calls of earlier ones"


async def _texts(handler: openai.AsyncAssistantEventHandler) -> Any:
    for message in await handler.get_final_messages():
        for part in message.content:
            if part.type == "text":
                yield part.text.value


async def test_the_events_of_tool_calls_come_in_the_documented_order(world: World) -> None:
    assistant, thread = await world.assistant(tools=[WEATHER]), await world.thread("weather?")
    world.model.script.append(says("\n", call(0, "call_a", "weather", "{}"), finish_reason="tool_calls"))
    path = f"/v1/threads/{thread}/runs"
    events = await world.raw("POST", path, {"assistant_id": assistant, "stream": True})
    assert [name for name, _ in events] == [
        "thread.run.created",
        "thread.run.queued",
        "thread.run.in_progress",
        "thread.run.step.created",
        "thread.run.step.in_progress",
        "thread.run.step.delta",
        "thread.run.requires_action",
        "done",
    ]
    run_id = events[0][1]["id"]
    body = {"tool_outputs": [{"tool_call_id": "call_a", "output": "sun"}], "stream": True}
    events = await world.raw("POST", f"{path}/{run_id}/submit_tool_outputs", body)
    assert [name for name, _ in events][:6] == [
        "thread.run.step.completed",
        "thread.run.queued",
        "thread.run.in_progress",
        "thread.run.step.created",
        "thread.run.step.in_progress",
        "thread.message.created",
    ]
    assert events[0][1]["usage"]["total_tokens"] == 15


async def test_create_and_run_begins_with_the_thread(world: World) -> None:
    assistant = await world.assistant()
    thread = {"messages": [{"role": "user", "content": "ping"}], "metadata": {"a": "b"}}
    events = await world.raw("POST", "/v1/threads/runs", {"assistant_id": assistant, "thread": thread, "stream": True})
    assert [name for name, _ in events][:2] == ["thread.created", "thread.run.created"]
    assert events[0][1]["metadata"] == {"a": "b"}
    assert events[-2][1]["thread_id"] == events[0][1]["id"]
    run = await world.client.beta.threads.create_and_run_poll(assistant_id=assistant, poll_interval_ms=1)
    assert run.status == "failed" and run.last_error is not None, "there is nothing to answer"
    assert run.last_error.code == "invalid_prompt"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NoAnswer("All rest.", rate_limited=True), "rate_limit_exceeded"),
        (NoAnswer("All failed."), "server_error"),
        (RelayedError(400, {"message": "No such thing."}), "invalid_prompt"),
        (RuntimeError("a defect"), "server_error"),
    ],
)
async def test_a_run_that_nobody_answers_fails(world: World, error: Exception, code: str) -> None:
    assistant, thread = await world.assistant(), await world.thread("ping")
    world.model.script.append(error)
    events = await world.raw("POST", f"/v1/threads/{thread}/runs", {"assistant_id": assistant, "stream": True})
    assert [name for name, _ in events][-2:] == ["thread.run.failed", "done"]
    assert events[-2][1]["last_error"]["code"] == code
    again = await world.client.beta.threads.runs.create_and_poll(
        thread_id=thread, assistant_id=assistant, poll_interval_ms=1
    )
    assert again.status == "completed", "the thread is free"


async def test_a_stream_that_breaks_fails_the_run_and_what_it_wrote(world: World) -> None:
    assistant, thread = await world.assistant(), await world.thread("ping")
    world.model.script.append(says("po", StreamBroken("The answer broke off.")))
    events = await world.raw("POST", f"/v1/threads/{thread}/runs", {"assistant_id": assistant, "stream": True})
    assert [name for name, _ in events][-4:] == [
        "thread.message.incomplete",
        "thread.run.step.failed",
        "thread.run.failed",
        "done",
    ]
    message = events[-4][1]
    assert message["incomplete_details"] == {"reason": "run_failed"}
    assert message["content"][0]["text"]["value"] == "po"
    assert events[-2][1]["usage"] is None, "what it used is not known"


async def test_a_run_goes_on_when_its_client_has_left(world: World) -> None:
    assistant, thread = await world.assistant(), await world.thread("ping")
    hold = Hold()
    world.model.script.append(says("po", hold, "ng"))
    stream = await world.client.beta.threads.runs.create(thread_id=thread, assistant_id=assistant, stream=True)
    run_id = ""
    async for event in stream:
        if event.event == "thread.run.created":
            run_id = event.data.id
        if event.event == "thread.message.delta":
            break
    await stream.close()
    hold.go_on.set()
    assert (await world.at_rest(thread, run_id)).status == "completed"
    newest = (await world.client.beta.threads.messages.list(thread, limit=1)).data[0]
    assert newest.content[0].to_dict()["text"] == {"value": "pong", "annotations": []}


async def test_a_run_that_works_is_cancelled_and_its_provider_is_closed(world: World) -> None:
    assistant, thread = await world.assistant(), await world.thread("ping")
    hold = Hold()
    world.model.script.append(says("po", hold))
    runs = world.client.beta.threads.runs
    run = await runs.create(thread_id=thread, assistant_id=assistant)
    await hold.reached.wait()
    assert (await runs.cancel(run.id, thread_id=thread)).status == "cancelling"
    await hold.closed.wait()
    after = await world.at_rest(thread, run.id)
    assert (after.status, after.cancelled_at) == ("cancelled", int(START))
    newest = (await world.client.beta.threads.messages.list(thread, limit=1)).data[0]
    assert newest.status == "incomplete" and newest.incomplete_details is not None
    assert newest.incomplete_details.reason == "run_cancelled"
    steps = (await runs.steps.list(run.id, thread_id=thread)).data
    assert [step.status for step in steps] == ["cancelled"]
    with pytest.raises(openai.BadRequestError, match="Cannot cancel run with status 'cancelled'"):
        await runs.cancel(run.id, thread_id=thread)


async def test_a_client_that_streams_hears_of_the_cancel(world: World) -> None:
    assistant, thread = await world.assistant(), await world.thread("ping")
    hold = Hold()
    world.model.script.append(says("po", hold))
    heard = []
    stream = await world.client.beta.threads.runs.create(thread_id=thread, assistant_id=assistant, stream=True)
    async for event in stream:
        heard.append(event.event)
        if event.event == "thread.message.delta":
            await _cancel_active(world, thread)
    assert heard[-4:] == [
        "thread.run.cancelling",
        "thread.message.incomplete",
        "thread.run.step.cancelled",
        "thread.run.cancelled",
    ]


async def _cancel_active(world: World, thread: str) -> None:
    run = (await world.client.beta.threads.runs.list(thread, limit=1)).data[0]
    await world.client.beta.threads.runs.cancel(run.id, thread_id=thread)
