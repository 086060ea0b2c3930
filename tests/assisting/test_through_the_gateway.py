"""Runs on a real gateway: failover before the first word, a broken stream, and a cancel that reaches the provider."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.assisting.world import World
from tests.fakes.provider import CUT, END, PAUSE, Answer, FakeProvider, Status, StreamSteps, sse_chunk
from tests.gateways import gateway, provider

# The SDK still has the API that OpenAI shut down, and says so at each use.
pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")


@pytest.fixture
async def providers() -> AsyncIterator[tuple[FakeProvider, FakeProvider]]:
    async with FakeProvider() as first, FakeProvider() as second:
        yield first, second


async def test_a_run_is_answered_by_the_next_provider(
    tmp_path: Path, providers: tuple[FakeProvider, FakeProvider]
) -> None:
    first, second = providers
    first.script(Status(503))
    second.script(Answer("pong of the second"))
    async with gateway(tmp_path, provider("first", first), provider("second", second)) as under_test:
        world = World(ask=under_test.runtime.gateway.answer)
        assistant, thread = await world.assistant(), await world.thread("ping")
        run = await world.client.beta.threads.runs.create_and_poll(
            thread_id=thread, assistant_id=assistant, poll_interval_ms=1
        )
        assert (run.status, run.model) == ("completed", "gpt-4o")
        assert run.usage is not None and run.usage.total_tokens > 0
        message = (await world.client.beta.threads.messages.list(thread, limit=1)).data[0]
        assert message.content[0].to_dict()["text"] == {"value": "pong of the second", "annotations": []}
        assert under_test.outcomes == [("first", "server_error"), ("second", "success")]


async def test_a_provider_that_breaks_off_fails_the_run(
    tmp_path: Path, providers: tuple[FakeProvider, FakeProvider]
) -> None:
    first, _ = providers
    first.script(StreamSteps([sse_chunk("po"), CUT]))
    async with gateway(tmp_path, provider("first", first)) as under_test:
        world = World(ask=under_test.runtime.gateway.answer)
        assistant, thread = await world.assistant(), await world.thread("ping")
        run = await world.client.beta.threads.runs.create_and_poll(
            thread_id=thread, assistant_id=assistant, poll_interval_ms=1
        )
        assert run.status == "failed" and run.last_error is not None
        assert run.last_error.code == "server_error"


async def test_a_cancel_closes_the_provider(tmp_path: Path, providers: tuple[FakeProvider, FakeProvider]) -> None:
    first, _ = providers
    steps = StreamSteps([sse_chunk("po"), PAUSE, END])
    first.script(steps)
    async with gateway(tmp_path, provider("first", first)) as under_test:
        world = World(ask=under_test.runtime.gateway.answer)
        assistant, thread = await world.assistant(), await world.thread("ping")
        stream = await world.client.beta.threads.runs.create(thread, assistant_id=assistant, stream=True)
        heard = []
        async for event in stream:
            heard.append(event.event)
            if event.event == "thread.message.delta":
                run = (await world.client.beta.threads.runs.list(thread)).data[0]
                await world.client.beta.threads.runs.cancel(run.id, thread_id=thread)
        assert heard[-1] == "thread.run.cancelled"
        await first.client_left.wait()
        assert under_test.outcomes == [("first", "client_gone")]
