"""What is counted for Prometheus, as it reads it."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from llmrouter.replies import Usage
from llmrouter.telemetry.decisions import AttemptRecord, CacheUse, Decision
from llmrouter.telemetry.prometheus import PrometheusMetrics
from tests.fakes.provider import FakeProvider
from tests.gateways import gateway, provider

type Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str) -> Samples:
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name, frozenset(sample.labels.items())] = sample.value
    return found


def value(found: Samples, name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


def test_calls_attempts_tokens_and_money_are_counted() -> None:
    """A failover: two attempts, the second answered; what was paid is known for one of them."""
    metrics = PrometheusMetrics()
    usage = Usage(input_tokens=100, output_tokens=20, cached_tokens=60)
    failed = AttemptRecord("a/one", "timed_out", 1.0, is_unpriced=True)
    good = AttemptRecord("b/org/two", "success", 2.0, 0.3, usage=usage, cost_usd=0.25)
    call = Decision("req-1", 0.0, "chat.completions", "anything", stream=True, attempts=[failed, good])
    call.result, call.answered_by, call.saved_usd, call.seconds = "answered", "b/org/two", -0.5, 3.01
    metrics(call)
    found = samples(metrics.exposition().decode())
    two = {"provider": "b", "model": "org/two"}

    ended = {"endpoint": "chat.completions", "result": "answered", "cache": "bypass"}
    assert value(found, "llmrouter_requests_total", **ended) == 1
    assert value(found, "llmrouter_attempts_total", provider="a", model="one", outcome="timed_out") == 1
    assert value(found, "llmrouter_attempts_total", **two, outcome="success") == 1
    assert value(found, "llmrouter_first_content_seconds_sum", **two) == 0.3
    assert value(found, "llmrouter_tokens_total", **two, kind="input") == 100
    assert value(found, "llmrouter_tokens_total", **two, kind="cached") == 60
    assert value(found, "llmrouter_cost_usd_total", **two) == 0.25
    assert value(found, "llmrouter_saved_usd", **two) == -0.5
    assert value(found, "llmrouter_unpriced_attempts_total", provider="a", model="one") == 1
    overhead = value(found, "llmrouter_overhead_seconds_sum", endpoint="chat.completions")
    assert overhead == pytest.approx(0.01)


def test_labels_hold_nothing_that_clients_choose() -> None:
    """A thousand made-up models leave no more lines than one."""
    metrics = PrometheusMetrics()
    for number in range(1000):
        call = Decision(f"req-{number}", 0.0, "chat.completions", f"made-up-{number}", stream=False)
        call.cache = CacheUse.MISS
        metrics(call)
    text = metrics.exposition().decode()
    assert "made-up" not in text
    ended = {"endpoint": "chat.completions", "result": "failed", "cache": "miss"}
    assert value(samples(text), "llmrouter_requests_total", **ended) == 1000


async def test_targets_are_looked_up_when_somebody_asks(tmp_path: Path) -> None:
    """Breaker, rest, limits and attempts under way of every target, tried or not."""
    async with FakeProvider() as fake:
        limited = provider("limited", fake, limits={"rpm": 5})
        async with gateway(tmp_path, limited, provider("other", fake)) as router:
            await router.ask()
            page = router.runtime.pages.answer("GET", "/metrics", "")
    found = samples(page.body.decode())
    one, other = ({"provider": name, "model": f"model-of-{name}"} for name in ("limited", "other"))

    assert (page.status, page.headers["content-type"].split(";")[0]) == (200, "text/plain")
    assert value(found, "llmrouter_limit_left", **one, limit="rpm") == 4
    assert value(found, "llmrouter_breaker_state", **other, state="closed") == 1
    assert value(found, "llmrouter_breaker_state", **other, state="open") == 0
    assert value(found, "llmrouter_resting_seconds", **one) == 0
    assert value(found, "llmrouter_in_flight", **one) == 0


async def test_metrics_can_be_left_out(tmp_path: Path) -> None:
    async with FakeProvider() as fake, gateway(tmp_path, provider("a", fake), metrics={"prometheus": False}) as router:
        assert router.runtime.pages.answer("GET", "/metrics", "").status == 404
