"""Apps on frameworks, unmodified, over chat and over Responses: LangChain in Python, Vercel's AI SDK in JavaScript."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import StartRouter, routed_to
from tests.e2e.router_process import REPOSITORY, RouterProcess, app_environment
from tests.fakes.provider import FakeProvider, Status

APPS: dict[str, list[str | Path]] = {
    "LangChain": [sys.executable, REPOSITORY / "tests" / "e2e" / "langchain_app.py"],
    "AI SDK": [Path(sys.executable).with_name("node"), REPOSITORY / "tests" / "npm" / "ai_sdk_app.mjs"],
}


def calls_weather() -> Status:
    """An answer that calls a tool."""
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Ulm"}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    choices = [{"index": 0, "message": message, "finish_reason": "tool_calls"}]
    return Status(
        200, {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": choices, "usage": usage}
    )


@pytest.fixture
async def router(start_router: StartRouter, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> Any:
    started = await start_router(routed_to(fake))
    with app_environment(started, monkeypatch):
        yield started


@pytest.mark.parametrize("framework", APPS)
async def test_an_app_on_a_framework(router: RouterProcess, fake: FakeProvider, framework: str) -> None:
    def app() -> subprocess.CompletedProcess[str]:
        environ = os.environ | {"NODE_USE_ENV_PROXY": "1", "NODE_EXTRA_CA_CERTS": str(router.ca_file)}
        return subprocess.run(APPS[framework], env=environ, capture_output=True, text=True, timeout=60, check=False)

    text = fake.default
    fake.script(text, text, calls_weather(), text, text, text, calls_weather(), text)
    done = await asyncio.to_thread(app)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert set(told) == {"responses", "chat"}
    for name, said in told.items():
        texts = (said["whole"], said["streamed"], said["looped"])
        assert (name, texts) == (name, ("hello there",) * 3)
        assert (said["finish"], said["results"]) == ("stop", ["sunny in Ulm"])
        assert said["tokens"] > 0
    messages = json.loads(fake.requests[-1].body)["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "tool"]
    assert messages[1]["tool_calls"][0]["id"] == messages[2]["tool_call_id"]
    assert len(router.decisions(8)) == 8
