"""Too much to do, and the end, in the real router: what is under way goes on, and everybody else is told at once."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import StartRouter, routed_to
from tests.e2e.router_process import RouterProcess
from tests.fakes.provider import DONE, PAUSE, FakeProvider, StreamSteps, sse_chunk

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "ping"}]}
CHAT, RESPONSES = "chat/completions", "responses"


def halting_stream() -> StreamSteps:
    return StreamSteps([sse_chunk("hello"), PAUSE, sse_chunk(" there"), sse_chunk(finish="stop"), DONE])


def config_of(fake: FakeProvider, folder: Any, **settings: Any) -> dict[str, Any]:
    return routed_to(fake) | {"storage": {"url": f"sqlite:///{folder}/llmrouter.db"}} | settings


@asynccontextmanager
async def app(router: RouterProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=router.api_url, trust_env=False, timeout=20) as client:
        yield client


@asynccontextmanager
async def begun_stream(client: httpx.AsyncClient) -> AsyncIterator[AsyncIterator[str]]:
    """A stream whose first words have come; all that follows is told by the iterator."""
    async with client.stream("POST", CHAT, json=BODY | {"stream": True}) as reply:
        lines = reply.aiter_lines()
        async for line in lines:
            if "hello" in line:
                break
        yield lines


async def rest_of(lines: AsyncIterator[str]) -> str:
    return "\n".join([line async for line in lines])


async def figure(client: httpx.AsyncClient, name: str) -> float:
    metrics = (await client.get(str(client.base_url).replace("/v1/", "/llmrouter/metrics"))).text
    (line,) = [line for line in metrics.splitlines() if line.startswith(f'llmrouter_overload{{figure="{name}"}}')]
    return float(line.split()[-1])


async def until_free(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(10):
        while await figure(client, "calls") or await figure(client, "held_bytes"):  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0)


async def exit_code(router: RouterProcess) -> int:
    return await asyncio.to_thread(router.process.wait, 15)


async def test_the_first_signal_lets_everything_finish(
    start_router: StartRouter, fake: FakeProvider, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream and a response in the background end well; new requests are told to come again; then the exit is 0."""
    monkeypatch.setenv("LLMROUTER_CACHE_SECRET", "of the test")
    config = config_of(fake, tmp_path)
    router = await start_router(config)
    streaming, background = halting_stream(), halting_stream()
    async with app(router) as client, app(router) as idle:
        fake.script(background)
        made = (await client.post(RESPONSES, json={"model": "gpt-4o", "input": "x", "background": True})).json()
        await background.reached.wait()
        fake.script(streaming)
        async with begun_stream(client) as lines:
            assert (await idle.get("models")).status_code == 200
            router.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(router.wait_for_log, "The router ends:", "under way")

            refused = await idle.post(CHAT, json=BODY)
            assert refused.status_code == 503
            assert refused.json()["error"]["code"] == "shutting_down"
            assert refused.headers["connection"] == "close"
            assert refused.headers["retry-after"] == "5"
            assert refused.headers["x-should-retry"] == "true"
            with pytest.raises(httpx.ConnectError):
                await idle.post(CHAT, json=BODY)

            streaming.resume.set()
            told = await rest_of(lines)
        assert " there" in told
        assert told.rstrip().endswith("data: [DONE]")
        assert router.process.poll() is None
        background.resume.set()
    assert await exit_code(router) == 0
    assert "Traceback" not in "\n".join(router.log)
    kinds = [(one["endpoint"], one["result"]) for one in router.decisions(3)]
    assert sorted(kinds) == [
        ("chat.completions", "answered"),
        ("chat.completions", "failed"),
        ("responses", "answered"),
    ]
    assert len(fake.requests) == 2

    async with app(await start_router(config)) as client:
        kept = (await client.get(f"{RESPONSES}/{made['id']}")).json()
        totals = (await client.get(str(client.base_url).replace("/v1/", "/llmrouter/api/status"))).json()
    assert kept["status"] == "completed"
    assert totals["overload"]["calls"] == 0


