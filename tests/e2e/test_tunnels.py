"""Only the intercepted hosts are decrypted; everything else is carried byte for byte, both ways."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import StartRouter, routed_to
from tests.e2e.router_process import RouterProcess
from tests.fakes.certificates import own_tls
from tests.fakes.provider import FakeProvider

type Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def router(start_router: StartRouter, fake: FakeProvider, tmp_path: Path) -> Any:
    return await start_router(routed_to(fake), options=("-w", str(tmp_path / "flows")))


async def serve(handler: Handler) -> tuple[asyncio.Server, int]:
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


async def connect(router: RouterProcess, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
    writer.write(f"CONNECT {host}:{port} HTTP/1.1\r\nhost: {host}:{port}\r\n\r\n".encode())
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    assert head.startswith(b"HTTP/1.1 200 "), head
    return reader, writer


async def test_a_server_that_speaks_first_is_heard(router: RouterProcess) -> None:
    """The tunnel is open before the client says a word, and what looks like HTTP is not touched."""
    heard = asyncio.Queue[bytes]()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 welcome\r\n")
        await heard.put(await reader.readexactly(len(sent)))
        writer.write(b"\x00\xff bye")
        writer.close()

    sent = b"GET http://weird HTTP/1.1\r\nX:  two  spaces\r\n\r\n\x00\x01"
    server, port = await serve(greet)
    reader, writer = await connect(router, "localhost", port)

    assert await reader.readexactly(13) == b"220 welcome\r\n"
    writer.write(sent)
    assert await asyncio.wait_for(heard.get(), 10) == sent
    assert await reader.read() == b"\x00\xff bye"
    writer.close()
    server.close()


async def test_tls_of_other_hosts_is_theirs(router: RouterProcess, tmp_path: Path) -> None:
    """The client sees the server's own certificate, and nothing is recorded."""
    async with FakeProvider(tls=own_tls("localhost", tmp_path)) as other:
        trust = ssl.create_default_context(cafile=str(tmp_path / "localhost.pem"))
        async with httpx.AsyncClient(proxy=router.proxy_url, verify=trust, trust_env=False) as client:
            reply = await client.post(f"https://localhost:{other.port}/v1/chat/completions", json={"a": 1})

    assert reply.status_code == 200
    assert other.requests[0].json() == {"a": 1}
    await asyncio.to_thread(router.stop)
    assert (tmp_path / "flows").read_bytes() == b""


async def test_a_tunnel_to_nowhere_is_refused(router: RouterProcess) -> None:
    """A host that does not answer is told at once, with 502."""
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
    writer.write(b"CONNECT localhost:1 HTTP/1.1\r\nhost: localhost:1\r\n\r\n")

    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).startswith(b"HTTP/1.1 502 ")
    writer.close()


async def test_plain_http_is_carried_unchanged(router: RouterProcess, tmp_path: Path) -> None:
    """A request for another host by plain HTTP passes, and its body is not kept."""
    async with FakeProvider() as other:
        url = f"http://localhost:{other.port}/v1/chat/completions"
        async with httpx.AsyncClient(proxy=router.proxy_url, trust_env=False) as client:
            reply = await client.post(url, content=b'{"messages": "private"}', headers={"authorization": "Bearer mine"})

    assert reply.status_code == 200
    assert other.requests[0].body == b'{"messages": "private"}'
    assert other.requests[0].headers["authorization"] == "Bearer mine"
    await asyncio.to_thread(router.stop)
    assert b"private" not in (tmp_path / "flows").read_bytes()
    assert b"mine" not in (tmp_path / "flows").read_bytes()


async def test_the_intercepted_host_is_read_under_our_ca_alone(router: RouterProcess) -> None:
    """api.openai.com verifies against our CA; the system's roots alone refuse it."""
    url = "https://api.openai.com/v1/chat/completions"
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}]}
    async with httpx.AsyncClient(proxy=router.proxy_url, verify=router.tls(), trust_env=False) as client:
        assert (await client.post(url, json=body)).status_code == 200
    async with httpx.AsyncClient(proxy=router.proxy_url, trust_env=False) as client:
        with pytest.raises(httpx.ConnectError, match="certificate"):
            await client.post(url, json=body)


async def test_a_client_may_resume_its_session(router: RouterProcess) -> None:
    """What a handshake costs is saved for clients that can, such as Node.js; the connection works all the same."""

    def asked(session: ssl.SSLSession | None) -> tuple[ssl.SSLSession | None, bool | None, bytes]:
        with socket.create_connection(("127.0.0.1", router.port), timeout=10) as plain:
            plain.sendall(b"CONNECT api.openai.com:443 HTTP/1.1\r\nhost: api.openai.com:443\r\n\r\n")
            assert plain.recv(1000).startswith(b"HTTP/1.1 200 ")
            with trust.wrap_socket(plain, server_hostname="api.openai.com", session=session) as connection:
                connection.sendall(b"GET /v1/models HTTP/1.1\r\nhost: api.openai.com\r\n\r\n")
                told = connection.recv(1000)
                return connection.session, connection.session_reused, told

    trust = router.tls()
    first, is_first_resumed, _ = await asyncio.to_thread(asked, None)
    _, is_second_resumed, told = await asyncio.to_thread(asked, first)
    assert (is_first_resumed, is_second_resumed) == (False, True)
    assert told.startswith(b"HTTP/1.1 200 ")


async def test_local_pages_are_never_forwarded(router: RouterProcess) -> None:
    """A page that is not there is a 404 of the router itself."""
    async with httpx.AsyncClient(proxy=router.proxy_url, trust_env=False) as client:
        assert (await client.get("http://llmrouter.local/nothing")).status_code == 404
    async with httpx.AsyncClient(trust_env=False) as client:
        reply = await client.get(f"http://127.0.0.1:{router.api_port}/llmrouter/nothing")
    assert reply.status_code == 404
    assert "error" in reply.json()
