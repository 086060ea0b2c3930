"""What OpenTelemetry is told of a call, by its conventions for generative AI."""

import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from llmrouter.replies import Usage
from llmrouter.telemetry.decisions import AttemptRecord, Decision
from llmrouter.telemetry.opentelemetry import OpenTelemetrySink
from tests.gateways import gateway

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def failover() -> Decision:
    """Two attempts, the second of which answered."""
    failed = AttemptRecord("gemini/flash", "server_error", 0.5, status=503, message="overloaded", began_s=0.001)
    usage = Usage(input_tokens=100, output_tokens=20, cached_tokens=60)
    good = AttemptRecord("groq/org/two", "success", 1.5, 0.25, usage=usage, cost_usd=0.25, began_s=0.502)
    call = Decision("req-1", 1000.0, "chat.completions", "gpt-4o", stream=True, attempts=[failed, good])
    call.result, call.answered_by, call.status, call.seconds = "answered", "groq/org/two", 200, 2.003
    call.trace = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"}
    return call


def spans_of(call: Decision) -> list[ReadableSpan]:
    exporter = InMemorySpanExporter()
    sink = OpenTelemetrySink(exporter, None, "the-router")
    sink.take(call)
    sink._spans.force_flush()  # type: ignore[union-attr]  # it was asked for spans
    found = list(exporter.get_finished_spans())
    sink.close()
    return found


def attributes(span: ReadableSpan) -> Mapping[str, Any]:
    assert span.attributes is not None
    return span.attributes


def test_a_call_is_a_span_with_one_for_each_attempt() -> None:
    """It goes on from the app's own trace, and the times are those of the decision."""
    failed, good, call = spans_of(failover())

    assert call.context is not None
    assert call.parent is not None
    assert good.parent is not None
    assert (f"{call.context.trace_id:032x}", f"{call.parent.span_id:016x}") == (TRACE, PARENT)
    assert call.context.trace_state.get("vendor") == "1"
    assert good.parent.span_id == call.context.span_id
    assert (call.name, call.kind) == ("chat gpt-4o", SpanKind.SERVER)
    assert (good.name, good.kind) == ("chat org/two", SpanKind.CLIENT)
    assert (call.start_time, call.end_time) == (1000_000_000_000, 1002_003_000_000)
    assert (good.start_time, good.end_time) == (1000_502_000_000, 1002_002_000_000)
    assert (failed.status.status_code, failed.status.description) == (StatusCode.ERROR, "overloaded")
    assert call.status.status_code is StatusCode.UNSET
    assert call.resource.attributes["service.name"] == "the-router"


def test_attempts_have_the_attributes_of_the_conventions() -> None:
    failed, good, _ = spans_of(failover())
    told = attributes(good)
    assert told["gen_ai.operation.name"] == "chat"
    assert told["gen_ai.provider.name"] == "groq"
    assert told["gen_ai.request.model"] == "org/two"
    assert told["gen_ai.usage.input_tokens"] == 100
    assert told["gen_ai.usage.cache_read.input_tokens"] == 60
    assert told["gen_ai.response.time_to_first_chunk"] == 0.25
    assert "error.type" not in told
    assert attributes(failed)["gen_ai.provider.name"] == "gcp.gemini"
    assert attributes(failed)["error.type"] == "server_error"
    assert "gen_ai.usage.input_tokens" not in attributes(failed)


def test_an_attempt_that_another_one_was_faster_than_is_no_error() -> None:
    call = failover()
    call.attempts[0].outcome = "hedged_off"
    lost, *_ = spans_of(call)
    assert lost.status.status_code is StatusCode.UNSET
    assert "error.type" not in attributes(lost)
    assert attributes(lost)["llmrouter.outcome"] == "hedged_off"


@pytest.mark.parametrize("traceparent", ["", "nonsense", f"00-{'0' * 32}-{PARENT}-01"])
def test_a_trace_that_makes_no_sense_is_begun_anew(traceparent: str) -> None:
    call = failover()
    call.trace = {"traceparent": traceparent}
    assert spans_of(call)[-1].parent is None


def _label(point: Any, name: str) -> Any:
    return point.attributes.get(name)


def test_durations_and_tokens_are_figures() -> None:
    """By target: the model that a client asks for is no label."""
    reader = InMemoryMetricReader()
    sink = OpenTelemetrySink(None, reader, "the-router")
    sink.take(failover())
    data = reader.get_metrics_data()
    assert data is not None
    points = {
        (metric.name, _label(point, "gen_ai.token.type"), _label(point, "error.type")): getattr(point, "sum", None)
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
        for point in metric.data.data_points
    }
    sink.close()
    assert points == {
        ("gen_ai.client.operation.duration", None, None): 1.5,
        ("gen_ai.client.operation.duration", None, "server_error"): 0.5,
        ("gen_ai.client.operation.time_to_first_chunk", None, None): 0.25,
        ("gen_ai.client.token.usage", "input", None): 100,
        ("gen_ai.client.token.usage", "output", None): 20,
    }
    assert "gpt-4o" not in str(data)


async def test_spans_reach_a_collector(tmp_path: Path) -> None:
    """Over OTLP by HTTP, at the path that OpenTelemetry gives it, when the router ends at the latest."""
    asked: list[str] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        otel = {"traces": True, "endpoint": f"http://127.0.0.1:{server.server_port}"}
        echo = {"name": "mock", "type": "echo"}
        async with gateway(tmp_path, echo, telemetry={"otel": otel}) as router:
            assert [(await router.ask()).answer.status for _ in range(3)] == [200, 200, 200]
            (sink,) = router.runtime._observing._sinks
        assert asked == ["/v1/traces"]
        assert (sink.dropped, sink.failures) == (0, 0)
        server.shutdown()
