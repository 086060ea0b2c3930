"""The addon's hooks by themselves: what must hold whatever order mitmproxy calls them in."""

import asyncio
import json
from pathlib import Path

import pytest
from mitmproxy.test import tflow

from llmrouter.calls import Caller, Preferences
from llmrouter.endpoints import chat
from llmrouter.proxy.addon import LLMRouter
from llmrouter.proxy.commands import RouterCommands
from llmrouter.proxy.exchange import Exchange
from llmrouter.proxy.runtime import Runtime


async def test_a_request_that_lost_its_exchange_goes_nowhere() -> None:
    """A client that left before its `request` hook: mitmproxy would forward what has no response."""
    router = LLMRouter()
    flow = tflow.tflow()
    await router.request(flow)

    assert flow.response is not None
    assert flow.response.status_code == 499


async def test_a_flow_that_is_killed_ends_its_call() -> None:
    """The error hook of a killed flow, or of a broken connection, leaves no provider's stream open."""
    router = LLMRouter()
    flow = tflow.tflow()
    exchange = router._exchanges[flow.id] = Exchange(flow.client_conn.id, is_routed=True)
    router.error(flow)

    assert exchange._is_abandoned is True
    assert router._exchanges == {}


async def test_the_last_decisions_can_be_read_by_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are the lines of the decision log, the latest first."""
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "providers.yaml"
    config.write_text("providers: [{type: echo}]\nlogging: {decisions: 'off'}\n")
    running: list[Runtime] = []
    commands = RouterCommands(lambda: running[0] if running else None)
    assert commands.decisions() == []
    running.append(runtime := Runtime(config, {}))
    for id in ("req-1", "req-2"):
        body = b'{"messages": [{"role": "user", "content": "ping"}]}'
        call = chat.parse(body, "gpt-4o", id=id, caller=Caller(), preferences=Preferences())
        await runtime.gateway.answer(call)
    lines = commands.decisions()
    await runtime.close()
    assert [json.loads(line)["id"] for line in lines] == ["req-2", "req-1"]


async def test_the_cache_in_memory_is_counted_and_cleared_by_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    caplog.set_level("INFO")
    config = tmp_path / "providers.yaml"
    config.write_text("providers: [{type: echo}]\nlogging: {decisions: 'off'}\n")
    running: list[Runtime] = []
    commands = RouterCommands(lambda: running[0] if running else None)
    commands.cache_stats()
    assert "The response cache is off." in caplog.text
    running.append(runtime := Runtime(config, {}))
    body = b'{"messages": [{"role": "user", "content": "ping"}], "temperature": 0}'
    call = chat.parse(body, "gpt-4o", id="req-1", caller=Caller(), preferences=Preferences())
    await runtime.gateway.answer(call)
    for told in ("The cache holds 1 answers in", "1 answers were forgotten.", "The cache holds 0 answers in"):
        if "forgotten" in told:
            commands.cache_clear("echo")
        else:
            commands.cache_stats()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert told in caplog.text
    await runtime.close()
