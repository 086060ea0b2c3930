"""The stock `openai` SDK, with nothing changed but HTTPS_PROXY and one trusted certificate."""

import asyncio
from typing import Any

import httpx
import httpx2
import openai
import pytest

from tests.e2e.conftest import StartRouter, routed_to
from tests.e2e.router_process import RouterProcess, app_environment, async_sdk, sync_sdk
from tests.fakes.provider import CUT, END, PAUSE, FakeProvider, Stall, Status, StreamSteps, sse, sse_chunk

MESSAGES: Any = [{"role": "user", "content": "ping"}]
ROLE = sse_chunk("", delta={"role": "assistant"})
LAST = (sse_chunk(finish="stop"), sse("[DONE]"), END)


@pytest.fixture
async def router(start_router: StartRouter, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> Any:
    started = await start_router(routed_to(fake))
    with app_environment(started, monkeypatch):
        yield started


async def test_sync_client(router: RouterProcess, fake: FakeProvider) -> None:
    """A blocking app is answered through CONNECT and TLS, and its own key stays with it."""

    def app() -> str | None:
        with sync_sdk() as client:
            answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
            return answer.choices[0].message.content

    assert await asyncio.to_thread(app) == "hello there"
    assert fake.requests[0].headers["authorization"] == "Bearer key-of-groq"
    assert "key-of-the-app" not in str(fake.requests[0])
    assert not [name for name in fake.requests[0].headers if name.startswith("x-stainless")]


async def test_sync_stream(router: RouterProcess) -> None:
    """A blocking app reads a stream to its end."""

    def app() -> str:
        with sync_sdk() as client:
            stream = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
            return "".join(chunk.choices[0].delta.content or "" for chunk in stream)

    assert await asyncio.to_thread(app) == "hello there"


async def test_async_client_and_the_headers_it_can_read(router: RouterProcess) -> None:
    """The reply has the requested model's name; who answered stands in the headers."""
    async with async_sdk() as client:
        raw = await client.chat.completions.with_raw_response.create(model="gpt-4o", messages=MESSAGES)

    answer = raw.parse()
    assert (answer.model, answer.choices[0].message.content) == ("gpt-4o", "hello there")
    assert raw.headers["x-llmrouter-provider"] == "fake"
    assert raw.headers["x-llmrouter-model"] == "fake-model"
    assert raw.headers["x-llmrouter-cache"] == "bypass"
    assert raw.headers["x-llmrouter-request-id"] == answer._request_id


@pytest.mark.parametrize("http2", [False, True])
async def test_chunks_arrive_while_the_provider_still_speaks(
    router: RouterProcess, fake: FakeProvider, http2: bool
) -> None:
    """A chunk is in the app's hands before the provider sends the next one, over HTTP/1.1 and HTTP/2."""
    steps = StreamSteps([ROLE, sse_chunk("one "), PAUSE, sse_chunk("two"), *LAST])
    fake.script(steps)
    async with async_sdk(http_client=httpx2.AsyncClient(http2=http2)) as client:
        stream = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
        assert stream.response.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
        texts = []
        async for chunk in stream:
            texts.append(chunk.choices[0].delta.content)
            if texts[-1] == "one ":
                steps.resume.set()

    assert texts == ["", "one ", "two", None]


async def test_the_stream_helper_and_usage(router: RouterProcess) -> None:
    """The SDK's own stream helper accumulates the answer and gets the usage that it asked for."""
    async with async_sdk() as client:
        options: Any = {"include_usage": True}
        async with client.chat.completions.stream(model="gpt-4o", messages=MESSAGES, stream_options=options) as stream:
            final = await stream.get_final_completion()

    assert final.choices[0].message.content == "hello there"
    assert final.usage is not None
    assert final.usage.completion_tokens == 2


async def test_a_broken_stream_raises_in_the_sdk(router: RouterProcess, fake: FakeProvider) -> None:
    """An app can tell a cut answer from a whole one."""
    steps = StreamSteps([ROLE, sse_chunk("half"), PAUSE, CUT])
    fake.script(steps)
    async with async_sdk() as client:
        stream = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
        steps.resume.set()
        with pytest.raises(openai.APIError, match="broke off"):
            async for _ in stream:
                pass


async def test_errors_are_typed_and_not_retried(router: RouterProcess, fake: FakeProvider) -> None:
    """The SDK raises its own class for the status, and `x-should-retry: false` keeps it from multiplying attempts."""
    fake.default = Status(429, headers={"retry-after": "60"})
    async with openai.AsyncOpenAI(max_retries=5) as client:
        with pytest.raises(openai.RateLimitError) as raised:
            await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)

    assert raised.value.code == "rate_limit_exceeded"
    assert len(fake.requests) == 1


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize("moment", ["before content", "during the answer"])
async def test_a_client_that_hangs_up_ends_the_providers_stream(
    router: RouterProcess, fake: FakeProvider, moment: str, http2: bool
) -> None:
    """Nothing is generated, and paid, for a client that is gone."""
    behaviour = Stall() if moment == "before content" else StreamSteps([ROLE, sse_chunk("one"), PAUSE])
    fake.script(behaviour)
    client = httpx.AsyncClient(proxy=router.proxy_url, verify=router.tls(), http2=http2, trust_env=False)
    body = {"model": "gpt-4o", "messages": MESSAGES, "stream": True}

    async def app() -> None:
        async with client.stream("POST", "https://api.openai.com/v1/chat/completions", json=body) as reply:
            async for _ in reply.aiter_bytes():
                pass

    async with client:
        running = asyncio.ensure_future(app())
        await asyncio.wait_for(behaviour.reached.wait(), 10)
        running.cancel()
        await asyncio.wait_for(behaviour.client_left.wait(), 10)

    (decision,) = await asyncio.to_thread(router.decisions, 1)
    assert decision["result"] == "client_gone"


async def test_many_clients_at_once(router: RouterProcess, fake: FakeProvider) -> None:
    """Fifty calls at the same time are all answered, over few connections."""
    async with async_sdk() as client:

        async def ask(number: int) -> str:
            if number % 2:
                reply = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
                return reply.choices[0].message.content or ""
            stream = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

        answers = await asyncio.gather(*map(ask, range(50)))

    assert answers == ["hello there"] * 50
    assert fake.connections <= 50


async def test_the_api_port_with_nothing_but_messages(router: RouterProcess, fake: FakeProvider) -> None:
    """The README's curl line: no model, no key, plain HTTP."""
    async with httpx.AsyncClient(trust_env=False) as client:
        reply = await client.post(f"{router.api_url}/chat/completions", json={"messages": MESSAGES})

    assert reply.status_code == 200
    assert reply.json()["model"] == "gpt-4o-mini"
    assert fake.requests[0].json()["model"] == "fake-model"


async def test_the_sdk_with_a_base_url(router: RouterProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """An app that can set a base URL needs no certificate."""
    monkeypatch.delenv("HTTPS_PROXY")
    async with async_sdk(base_url=router.api_url) as client:
        stream = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert text == "hello there"
