"""Clients that do not behave, by raw sockets against a real router: each comes to an end, and nobody else notices."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.e2e.conftest import routed_to
from tests.e2e.router_process import RouterProcess, running_router
from tests.fakes.provider import FakeProvider

BODY = b'{"model":"gpt-4o","messages":[{"role":"user","content":"ping"}]}'
MEBIBYTE = 1024 * 1024
LIMITS = {"max_request_mebibytes": 1, "clients": {"request_seconds": 1, "max_connections": 60}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def router(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RouterProcess]:
    async with FakeProvider() as fake:
        with running_router(tmp_path_factory.mktemp("router"), routed_to(fake) | LIMITS) as started:
            yield started


pytestmark = pytest.mark.asyncio(loop_scope="module")


def request(*headers: bytes, body: bytes = BODY, length: int | None = None) -> bytes:
    lines = [b"POST /v1/chat/completions HTTP/1.1", b"host: x", *headers]
    if not any(b"chunked" in header or b"content-length" in header for header in headers):
        lines.append(b"content-length: %d" % (len(body) if length is None else length))
    return b"\r\n".join([*lines, b"", b""]) + body


def chunks(body: bytes, trailers: bytes = b"") -> bytes:
    return b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(body), body, trailers)


async def told(router: RouterProcess, sent: bytes, answers: int = 1) -> tuple[list[int], bytes]:
    """The statuses of the answers and the last body; fewer answers where the connection ends before."""
    reader, writer = await asyncio.open_connection("127.0.0.1", router.api_port)
    statuses, body = [], b""
    try:
        async with asyncio.timeout(15):
            writer.write(sent)
            await writer.drain()
            for _ in range(answers):
                head = await reader.readuntil(b"\r\n\r\n")
                statuses.append(int(head.split()[1]))
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
                body = await reader.readexactly(int(length.split(b":")[1]))
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()
    return statuses, body


async def is_well(router: RouterProcess) -> None:
    """Another client is answered as always."""
    assert (await told(router, request()))[0] == [200]


SMUGGLED = [
    (b"content-length: 3", b"content-length: 64"),
    (b"content-length: 64", b"transfer-encoding: chunked"),
    (b"content-length: -1",),
]


@pytest.mark.parametrize("headers", SMUGGLED)
async def test_a_length_that_may_be_read_in_two_ways_is_refused(
    router: RouterProcess, headers: tuple[bytes, ...]
) -> None:
    assert (await told(router, request(*headers), answers=2))[0] == [400]
    await is_well(router)


async def test_trailers_are_taken_and_dropped(router: RouterProcess) -> None:
    sent = request(b"transfer-encoding: chunked", body=chunks(BODY, b"x-check: sum\r\n"))
    assert (await told(router, sent * 2, answers=2))[0] == [200, 200]


async def test_requests_that_come_at_once_are_answered_in_turn(router: RouterProcess) -> None:
    assert (await told(router, request() * 4, answers=4))[0] == [200] * 4


@pytest.mark.parametrize(
    "sent",
    [
        request(*(b"x-%d: a" % number for number in range(40_000))),
        request(b"x-a: " + b"a" * 3 * MEBIBYTE),
        b"GET /" + b"a" * 3 * MEBIBYTE,
    ],
)
async def test_heads_without_end_are_cut_off(router: RouterProcess, sent: bytes) -> None:
    statuses, _ = await told(router, sent)
    # Whoever still sends when the connection closes may not get to read why.
    assert statuses in ([431], [])
    await is_well(router)


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (request(body=b"a" * 3 * MEBIBYTE), 413, "request_too_large"),
        (request(b"transfer-encoding: chunked", body=chunks(b"a" * 3 * MEBIBYTE)), 413, "request_too_large"),
        (
            request(b"content-encoding: gzip", body=gzip.compress(b'{"a":"' + b"a" * 100 * MEBIBYTE + b'"}')),
            413,
            "request_too_large",
        ),
        (request(b"content-encoding: rot13"), 415, "unsupported_content_encoding"),
    ],
    ids=["length", "chunks", "gzip", "unknown"],
)
async def test_bodies_that_nobody_can_take(router: RouterProcess, sent: bytes, status: int, code: str) -> None:
    statuses, body = await told(router, sent)
    assert statuses == [status]
    assert json.loads(body)["error"]["code"] == code
    await is_well(router)


@pytest.mark.parametrize(
    "sent", [b"POST /v1/chat", request(length=1000), request(b"transfer-encoding: chunked", body=b"5")]
)
async def test_requests_that_do_not_come_to_an_end(router: RouterProcess, sent: bytes) -> None:
    """The connection is closed after `request_seconds`, and a client of its own pace is not."""
    reader, writer = await asyncio.open_connection("127.0.0.1", router.api_port)
    idle_reader, idle_writer = await asyncio.open_connection("127.0.0.1", router.api_port)
    writer.write(sent)
    async with asyncio.timeout(15):
        assert await reader.read() == b""
    idle_writer.write(request())
    assert (await idle_reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()
    idle_writer.close()


async def test_idle_connections_make_room(router: RouterProcess) -> None:
    idle = [await asyncio.open_connection("127.0.0.1", router.api_port) for _ in range(200)]
    await is_well(router)
    async with asyncio.timeout(15):
        assert await idle[0][0].read() == b""
    for _, writer in idle:
        writer.close()
