"""Priming keeps its ceiling, whatever the router charges and however many requests are under way."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from llmrouter.cli.priming import _Priming


def router_that_takes_all(slow: int) -> httpx.MockTransport:
    """Charges exactly what it is allowed to; the first ones take longer."""
    asked: list[Mapping[str, Any]] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers)
        allowed = request.headers["x-llmrouter-max-cost-usd"]
        if len(asked) <= slow:
            for _ in range(50):
                await asyncio.sleep(0)
        return httpx.Response(200, headers={"x-llmrouter-cache": "miss", "x-llmrouter-cost-usd": allowed})

    return httpx.MockTransport(answer)


@pytest.mark.parametrize("concurrency", [1, 4, 16])
async def test_the_ceiling_holds(concurrency: int, monkeypatch: pytest.MonkeyPatch) -> None:
    transport = router_that_takes_all(3)
    client_of = httpx.AsyncClient
    monkeypatch.setattr(httpx, "AsyncClient", lambda **_: client_of(transport=transport))
    priming = _Priming("http://router.test/v1", {}, 1.0, concurrency)
    done: list[int] = []
    await priming.run([{"messages": []} for _ in range(60)], lambda: done.append(1))
    assert len(done) == 60
    assert 0.5 < priming.spent_usd <= 1.0
    assert abs(priming.reserved_usd) < 1e-9


async def test_what_is_dearer_than_what_is_left_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"error": {"message": "... it would cost about $0.5, and the client allows $0.25"}}
    transport = httpx.MockTransport(lambda _: httpx.Response(404, json=told, headers={"x-llmrouter-cache": "bypass"}))
    client_of = httpx.AsyncClient
    monkeypatch.setattr(httpx, "AsyncClient", lambda **_: client_of(transport=transport))
    priming = _Priming("http://router.test/v1", {}, 1.0, 1)
    await priming.run([{"messages": []}], lambda: None)
    assert (priming.counts["dear"], priming.counts["failed"]) == (1, 0)


async def test_who_asks_is_told_as_the_sdks_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from llmrouter.cli.priming import _headers

    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.delenv("OPENAI_PROJECT_ID", raising=False)
    monkeypatch.setenv("APP_KEY", "key-of-the-app")
    assert _headers("APP_KEY") == {"openai-organization": "org-1", "authorization": "Bearer key-of-the-app"}
