"""What is not routed reaches api.openai.com exactly as it was sent, and comes back as it comes."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from mitmproxy import http, io

from tests.e2e.conftest import StartRouter, routed_to
from tests.e2e.router_process import RouterProcess
from tests.fakes.provider import END, PAUSE, FakeProvider, Raw, Status, StreamSteps

URL = "https://api.openai.com"
type OpenAi = tuple[FakeProvider, tuple[str, ...]]
KEY = {"authorization": "Bearer key-of-the-app", "openai-organization": "org-1"}


def recorded(file: Path) -> list[http.HTTPFlow]:
    with file.open("rb") as stream:
        return [flow for flow in io.FlowReader(stream).stream() if isinstance(flow, http.HTTPFlow)]


@pytest.fixture
async def router(start_router: StartRouter, fake: FakeProvider, fake_openai: OpenAi, tmp_path: Path) -> Any:
    config = routed_to(fake) | {"routes": [{"model": "ours-*", "use": ["fake/*"]}]}
    config["providers"][0] |= {"models": [{"id": "fake-model"}]}
    del config["providers"][0]["model"]
    options = (*fake_openai[1], "-w", str(tmp_path / "flows"))
    return await start_router(config, options=options)


def client(router: RouterProcess, **options: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(proxy=router.proxy_url, verify=router.tls(), trust_env=False, timeout=20, **options)


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("GET", "/v1/files", b""),
        ("POST", "/v1/images/generations", b'{"prompt":  "a cat",\n "n": 1.0}'),
        ("POST", "/v1/audio/speech?x=1&x=2", b"\x00\xff binary"),
        ("POST", "/v1/files", b"--boundary\r\n..."),
        ("POST", "/v1/batches", b"{}"),
        ("DELETE", "/v1/fine_tuning/jobs/1", b""),
        ("POST", "/v1/some/new%20path", b"not even json"),
        ("GET", "/v1/chat/completions", b""),
        ("POST", "/v1/chat/completions", b'{"model":  "unmatched", "messages": [{"role": "user"}]}'),
    ],
)
async def test_requests_reach_openai_as_they_were_sent(
    router: RouterProcess, fake: FakeProvider, fake_openai: OpenAi, method: str, path: str, content: bytes, http2: bool
) -> None:
    """Method, path, body and headers arrive untouched, the app's key included; no provider hears of it."""
    openai = fake_openai[0]
    openai.script(Status(201, b"as it came", {"x-of-openai": "yes"}))
    headers = KEY | {"x-stainless-lang": "python", "cookie": "a=b", "x-llmrouter-cache": "no-store"}
    async with client(router, http2=http2) as app:
        reply = await app.request(method, URL + path, content=content, headers=headers)

    assert (reply.status_code, reply.content, reply.headers["x-of-openai"]) == (201, b"as it came", "yes")
    (seen,) = openai.requests
    assert (seen.method, seen.path, seen.body) == (method, path, content)
    assert seen.headers["host"] == "api.openai.com"
    assert {name: seen.headers[name] for name in (*KEY, "x-stainless-lang", "cookie")} == {
        name: headers[name] for name in (*KEY, "x-stainless-lang", "cookie")
    }
    assert not [name for name in seen.headers if name.startswith("x-llmrouter")]
    assert fake.requests == []


async def test_replies_stream_back(router: RouterProcess, fake_openai: OpenAi) -> None:
    """The first bytes are at the client while OpenAI still sends."""
    steps = StreamSteps([b"first", PAUSE, b"second", END])
    fake_openai[0].script(steps)
    pieces = []
    async with client(router) as app, app.stream("GET", f"{URL}/v1/files/1/content") as reply:
        async for piece in reply.aiter_bytes():
            pieces.append(piece)
            steps.resume.set()

    assert pieces == [b"first", b"second"]


