"""Resident memory of the router as requests go by, and while slow clients read long streams."""

import asyncio

import httpx

from scripts.bench.load import Direct, drive
from scripts.bench.processes import Program
from scripts.bench.rows import ROWS

_STEPS = ((1000, 1000), (5000, 4000), (10_000, 5000), (20_000, 10_000))
_SLOW_CLIENTS = 50


def print_memory(router: Program) -> None:
    """Prints both."""
    print("| requests so far | resident |\n|---:|---:|")
    for total, count in _STEPS:
        asyncio.run(drive(Direct(router.api), ROWS[0].asked, count, 8))
        print(f"| {total} | {router.resident_mib():.0f} MiB |", flush=True)
    highest = asyncio.run(_read_slowly(router))
    print(f"\n{_SLOW_CLIENTS} clients that read a stream of 16 MiB slowly: {highest:.0f} MiB at most")


async def _read_slowly(router: Program) -> float:
    """Reads long streams at about 1.6 MiB/s each; returns the highest resident memory."""
    url = f"http://127.0.0.1:{router.api}/v1/chat/completions"
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "long-stream"}], "stream": True}
    highest = 0.0

    async def one_client() -> None:
        nonlocal highest
        async with (
            httpx.AsyncClient(timeout=60, trust_env=False) as client,
            client.stream("POST", url, json=body) as reply,
        ):
            async for _ in reply.aiter_raw(65536):
                await asyncio.sleep(0.04)
                highest = max(highest, router.resident_mib())

    await asyncio.gather(*(one_client() for _ in range(_SLOW_CLIENTS)))
    return highest
