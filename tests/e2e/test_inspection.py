"""What the owner sees: flows in mitmweb and on disk, reply headers, one decision line per call; and never a key."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from mitmproxy import http, io

from tests.e2e.conftest import StartRouter, routed_to
from tests.e2e.router_process import free_port
from tests.fakes.provider import Answer, FakeProvider, Status

URL = "https://api.openai.com/v1/chat/completions"
BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "ping"}]}
KEY = {"authorization": "Bearer key-of-the-app"}
SECRETS = ("key-of-the-app", "key-of-groq")


def priced(fake: FakeProvider, **settings: Any) -> dict[str, Any]:
    config = routed_to(fake)
    provider = config["providers"][0]
    del provider["model"]
    provider["models"] = [{"id": "fake-model", "serves": ["*"], "price": {"input": 10, "output": 100}}]
    return config | settings


def recorded(file: Path) -> list[http.HTTPFlow]:
    with file.open("rb") as stream:
        return [flow for flow in io.FlowReader(stream).stream() if isinstance(flow, http.HTTPFlow)]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_rerouted_flow_shows_what_the_provider_got(
    start_router: StartRouter, fake: FakeProvider, tmp_path: Path, stream: bool
) -> None:
    """Real URL, real body, a comment with provider, model, attempts and cost; both keys redacted."""
    router = await start_router(priced(fake), options=("-w", str(tmp_path / "flows")))
    async with httpx.AsyncClient(proxy=router.proxy_url, verify=router.tls(), trust_env=False) as client:
        reply = await client.post(URL, json=BODY | {"stream": stream}, headers=KEY)
    await asyncio.to_thread(router.stop)

    (flow,) = recorded(tmp_path / "flows")
    assert flow.request.pretty_url == f"{fake.base_url}/chat/completions"
    assert flow.request.content == fake.requests[0].body
    assert flow.request.headers["authorization"] == "[redacted by llmrouter]"
    assert flow.comment == "fake · fake-model · 1 attempt · $0.000270"
    assert flow.response is not None
    assert flow.response.content == reply.content
    everything = (tmp_path / "flows").read_text(errors="replace") + "\n".join(router.log)
    assert not [secret for secret in SECRETS if secret in everything]


async def test_requests_that_fail_leave_no_key_behind(
    start_router: StartRouter, fake: FakeProvider, tmp_path: Path
) -> None:
    """Bad JSON, too large, cut short, a local page: the recorded flow has no key, whatever became of the request."""
    router = await start_router(priced(fake, max_request_mebibytes=1), options=("-w", str(tmp_path / "flows"), "-v"))
    headers = KEY | {"cookie": "cookie-of-the-app", "api-key": "key-of-the-app"}
    async with httpx.AsyncClient(proxy=router.proxy_url, verify=router.tls(), trust_env=False) as client:
        statuses = [
            (await client.post(URL, content=b"{bad", headers=headers)).status_code,
            (await client.post(URL, content=b"x" * 2_000_000, headers=headers)).status_code,
            (await client.get("http://llmrouter.local/", headers=headers)).status_code,
        ]
    request_line = b"POST /v1/chat/completions HTTP/1.1\r\nauthorization: Bearer key-of-the-app\r\nhost: x\r\n"
    for begun in (request_line, request_line + b"content-length: 9\r\n\r\n{"):
        _, writer = await asyncio.open_connection("127.0.0.1", router.api_port)
        writer.write(begun)
        await writer.drain()
        writer.close()
    await asyncio.to_thread(router.wait_for_log, "client disconnect", count=4)
    await asyncio.to_thread(router.stop)

    assert statuses == [400, 413, 200]
    everything = (tmp_path / "flows").read_text(errors="replace") + "\n".join(router.log)
    assert not [secret for secret in (*SECRETS, "cookie-of-the-app") if secret in everything]


async def test_long_streams_are_kept_up_to_the_limit(
    start_router: StartRouter, fake: FakeProvider, tmp_path: Path
) -> None:
    """`inspection.max_stream_kibibytes` bounds what a flow holds."""
    config = priced(fake, inspection={"max_stream_kibibytes": 1})
    router = await start_router(config, options=("-w", str(tmp_path / "flows")))
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}], "stream": True}
    fake.default = Answer("word " * 500)
    async with httpx.AsyncClient(proxy=router.proxy_url, verify=router.tls(), trust_env=False) as client:
        reply = await client.post(URL, json=body)
    await asyncio.to_thread(router.stop)

    (flow,) = recorded(tmp_path / "flows")
    assert flow.response is not None
    assert flow.response.content == reply.content[:1024]


async def test_the_decision_line(start_router: StartRouter, fake: FakeProvider) -> None:
    """One JSON line tells the requested model, the plan with reasons, attempts, usage and cost."""
    config = priced(fake)
    config["providers"].insert(0, {"name": "flaky", "type": "echo", "mock_failure_rate": 1.0, "priority": 1})
    config["providers"].append(
        {"name": "small", "type": "echo", "models": [{"id": "m", "serves": ["*"], "capabilities": []}]}
    )
    router = await start_router(config)
    tool = {"type": "function", "function": {"name": "f"}}
    async with httpx.AsyncClient(proxy=router.proxy_url, verify=router.tls(), trust_env=False) as client:
        await client.post(URL, json=BODY | {"tools": [tool]}, headers=KEY)
    (decision,) = await asyncio.to_thread(router.decisions, 1)

    assert decision["model"] == "gpt-4o"
    assert decision["plan"]["targets"] == ["flaky/echo", "fake/fake-model"]
    assert decision["plan"]["left_out"] == [{"target": "small/m", "reason": "it cannot do: tools"}]
    assert [(a["target"], a["outcome"]) for a in decision["attempts"]] == [
        ("flaky/echo", "server_error"),
        ("fake/fake-model", "success"),
    ]
    assert decision["usage"]["input_tokens"] == 7
    assert decision["cost_usd"] == pytest.approx(0.00027)
    assert decision["answered_by"] == "fake/fake-model"


async def test_decisions_can_go_to_a_file(start_router: StartRouter, fake: FakeProvider, tmp_path: Path) -> None:
    """`logging.file` takes the lines instead of standard output."""
    file = tmp_path / "logs" / "decisions.jsonl"
    router = await start_router(priced(fake, logging={"file": str(file)}))
    async with httpx.AsyncClient(proxy=router.proxy_url, verify=router.tls(), trust_env=False) as client:
        await client.post(URL, json=BODY)
    await asyncio.to_thread(router.stop)

    (line,) = file.read_text().splitlines()
    assert json.loads(line)["answered_by"] == "fake/fake-model"
    assert not [line for line in router.log if '"decision"' in line]


async def test_mitmweb_shows_the_same(start_router: StartRouter, fake: FakeProvider) -> None:
    """`mitmweb -s addon/router.py` works, and its flow list holds the provider's URL and the comment, but no key."""
    port = free_port()
    options = ("--no-web-open-browser", "--web-port", str(port), "--set", "web_password=for-this-test")
    router = await start_router(priced(fake), program="mitmweb", options=options)
    fake.script(Status(500))
    async with httpx.AsyncClient(proxy=router.proxy_url, verify=router.tls(), trust_env=False) as client:
        assert (await client.post(URL, json=BODY | {"stream": True}, headers=KEY)).status_code == 200
    async with httpx.AsyncClient(trust_env=False) as web:
        flows = await web.get(f"http://127.0.0.1:{port}/flows", headers={"authorization": "Bearer for-this-test"})

    (flow,) = flows.json()
    assert flow["request"]["pretty_host"] == "127.0.0.1"
    assert flow["comment"] == "fake · fake-model · 2 attempts · $0.000270"
    assert not [secret for secret in SECRETS if secret in flows.text]