async def test_uploads_stream_on(router: RouterProcess, fake_openai: OpenAi) -> None:
    """A large upload in chunks arrives whole."""

    async def upload() -> Any:
        for _ in range(64):
            yield b"x" * 65536

    async with client(router) as app:
        reply = await app.post(f"{URL}/v1/files", content=upload(), headers=KEY)

    assert reply.status_code == 200
    assert sum(len(seen.body) for seen in fake_openai[0].requests) == 64 * 65536


async def test_nothing_of_it_is_stored(router: RouterProcess, fake_openai: OpenAi, tmp_path: Path) -> None:
    """The recorded flow has neither body nor key, routed by path or by model."""
    fake_openai[0].default = Status(200, b"secret reply")
    async with client(router) as app:
        await app.post(f"{URL}/v1/images/generations", content=b"secret prompt", headers=KEY)
        body = {"model": "unmatched", "messages": [{"role": "user", "content": "secret prompt"}]}
        await app.post(f"{URL}/v1/chat/completions", json=body, headers=KEY)
    await asyncio.to_thread(router.stop)

    assert len(recorded(tmp_path / "flows")) == 2
    kept = (tmp_path / "flows").read_bytes()
    for secret in (b"secret prompt", b"secret reply", b"key-of-the-app"):
        assert secret not in kept


@pytest.mark.parametrize("path", ["/v1/realtime?model=gpt-realtime", "/v1/responses?model=unmatched"])
async def test_websockets_are_relayed_unread(
    router: RouterProcess, fake_openai: OpenAi, tmp_path: Path, path: str
) -> None:
    """They work in both directions, byte for byte, and leave no message behind."""
    switched = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\r\n"
    fake_openai[0].script(Raw(switched + b"\x81\x05hello", then_close=True))
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
    writer.write(b"CONNECT api.openai.com:443 HTTP/1.1\r\nhost: api.openai.com:443\r\n\r\n")
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    await writer.start_tls(router.tls(), server_hostname="api.openai.com")
    writer.write(
        f"GET {path} HTTP/1.1\r\n".encode() + b"host: api.openai.com\r\nupgrade: websocket\r\n"
        b"connection: Upgrade\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n"
        b"authorization: Bearer key-of-the-app\r\n\r\n"
    )

    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert await reader.readexactly(7) == b"\x81\x05hello"
    assert fake_openai[0].requests[0].headers["authorization"] == "Bearer key-of-the-app"
    writer.close()
    await asyncio.to_thread(router.stop)
    assert b"hello" not in (tmp_path / "flows").read_bytes()


async def test_the_api_port_passes_through_too(router: RouterProcess, fake_openai: OpenAi) -> None:
    """An app with a base URL can use everything that OpenAI has."""
    async with httpx.AsyncClient(trust_env=False) as app:
        reply = await app.get(f"{router.api_url}/files", headers=KEY)

    assert reply.status_code == 200
    assert fake_openai[0].requests[0].path == "/v1/files"
    assert fake_openai[0].requests[0].headers["host"] == "api.openai.com"


async def test_a_dead_openai_is_a_plain_error(start_router: StartRouter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing hangs when what is passed through cannot be reached."""
    monkeypatch.setenv("FAKE_OPENAI_PORT", "1")
    script = str(Path(__file__).with_name("redirect_openai.py"))
    router = await start_router(None, options=("-s", script))
    async with client(router) as app:
        reply = await app.get(f"{URL}/v1/files")

    assert reply.status_code == 502


async def test_unmatched_models_can_be_refused(start_router: StartRouter, fake: FakeProvider) -> None:
    """`unmatched: reject` answers 404 and sends the request nowhere."""
    config = routed_to(fake) | {"unmatched": "reject"}
    config["providers"][0] |= {"models": [{"id": "fake-model"}]}
    del config["providers"][0]["model"]
    router = await start_router(config)
    async with client(router) as app:
        body = {"model": "unmatched", "messages": [{"role": "user", "content": "x"}]}
        reply = await app.post(f"{URL}/v1/chat/completions", json=body)

    assert reply.status_code == 404
    assert reply.json()["error"]["code"] == "model_not_found"
    (decision,) = await asyncio.to_thread(router.decisions, 1)
    assert decision["status"] == 404
