"""A day at the router, and what its owner reads of it afterwards."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from llmrouter.cli.main import main
from tests.e2e.conftest import StartRouter
from tests.fakes.provider import FakeProvider

MODEL = {"id": "fake-model", "serves": ["*"], "price": {"input": 1000, "output": 1000}}


async def llmrouter(*arguments: str) -> Any:
    """Runs the command on a thread, for it has a loop of its own."""
    return await asyncio.to_thread(CliRunner().invoke, main, arguments)


async def test_every_call_is_in_the_ledger_when_the_router_has_ended(
    start_router: StartRouter, fake: FakeProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each endpoint, streamed and whole, from the last second, too; and the router's own traffic saves nothing."""
    config = {"providers": [{"name": "fake", "type": "groq", "base_url": fake.base_url, "models": [MODEL]}]}
    router = await start_router(config, options=("-w", str(tmp_path / "flows")))
    headers = {"authorization": "Bearer key-of-the-app"}
    chat: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "ping"}]}
    requests = [
        ("/chat/completions", chat),
        ("/chat/completions", chat | {"stream": True}),
        ("/completions", {"model": "gpt-4o", "prompt": "ping"}),
        ("/responses", {"model": "gpt-4o", "input": "ping"}),
    ]
    async with httpx.AsyncClient(trust_env=False, timeout=20, headers=headers) as client:
        for path, body in requests:
            assert (await client.post(f"{router.api_url}{path}", json=body)).status_code == 200
    await asyncio.to_thread(router.stop)

    monkeypatch.chdir(tmp_path / "router0")
    monkeypatch.setenv("LLMROUTER_CONFIG", str(router.config_file))
    told = json.loads((await llmrouter("usage", "--by", "endpoint", "--json")).stdout)
    assert {line["key"]: line["calls"] for line in told["lines"]} == {
        "chat.completions": 2,
        "completions": 1,
        "responses": 1,
    }
    assert told["total"]["cost_usd"] > 0
    callers = json.loads((await llmrouter("usage", "--by", "caller", "--json")).stdout)["lines"]
    assert [line["calls"] for line in callers] == [4]
    result = await llmrouter("savings", str(tmp_path / "flows"))
    assert "4 were answered by a router already" in result.stderr
