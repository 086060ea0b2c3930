"""Runs that their process does not live to end, that nobody continues, and that several want to end at once."""

import asyncio
from typing import Any

import openai
import pytest

from llmrouter.assisting.listening import Listener
from llmrouter.endpoints.assistants import events
from llmrouter.errors import RouterError
from tests.assisting.world import START, WEATHER, Hold, World, call, says
from tests.fakes.state_store import FakeStateStore

# The SDK still has the API that OpenAI shut down, and says so at each use.
pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")


async def _waiting_run(world: World) -> tuple[str, str, str]:
    """Thread, run and assistant; the run waits for the output of `call_a`."""
    assistant, thread = await world.assistant(tools=[WEATHER]), await world.thread("ping")
    world.model.script.append(says(call(0, "call_a", "weather", "{}")))
    run = await world.client.beta.threads.runs.create_and_poll(
        thread_id=thread, assistant_id=assistant, poll_interval_ms=1
    )
    assert run.status == "requires_action"
    return thread, run.id, assistant


async def test_a_run_whose_process_died_is_failed_at_the_next_start(world: World) -> None:
    assistant, thread = await world.assistant(), await world.thread("ping")
    hold = Hold()
    world.model.script.append(says("po", hold))
    run = await world.client.beta.threads.runs.create(thread, assistant_id=assistant)
    await hold.reached.wait()
    after = world.kill()
    await after.assistants.recover()
    runs = after.client.beta.threads.runs
    found = await runs.retrieve(run.id, thread_id=thread)
    assert (found.status, found.failed_at) == ("failed", int(START))
    assert found.last_error is not None and found.last_error.code == "server_error"
    message = (await after.client.beta.threads.messages.list(thread, limit=1)).data[0]
    assert message.status == "incomplete" and message.incomplete_details is not None
    assert message.incomplete_details.reason == "run_failed"
    assert [step.status for step in (await runs.steps.list(run.id, thread_id=thread)).data] == ["failed"]
    again = await runs.create_and_poll(thread_id=thread, assistant_id=assistant, poll_interval_ms=1)
    assert again.status == "completed", "the thread is free"


async def test_a_run_that_died_in_the_queue_or_while_it_was_cancelled_is_failed(world: World) -> None:
    for status in ("queued", "cancelling"):
        assistant, thread = await world.assistant(), await world.thread("ping")
        hold = Hold()
        world.model.script.append(says(hold))
        run = await world.client.beta.threads.runs.create(thread, assistant_id=assistant)
        await hold.reached.wait()
        after = world.kill()
        kept = await world.store.get("Bearer key-of-the-app", "run", run.id)
        assert kept is not None
        kept.data["run"]["status"] = status
        await world.store.replace("Bearer key-of-the-app", "run", run.id, kept.data)
        await after.assistants.recover()
        found = await after.client.beta.threads.runs.retrieve(run.id, thread_id=thread)
        assert found.status == "failed" and found.last_error is not None
    assert await world.store.claims() == []


async def test_a_run_that_waits_for_outputs_survives_a_restart(world: World) -> None:
    thread, run, _ = await _waiting_run(world)
    after = world.kill()
    await after.assistants.recover()
    done = await after.client.beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=run,
        thread_id=thread,
        tool_outputs=[{"tool_call_id": "call_a", "output": "sun"}],
        poll_interval_ms=1,
    )
    assert done.status == "completed"
    assert [one["role"] for one in after.model.bodies[0]["messages"]] == ["user", "assistant", "tool"]


async def test_a_thread_whose_run_was_never_kept_or_is_over_is_freed_at_start(world: World) -> None:
    assistant, thread = await world.assistant(), await world.thread("ping")
    await world.store.claim("Bearer key-of-the-app", f"run:{thread}", "run_never_kept")
    await world.store.claim("Bearer key-of-the-app", "response:resp_1", "another surface")
    await world.kill().assistants.recover()
    run = await world.client.beta.threads.runs.create_and_poll(
        thread_id=thread, assistant_id=assistant, poll_interval_ms=1
    )
    assert run.status == "completed"
    await world.at_rest(thread, run.id)
    assert [claim.name for claim in await world.store.claims()] == ["response:resp_1"]


async def test_a_thread_whose_run_ended_without_letting_go_is_taken(world: World) -> None:
    assistant, thread = await world.assistant(), await world.thread("ping")
    runs = world.client.beta.threads.runs
    run = await runs.create_and_poll(thread_id=thread, assistant_id=assistant, poll_interval_ms=1)
    await world.at_rest(thread, run.id)
    await world.store.claim("Bearer key-of-the-app", f"run:{thread}", run.id)
    again = await runs.create_and_poll(thread_id=thread, assistant_id=assistant, poll_interval_ms=1)
    assert (again.status, again.id != run.id) == ("completed", True)


