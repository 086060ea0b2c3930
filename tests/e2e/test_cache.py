"""The cache as an app and its owner see it: the real mitmdump, the openai SDK, and `llmrouter cache`."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import StartRouter, routed_to
from tests.e2e.router_process import RouterProcess, app_environment, async_sdk
from tests.fakes.provider import Answer, FakeProvider
from tests.fakes.redis_server import RedisServer

ASKED: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "ping"}], "temperature": 0}
PRICED: dict[str, Any] = {"models": [{"id": "m", "serves": ["*"], "price": {"input": 100, "output": 100}}]}


async def test_the_sdk_gets_kept_answers_in_every_way(
    start_router: StartRouter, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole, streamed, and by the stream helper: one request to the provider, whose flow and decision say so."""
    fake.default = Answer("one two three")
    router = await start_router(routed_to(fake))
    with app_environment(router, monkeypatch):
        async with async_sdk() as client:
            whole = [await client.chat.completions.create(**ASKED) for _ in range(2)]
            async with client.chat.completions.stream(**ASKED) as events:
                streamed = await events.get_final_completion()
            raw = await client.chat.completions.with_raw_response.create(**ASKED)
            refused = await client.chat.completions.with_raw_response.create(
                **ASKED, extra_headers={"cache-control": "no-store"}
            )
    assert {answer.choices[0].message.content for answer in (*whole, streamed)} == {"one two three"}
    assert len({answer.id for answer in (*whole, streamed)}) == 3
    assert raw.headers["x-llmrouter-cache"] == "hit"
    assert int(raw.headers["age"]) >= 0
    assert refused.headers["x-llmrouter-cache"] == "bypass"
    assert len(fake.requests) == 2
    decisions = await asyncio.to_thread(router.decisions, 5)
    assert [decision["cache"] for decision in decisions] == ["miss", "hit", "hit", "hit", "bypass"]


async def test_a_bad_wish_is_refused(start_router: StartRouter, fake: FakeProvider) -> None:
    router = await start_router(routed_to(fake))
    async with httpx.AsyncClient(trust_env=False) as client:
        url = f"http://127.0.0.1:{router.api_port}/v1/chat/completions"
        reply = await client.post(url, json=ASKED, headers={"x-llmrouter-cache": "off"})
    assert reply.status_code == 400
    assert "must be one of no-store, no-cache, only-if-cached" in reply.json()["error"]["message"]


