"""A slow client slows its provider down; what the router holds meanwhile stays small."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import StartRouter, routed_to
from tests.e2e.router_process import RouterProcess
from tests.fakes.behaviours import Step
from tests.fakes.provider import END, FakeProvider, StreamSteps, sse, sse_chunk

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
