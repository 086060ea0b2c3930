"""Spans and figures for OpenTelemetry, by its semantic conventions for generative AI; needs the extra llmrouter[otel].

Each call is a span of kind SERVER that goes on from the client's own trace, each attempt below it one of kind CLIENT:
the inference span of the conventions, which tells the tokens. Neither prompts nor answers are told. Names are those of
https://github.com/open-telemetry/semantic-conventions-genai (docs/gen-ai/gen-ai-spans.md and gen-ai-metrics.md); what
is the router's own begins with `llmrouter.`.
"""

from collections.abc import Mapping
from typing import Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import Histogram
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from llmrouter import __version__
from llmrouter.errors import Outcome
from llmrouter.settings.telemetry import OtelSettings
from llmrouter.telemetry.decisions import AttemptRecord, Decision

_NANOSECONDS = 1_000_000_000
# An attempt that another one was faster than did nothing wrong.
_NO_ERROR = frozenset({Outcome.SUCCESS, Outcome.HEDGED_OFF})
_FLUSH_MS = 1500
_PROPAGATOR = TraceContextTextMapPropagator()
_OPERATIONS = {"completions": "text_completion", "embeddings": "embeddings"}
# The conventions' own names of providers, where ours differ.
_PROVIDERS = {"gemini": "gcp.gemini", "mistral": "mistral_ai", "xai": "x_ai"}
# The boundaries that the conventions ask for.
_TOKENS = [4**power for power in range(14)]
_SECONDS = [0.01 * 2**power for power in range(14)]


class OpenTelemetrySink:
    """Turns decisions into spans and figures; `take` and `close` may wait for the network, so they run on a thread."""

    def __init__(self, spans: SpanExporter | None, figures: MetricReader | None, service_name: str) -> None:
        resource = Resource.create({"service.name": service_name, "service.version": __version__})
        self._spans = None if spans is None else TracerProvider(resource=resource, shutdown_on_exit=False)
        if self._spans is not None and spans is not None:
            self._spans.add_span_processor(BatchSpanProcessor(spans))
            self._tracer = self._spans.get_tracer("llmrouter", __version__)
        self._figures = None
        if figures is not None:
            self._figures = MeterProvider([figures], resource, shutdown_on_exit=False)
            self._make_figures(self._figures)

    def _make_figures(self, provider: MeterProvider) -> None:
        meter = provider.get_meter("llmrouter", __version__)

        def histogram(name: str, unit: str, text: str, boundaries: list[float]) -> Histogram:
            return meter.create_histogram(name, unit, text, explicit_bucket_boundaries_advisory=boundaries)

        usage, duration = "gen_ai.client.token.usage", "gen_ai.client.operation.duration"
        first = "gen_ai.client.operation.time_to_first_chunk"
        self._usage = histogram(usage, "{token}", "Number of input and output tokens used.", [*map(float, _TOKENS)])
        self._duration = histogram(duration, "s", "GenAI operation duration.", _SECONDS)
        self._first = histogram(first, "s", "Time to receive the first chunk.", _SECONDS)

    def take(self, decision: Decision) -> None:
        """Takes a decision."""
        if self._spans is not None:
            self._trace(decision)
        if self._figures is not None:
            for attempt in decision.attempts:
                self._measure(decision, attempt)

    def close(self) -> None:
        """Sends what still waits."""
        if self._spans is not None:
            self._spans.force_flush(_FLUSH_MS)
            self._spans.shutdown()
        if self._figures is not None:
            self._figures.shutdown(_FLUSH_MS)

    def _trace(self, decision: Decision) -> None:
        operation, began = _operation(decision), decision.at
        span = self._tracer.start_span(
            f"{operation} {decision.model}"[:200],
            context=_PROPAGATOR.extract(decision.trace),
            kind=SpanKind.SERVER,
            attributes=_call_attributes(decision),
            start_time=_nanoseconds(began),
        )
        around = set_span_in_context(span)
        for attempt in decision.attempts:
            starts = began + (attempt.began_s or 0.0)
            model = attempt.target.partition("/")[2]
            inner = self._tracer.start_span(
                f"{operation} {model}",
                context=around,
                kind=SpanKind.CLIENT,
                attributes=_attempt_attributes(decision, attempt),
                start_time=_nanoseconds(starts),
            )
            if attempt.outcome not in _NO_ERROR:
                inner.set_status(Status(StatusCode.ERROR, attempt.message))
            inner.end(_nanoseconds(starts + attempt.seconds))
        if decision.result in ("failed", "broken"):
            span.set_status(Status(StatusCode.ERROR, decision.error))
        span.end(_nanoseconds(began + decision.seconds))

    def _measure(self, decision: Decision, attempt: AttemptRecord) -> None:
        labels = _labels(decision, attempt)
        ended = labels if attempt.outcome in _NO_ERROR else labels | {"error.type": str(attempt.outcome)}
        self._duration.record(attempt.seconds, ended)
        if decision.stream and attempt.first_content_s is not None:
            self._first.record(attempt.first_content_s, ended)
        if (usage := attempt.usage) is not None:
            self._usage.record(usage.input_tokens, labels | {"gen_ai.token.type": "input"})
            self._usage.record(usage.output_tokens, labels | {"gen_ai.token.type": "output"})


