"""A defect of the router never lets a request through: it is answered with an error, and goes nowhere."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import StartRouter, routed_to
from tests.fakes.provider import FakeProvider

URL = "https://api.openai.com/v1/chat/completions"
SCRIPT = str(Path(__file__).with_name("break_the_router.py"))
BODY: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "ping"}]}


@pytest.mark.parametrize("method", ["_receive", "_answer", "parse"])
async def test_a_defect_is_answered_with_an_error(
    start_router: StartRouter,
    fake: FakeProvider,
    fake_openai: tuple[FakeProvider, tuple[str, ...]],
    monkeypatch: pytest.MonkeyPatch,
    method: str,
) -> None:
    """500 in OpenAI's shape; neither a provider nor OpenAI hears of the request; the next one is treated alike."""
    monkeypatch.setenv("BREAK_METHOD", method)
    router = await start_router(routed_to(fake), options=("-s", SCRIPT, *fake_openai[1]))
    async with httpx.AsyncClient(proxy=router.proxy_url, verify=router.tls(), trust_env=False, timeout=20) as client:
        replies = [await client.post(URL, json=BODY, headers={"authorization": "Bearer x"}) for _ in range(2)]

    for reply in replies:
        assert reply.status_code == 500
        assert reply.json()["error"]["code"] == "llmrouter_internal_error"
        assert "key-of-the-app" not in reply.text
    assert fake.requests == []
    assert fake_openai[0].requests == []


@pytest.mark.parametrize("chunked", [False, True])
async def test_an_option_that_streams_requests_lets_nothing_through(
    start_router: StartRouter, fake: FakeProvider, fake_openai: tuple[FakeProvider, tuple[str, ...]], chunked: bool
) -> None:
    """mitmproxy's `stream_large_bodies` would forward a request before the router has seen it."""
    router = await start_router(routed_to(fake), options=("--set", "stream_large_bodies=1k", *fake_openai[1]))
    content = json.dumps(BODY | {"user": "x" * 5000}).encode()

    async def pieces() -> Any:
        yield content[:3000]
        yield content[3000:]

    async with httpx.AsyncClient(proxy=router.proxy_url, verify=router.tls(), trust_env=False, timeout=20) as client:
        reply = await client.post(URL, content=pieces() if chunked else content)

    assert reply.headers["x-llmrouter-provider"] == "fake"
    assert fake_openai[0].requests == []


async def test_a_defect_in_the_middle_of_a_stream_breaks_the_connection(
    start_router: StartRouter, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client cannot take a stream that the router failed on for a whole one, and its task is not left behind."""
    monkeypatch.setenv("BREAK_METHOD", "render_chunk")
    router = await start_router(routed_to(fake), options=("-s", SCRIPT))
    async with httpx.AsyncClient(proxy=router.proxy_url, verify=router.tls(), trust_env=False, timeout=20) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post(URL, json=BODY | {"stream": True})
    (decision,) = await asyncio.to_thread(router.decisions, 1)

    assert decision["result"] == "broken"
