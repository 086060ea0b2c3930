"""Runs under stress, through the real proxy: many at once, clients that leave, a stopped router, bad requests."""

import asyncio
import json
import time
from typing import Any

import httpx
import pytest
from openai import AsyncAssistantEventHandler, AsyncOpenAI

from tests.e2e.conftest import StartRouter, routed_to
from tests.e2e.router_process import RouterProcess, app_environment, async_sdk
from tests.fakes.provider import END, PAUSE, FakeProvider, Stall, StreamSteps, sse, sse_chunk

pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")

WEATHER: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
PING: Any = {"messages": [{"role": "user", "content": "ping"}]}


@pytest.fixture
async def router(start_router: StartRouter, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> Any:
    started = await start_router(routed_to(fake))
    with app_environment(started, monkeypatch):
        yield started


class Heard(AsyncAssistantEventHandler):
    """What the SDK's own handler hears of a run."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    async def on_text_delta(self, delta: Any, snapshot: Any) -> None:
        self.text += delta.value


async def test_outputs_of_tools_are_answered_by_a_stream(router: RouterProcess, fake: FakeProvider) -> None:
    """`create_and_run_stream` to the call of a tool, and `submit_tool_outputs_stream` to the end."""
    fake.script(
        StreamSteps([sse_chunk(delta={"tool_calls": [CALL]}), sse_chunk(finish="tool_calls"), sse("[DONE]"), END])
    )
    async with async_sdk() as client:
        assistant = await client.beta.assistants.create(model="gpt-4o", tools=[WEATHER])
        async with client.beta.threads.create_and_run_stream(assistant_id=assistant.id, thread=PING) as stream:
            await stream.until_done()
            run = stream.current_run
        assert run is not None
        assert run.status == "requires_action"
        heard = Heard()
        async with client.beta.threads.runs.submit_tool_outputs_stream(
            run_id=run.id,
            thread_id=run.thread_id,
            tool_outputs=[{"tool_call_id": "call_1", "output": "sunny"}],
            event_handler=heard,
        ) as stream_of_outputs:
            await stream_of_outputs.until_done()
        assert heard.text == "hello there"
        assert heard.current_run is not None
        assert heard.current_run.status == "completed"
        steps = [step.type async for step in client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id)]
        assert sorted(steps) == ["message_creation", "tool_calls"]


async def test_fifty_runs_at_once(router: RouterProcess, fake: FakeProvider) -> None:
    """Every thread gets its own answer, once."""
    async with async_sdk() as client:
        assistant = await client.beta.assistants.create(model="gpt-4o")

        async def one(number: int) -> tuple[str, list[str]]:
            thread: Any = {"messages": [{"role": "user", "content": f"ping {number}"}]}
            run = await client.beta.threads.create_and_run_poll(assistant_id=assistant.id, thread=thread)
            found = client.beta.threads.messages.list(run.thread_id, order="asc")
            return run.status, [message.content[0].text.value async for message in found]  # type: ignore[union-attr]

        told = await asyncio.gather(*map(one, range(50)))

    assert told == [("completed", [f"ping {number}", "hello there"]) for number in range(50)]
    assert len(fake.requests) == 50


async def test_a_run_goes_on_when_its_listener_leaves(router: RouterProcess, fake: FakeProvider) -> None:
    """The answer is on the thread, although nobody heard its end."""
    steps = StreamSteps([sse_chunk("one "), PAUSE, sse_chunk("two"), sse_chunk(finish="stop"), sse("[DONE]"), END])
    fake.script(steps)
    async with async_sdk() as client:
        assistant = await client.beta.assistants.create(model="gpt-4o")
        thread = await client.beta.threads.create(**PING)
        stream = await client.beta.threads.runs.create(thread.id, assistant_id=assistant.id, stream=True)
        async for event in stream:
            if event.event == "thread.message.delta":
                break
        await stream.close()
        [run] = (await client.beta.threads.runs.list(thread.id)).data
        steps.resume.set()
        ended = await client.beta.threads.runs.poll(run.id, thread_id=thread.id)
        [answer, _] = (await client.beta.threads.messages.list(thread.id)).data

    assert ended.status == "completed"
    assert answer.content[0].text.value == "one two"  # type: ignore[union-attr]


async def test_a_stop_ends_all_runs_within_seconds(router: RouterProcess, fake: FakeProvider) -> None:
    """SIGTERM while runs are answered, streamed or waited for: no traceback, and what they were is told after it."""
    stalls = [Stall(after_headers=bool(number % 2)) for number in range(10)]
    fake.script(*stalls)
    async with async_sdk() as client:
        assistant = await client.beta.assistants.create(model="gpt-4o")
        runs = await asyncio.gather(
            *(client.beta.threads.create_and_run(assistant_id=assistant.id, thread=PING) for _ in range(9))
        )
        listening = asyncio.ensure_future(_listen(client, assistant.id))
        await asyncio.gather(*(stall.reached.wait() for stall in stalls))
        before = time.monotonic()
        await asyncio.to_thread(router.stop)
        took_s = time.monotonic() - before
        await asyncio.gather(listening, return_exceptions=True)

    assert took_s < 6
    # Of asyncio's own: early releases of Python 3.12 print one for each connection that is open at the end.
    assert not [line for line in router.log if "llmrouter/" in line and "File " in line], "\n".join(router.log)
    again = RouterProcess(router.config_file.parent, routed_to(fake))
    try:
        await asyncio.to_thread(again.wait_until_ready)
        async with async_sdk(base_url=again.api_url) as client, asyncio.timeout(20):
            ended = [await client.beta.threads.runs.retrieve(run.id, thread_id=run.thread_id) for run in runs]
    finally:
        await asyncio.to_thread(again.stop)
    assert [run.status for run in ended] == ["failed"] * 9
    assert all(run.last_error is not None for run in ended)


async def _listen(client: AsyncOpenAI, assistant_id: str) -> None:
    async for _ in await client.beta.threads.create_and_run(assistant_id=assistant_id, thread=PING, stream=True):
        pass


async def test_large_and_foreign_texts(router: RouterProcess, fake: FakeProvider) -> None:
    """What a message says comes back and is asked as it was given."""
    async with async_sdk() as client:
        assistant = await client.beta.assistants.create(model="gpt-4o", name="Zoë 🦊", metadata={"ключ": "值"})
        found = await client.beta.assistants.retrieve(assistant.id)
        assert (found.name, found.metadata) == ("Zoë 🦊", {"ключ": "值"})
        for text in ("日本語 \u202e עברית 👩‍👩‍👧 \x00 \ud7ff end", "ü" * 200_000):
            thread = await client.beta.threads.create(messages=[{"role": "user", "content": text}])
            [message] = (await client.beta.threads.messages.list(thread.id)).data
            assert message.content[0].text.value == text  # type: ignore[union-attr]
            run = await client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
            assert run.status == "completed"
            assert json.loads(fake.requests[-1].body)["messages"][-1]["content"] == text


WRONG: list[Any] = [
    ("GET", "/threads/x/unknown", b"", 404),
    ("POST", "/threads/x/runs/y/z/w", b"{}", 404),
    ("GET", "/threads/thread_unknown", b"", 404),
    ("GET", "/threads/%00", b"", 404),
    ("GET", "/threads/%F0%9F%A6%8A", b"", 404),
    ("PUT", "/assistants", b"{}", 405),
    ("DELETE", "/threads", b"", 405),
    ("PATCH", "/threads/thread_x", b"{}", 405),
    ("GET", "/threads/runs", b"", 405),
    ("BREW", "/assistants", b"", 405),
    ("POST", "/threads", b"{", 400),
    ("POST", "/threads", b"\xff\xfe", 400),
    ("POST", "/threads", b"[]", 400),
    ("POST", "/threads", b'{"messages":' + b"[" * 100_000, 400),
    ("POST", "/threads", b'{"metadata": {"a": "\\ud800"}}', 400),
    ("POST", "/threads", b'{"messages": [{"role": "user", "content": "\\ud800"}]}', 400),
    ("POST", "/assistants", b'{"model": "gpt-4o", "temperature": NaN}', 400),
    ("POST", "/assistants", b'{"model": "gpt-4o", "tools": [{"type": "code_interpreter"}]}', 400),
    ("POST", "/assistants", b'{"model": "gpt-4o", "tools": [{"type": "file_search"}]}', 400),
    ("GET", "/assistants?limit=zero", b"", 400),
    ("GET", "/assistants?limit=99999999999999999999999", b"", 400),
    ("GET", "/assistants?after=%00", b"", 400),
]


async def test_what_is_wrong_is_told_in_openais_words(router: RouterProcess, fake: FakeProvider) -> None:
    """Each is refused by an error in OpenAI's shape, reaches nobody, and leaves no traceback."""
    told = []
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        for method, path, body, _ in WRONG:
            reply = await client.request(method, router.api_url + path, content=body)
            error = reply.json()["error"]
            assert isinstance(error["message"], str), (method, path)
            assert error["type"] == "invalid_request_error", (method, path, error)
            told.append((method, path, body[:60], reply.status_code))

    assert told == [(method, path, body[:60], status) for method, path, body, status in WRONG]
    assert fake.requests == []
    assert not [line for line in router.log if "Traceback" in line]
