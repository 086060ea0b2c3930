"""Routers that share one PostgreSQL: what one keeps the other continues, and nobody ends what another one works on."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.e2e.conftest import StartRouter, routed_to
from tests.e2e.router_process import RouterProcess, async_sdk
from tests.fakes.postgres_server import PostgresServer
from tests.fakes.provider import PAUSE, FakeProvider, StreamSteps, sse_chunk

pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")

VARIABLE = "LLMROUTER_TEST_STATE"


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    started = PostgresServer()
    started.start()
    yield started
    started.remove()


def sdk(router: RouterProcess) -> openai.AsyncOpenAI:
    """A client of one of several routers."""
    return async_sdk(base_url=router.api_url, api_key="key-of-the-app")


@pytest.mark.parametrize("place", ["url", "url_env"])
async def test_what_one_router_keeps_the_other_continues(
    start_router: StartRouter,
    fake: FakeProvider,
    server: PostgresServer,
    place: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An assistant, its run and a chain of responses, begun at one router and gone on with at another."""
    # Callers are told apart by a hash under a secret, which routers in folders of their own must share.
    monkeypatch.setenv("LLMROUTER_CACHE_SECRET", "secret-of-both")
    monkeypatch.setenv(VARIABLE, server.url)
    storage = {"url": server.url} if place == "url" else {"url_env": VARIABLE}
    config = routed_to(fake) | {"storage": storage}
    one, other = await start_router(config), await start_router(config)
    async with sdk(one) as here, sdk(other) as there:
        assistant = await here.beta.assistants.create(model="gpt-4o", instructions="be kind")
        thread = await there.beta.threads.create(messages=[{"role": "user", "content": "ping"}])
        run = await here.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
        seen = await there.beta.threads.runs.retrieve(run.id, thread_id=thread.id)
        assert (run.status, seen.status) == ("completed", "completed")

        first = await here.responses.create(model="gpt-4o", input="ping")
        await there.responses.create(model="gpt-4o", input="again", previous_response_id=first.id)
    said = [message["content"] for message in json.loads(fake.requests[-1].body)["messages"]]
    assert said == ["ping", "hello there", "again"]


async def test_nobody_ends_what_another_router_works_on(
    start_router: StartRouter, fake: FakeProvider, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second router that starts leaves runs of the first alone, and ends them once the first is killed."""
    monkeypatch.setenv("LLMROUTER_CACHE_SECRET", "secret-of-both")
    slow, slower = (StreamSteps([sse_chunk("begun "), PAUSE]) for _ in range(2))
    fake.script(slow, slower)
    config = routed_to(fake) | {"storage": {"url": server.url}}
    thread: Any = {"messages": [{"role": "user", "content": "ping"}]}
    one = await start_router(config)
    async with sdk(one) as here:
        assistant = await here.beta.assistants.create(model="gpt-4o")
        run = await here.beta.threads.create_and_run(assistant_id=assistant.id, thread=thread)
        await slow.reached.wait()
        response = await here.responses.create(model="gpt-4o", input="ping", background=True)
        await slower.reached.wait()
        other = await start_router(config)
        async with sdk(other) as there:
            runs = there.beta.threads.runs
            assert (await runs.retrieve(run.id, thread_id=run.thread_id)).status == "in_progress"
            # Only who makes a response knows that it has begun.
            assert (await there.responses.retrieve(response.id)).status in ("queued", "in_progress")
            with pytest.raises(openai.ConflictError):
                await runs.create(run.thread_id, assistant_id=assistant.id)

            one.process.kill()
            await asyncio.to_thread(one.process.wait)
            async with asyncio.timeout(30):
                ended = await runs.poll(run_id=run.id, thread_id=run.thread_id)
            assert (ended.status, ended.last_error is not None) == ("failed", True)
            # What is left of responses is ended before what is left of runs.
            assert (await there.responses.retrieve(response.id)).status == "failed"
            again = await runs.create_and_poll(thread_id=run.thread_id, assistant_id=assistant.id)
            assert again.status == "completed"
