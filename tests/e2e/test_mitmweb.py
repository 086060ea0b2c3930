"""What the owner sees and does in the real mitmweb: calls as conversations, comments and markers, and the commands."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import StartRouter
from tests.e2e.router_process import RouterProcess, free_port
from tests.fakes.provider import FakeProvider, Status

KEY = {"authorization": "Bearer key-of-the-app"}
SECRETS = ("key-of-the-app", "key-of-groq")
CHAT = {"model": "gpt-4o", "temperature": 0, "messages": [{"role": "user", "content": "ping"}]}
ATTEMPTS = 100


class Web:
    """mitmweb's own pages, asked as the browser asks them, and the router behind them as an app asks it."""

    def __init__(self, client: httpx.AsyncClient, router: RouterProcess) -> None:
        self._client, self._router = client, router

    async def ask(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return await self._client.post(f"{self._router.api_url}{path}", json=body, headers=KEY | headers)

    async def flows(self) -> list[dict[str, Any]]:
        flows = (await self._client.get("/flows")).json()
        assert not [secret for secret in SECRETS if secret in str(flows)]
        return list(flows)

    async def flow(self, word: str, count: int = 1) -> dict[str, Any]:
        """The latest flow whose comment holds a word, as soon as there are `count` of them."""
        for _ in range(ATTEMPTS):
            found = [flow for flow in await self.flows() if word in flow["comment"]]
            if len(found) >= count:
                return found[-1]
            await asyncio.sleep(0.05)
        raise AssertionError([flow["comment"] for flow in await self.flows()])

    async def page(self, flow: dict[str, Any], message: str = "response") -> str:
        """The body as mitmweb shows it by itself."""
        shown = (await self._client.get(f"/flows/{flow['id']}/{message}/content/Auto.json")).json()
        assert shown["view_name"] == "LLM"
        assert not [secret for secret in SECRETS if secret in shown["text"]]
        return str(shown["text"])

    async def command(self, name: str, *arguments: str) -> Any:
        token = {"cookie": "_mitmproxy_xsrf=abcd", "x-xsrftoken": "abcd"}
        told = (await self._client.post(f"/commands/{name}", json={"arguments": arguments}, headers=token)).json()
        return told.get("value", told.get("error"))


@pytest.fixture
async def web(start_router: StartRouter, fake: FakeProvider) -> Any:
    """mitmweb with two providers, the first of which is preferred."""
    port = free_port()
    options = ("--no-web-open-browser", "--web-port", str(port), "--set", "web_password=for-this-test")
    providers = [
        {"name": name, "type": "groq", "base_url": fake.base_url, "priority": priority}
        | {"models": [{"id": f"model-of-{name}", "serves": ["*"], "price": {"input": 10, "output": 100}}]}
        for priority, name in enumerate(("first", "second"), 1)
    ]
    config = {"providers": providers, "cache": {"backend": "memory"}}
    router = await start_router(config, program="mitmweb", options=options)
    base = f"http://127.0.0.1:{port}"
    token = {"authorization": "Bearer for-this-test"}
    async with httpx.AsyncClient(base_url=base, headers=token, trust_env=False, timeout=20) as client:
        yield Web(client, router)


async def test_mitmweb_tells_what_became_of_calls(web: Web, fake: FakeProvider) -> None:
    """Failover, cache, stream, Responses, a run, errors; then the commands."""
    await _flows_tell(web, fake)
    await _operations_tell(web)
    await _commands_work(web, fake)


async def _flows_tell(web: Web, fake: FakeProvider) -> None:
    fake.script(Status(500))
    assert (await web.ask("/chat/completions", CHAT)).status_code == 200
    failover = await web.flow("failover after first/model-of-first server error")
    assert failover["marked"] == "🔀"
    assert "ping" in await web.page(failover, "request")
    page = await web.page(failover)
    assert "hello there" in page
    assert "Answered by: second/model-of-second\nCost: $0.000270" in page

    await web.ask("/chat/completions", CHAT)
    assert (await web.flow("from the cache"))["marked"] == "💾"

    await web.ask("/chat/completions", CHAT | {"stream": True, "seed": 1})
    page = await web.page(await web.flow("first · model-of-first · 1 attempt · $0.000270"))
    assert page.startswith("Chat answer, streamed")
    assert "hello there" in page
    assert "Usage: 7 tokens in, 2 out\nCost: $0.000270" in page

    fake.script(Status(400), Status(400))
    await web.ask("/chat/completions", CHAT | {"seed": 2})
    assert (await web.flow("error after first/model-of-first refused"))["marked"] == "❌"


async def _operations_tell(web: Web) -> None:
    """The flow of an operation tells of the calls behind it, also of those that end long after it."""
    before = len([flow for flow in await web.flows() if "1 attempt" in flow["comment"]])
    await web.ask("/responses", {"model": "gpt-4o", "input": "ping", "stream": True})
    flow = await web.flow("1 attempt", before + 1)
    assert "Response, streamed" in await web.page(flow)
    assert "Answered by: first/model-of-first" in await web.page(flow)

    beta = {"openai-beta": "assistants=v2"}
    assistant = (await web.ask("/assistants", {"model": "gpt-4o"}, **beta)).json()
    thread = {"messages": [{"role": "user", "content": "ping"}]}
    await web.ask("/threads/runs", {"assistant_id": assistant["id"], "thread": thread}, **beta)
    flow = await web.flow("1 attempt", before + 2)
    assert flow["request"]["path"] == "/v1/threads/runs"
    assert "ping" in await web.page(flow, "request")
    assert "Cost: $0.000270" in await web.page(flow)


async def _commands_work(web: Web, fake: FakeProvider) -> None:
    assert "first/model-of-first: may be asked" in "\n".join(await web.command("llmrouter.status"))
    plan = "\n".join(await web.command("llmrouter.explain", "@focus"))
    assert "\n".join(await web.command("llmrouter.explain", "~comment failover & ~marker twisted")) == plan
    assert "Requested: gpt-4o" in plan
    assert plan.index("1.") < plan.index("first/model-of-first") < plan.index("second/model-of-second")

    assert "asked nothing" in await web.command("llmrouter.disable", "first")
    assert "first/model-of-first: rests (disabled by the owner)" in (await web.command("llmrouter.status"))[0]
    await web.ask("/chat/completions", CHAT | {"seed": 3})
    assert fake.requests[-1].json()["model"] == "model-of-second"
    await web.command("llmrouter.breaker.reset")
    assert "disabled" in (await web.command("llmrouter.status"))[0]
    await web.command("llmrouter.enable", "first")
    assert "may be asked" in (await web.command("llmrouter.status"))[0]
    assert await web.command("llmrouter.disable", "nobody") == "There is no provider 'nobody', only first, second."

    count, asked = len(await web.flows()), len(fake.requests)
    await web.command("llmrouter.replay", "@focus", "second")
    await web.flow("second · model-of-second · 1 attempt", 2)
    assert len(await web.flows()) == count + 1
    assert fake.requests[asked].json() == CHAT | {"model": "model-of-second"}
    await web.command("llmrouter.cache.clear")
