"""CPU per request and latency: mitmproxy alone, and the router, in front of the same stub, in one run.

CPU is the proxy process's own accounting (user + system time from /proc), divided by the requests it served.

    scripts/bench_proxy.py [--requests 3000] [--clients 8]
    scripts/bench_proxy.py --memory     resident memory over 20,000 requests, and under 50 slow readers
"""

import argparse
import asyncio
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

REPOSITORY = Path(__file__).resolve().parents[1]
WARM_UP = 200
TICKS = os.sysconf("SC_CLK_TCK")
FORWARDED = "router, streaming 100 chunks"
TRANSLATED = "router, translating a 100-chunk Anthropic stream"
# What the last content chunk of the stub's stream holds, and what ends a stream.
END_OF_STREAM = (b"word97 ", b"[DONE]")
CONFIG = """
providers:
  - name: stub
    type: openai_compatible
    base_url: http://127.0.0.1:{port}/v1
    models: [{{id: stub, serves: [gpt-4o-mini]}}]
  - name: anthropic
    type: anthropic
    base_url: http://127.0.0.1:{port}/v1
    models: [{{id: stub, serves: [claude]}}]
logging: {{decisions: "{decisions}"}}
"""


@dataclass(frozen=True)
class Row:
    """One measured way of serving; CPU in milliseconds per request, latencies in milliseconds."""

    name: str
    cpu_ms: float
    p50_ms: float
    p99_ms: float
    resident_mib: float


