"""Requests that cannot be understood get OpenAI's 400 and reach no provider; large ones work up to the limit."""

import asyncio
import gzip
import json
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import StartRouter, routed_to
from tests.e2e.router_process import RouterProcess
from tests.fakes.provider import FakeProvider

USER = {"role": "user", "content": "ping"}
MEBIBYTE = 1024 * 1024


@pytest.fixture
async def router(start_router: StartRouter, fake: FakeProvider) -> Any:
    return await start_router(routed_to(fake))


CASES: list[Any] = [
    (b"", "no body", None),
    (b"   ", "no body", None),
    (b"{", "not valid JSON", None),
    (b"\xff\xfe", "not valid JSON", None),
    (b"[]", "must be a JSON object, not an array", None),
    (b'"text"', "must be a JSON object, not a string", None),
    (b"{}", "Missing required parameter: 'messages'", "messages"),
    ({"messages": []}, "at least one message", "messages"),
    ({"messages": "hello"}, "expected an array of objects, but got a string", "messages"),
    ({"messages": ["hello"]}, "expected an object", "messages[0]"),
    ({"messages": [{"content": "x"}]}, "messages[0].role", "messages[0].role"),
    ({"messages": [{"role": "user", "content": 5}]}, "expected a string or an array", "messages[0].content"),
    ({"messages": [USER], "model": 5}, "expected a string, but got a number", "model"),
    ({"messages": [USER], "stream": "yes"}, "expected a boolean", "stream"),
    ({"messages": [USER], "max_tokens": "many"}, "expected an integer", "max_tokens"),
    ({"messages": [USER], "n": True}, "expected an integer", "n"),
    ({"messages": [USER], "tools": {}}, "expected an array", "tools"),
    ({"messages": [USER], "stream_options": {"include_usage": True}}, "only allowed when", "stream_options"),
    (b'{"messages": [{"role": "user", "content": "\xff"}]}', "not valid JSON", "messages"),
    (b'{"messages": [{"role": "user"}], "logprobs": "\xff"}', "not valid JSON", "logprobs"),
    (b'{"messages":' + b"[" * 100_000, "not valid JSON", None),
]


async def test_bad_requests(router: RouterProcess, fake: FakeProvider) -> None:
    """Each says what was wrong and what would be right, and names the parameter."""
    async with httpx.AsyncClient(trust_env=False) as client:
        for body, words, param in CASES:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            reply = await client.post(f"{router.api_url}/chat/completions", content=content)
            error = reply.json()["error"]
            assert (reply.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param), error
            assert words in error["message"], error
            assert reply.headers["x-should-retry"] == "false"

    assert fake.requests == []


async def test_bad_router_headers(router: RouterProcess, fake: FakeProvider) -> None:
    """A header of the router that names nothing known is told, not ignored."""
    async with httpx.AsyncClient(trust_env=False) as client:
        for name, value in (("provider", "nobody"), ("policy", "cheapest"), ("max-cost-usd", "a lot")):
            headers = {f"x-llmrouter-{name}": value}
            reply = await client.post(f"{router.api_url}/chat/completions", json={"messages": [USER]}, headers=headers)
            assert reply.status_code == 400
            assert f"x-llmrouter-{name}" in reply.json()["error"]["message"]

    assert fake.requests == []


@pytest.mark.parametrize("http2", [False, True])
async def test_a_body_of_64_mebibytes(router: RouterProcess, fake: FakeProvider, http2: bool) -> None:
    """The largest body is answered, and reaches the provider whole."""
    text = "x" * (64 * MEBIBYTE - 200)
    content = json.dumps({"messages": [{"role": "user", "content": text}]}).encode()
    async with httpx.AsyncClient(
        proxy=router.proxy_url, verify=router.tls(), trust_env=False, timeout=60, http2=http2
    ) as client:
        reply = await client.post("https://api.openai.com/v1/chat/completions", content=content)

    assert reply.status_code == 200
    assert fake.requests[0].json()["messages"][0]["content"] == text


@pytest.mark.parametrize("http2", [False, True])
async def test_a_body_over_the_limit(router: RouterProcess, fake: FakeProvider, http2: bool) -> None:
    """413 in OpenAI's shape, and the connection can be used again."""
    async with httpx.AsyncClient(
        proxy=router.proxy_url, verify=router.tls(), trust_env=False, timeout=60, http2=http2
    ) as client:
        url = "https://api.openai.com/v1/chat/completions"
        reply = await client.post(url, content=b"x" * (64 * MEBIBYTE + 1))
        after = await client.post(url, json={"messages": [USER]})

    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "request_too_large")
    assert after.status_code == 200
    assert len(fake.requests) == 1


async def test_compressed_bodies(router: RouterProcess, fake: FakeProvider) -> None:
    """gzip is read, a bomb and an unknown encoding are refused."""
    url = f"{router.api_url}/chat/completions"
    packed = gzip.compress(json.dumps({"messages": [USER]}).encode())
    bomb = gzip.compress(b" " * (65 * MEBIBYTE))
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        replies = [
            await client.post(url, content=content, headers={"content-encoding": encoding})
            for content, encoding in (
                (packed, "gzip"),
                (bomb, "gzip"),
                (packed[:-9], "gzip"),
                (b"x", "gzip"),
                (b"x", "br"),
            )
        ]

    assert [reply.status_code for reply in replies] == [200, 413, 400, 400, 415]
    assert len(fake.requests) == 1


async def test_web_pages_of_other_sites(router: RouterProcess, fake: FakeProvider) -> None:
    """A page in the owner's browser cannot spend the owner's keys; a page of this machine can."""
    url = f"{router.api_url}/chat/completions"
    statuses = []
    async with httpx.AsyncClient(trust_env=False) as client:
        for headers in (
            {"origin": "https://evil.example"},
            {"origin": "null"},
            {"sec-fetch-site": "cross-site"},
            {"origin": "http://localhost:3000", "sec-fetch-site": "same-site"},
        ):
            plain = headers | {"content-type": "text/plain"}
            statuses.append((await client.post(url, json={"messages": [USER]}, headers=plain)).status_code)

    assert statuses == [403, 403, 403, 200]
    assert len(fake.requests) == 1


async def test_a_client_that_leaves_during_its_request(router: RouterProcess, fake: FakeProvider) -> None:
    """Half a request reaches nobody, and the router goes on."""
    _, writer = await asyncio.open_connection("127.0.0.1", router.api_port)
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{")
    await writer.drain()
    writer.close()
    async with httpx.AsyncClient(trust_env=False) as client:
        reply = await client.post(f"{router.api_url}/chat/completions", json={"messages": [USER]})

    assert reply.status_code == 200
    assert len(fake.requests) == 1


async def test_http_1_0(router: RouterProcess) -> None:
    """An old client gets a stream without chunked framing, ended by the connection's end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", router.api_port)
    body = json.dumps({"messages": [USER], "stream": True}).encode()
    writer.write(b"POST /v1/chat/completions HTTP/1.0\r\ncontent-length: %d\r\nhost: x\r\n\r\n%b" % (len(body), body))
    head, _, rest = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
    writer.close()

    assert b"transfer-encoding" not in head
    assert rest.startswith(b"data: {")
    assert rest.endswith(b"data: [DONE]\n\n")
