"""Fixtures of the end-to-end tests: fakes in the test's loop, the real mitmdump beside it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.router_process import REPOSITORY, RouterProcess
from tests.fakes.certificates import own_tls
from tests.fakes.provider import FakeProvider

type StartRouter = Callable[..., Any]


@pytest.fixture
async def start_router(tmp_path: Path) -> AsyncIterator[StartRouter]:
    """Starts routers and ends them with the test."""
    routers: list[RouterProcess] = []

    async def start(config: Any, **options: Any) -> RouterProcess:
        folder = tmp_path / f"router{len(routers)}"
        folder.mkdir()
        router = RouterProcess(folder, config, **options)
        routers.append(router)
        await asyncio.to_thread(router.wait_until_ready)
        return router

    yield start
    for router in routers:
        await asyncio.to_thread(router.stop)


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    """A provider."""
    async with FakeProvider() as provider:
        yield provider


@pytest.fixture
async def fake_openai(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[FakeProvider, tuple[str, ...]]]:
    """A stand-in for api.openai.com, and the options that make mitmproxy take it for the real one."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(FakeProvider(tls=own_tls("api.openai.com", tmp_path)))
        monkeypatch.setenv("FAKE_OPENAI_PORT", str(server.port))
        options: tuple[str, ...] = ("-s", str(REPOSITORY / "tests" / "e2e" / "redirect_openai.py"))
        options += ("--set", f"ssl_verify_upstream_trusted_ca={tmp_path / 'api.openai.com.pem'}")
        yield server, options


def routed_to(fake: FakeProvider, **settings: Any) -> dict[str, Any]:
    """A configuration with one provider that answers for everything."""
    provider = {"name": "fake", "type": "groq", "base_url": fake.base_url, "model": "fake-model"}
    return {"providers": [provider | settings]}
