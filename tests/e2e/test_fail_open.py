"""`on_internal_error: passthrough`: what the router itself cannot answer goes to OpenAI as it was sent."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from llmrouter.cli.checks.mishaps import check_mishaps
from llmrouter.cli.running_router import status
from llmrouter.settings.model import Settings
from tests.e2e.conftest import StartRouter, routed_to
from tests.e2e.router_process import RouterProcess
from tests.fakes.provider import DONE, PAUSE, FakeProvider, Status, StreamSteps, sse_chunk

URL = "https://api.openai.com/v1"
SCRIPT = str(Path(__file__).with_name("break_on_word.py"))
KEY = {"authorization": "Bearer key-of-the-app", "openai-organization": "org-1"}
CHAT, RESPONSES = "/chat/completions", "/responses"
LIMITS = {"max_calls": 1, "max_held_mebibytes": 1}


def body(text: str) -> bytes:
    # Not as our own JSON would be: it has to arrive as it was sent.
    return json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": text}]}, indent=1).encode()


class Checked:
    """A client through the proxy, and what OpenAI gets."""

    def __init__(self, router: RouterProcess, openai: FakeProvider, app: httpx.AsyncClient) -> None:
        self.router = router
        self.openai = openai
        self.app = app

    async def passes(self, content: bytes, path: str = CHAT, base: str = URL) -> None:
        """It reaches OpenAI byte for byte, with the app's own key, and OpenAI's answer comes back."""
        before = len(self.openai.requests)
        reply = await self.app.post(base + path, content=content, headers=KEY)
        assert (reply.status_code, reply.content) == (201, b"from openai")
        (seen,) = self.openai.requests[before:]
        assert (seen.path, seen.body) == (f"/v1{path}", content)
        assert {name: seen.headers[name] for name in KEY} == KEY

    async def is_refused(self, content: bytes, code: str, path: str = CHAT, **headers: str) -> None:
        """OpenAI hears nothing of it."""
        before = len(self.openai.requests)
        reply = await self.app.post(URL + path, content=content, headers=KEY | headers)
        assert reply.json()["error"]["code"] == code
        assert reply.status_code == (500 if code == "llmrouter_internal_error" else 503)
        assert self.openai.requests[before:] == []


@pytest.fixture
async def openai(fake_openai: tuple[FakeProvider, tuple[str, ...]]) -> FakeProvider:
    fake_openai[0].default = Status(201, b"from openai")
    return fake_openai[0]


async def test_what_the_router_cannot_answer(
    start_router: StartRouter, fake: FakeProvider, openai: FakeProvider, fake_openai: tuple[FakeProvider, Any]
) -> None:
    """A defect, too much to do, and no target; then the same with `reject`."""
    config = routed_to(fake) | {"on_internal_error": "passthrough", "overload": LIMITS}
    router = await start_router(config, options=("-s", SCRIPT, *fake_openai[1]))
    async with httpx.AsyncClient(proxy=router.proxy_url, verify=router.tls(), trust_env=False, timeout=20) as app:
        checked = Checked(router, openai, app)
        await defects_pass(checked)
        await overload_passes(checked, fake)
        await reload(router, without_target(config))
        await checked.passes(body("ping"))
        await checked.passes(b'{"model": "gpt-4o", "input": "ping"}', RESPONSES)
        told = await asyncio.to_thread(status, router.api_port)
        await reload(router, without_target(config) | {"on_internal_error": "reject"})
        await checked.is_refused(body("ping"), "no_target_configured")
        await checked.is_refused(b'{"model": "gpt-4o", "input": "ping"}', "no_target_configured", RESPONSES)
        await checked.is_refused(body("break me"), "llmrouter_internal_error")
        upgrade = KEY | {"connection": "upgrade", "upgrade": "websocket"}
        assert (await app.get(f"{URL}{RESPONSES}?model=gpt-4o", headers=upgrade)).status_code == 503

    warnings = [line for line in router.log if "A request was passed through to OpenAI with the app's own key" in line]
    assert sorted(line.partition("(")[2].partition(")")[0] for line in warnings) == [
        "internal_error",
        "not_configured",
        "overloaded",
    ]
    assert "key-of-the-app" not in "\n".join(router.log)
    found = {finding.what.partition(":")[0]: finding for finding in check_mishaps(Settings(), told)}
    assert "3 passed through" in found["internal_error"].what
    assert told["overload"]["refused_bodies"] == 1
    assert "2 refused, 4 passed through" in found["overloaded"].what
    results = [(one["result"], one["status"]) for one in router.decisions(10)]
    assert results.count(("passed_through", None)) == 9


async def defects_pass(checked: Checked) -> None:
    """At the proxy, and at the API port in front of OpenAI; the next request is routed as ever."""
    await checked.passes(body("break me"))
    await checked.passes(body("break me again"))
    async with httpx.AsyncClient(trust_env=False, timeout=20) as direct:
        await Checked(checked.router, checked.openai, direct).passes(body("break me"), base=checked.router.api_url)
    reply = await checked.app.post(URL + CHAT, content=body("ping"), headers=KEY)
    assert reply.headers["x-llmrouter-provider"] == "fake"


async def overload_passes(checked: Checked, fake: FakeProvider) -> None:
    """Calls, a response that begins by itself, and a body whose length tells; not what OpenAI would not heed."""
    fake.script(stuck := StreamSteps([sse_chunk("hello"), PAUSE, sse_chunk(finish="stop"), DONE]))
    streaming = json.dumps({"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "x"}]})
    async with checked.app.stream("POST", URL + CHAT, content=streaming, headers=KEY) as reply:
        lines = reply.aiter_lines()
        async for line in lines:
            if "hello" in line:
                break
        await checked.passes(body("ping"))
        await checked.passes(b'{"model": "gpt-4o", "input": "ping"}', RESPONSES)
        await checked.passes(body("x" * 1_100_000))
        await checked.passes(body("pong"))
        await checked.is_refused(body("ping"), "overloaded", **{"x-llmrouter-provider": "fake"})
        before = len(checked.openai.requests)
        goes_on = json.dumps({"model": "gpt-4o", "input": "x", "previous_response_id": "resp_1"}).encode()
        refused = await checked.app.post(URL + RESPONSES, content=goes_on, headers=KEY)
        assert refused.status_code == 503
        assert checked.openai.requests[before:] == []
    await asyncio.wait_for(stuck.client_left.wait(), 10)


def without_target(config: dict[str, Any]) -> dict[str, Any]:
    """Its only provider has no key."""
    return config | {"providers": [{"type": "together", "model": "m", "api_key_env": "NOT_SET"}]}


async def reload(router: RouterProcess, config: dict[str, Any]) -> None:
    before = len([line for line in router.log if "Settings reloaded" in line])
    router.write_config(config)
    await asyncio.to_thread(router.wait_for_log, "Settings reloaded", count=before + 1)