def open_sink(settings: OtelSettings) -> OpenTelemetrySink:
    """A sink that sends over OTLP by HTTP; what `settings` leave open, the variables OTEL_EXPORTER_OTLP_* say."""
    base = None if settings.endpoint is None else settings.endpoint.rstrip("/")
    spans = figures = None
    if settings.traces:
        spans = OTLPSpanExporter(endpoint=None if base is None else f"{base}/v1/traces")
    if settings.metrics:
        exporter = OTLPMetricExporter(endpoint=None if base is None else f"{base}/v1/metrics")
        figures = PeriodicExportingMetricReader(exporter)
    return OpenTelemetrySink(spans, figures, settings.service_name)


def _operation(decision: Decision) -> str:
    return _OPERATIONS.get(str(decision.endpoint), "chat")


def _labels(decision: Decision, attempt: AttemptRecord) -> dict[str, Any]:
    provider, _, model = attempt.target.partition("/")
    return {
        "gen_ai.operation.name": _operation(decision),
        "gen_ai.provider.name": _PROVIDERS.get(provider, provider),
        "gen_ai.request.model": model,
    }


def _call_attributes(decision: Decision) -> dict[str, Any]:
    """What is known; what is not is left out."""
    return _known(
        {
            "llmrouter.request.id": decision.id,
            "llmrouter.endpoint": str(decision.endpoint),
            "llmrouter.request.model": decision.model,
            "llmrouter.result": decision.result,
            "llmrouter.answered_by": decision.answered_by,
            "llmrouter.attempts": len(decision.attempts),
            "llmrouter.cache": str(decision.cache),
            "llmrouter.cost_usd": decision.cost_usd,
            "llmrouter.saved_usd": decision.saved_usd,
            "gen_ai.request.stream": decision.stream,
            "http.response.status_code": decision.status,
        }
    )


def _attempt_attributes(decision: Decision, attempt: AttemptRecord) -> dict[str, Any]:
    usage, is_good = attempt.usage, attempt.outcome in _NO_ERROR
    tokens: dict[str, Any] = {}
    if usage is not None:
        tokens = {
            "gen_ai.usage.input_tokens": usage.input_tokens,
            "gen_ai.usage.output_tokens": usage.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens or None,
            "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens or None,
            "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens or None,
        }
    return _labels(decision, attempt) | _known(
        {
            **tokens,
            "gen_ai.request.stream": decision.stream,
            "gen_ai.response.time_to_first_chunk": attempt.first_content_s if decision.stream else None,
            "error.type": None if is_good else str(attempt.outcome),
            "http.response.status_code": attempt.status,
            "llmrouter.outcome": str(attempt.outcome),
            "llmrouter.cost_usd": attempt.cost_usd,
        }
    )


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _nanoseconds(seconds: float) -> int:
    return round(seconds * _NANOSECONDS)
