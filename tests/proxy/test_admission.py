"""Requests that are not taken on: what they are told, and what is recorded of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from mitmproxy import http
from mitmproxy.test import tflow

from llmrouter.errors import InvalidRequest, Overloaded, RouterError, ShuttingDown
from llmrouter.proxy import admission, flows
from llmrouter.proxy.exchange import Exchange
from tests.gateways import GatewayUnderTest, gateway, provider

_MIB = 1024 * 1024


@pytest.fixture
async def router(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[GatewayUnderTest]:
    monkeypatch.chdir(tmp_path)
    limits = {"max_held_mebibytes": 1}
    async with gateway(tmp_path, provider("fake", "http://127.0.0.1:9"), overload=limits) as found:
        yield found


def flow_to(path: str, **headers: str) -> http.HTTPFlow:
    flow = tflow.tflow(req=http.Request.make("POST", f"https://api.openai.com{path}"))
    for name, value in headers.items():
        flow.request.headers[name.replace("_", "-")] = value
    return flow


@pytest.mark.parametrize(("version", "expected"), [("HTTP/1.1", "close"), ("HTTP/1.0", "close"), ("HTTP/2.0", None)])
def test_the_last_answer_of_a_connection(version: str, expected: str | None) -> None:
    """HTTP/2 clients take a `connection` header for an error."""
    flow = flow_to("/v1/chat/completions")
    flow.request.http_version = version
    refusal = admission.refused_at_the_end(flow).refusal
    assert refusal is not None
    assert flows.last_response(refusal, flow.request).headers.get("connection") == expected


@pytest.mark.parametrize(
    ("length", "held", "is_refused"),
    [
        ("1000", _MIB, True),
        ("1000", _MIB - 1000, False),
        ("1001", _MIB - 1000, True),
        ("99000000", 0, False),
        ("nonsense", _MIB, False),
        ("-5", _MIB, False),
        ("", _MIB, False),
    ],
)
async def test_a_length_that_is_too_much(router: GatewayUnderTest, length: str, held: int, is_refused: bool) -> None:
    """What is no length is looked at when the body comes."""
    router.runtime.gateway.capacity.begin_body().grow(held)
    flow = flow_to("/v1/chat/completions", content_length=length)
    assert isinstance(admission.why_not(flow.request, router.runtime), Overloaded) is is_refused


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/v1/chat/completions", "chat.completions"),
        ("/v1/embeddings?x=1", "embeddings"),
        ("/v1/responses", "responses"),
        ("/v1/threads/thread_1/runs", "assistants"),
    ],
)
async def test_a_refusal_is_a_decision(router: GatewayUnderTest, path: str, endpoint: str) -> None:
    """Under the name of what was asked, even where its headers make no sense."""
    flow = flow_to(path, x_llmrouter_max_cost_usd="much")
    exchange = Exchange("client", is_routed=True)
    admission.record_refusal(flow, exchange, router.runtime, ShuttingDown("soon gone"))
    (decision,) = router.decisions
    assert (decision.endpoint, decision.result, decision.status) == (endpoint, "failed", 503)
    assert (decision.error_kind, decision.model) == ("shutting_down", "")
    assert "error 503" in flow.comment


@pytest.mark.parametrize(
    ("path", "error"),
    [("/v1/files", ShuttingDown("soon gone")), ("/v1/chat/completions", InvalidRequest("no sense"))],
)
async def test_what_is_no_call_or_no_fault_of_ours_is_no_decision(
    router: GatewayUnderTest, path: str, error: RouterError
) -> None:
    admission.record_refusal(flow_to(path), Exchange("client", is_routed=True), router.runtime, error)
    assert router.decisions == []


async def test_what_unpacks_to_too_much_is_refused(router: GatewayUnderTest) -> None:
    """A few packed bytes may be many: those count, too, and go again."""
    capacity = router.runtime.gateway.capacity
    others = capacity.begin_body()
    others.grow(_MIB // 2)
    flow = flow_to("/v1/chat/completions", content_encoding="gzip")
    flow.request.content = b" " * _MIB
    assert len(flow.request.raw_content or b"") < _MIB // 100
    exchange = Exchange("client", is_routed=True, max_body_bytes=2 * _MIB)
    exchange.share = capacity.begin_body()
    with pytest.raises(Overloaded):
        admission.taken_on(flow, exchange, router.runtime)
    exchange.abandon()
    assert capacity.held_bytes == _MIB // 2
