"""A real router beyond loopback: it does not start without keys, and with them lets in who has one."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from llmrouter.cli.main import main
from tests.e2e.conftest import StartRouter, routed_to
from tests.e2e.router_process import RouterProcess
from tests.fakes.provider import FakeProvider

CALL = {"model": "gpt-4o", "messages": [{"role": "user", "content": "ping"}]}


def test_it_does_not_start_without_keys(tmp_path: Path) -> None:
    router = RouterProcess(tmp_path, {"providers": []}, options=("--listen-host", "0.0.0.0"))
    try:
        router.wait_for_log("would listen beyond this machine")
        assert router.process.wait(timeout=20) != 0
    finally:
        router.stop()


async def test_who_has_a_key_comes_in(start_router: StartRouter, fake: FakeProvider) -> None:
    made = json.loads(CliRunner().invoke(main, ["access", "new", "--json"]).output)
    key = made["key"]
    settings = routed_to(fake) | {"access": {"keys": [made["hash"]], "local": False}}
    router = await start_router(settings, options=("--listen-host", "0.0.0.0"))
    await asyncio.to_thread(follow, router, key)
    assert all(key not in str(request.headers) for request in fake.requests)
    assert len(fake.requests) == 3
    assert key not in "\n".join(router.log)


def follow(router: RouterProcess, key: str) -> None:
    api = f"http://127.0.0.1:{router.api_port}"
    with httpx.Client(trust_env=False, timeout=20) as app:
        url = f"{api}/v1/chat/completions"
        assert app.post(url, json=CALL).status_code == 401
        assert app.post(url, json=CALL, headers={"authorization": f"Bearer {key}"}).status_code == 200
        own = {"authorization": "Bearer key-of-the-app", "x-llmrouter-key": key}
        assert app.post(url, json=CALL, headers=own).status_code == 200
        page = f"{api}/llmrouter/api/status"
        assert app.get(page).status_code == 401
        assert app.get(page, auth=("anybody", key)).status_code == 200
    secure = "https://api.openai.com/v1/chat/completions"
    with pytest.raises(httpx.ProxyError, match="407"):
        through(router, "").post(secure, json=CALL)
    with through(router, f"llmrouter:{key}@") as app:
        assert app.post(secure, json=CALL, headers={"authorization": "Bearer key-of-the-app"}).status_code == 200
        assert app.get("http://llmrouter.local/health").status_code == 200
        assert app.get(f"http://127.0.0.1:{router.api_port}/llmrouter/").status_code == 403
        with pytest.raises(httpx.ProxyError, match="403"):
            app.get("https://169.254.169.254/latest/meta-data/")


def through(router: RouterProcess, credential: str) -> httpx.Client:
    proxy = f"http://{credential}127.0.0.1:{router.port}"
    return httpx.Client(proxy=proxy, verify=router.tls(), timeout=20, trust_env=False)