async def test_a_run_without_outputs_expires_when_it_is_looked_at(world: World) -> None:
    thread, run, assistant = await _waiting_run(world)
    runs = world.client.beta.threads.runs
    world.now += 599
    assert (await runs.retrieve(run, thread_id=thread)).status == "requires_action"
    world.now += 1
    found = await runs.retrieve(run, thread_id=thread)
    assert (found.status, found.required_action, found.expires_at) == ("expired", None, int(START) + 600)
    assert [step.status for step in (await runs.steps.list(run, thread_id=thread)).data] == ["expired"]
    with pytest.raises(openai.BadRequestError, match="do not accept tool outputs"):
        await runs.submit_tool_outputs(run, thread_id=thread, tool_outputs=[{"tool_call_id": "call_a", "output": ""}])
    assert (await runs.create(thread, assistant_id=assistant)).status == "queued"


async def test_an_overdue_run_makes_way_for_the_next(world: World) -> None:
    thread, _, assistant = await _waiting_run(world)
    world.now += 600
    runs = world.client.beta.threads.runs
    again = await runs.create_and_poll(thread_id=thread, assistant_id=assistant, poll_interval_ms=1)
    assert again.status == "completed"
    assert [one.status for one in (await runs.list(thread)).data] == ["completed", "expired"]


class _TellingStore(FakeStateStore):
    def __init__(self) -> None:
        super().__init__()
        self.released = asyncio.Event()

    async def release(self, *args: str) -> None:
        await super().release(*args)
        self.released.set()


async def test_a_timer_ends_a_run_that_nobody_looks_at() -> None:
    store = _TellingStore()
    world = World(store)
    thread, run, _ = await _waiting_run(world)
    after = world.kill()
    after.now += 600
    await after.assistants.recover()
    async with asyncio.timeout(5):
        await store.released.wait()
    kept = await world.store.get("Bearer key-of-the-app", "run", run)
    assert kept is not None and kept.data["run"]["status"] == "expired"
    assert thread == kept.parent


async def test_a_run_that_works_too_long_expires_and_its_provider_is_closed(world: World) -> None:
    assistant, thread = await world.assistant(), await world.thread("ping")
    hold = Hold()
    world.model.script.append(says("po", hold))
    run = await world.client.beta.threads.runs.create(thread, assistant_id=assistant)
    await hold.reached.wait()
    world.now += 600
    found = await world.client.beta.threads.runs.retrieve(run.id, thread_id=thread)
    assert found.status == "expired"
    assert hold.closed.is_set()


async def test_a_run_that_waits_is_cancelled(world: World) -> None:
    thread, run, _ = await _waiting_run(world)
    runs = world.client.beta.threads.runs
    assert (await runs.cancel(run, thread_id=thread)).status == "cancelling"
    found = await world.at_rest(thread, run)
    assert (found.status, found.required_action) == ("cancelled", None)
    assert [step.status for step in (await runs.steps.list(run, thread_id=thread)).data] == ["cancelled"]
    assert await world.store.claims() == []


async def test_what_another_router_cancelled_or_deleted_is_given_up(world: World) -> None:
    other = World(world.store)
    for action in ("cancel", "delete"):
        assistant, thread = await world.assistant(), await world.thread("ping")
        hold = Hold()
        world.model.script.append(says("po", hold, "ng", "pong"))
        stream = await world.client.beta.threads.runs.create(thread, assistant_id=assistant, stream=True)
        await hold.reached.wait()
        if action == "cancel":
            run = (await other.client.beta.threads.runs.list(thread)).data[0]
            await other.client.beta.threads.runs.cancel(run.id, thread_id=thread)
            await asyncio.gather(*(one for one in asyncio.all_tasks() if one.get_name() == f"run {run.id} cancel"))
            assert (await other.client.beta.threads.runs.retrieve(run.id, thread_id=thread)).status == "cancelled"
        else:
            await other.client.beta.threads.delete(thread)
        world.now += 2
        hold.go_on.set()
        heard = [event.event async for event in stream]
        assert heard.count("thread.message.delta") == 1
        assert "thread.run.completed" not in heard and "thread.message.completed" not in heard
        assert hold.closed.is_set()
        assert [one for one in await _kept(world, thread) if one.get("status") == "in_progress"] == []
    assert await _kept(world, thread) == [], "what was deleted does not come back"


async def _kept(world: World, thread: str) -> list[Any]:
    return [one.data for one in await world.store.every("Bearer key-of-the-app", "message", thread)]


