"""What stands beside flows about their calls, which view shows them, and what of a client's request is kept."""

import asyncio
from typing import Any

import pytest
from mitmproxy import contentviews, exceptions, http
from mitmproxy.test import tflow

from llmrouter.call_record import Answer
from llmrouter.errors import NoTarget
from llmrouter.proxy.call_notes import comment_on, expect_calls, footer_of, note, note_ended
from llmrouter.proxy.content_view import LLMContentview
from llmrouter.proxy.sending_again import asked_request, keep_asked, pinned_to
from llmrouter.telemetry.decisions import AttemptRecord, CacheUse, Decision
from tests.routing.samples import target_of

TARGET = target_of("one/m")


def decision(*attempts: tuple[str, str], result: str = "answered", **more: Any) -> Decision:
    tried = [AttemptRecord(target, outcome, 0.5) for target, outcome in attempts]
    return Decision("req-1", 0.0, "chat.completions", "gpt-4o", stream=False, attempts=tried, result=result, **more)


def answered(by: Decision) -> Answer:
    return Answer(200, {}, by, target=TARGET)


def flow_to(url: str, body: bytes = b"{}", content_type: str = "application/json") -> http.HTTPFlow:
    flow = tflow.tflow(resp=True)
    flow.request = http.Request.make("POST", url, body, http.Headers(content_type=content_type))
    return flow


@pytest.mark.parametrize(
    ("answer", "comment", "marker"),
    [
        pytest.param(
            answered(decision(("one/m", "success"), answered_by="one/m", cost_usd=0.5)),
            "one · m · 1 attempt · $0.500000",
            "",
            id="answered",
        ),
        pytest.param(
            answered(decision(("one/m", "server_error"), ("one/m", "success"), answered_by="one/m")),
            "one · m · 2 attempts",
            "",
            id="the same target again is no failover",
        ),
        pytest.param(
            answered(decision(("two/m", "rate_limited"), ("one/m", "success"), answered_by="one/m")),
            "one · m · 2 attempts · failover after two/m rate limited",
            ":twisted_rightwards_arrows:",
            id="failover",
        ),
        pytest.param(
            answered(decision(answered_by="one/m", cache=CacheUse.HIT)),
            "one · m · from the cache",
            ":floppy_disk:",
            id="cache",
        ),
        pytest.param(
            answered(decision(("one/m", "broken_stream"), answered_by="one/m", result="broken")),
            "one · m · 1 attempt · broken",
            ":x:",
            id="broken",
        ),
        pytest.param(
            Answer(404, {}, decision(result="failed"), error=NoTarget("nobody")),
            "0 attempts · error 404 · failed",
            ":x:",
            id="error",
        ),
    ],
)
def test_comment_and_marker_tell_what_became_of_a_call(answer: Answer, comment: str, marker: str) -> None:
    flow = flow_to("https://api.openai.com/v1/chat/completions")
    note(flow, answer)

    assert (flow.comment, flow.marked) == (comment, marker)
    assert comment_on(answer) == comment
    assert http.HTTPFlow.from_state(flow.get_state()).metadata == flow.metadata


def test_a_mark_of_the_owners_own_stays() -> None:
    flow = flow_to("https://api.openai.com/v1/chat/completions")
    flow.marked = ":grapes:"
    note(flow, answered(decision(answered_by="one/m", cache=CacheUse.HIT)))

    assert flow.marked == ":grapes:"


async def test_calls_of_an_operation_are_noted_in_its_flow_alone() -> None:
    """Each request has a task of its own; what it starts belongs to it, the calls of others do not."""
    flow = flow_to("https://api.openai.com/v1/threads/t/runs")

    async def operation() -> None:
        expect_calls(flow)
        await asyncio.create_task(call(decision(("one/m", "success"), answered_by="one/m")))
        await call(decision(("one/m", "refused"), result="failed", status=400))

    async def call(ended: Decision) -> None:
        note_ended(ended)

    await asyncio.create_task(operation())
    await call(decision(answered_by="another/m"))

    assert flow.comment == "one/m · 1 attempt | 1 attempt · error after one/m refused · failed"
    assert flow.marked == ":x:"
    assert "Result: failed" in footer_of(flow)


@pytest.mark.parametrize(
    ("url", "content_type", "is_chosen"),
    [
        ("https://api.openai.com/v1/chat/completions?x=1", "application/json", True),
        ("https://api.anthropic.com/v1/messages", "text/event-stream", True),
        ("https://api.openai.com/v1/responses/resp_1", "application/json; charset=utf-8", True),
        ("https://example.com/models/m:streamGenerateContent", "application/json", True),
        ("https://api.openai.com/v1/chat/completions", "text/html", False),
        ("https://api.openai.com/v1/files", "application/json", False),
        ("https://example.com/messages-of-the-day", "application/json", False),
    ],
)
def test_the_view_is_chosen_for_calls_of_models_alone(url: str, content_type: str, is_chosen: bool) -> None:
    flow = flow_to(url, content_type=content_type)
    metadata = contentviews.Metadata(flow=flow, content_type=content_type, http_message=flow.request)
    others = max(view.render_priority(b"{}", metadata) for view in contentviews.registry.values() if view.name != "LLM")

    assert (LLMContentview().render_priority(b"{}", metadata) > others) is is_chosen
    assert LLMContentview().render_priority(b"{}", contentviews.Metadata()) < 0


def test_a_request_is_sent_again_without_credentials_and_past_the_cache() -> None:
    flow = flow_to("https://api.openai.com/v1/chat/completions", b'{"model":"m"}')
    flow.request.headers["authorization"] = "Bearer key-of-the-app"
    keep_asked(flow)
    flow.request = http.Request.make("POST", "https://provider.example/v1/chat/completions", b"what it got")
    flow.comment = flow.marked = "x"
    again = pinned_to(flow, "one", "api.openai.com")

    assert again.id != flow.id
    assert again.request.pretty_url == "https://api.openai.com/v1/chat/completions"
    assert again.request.content == b'{"model":"m"}'
    assert again.request.headers["x-llmrouter-provider"] == "one"
    assert again.request.headers["x-llmrouter-cache"] == "no-cache"
    assert "authorization" not in again.request.headers
    assert (again.response, again.comment, again.marked) == (None, "", "")


def test_what_is_not_kept_cannot_be_sent_again() -> None:
    flow = flow_to("https://api.openai.com/v1/chat/completions", b"x" * (1024 * 1024 + 1))
    keep_asked(flow)

    with pytest.raises(exceptions.CommandError, match="not kept"):
        asked_request(flow)