async def test_what_is_too_much_is_refused_and_a_second_signal_ends_at_once(
    start_router: StartRouter, fake: FakeProvider, tmp_path: Any
) -> None:
    """One call and one MiB at most; hang-ups free their share; then an end that waits for nobody."""
    limits = {"max_calls": 1, "max_held_mebibytes": 1}
    router = await start_router(config_of(fake, tmp_path, overload=limits))
    async with app(router) as client:
        await refuse_a_second_call(client, fake)
        await until_free(client)
        await refuse_beside_a_background_run(client, fake)
        await until_free(client)
        await refuse_too_many_bytes(client, router)
        await until_free(client)
        assert (await client.post(CHAT, json=BODY)).status_code == 200

        fake.script(stuck := halting_stream())
        async with begun_stream(client) as lines:
            router.process.send_signal(signal.SIGINT)
            await asyncio.to_thread(router.wait_for_log, "The router ends:", "under way")
            router.process.send_signal(signal.SIGTERM)
            with pytest.raises(httpx.RemoteProtocolError):
                await rest_of(lines)
        assert await exit_code(router) == 0
        await asyncio.wait_for(stuck.client_left.wait(), 10)
    assert "Traceback" not in "\n".join(router.log)
    decisions = router.decisions(8)
    stopped = [one for one in decisions if one["error"] == "The router was stopped."]
    assert [(one["result"], one["status"]) for one in stopped] == [("broken", 200)]
    refused = [one for one in decisions if one["error"] is not None and "too much to do" in one["error"]]
    assert [(one["endpoint"], one["status"]) for one in refused] == [
        ("chat.completions", 503),
        ("responses", 503),
        *[("chat.completions", 503)] * 3,
    ]


async def refuse_a_second_call(client: httpx.AsyncClient, fake: FakeProvider) -> None:
    """While one stream is under way neither a chat nor a response is taken on; the pages are."""
    fake.script(stuck := halting_stream())
    async with begun_stream(client):
        assert await figure(client, "calls") == await figure(client, "max_calls") == 1
        for path, body in ((CHAT, BODY), (RESPONSES, {"model": "gpt-4o", "input": "x", "background": True})):
            refused = await client.post(path, json=body)
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
            assert refused.headers["x-should-retry"] == "true"
            assert 1 <= int(refused.headers["retry-after"]) <= 5
        assert (await client.get("models")).status_code == 200
    await asyncio.wait_for(stuck.client_left.wait(), 10)


async def refuse_beside_a_background_run(client: httpx.AsyncClient, fake: FakeProvider) -> None:
    """A response whose client is gone takes its part until it is cancelled."""
    fake.script(stuck := halting_stream())
    made = (await client.post(RESPONSES, json={"model": "gpt-4o", "input": "x", "background": True})).json()
    await stuck.reached.wait()
    assert (await client.post(CHAT, json=BODY)).json()["error"]["code"] == "overloaded"
    assert (await client.post(f"{RESPONSES}/{made['id']}/cancel")).json()["status"] == "cancelled"


async def refuse_too_many_bytes(client: httpx.AsyncClient, router: RouterProcess) -> None:
    """A body that still comes in counts: the next one is refused by its length, or as soon as it is too much."""
    reader, writer = await asyncio.open_connection("127.0.0.1", router.api_port)
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    writer.write(head + b"Content-Length: 900000\r\n\r\n" + b" " * 800_000)
    async with asyncio.timeout(10):
        while await figure(client, "held_bytes") < 800_000:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
    large = json.dumps(BODY | {"padding": "x" * 300_000}).encode()

    async def in_pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(large), 100_000):
            yield large[start : start + 100_000]

    for content in (large, in_pieces()):
        refused = await client.post(CHAT, content=content, headers={"content-type": "application/json"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
    assert await figure(client, "refused_bodies") == 2
    writer.close()
    await writer.wait_closed()
    assert not reader.at_eof() or await reader.read() == b""
