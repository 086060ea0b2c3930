"""What a stranger types: the demo ends by itself, and `llmrouter serve` answers without any configuration."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.e2e.router_process import REPOSITORY, WatchedProcess, free_port


def test_the_demo() -> None:
    """Every question is answered, the breaker of the dead provider opens, and it takes less than 20 seconds."""
    done = subprocess.run(
        [sys.executable, REPOSITORY / "scripts" / "run_demo.py"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    answers = re.findall(r"^ ?\d+  Question \d+: are you there\? +← (\w+)/echo", done.stdout, re.MULTILINE)
    assert len(answers) == 10
    assert set(answers) <= {"flaky", "steady"}
    assert "dead/echo is left alone: its breaker is open" in done.stdout


@pytest.mark.parametrize("web", [False, True])
async def test_serve_without_configuration(tmp_path: Path, web: bool) -> None:
    """With neither configuration nor keys it echoes, says so, and prints what to do next."""
    port, api_port = free_port(), free_port()
    keys = ("_KEY", "_TOKEN", "_PROXY", "_proxy", "LLMROUTER")
    environ = {name: value for name, value in os.environ.items() if not any(key in name for key in keys)}
    command = [
        str(Path(sys.executable).with_name("llmrouter")),
        "serve",
        "--port",
        str(port),
        "--api-port",
        str(api_port),
    ]
    options = ["--set", f"llmrouter_certs={tmp_path}"]
    if web:
        command.append("--web")
        options += ["--web-port", str(free_port())]
    router = WatchedProcess([*command, "--", *options], environ | {"PYTHONUNBUFFERED": "1"}, tmp_path)
    try:
        await asyncio.to_thread(router.wait_until_ready)
        async with httpx.AsyncClient(trust_env=False) as client:
            url = f"http://127.0.0.1:{api_port}/v1/chat/completions"
            reply = await client.post(url, json={"messages": [{"role": "user", "content": "ping"}]})
    finally:
        await asyncio.to_thread(router.stop)

    assert reply.json()["choices"][0]["message"]["content"] == "ping"
    printed = "\n".join(router.log)
    assert "running config/demo.yaml" in printed
    assert f"run --port {port} --api-port {api_port} -- python app.py" in printed
    assert f"env --port {port} --api-port {api_port}" in printed
    assert f"export OPENAI_BASE_URL=http://127.0.0.1:{api_port}/v1" in printed
