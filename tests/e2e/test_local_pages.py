"""The router's own pages through the real proxy: by the name llmrouter.local and at the port of the API."""

import asyncio
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.conftest import StartRouter, routed_to
from tests.fakes.provider import FakeProvider

KEY = {"authorization": "Bearer key-of-the-app"}
TRACE = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}


def _reply(name: str) -> dict[str, Any]:
    return {"model": name, "messages": [{"role": "user", "content": "ping"}]}


async def test_pages_tell_what_happened(
    start_router: StartRouter, fake: FakeProvider, fake_openai: tuple[FakeProvider, tuple[str, ...]], tmp_path: Path
) -> None:
    """By both ways, for GET and HEAD alone, to nobody else's web page, and never kept; keys are not in them.

    At other names, the same paths are not the router's.
    """
    sink = tmp_path / "mine.py"
    sink.write_text("class Mine:\n    def take(self, decision): print('a sink was told of', decision['id'])\n")
    config = routed_to(fake) | {"telemetry": {"sinks": [f"{sink}:Mine"]}}
    router = await start_router(config, options=("-w", str(tmp_path / "flows"), *fake_openai[1]))
    own = f"http://127.0.0.1:{router.api_port}/llmrouter"
    async with (
        httpx.AsyncClient(proxy=router.proxy_url, verify=router.tls(), trust_env=False, timeout=20) as proxied,
        httpx.AsyncClient(trust_env=False, timeout=20) as direct,
    ):
        for stream in (False, True):
            body = _reply("gpt-4o") | {"stream": stream}
            asked = await direct.post(f"{router.api_url}/chat/completions", json=body, headers=KEY | TRACE)
            asked.raise_for_status()
        ways = ((proxied, "http://llmrouter.local"), (direct, own))
        for client, root in ways:
            health = (await client.get(f"{root}/health", headers=KEY)).json()
            assert (health["status"], health["name"], health["pid"]) == ("ok", "llmrouter", router.process.pid)
            reply = await client.get(f"{root}/api/status", headers=KEY)
            _check_headers(reply)
            _check_status(reply.json(), router.config_file)
            head = await client.head(f"{root}/api/decisions", headers=KEY)
            listed = await client.get(f"{root}/api/decisions", headers=KEY)
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["content-length"] == listed.headers["content-length"]
            decisions = listed.json()["data"]
            assert [one["stream"] for one in decisions] == [True, False]
            whole = (await client.get(f"{root}/api/decisions/{decisions[0]['id']}")).json()
            assert whole["traceparent"] == TRACE["traceparent"]
            assert whole["plan"]["candidates"][0]["target"] == "fake/fake-model"
            figures = (await client.get(f"{root}/metrics")).text
            assert 'llmrouter_attempts_total{model="fake-model",outcome="success",provider="fake"} 2.0' in figures
            statuses = [
                (await client.get(f"{root}/nothing")).status_code,
                (await client.get(f"{root}/api/decisions/req-unknown")).status_code,
                (await client.get(f"{root}/api/decisions?limit=0")).status_code,
                (await client.post(f"{root}/api/status", content=b"x")).status_code,
                (await client.get(f"{root}/")).status_code,
                (await client.get(f"{root}/health", headers={"origin": "https://evil.example"})).status_code,
            ]
            assert statuses == [404, 404, 400, 405, 200, 403]
        moved = await direct.get(own)
        assert (moved.status_code, moved.headers["location"]) == (308, "/llmrouter/")
        rebound = await direct.get(f"{own}/health", headers={"host": f"evil.example:{router.api_port}"})
        assert (rebound.status_code, rebound.json()["error"]["code"]) == (403, "foreign_origin")
        assert (await direct.get(f"{own}/health", headers={"host": "localhost"})).status_code == 200
        passed = await proxied.get("https://api.openai.com/llmrouter/health")
        assert "llmrouter" not in passed.text
    assert [request.path for request in fake_openai[0].requests] == ["/llmrouter/health"]
    await asyncio.to_thread(router.wait_for_log, "a sink was told of", count=2)
    await asyncio.to_thread(router.stop)
    assert all("traceparent" not in request.headers for request in fake.requests)
    assert "key-of-the-app" not in (tmp_path / "flows").read_text(errors="replace")


def _check_headers(reply: httpx.Response) -> None:
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["referrer-policy"] == "no-referrer"
    assert reply.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; ")
    assert "access-control-allow-origin" not in reply.headers


def _check_status(status: dict[str, Any], config: Path) -> None:
    assert status["config"] == str(config)
    assert (status["totals"]["requests"], status["totals"]["failed"]) == (2, 0)
    assert status["totals"]["by_provider"]["fake"]["answered"] == 2
    (target,) = status["targets"]
    assert (target["key"], target["breaker"], target["resting"]) == ("fake/fake-model", "closed", None)
    assert target["in_flight"] == 0
    assert target["first_content_s"]["p95"] >= target["first_content_s"]["p50"] > 0
