"""What may go to OpenAI after all: only what was sent there, is whole, and asks for nothing that OpenAI ignores."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from mitmproxy import http
from mitmproxy.test import tflow

from llmrouter.call_record import Answer
from llmrouter.calls import Caller, Preferences
from llmrouter.endpoints import chat
from llmrouter.errors import (
    InternalError,
    InvalidRequest,
    NoAnswer,
    NotConfigured,
    Overloaded,
    RouterError,
    ShuttingDown,
)
from llmrouter.proxy import fail_open, local_pages
from llmrouter.proxy.addon import LLMRouter
from llmrouter.proxy.exchange import Exchange
from llmrouter.proxy.runtime import Runtime
from llmrouter.telemetry.decisions import Decision
from tests.fakes.provider import FakeProvider, Status
from tests.gateways import GatewayUnderTest, gateway, provider

CHAT = "https://api.openai.com/v1/chat/completions"
RESPONSES = "https://api.openai.com/v1/responses"
DEFECT = InternalError("a defect")


def flow_to(url: str, body: bytes = b"{}", method: str = "POST", **headers: str) -> http.HTTPFlow:
    flow = tflow.tflow(req=http.Request.make(method, url, body))
    for name, value in ({"authorization": "Bearer key-of-the-app"} | headers).items():
        flow.request.headers[name.replace("_", "-")] = value
    flow.client_conn.sni = None
    return flow


@pytest.fixture
async def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Runtime]:
    monkeypatch.chdir(tmp_path)
    async with gateway(tmp_path, provider("fake", "http://127.0.0.1:9"), on_internal_error="passthrough") as router:
        yield router.runtime


def may_pass(runtime: Runtime, flow: http.HTTPFlow, error: RouterError = DEFECT) -> bool:
    return fail_open.may_pass(flow, Exchange("client", is_routed=True), runtime, error)


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        (flow_to(CHAT), True),
        (flow_to("https://api.openai.com/v1/embeddings"), True),
        (flow_to("http://api.openai.com/v1/chat/completions"), False),
        (flow_to("https://api.groq.com/v1/chat/completions"), False),
        (flow_to("https://127.0.0.1/v1/chat/completions"), False),
        (flow_to(CHAT, x_llmrouter_provider="fake"), False),
        (flow_to(CHAT, x_llmrouter_policy="quality"), False),
        (flow_to(CHAT, x_llmrouter_max_cost_usd="1"), False),
        (flow_to(CHAT, x_llmrouter_max_cost_usd="much"), False),
        (flow_to(CHAT, cache_control="only-if-cached"), False),
        (flow_to(RESPONSES, b'{"input": "x"}'), True),
        (flow_to(RESPONSES, b'{"input": "x", "previous_response_id": "resp_1"}'), False),
        (flow_to(RESPONSES, b'{"input": "x", "conversation": "conv_1"}'), False),
        (flow_to(RESPONSES, b"no json"), False),
        (flow_to(f"{RESPONSES}/resp_1", method="GET"), False),
        (flow_to("https://api.openai.com/v1/threads/thread_1/runs"), False),
    ],
)
async def test_which_requests_may_pass(runtime: Runtime, flow: http.HTTPFlow, expected: bool) -> None:
    assert may_pass(runtime, flow) is expected


async def test_a_name_in_the_tls_hello_counts_as_the_host(runtime: Runtime) -> None:
    """A client behind a proxy may connect to an address, and name the host only then."""
    flow = flow_to("https://127.0.0.1/v1/chat/completions")
    flow.client_conn.sni = "api.openai.com"
    assert may_pass(runtime, flow)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (DEFECT, True),
        (Overloaded("too much"), True),
        (NotConfigured("nothing"), True),
        (ShuttingDown("soon gone"), False),
        (InvalidRequest("no sense"), False),
        (NoAnswer("all failed"), False),
    ],
)
async def test_which_errors_may_pass(runtime: Runtime, error: RouterError, expected: bool) -> None:
    """Not what the request or the providers are to blame for, and not an end after which a retry works."""
    assert may_pass(runtime, flow_to(CHAT), error) is expected


@pytest.mark.parametrize("passes", [True, False])
async def test_a_defect_before_the_body_came(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, passes: bool
) -> None:
    """The request streams on with its key, or is refused without it; the decision says which."""
    router = LLMRouter()
    router._runtime = runtime
    if not passes:
        runtime.settings = runtime.settings.model_copy(update={"on_internal_error": "reject"})
    decisions: list[Decision] = []
    runtime.gateway.observers = [*runtime.gateway.observers, decisions.append]

    def fail(*_: object) -> bool:
        raise RuntimeError("a defect")

    monkeypatch.setattr(local_pages, "is_local", fail)
    flow = flow_to(CHAT)
    router.requestheaders(flow)
    exchange = router._exchanges[flow.id]
    if passes:
        assert flow.response is None
        assert flow.request.stream is True
        assert exchange.original is not None
        assert exchange.original.headers["authorization"] == "Bearer key-of-the-app"
    else:
        assert flow.response is not None
        assert json.loads(flow.response.content or b"")["error"]["code"] == "llmrouter_internal_error"
        assert exchange.original is None
    assert "key-of-the-app" not in flow.request.headers["authorization"]
    router.response(flow)
    (decision,) = decisions
    assert (decision.result, decision.error_kind) == ("passed_through" if passes else "failed", "internal_error")
    assert ("passed through" in flow.comment) is passes
    assert "the router failed on a request" in caplog.text


async def ask(router: GatewayUnderTest) -> Answer:
    """What the gateway says to a call that may be left to OpenAI."""
    body = json.dumps({"messages": [{"role": "user", "content": "ping"}]}).encode()
    call = chat.parse(body, "gpt-4o", id="req-1", caller=Caller(), preferences=Preferences())
    return await router.runtime.gateway.answer(call, may_pass=True)


async def test_what_was_sent_to_a_provider_is_never_left_to_openai(tmp_path: Path) -> None:
    """All failed: that is no failure of the router, and the caller's money is not spent on it."""
    async with (
        FakeProvider(default=Status(500)) as fake,
        gateway(tmp_path, provider("fake", fake), retry={"max_attempts": 1}) as router,
    ):
        answer = await ask(router)
    assert (answer.status, answer.is_passed_through) == (503, False)
    assert router.decisions[-1].result == "failed"


async def test_a_defect_after_an_attempt_is_never_left_to_openai(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider may have answered, and be paid."""
    monkeypatch.setattr("llmrouter.routing.course.Course.failed", lambda *_: 1 / 0)
    async with FakeProvider(default=Status(500)) as fake, gateway(tmp_path, provider("fake", fake)) as router:
        answer = await ask(router)
    assert (answer.status, answer.is_passed_through) == (500, False)
    assert len(fake.requests) == 1


async def test_a_defect_before_any_attempt_is_left_to_openai(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmrouter.routing.plan.Router.plan", lambda *_: 1 / 0)
    async with FakeProvider() as fake, gateway(tmp_path, provider("fake", fake)) as router:
        answer = await ask(router)
    assert answer.is_passed_through
    decision = router.decisions[-1]
    assert (decision.result, decision.status, decision.error_kind) == ("passed_through", None, "internal_error")
    assert fake.requests == []
