"""A slow client slows its provider down; what the router holds meanwhile stays small."""

import asyncio
import json
import socket
import ssl
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from tests.e2e.conftest import StartRouter, routed_to
from tests.e2e.router_process import RouterProcess
from tests.fakes.behaviours import Exchange, Step
from tests.fakes.provider import END, Answer, FakeProvider, StreamSteps, sse, sse_chunk

MEBIBYTE = 1024 * 1024
CLIENTS = 50
STREAM: list[bytes | Step] = [*[sse_chunk("x" * 65536)] * 192, sse_chunk(finish="stop"), sse("[DONE]"), END]


def resident_bytes(router: RouterProcess) -> int:
    return int(Path(f"/proc/{router.process.pid}/statm").read_text().split()[1]) * 4096


@pytest.mark.parametrize("http2", [False, True])
async def test_fifty_slow_readers_of_a_long_stream(start_router: StartRouter, fake: FakeProvider, http2: bool) -> None:
    """600 MiB are on their way to clients that do not read yet: the router holds a bounded part of each stream."""
    router = await start_router(routed_to(fake, timeouts={"idle": 60}))
    fake.default = StreamSteps(STREAM)
    body = json.dumps({"messages": [{"role": "user", "content": "x"}], "stream": True})
    url = "https://api.openai.com/v1/chat/completions"
    at_start = resident_bytes(router)
    highest = 0

    async def slow_app(all_began: asyncio.Barrier) -> int:
        nonlocal highest
        size = 0
        async with (
            httpx.AsyncClient(
                proxy=router.proxy_url, verify=router.tls(), trust_env=False, timeout=60, http2=http2
            ) as client,
            client.stream("POST", url, content=body) as reply,
        ):
            # Nobody reads before everybody's stream has begun.
            await all_began.wait()
            async for piece in reply.aiter_raw():
                size += len(piece)
                highest = max(highest, resident_bytes(router))
        return size

    barrier = asyncio.Barrier(CLIENTS)
    sizes = await asyncio.gather(*(slow_app(barrier) for _ in range(CLIENTS)))

    assert min(sizes) > 12 * MEBIBYTE - 65536
    assert highest - at_start < 130 * MEBIBYTE


SLOW_READERS = 200
URL = "https://api.openai.com/v1/chat/completions"


@dataclass(eq=False)
class FastProvider:
    """Sends as much as anybody takes to who asks for a long answer, and a short one to all others."""

    sent_bytes: int = 0
    left: int = 0
    all_left: asyncio.Event = field(default_factory=asyncio.Event)

    async def perform(self, exchange: Exchange) -> None:
        """Answers one request."""
        if exchange.seen.json()["messages"][0]["content"] != "long":
            return await Answer("short").perform(exchange)
        piece = sse_chunk("x" * 65536)
        await exchange.begin_stream(200, {"content-type": "text/event-stream"})
        try:
            while True:
                await exchange.send_chunk(piece)
                self.sent_bytes += len(piece)
        finally:
            self.left += 1
            if self.left == SLOW_READERS:
                self.all_left.set()


async def has_settled(provider: FastProvider) -> None:
    """Waits until the provider cannot send any more: nothing tells that, so it is looked at again and again."""
    looks = [-1]
    while looks[-3:] != [provider.sent_bytes] * 3:
        looks.append(provider.sent_bytes)
        await asyncio.sleep(0.3)


async def latencies(session: aiohttp.ClientSession, proxy: str, tls: ssl.SSLContext) -> list[float]:
    """How long short answers take, one after another, in seconds."""
    took = []
    for _ in range(20):
        began = time.perf_counter()
        body = {"messages": [{"role": "user", "content": "short"}]}
        async with session.post(URL, json=body, proxy=proxy, ssl=tls) as reply:
            assert (await reply.json())["choices"][0]["message"]["content"] == "short"
        took.append(time.perf_counter() - began)
    return took


def small_socket(address: Any) -> socket.socket:
    """A socket for which the kernel keeps little, so that more of what is under way is held by the router."""
    made = socket.socket(family=address[0], type=address[1], proto=address[2])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    return made


async def test_two_hundred_readers_who_do_not_read_delay_nobody(start_router: StartRouter, fake: FakeProvider) -> None:
    router = await start_router(routed_to(fake, timeouts={"idle": 60}))
    fake.default = provider = FastProvider()
    body = {"messages": [{"role": "user", "content": "long"}], "stream": True}
    tls, proxy = router.tls(), router.proxy_url
    limits = aiohttp.TCPConnector(limit=0, socket_factory=small_socket)
    async with aiohttp.ClientSession(trust_env=False, connector=limits) as session:
        alone = statistics.median(await latencies(session, proxy, tls))
        at_start = resident_bytes(router)
        slow = await asyncio.gather(*(session.post(URL, json=body, proxy=proxy, ssl=tls) for _ in range(SLOW_READERS)))
        assert {reply.status for reply in slow} == {200}
        await has_settled(provider)
        meanwhile = statistics.median(await latencies(session, proxy, tls))
        held = resident_bytes(router) - at_start
        for reply in slow:
            reply.close()
        async with asyncio.timeout(20):
            await provider.all_left.wait()
        afterwards = statistics.median(await latencies(session, proxy, tls))

    # 1.7 MiB for each, of which the record for mitmweb is a quarter; the provider would send for ever.
    assert held < SLOW_READERS * 2.5 * MEBIBYTE
    # Two milliseconds on a machine that does nothing else; what is left is for one that does.
    assert meanwhile < 3 * alone + 0.1
    assert afterwards < 3 * alone + 0.1
