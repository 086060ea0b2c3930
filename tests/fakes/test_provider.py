import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from mitmproxy.certs import CertStore
from openai import AsyncOpenAI

from llmrouter.proxy.certificate_authority import ensure_ca
from tests.fakes.provider import (
    CUT,
    DONE,
    PAUSE,
    RESET,
    Answer,
    CloseBeforeReply,
    FakeProvider,
    Raw,
    Reset,
    Stall,
    Status,
    StreamSteps,
    sse_chunk,
)

QUESTION: dict[str, Any] = {"model": "any", "messages": [{"role": "user", "content": "ping"}]}
STREAMED = QUESTION | {"stream": True}
SOON_S = 5


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=SOON_S, trust_env=False) as client:
        yield client


async def ask(client: httpx.AsyncClient, provider: FakeProvider, body: Any = None) -> httpx.Response:
    return await client.post(f"{provider.base_url}/chat/completions", json=body or QUESTION)


async def test_it_records_requests_and_serves_the_script_in_order(client: httpx.AsyncClient) -> None:
    async with FakeProvider(
        Status(503, headers={"Retry-After": "7"}), Answer("second"), default=Answer("more")
    ) as fake:
        refused = await ask(client, fake)
        texts = [(await ask(client, fake)).json()["choices"][0]["message"]["content"] for _ in range(3)]
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "7")
    assert refused.json()["error"]["message"] == "status 503"
    assert texts == ["second", "more", "more"]
    assert [(seen.method, seen.path) for seen in fake.requests] == [("POST", "/v1/chat/completions")] * 4
    assert fake.requests[0].headers["content-type"] == "application/json"
    assert fake.requests[0].json() == QUESTION


async def test_connections_are_kept_and_counted(client: httpx.AsyncClient) -> None:
    async with FakeProvider() as fake:
        for body in (QUESTION, STREAMED, QUESTION):
            await ask(client, fake, body)
        assert (len(fake.requests), fake.connections) == (3, 1)
        assert not fake.client_left.is_set()


async def test_the_real_sdk_understands_answers_and_streams() -> None:
    async with (
        FakeProvider(default=Answer("one two  three")) as fake,
        AsyncOpenAI(base_url=fake.base_url, api_key="key-of-test", max_retries=0) as sdk,
    ):
        whole = await sdk.chat.completions.create(model="any", messages=[{"role": "user", "content": "ping"}])
        stream = await sdk.chat.completions.create(
            model="any",
            messages=[{"role": "user", "content": "ping"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
    assert whole.choices[0].message.content == "one two  three"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "one two  three"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices] == [None] * 4 + ["stop"]
    assert whole.usage is not None
    assert chunks[-1].usage == whole.usage


async def test_a_stream_without_usage_ends_with_done(client: httpx.AsyncClient) -> None:
    async with FakeProvider(Answer("hi")) as fake:
        reply = await ask(client, fake, STREAMED)
    events = reply.text.strip().split("\n\n")
    assert events[-1] == "data: [DONE]"
    assert "usage" not in reply.text
    assert [json.loads(event[6:])["object"] for event in events[:-1]] == ["chat.completion.chunk"] * 3


@pytest.mark.parametrize("behaviour", [Reset(), StreamSteps([sse_chunk("hi"), RESET])])
async def test_a_reset_is_a_reset(client: httpx.AsyncClient, behaviour: Reset | StreamSteps) -> None:
    async with FakeProvider(behaviour) as fake:
        with pytest.raises(httpx.ReadError):
            await ask(client, fake)


async def test_an_early_close_is_no_reply(client: httpx.AsyncClient) -> None:
    async with FakeProvider(CloseBeforeReply()) as fake:
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            await ask(client, fake)


async def test_a_cut_stream_has_no_end(client: httpx.AsyncClient) -> None:
    got = b""
    async with FakeProvider(StreamSteps([sse_chunk("hi"), CUT, DONE])) as fake:
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            async with client.stream("POST", fake.base_url, json=STREAMED) as reply:
                async for data in reply.aiter_bytes():
                    got += data
    assert got == sse_chunk("hi")


async def test_raw_bytes_go_out_as_they_are(client: httpx.AsyncClient) -> None:
    async with FakeProvider(Raw(b"HTTP/1.1 200 OK\r\n\r\n<html>")) as fake:
        assert (await ask(client, fake)).content == b"<html>"


async def test_a_pause_lasts_until_it_is_ended(client: httpx.AsyncClient) -> None:
    steps = StreamSteps([sse_chunk("a"), PAUSE, sse_chunk("b"), PAUSE, DONE])
    async with FakeProvider(steps) as fake, client.stream("POST", fake.base_url, json=STREAMED) as reply:
        incoming = reply.aiter_bytes()
        assert await anext(incoming) == sse_chunk("a")
        steps.resume.set()
        assert await anext(incoming) == sse_chunk("b")
        steps.resume.set()
        assert [data async for data in incoming] == [DONE]


@pytest.mark.parametrize("waiting", [Stall(), Stall(after_headers=True), StreamSteps([sse_chunk("a"), PAUSE])])
async def test_it_tells_at_once_that_the_client_left(waiting: Stall | StreamSteps) -> None:
    async with FakeProvider(waiting) as fake:
        async with httpx.AsyncClient(timeout=SOON_S, trust_env=False) as client, asyncio.timeout(SOON_S):
            asking = asyncio.ensure_future(ask(client, fake))
            await waiting.reached.wait()
            assert not fake.client_left.is_set()
            asking.cancel()
            await asyncio.wait([asking])
        async with asyncio.timeout(SOON_S):
            await waiting.client_left.wait()
        assert fake.client_left.is_set()


async def test_a_resumed_stall_answers_late(client: httpx.AsyncClient) -> None:
    stall = Stall()
    async with FakeProvider(stall) as fake:
        stall.resume.set()
        assert "late" in (await ask(client, fake)).text


async def test_a_body_in_chunks_is_put_together(client: httpx.AsyncClient) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b'{"model":'
        yield b'"any"}'

    async with FakeProvider() as fake:
        await client.post(fake.base_url, content=parts())
    assert fake.requests[0].json() == {"model": "any"}


async def test_it_speaks_tls(tmp_path: Path) -> None:
    ca = ensure_ca(tmp_path, ["provider.example"], datetime.now(UTC))
    entry = CertStore.from_store(tmp_path, "mitmproxy", 2048).get_cert("x", [x509.DNSName("provider.example")])
    secret = entry.privatekey.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "server.pem").write_bytes(secret + entry.cert.to_pem())
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "server.pem")
    trust = ssl.create_default_context(cafile=str(ca.cert_file))
    async with FakeProvider(tls=tls) as fake, httpx.AsyncClient(verify=trust, trust_env=False) as client:
        reply = await client.post(fake.base_url, json=QUESTION, extensions={"sni_hostname": "provider.example"})
    assert fake.base_url.startswith("https://")
    assert reply.status_code == 200