def free_port() -> int:
    """A port that is free right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_mib(pid: int) -> float:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024


def start(arguments: list[str], ready: str, environ: dict[str, str] | None = None) -> "subprocess.Popen[str]":
    """Starts a program and waits for the line that says that it serves; its later output goes nowhere."""
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | (environ or {})
    )
    assert process.stdout is not None
    for line in process.stdout:
        if ready in line:
            sink = subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL)
            process.stdout.close()
            del sink
            return process
    raise RuntimeError(f"{arguments[0]} did not start")


async def drive(url: str, requests: int, clients: int, *, stream: bool, asked: dict[str, object]) -> list[float]:
    """Sends the requests from several clients at once, each on one connection; returns the seconds of each."""
    seconds: list[float] = []
    body = {"messages": [{"role": "user", "content": "ping " * 20}], "stream": stream} | asked

    async def one_client(count: int) -> None:
        async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
            for _ in range(count):
                started = time.perf_counter()
                reply = await client.post(url, json=body)
                seconds.append(time.perf_counter() - started)
                expected = END_OF_STREAM if stream else (b"pong",)
                if reply.status_code != 200 or any(part not in reply.content for part in expected):
                    raise RuntimeError(f"{reply.status_code}: {reply.text[:300]}")

    await asyncio.gather(*(one_client(requests // clients) for _ in range(clients)))
    return seconds


def measure(
    row: tuple[str, dict[str, object]], pid: int, url: str, options: argparse.Namespace, *, stream: bool = False
) -> Row:
    """One row, given by its name and what is asked for: a warm-up, then the counted requests."""
    name, asked = row
    requests = options.requests // 10 if stream else options.requests
    asyncio.run(drive(url, WARM_UP if not stream else 20, options.clients, stream=stream, asked=asked))
    before = cpu_seconds(pid)
    seconds = asyncio.run(drive(url, requests, options.clients, stream=stream, asked=asked))
    used = cpu_seconds(pid) - before
    cuts = statistics.quantiles(seconds, n=100)
    return Row(name, used / len(seconds) * 1000, cuts[49] * 1000, cuts[98] * 1000, resident_mib(pid))


def with_mitmproxy_alone(stub_port: int, folder: Path, use: Callable[[int, str], None]) -> None:
    """Runs mitmdump as a plain reverse proxy to the stub."""
    port = free_port()
    arguments = [mitmdump(), "--mode", f"reverse:http://127.0.0.1:{stub_port}@127.0.0.1:{port}"]
    arguments += ["--set", "flow_detail=0", "--set", f"confdir={folder}", "--set", "stream_large_bodies=1"]
    process = start(arguments, "listening at")
    try:
        use(process.pid, f"http://127.0.0.1:{port}/v1/chat/completions")
    finally:
        process.terminate()
        process.wait(timeout=20)


def with_router(stub_port: int, folder: Path, decisions: str, use: Callable[[int, str], None]) -> None:
    """Runs mitmdump with the addon, which routes to the stub."""
    port = free_port()
    config = folder / "bench.yaml"
    config.write_text(CONFIG.format(port=stub_port, decisions=decisions))
    arguments = [mitmdump(), "-s", str(REPOSITORY / "addon" / "router.py"), "-p", str(free_port())]
    arguments += ["--set", f"llmrouter_api_port={port}", "--set", "flow_detail=0"]
    arguments += ["--set", f"llmrouter_certs={folder}"]
    process = start(
        arguments,
        "reverse proxy to",
        {"LLMROUTER_CONFIG": str(config), "ANTHROPIC_API_KEY": "key-of-stub", "PYTHONUNBUFFERED": "1"},
    )
    try:
        use(process.pid, f"http://127.0.0.1:{port}/v1/chat/completions")
    finally:
        process.terminate()
        process.wait(timeout=20)


def mitmdump() -> str:
    """The mitmdump of this environment."""
    return str(Path(sys.executable).with_name("mitmdump"))


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="llmrouter-bench-"))
    stub_port = free_port()
    stub = start([sys.executable, str(REPOSITORY / "scripts" / "bench_stub.py"), "--port", str(stub_port)], "ready")
    rows: list[Row] = []

    def add(name: str, *, stream: bool = False, **asked: object) -> Callable[[int, str], None]:
        wanted = {"model": "gpt-4o-mini"} | asked
        return lambda pid, url: rows.append(measure((name, wanted), pid, url, options, stream=stream))

    def add_router_rows(pid: int, url: str) -> None:
        add("router, routed")(pid, url)
        add("router, answered from the cache", temperature=0)(pid, url)
        add(FORWARDED, stream=True)(pid, url)
        add("router, streaming 100 chunks from the cache", stream=True, seed=7)(pid, url)
        add(TRANSLATED, stream=True, model="claude")(pid, url)

    try:
        if options.memory:
            with_router(stub_port, folder, "json", print_memory)
            return
        with_mitmproxy_alone(stub_port, folder, add("mitmproxy alone"))
        with_mitmproxy_alone(stub_port, folder, add("mitmproxy alone, streaming 100 chunks", stream=True))
        with_router(stub_port, folder, "json", add_router_rows)
    finally:
        stub.terminate()
        stub.wait(timeout=10)
        shutil.rmtree(folder)
    print_table(rows)


def print_memory(pid: int, url: str) -> None:
    """Resident memory of the router as requests go by, and while slow clients read long streams."""
    print("| requests so far | resident |\n|---:|---:|")
    for total in (1000, 5000, 10000, 20000):
        count = {1000: 1000, 5000: 4000, 10000: 5000, 20000: 10000}[total]
        asyncio.run(drive(url, count, 8, stream=False, asked={"model": "gpt-4o-mini"}))
        print(f"| {total} | {resident_mib(pid):.0f} MiB |", flush=True)
    highest = asyncio.run(read_slowly(pid, url))
    print(f"\n50 clients that read a stream of 16 MiB slowly: {highest:.0f} MiB at most")


async def read_slowly(pid: int, url: str) -> float:
    """Reads 50 long streams at about 1.6 MiB/s each; returns the router's highest resident memory."""
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
                highest = max(highest, resident_mib(pid))

    await asyncio.gather(*(one_client() for _ in range(50)))
    return highest


def print_table(rows: list[Row]) -> None:
    """The table as Markdown, with the ratio to mitmproxy alone doing the same, and what translating costs."""
    print("| | CPU per request | ratio | p50 | p99 | resident |")
    print("|---|---:|---:|---:|---:|---:|")
    alone = {"stream" in row.name: row.cpu_ms for row in rows if row.name.startswith("mitmproxy")}
    for row in rows:
        ratio = row.cpu_ms / alone["stream" in row.name]
        print(
            f"| {row.name} | {row.cpu_ms:.2f} ms | {ratio:.2f} "
            f"| {row.p50_ms:.2f} ms | {row.p99_ms:.2f} ms | {row.resident_mib:.0f} MiB |"
        )
    cpu_ms = {row.name: row.cpu_ms for row in rows}
    ratio = cpu_ms[TRANSLATED] / cpu_ms[FORWARDED]
    print(f"\n{TRANSLATED}: {ratio:.2f} of the CPU of {FORWARDED} (at most 2.0)")


if __name__ == "__main__":
    main()