async def test_of_many_who_submit_and_cancel_at_once_one_wins(world: World) -> None:
    thread, run, _ = await _waiting_run(world)
    path = f"/v1/threads/{thread}/runs/{run}"
    body = {"tool_outputs": [{"tool_call_id": "call_a", "output": "sun"}]}
    hold = Hold()
    world.model.script.append(says("po", hold))

    async def attempt(name: str, body: Any = None) -> str:
        try:
            return str((await world.raw("POST", f"{path}/{name}", body))["status"])
        except RouterError as error:
            assert error.status == 400
            return "refused"

    told = await asyncio.gather(*(attempt("submit_tool_outputs", body) for _ in range(5)))
    assert sorted(told) == ["queued", *["refused"] * 4]
    await hold.reached.wait()
    told = await asyncio.gather(*(attempt("cancel") for _ in range(3)))
    assert sorted(told) == ["cancelling", "refused", "refused"]
    assert (await world.at_rest(thread, run)).status == "cancelled"
    assert len(world.model.calls) == 2


async def test_closing_fails_what_is_under_way(world: World) -> None:
    assistant, thread = await world.assistant(), await world.thread("ping")
    hold = Hold()
    world.model.script.append(says("po", hold))
    stream = await world.client.beta.threads.runs.create(thread, assistant_id=assistant, stream=True)
    await hold.reached.wait()
    await world.assistants.close()
    assert [event.event async for event in stream][-1] == "thread.run.failed"
    assert hold.closed.is_set() and await world.store.claims() == []


class _Unreachable(RouterError):
    status = 503


class _FailingStore(FakeStateStore):
    is_failing = False

    async def replace(self, *args: Any) -> bool:
        if self.is_failing:
            raise _Unreachable("The database is away.")
        return await super().replace(*args)

    async def change(self, *args: Any) -> Any:
        if self.is_failing:
            raise _Unreachable("The database is away.")
        return await super().change(*args)


async def test_a_stream_whose_end_cannot_be_kept_ends_with_an_error() -> None:
    store = _FailingStore()
    world = World(store)
    assistant, thread = await world.assistant(), await world.thread("ping")
    hold = Hold()
    world.model.script.append(says("po", hold, "ng"))
    stream = await world.client.beta.threads.runs.create(thread, assistant_id=assistant, stream=True)
    await hold.reached.wait()
    store.is_failing = True
    hold.go_on.set()
    heard = []
    with pytest.raises(openai.APIError, match="The database is away"):
        async for event in stream:
            heard.append(event.event)
    assert "thread.run.completed" not in heard
    store.is_failing = False
    world.now += 600
    runs = await world.client.beta.threads.runs.list(thread)
    assert [run.status for run in runs.data] == ["expired"], "nothing is lost in progress"


async def test_a_slow_listener_stops_nobody_and_loses_nothing(world: World) -> None:
    assistant, thread = await world.assistant(tools=[WEATHER]), await world.thread("ping")
    pieces = [f"{number} " for number in range(1000)]
    arguments: list[Any] = [{"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in pieces]
    world.model.script.append(says(*pieces, call(0, "call_a", "weather", ""), *arguments))
    stream = await world.client.beta.threads.runs.create(thread, assistant_id=assistant, stream=True)
    run = (await world.client.beta.threads.runs.list(thread)).data[0]
    assert (await world.at_rest(thread, run.id)).status == "requires_action", "nobody has read a byte"
    heard = [event async for event in stream]
    assert len(heard) < 100
    text, called = "", ""
    for event in heard:
        if event.event == "thread.message.delta":
            for part in event.data.delta.content or ():
                text += part.text.value or "" if part.type == "text" and part.text else ""
        if event.event == "thread.run.step.delta":
            details = event.data.delta.step_details
            assert details is not None and details.type == "tool_calls"
            for one in details.tool_calls or ():
                called += one.function.arguments or "" if one.type == "function" and one.function else ""
    assert text == called == "".join(pieces)


async def test_a_listener_that_left_keeps_nothing() -> None:
    listener = Listener()
    frames = listener.frames()
    listener.put(events.message_delta("msg_1", {"index": 0, "type": "text", "text": {"value": "a"}}))
    assert b"thread.message.delta" in await anext(frames)
    await frames.aclose()
    listener.put(events.message_delta("msg_1", {"index": 0, "type": "text", "text": {"value": "b"}}))
    assert listener.waiting == 0


async def test_usage_that_is_not_known_is_not_told(world: World) -> None:
    thread, run, _ = await _waiting_run(world)
    world.model.script.append(says("pong", usage=None))
    done = await world.client.beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=run,
        thread_id=thread,
        tool_outputs=[{"tool_call_id": "call_a", "output": "sun"}],
        poll_interval_ms=1,
    )
    assert (done.status, done.usage) == ("completed", None)
