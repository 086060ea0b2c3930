"""One fast provider, two hundred clients that do not read: memory is bounded, and nobody else waits for them."""

import asyncio
import time
from pathlib import Path

import httpx

from tests.e2e.conftest import StartRouter, routed_to
from tests.e2e.router_process import RouterProcess
from tests.fakes.behaviours import Behaviour, Exchange, Step
from tests.fakes.provider import END, Answer, FakeProvider, StreamSteps, sse, sse_chunk

# A flow keeps 256 KiB of its stream for inspection, the rest are buffers; of the streams there are 8 MiB each.
READERS, MOST_EACH = 200, 2 * 1024 * 1024
STREAM: list[bytes | Step] = [*[sse_chunk("x" * 65536)] * 128, sse_chunk(finish="stop"), sse("[DONE]"), END]
BODY = b'{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"much"}]}'
REQUEST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)


class Fast:
    """8 MiB for each stream, as fast as they go; a word for everybody else."""

    async def perform(self, exchange: Exchange) -> None:
        much: Behaviour = StreamSteps(STREAM) if b"much" in exchange.seen.body else Answer("hello")
        await much.perform(exchange)


def resident_bytes(router: RouterProcess) -> int:
    return int(Path(f"/proc/{router.process.pid}/statm").read_text().split()[1]) * 4096


async def test_slow_readers_cost_little_and_delay_nobody(start_router: StartRouter, fake: FakeProvider) -> None:
    fake.default = Fast()
    router = await start_router(routed_to(fake, timeouts={"idle": 60}))
    readers = []
    async with httpx.AsyncClient(trust_env=False, timeout=20) as app:
        url = f"{router.api_url}/chat/completions"
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
        assert (await app.post(url, json=body)).status_code == 200
        before = resident_bytes(router)
        for _ in range(READERS):
            # A reader's own buffer is small, so that what is not read stays in the router, or better at the provider.
            reader, writer = await asyncio.open_connection("127.0.0.1", router.api_port, limit=4096)
            writer.write(REQUEST)
            readers.append((reader, writer))
        for reader, _ in readers:
            assert b" 200 " in await reader.readline()
        times = []
        for _ in range(50):
            began = time.monotonic()
            assert (await app.post(url, json=body)).status_code == 200
            times.append(time.monotonic() - began)
        grown = resident_bytes(router) - before
    for _, writer in readers:
        writer.close()
    assert grown < READERS * MOST_EACH, f"{grown >> 20} MiB for {READERS} readers"
    assert sorted(times)[len(times) // 2] < 0.1, times