async def test_only_if_cached_goes_nowhere_for_a_model_that_nobody_serves(
    start_router: StartRouter, fake: FakeProvider, fake_openai: tuple[FakeProvider, tuple[str, ...]]
) -> None:
    openai_server, options = fake_openai
    provider = routed_to(fake)["providers"][0] | {"models": [{"id": "m"}]}
    del provider["model"]
    router = await start_router({"providers": [provider]}, options=options)
    async with httpx.AsyncClient(trust_env=False) as client:
        url = f"http://127.0.0.1:{router.api_port}/v1/chat/completions"
        reply = await client.post(url, json=ASKED, headers={"cache-control": "only-if-cached"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (504, "not_cached")
    assert (fake.requests, openai_server.requests) == ([], [])


async def test_many_clients_share_one_request(start_router: StartRouter, fake: FakeProvider) -> None:
    router = await start_router(routed_to(fake))
    async with httpx.AsyncClient(trust_env=False) as client:
        url = f"http://127.0.0.1:{router.api_port}/v1/chat/completions"
        replies = await asyncio.gather(*(client.post(url, json=ASKED | {"stream": n % 2 == 0}) for n in range(20)))
    assert {reply.status_code for reply in replies} == {200}
    assert len(fake.requests) == 1


async def test_workers_share_a_redis(
    start_router: StartRouter, fake: FakeProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two routers with one secret: what one was told the other knows; and both go on when Redis is gone."""
    server = RedisServer(tmp_path)
    await server.start()
    monkeypatch.setenv("LLMROUTER_CACHE_SECRET", "of both")
    config = routed_to(fake) | {"cache": {"backend": "redis", "url": server.url, "timeout_seconds": 2}}
    routers = [await start_router(config) for _ in range(2)]
    async with httpx.AsyncClient(trust_env=False) as client:

        async def ask(router: RouterProcess, seed: int) -> str:
            url = f"http://127.0.0.1:{router.api_port}/v1/chat/completions"
            reply = await client.post(url, json=ASKED | {"seed": seed}, headers={"authorization": "Bearer of-the-app"})
            assert reply.status_code == 200
            return reply.headers["x-llmrouter-cache"]

        assert [await ask(router, 1) for router in (*routers, *routers)] == ["miss", "hit", "hit", "hit"]
        await server.kill()
        assert [await ask(router, 1) for router in routers] == ["miss", "miss"]
        assert [await ask(router, 2) for router in routers] == ["miss", "miss"]


def primed(router: RouterProcess, file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("llmrouter")), "cache", "prime", str(file), *options]
    environ = os.environ | {"OPENAI_API_KEY": "of-the-app"}
    base_url = f"http://127.0.0.1:{router.api_port}/v1"
    return subprocess.run(
        [*command, "--base-url", base_url], env=environ, capture_output=True, text=True, check=False, timeout=60
    )


async def test_priming_from_lines_of_json(start_router: StartRouter, fake: FakeProvider, tmp_path: Path) -> None:
    """What is primed is there for the app with the same key, in whichever way it asks."""
    router = await start_router(routed_to(fake))
    file = tmp_path / "requests.jsonl"
    bodies = [ASKED | {"seed": 1}, ASKED | {"seed": 2, "stream": True}, ASKED | {"seed": 1}, ASKED | {"temperature": 1}]
    file.write_text("\n".join(map(json.dumps, bodies)))
    done = await asyncio.to_thread(primed, router, file, "--concurrency", "1")
    assert done.returncode == 0, done.stderr
    assert "2 asked and kept where the answer was good" in done.stdout
    assert "1 known before" in done.stdout
    assert "1 not to be kept (`cache.when`)" in done.stdout
    assert "and what is not known" in done.stdout
    before = len(fake.requests)
    async with httpx.AsyncClient(trust_env=False) as client:
        url = f"http://127.0.0.1:{router.api_port}/v1/chat/completions"
        for key, expected in (("of-the-app", "hit"), ("of-another", "miss")):
            headers = {"authorization": f"Bearer {key}"}
            reply = await client.post(url, json=ASKED | {"seed": 2}, headers=headers)
            assert reply.headers["x-llmrouter-cache"] == expected
    assert len(fake.requests) == before + 1


async def test_priming_ends_at_its_ceiling(start_router: StartRouter, fake: FakeProvider, tmp_path: Path) -> None:
    config = routed_to(fake)
    config["providers"][0] = {k: v for k, v in config["providers"][0].items() if k != "model"} | PRICED
    router = await start_router(config)
    file = tmp_path / "requests.jsonl"
    file.write_text("\n".join(json.dumps(ASKED | {"seed": n, "max_tokens": 1}) for n in range(50)))
    done = await asyncio.to_thread(primed, router, file, "--concurrency", "2", "--max-usd", "0.02")
    spent_usd = float(done.stdout.split("Spent: $")[1].split()[0])
    assert 0 < spent_usd <= 0.02
    assert 0 < len(fake.requests) < 50


async def test_priming_from_recorded_flows(start_router: StartRouter, fake: FakeProvider, tmp_path: Path) -> None:
    flows = tmp_path / "flows"
    recording = await start_router(routed_to(fake), options=("-w", str(flows)))
    async with httpx.AsyncClient(trust_env=False) as client:
        url = f"http://127.0.0.1:{recording.api_port}/v1/chat/completions"
        for body in (json.dumps(ASKED).encode(), b"no JSON"):
            await client.post(url, content=body)
    await asyncio.to_thread(recording.stop)
    router = await start_router(routed_to(fake))
    done = await asyncio.to_thread(primed, router, flows)
    assert (done.returncode, "1 asked and kept" in done.stdout) == (0, True), done.stdout + done.stderr
