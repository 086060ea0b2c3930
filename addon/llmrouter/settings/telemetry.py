"""The settings of what the router tells others about itself: traces, figures, and sinks of the owner's own."""

from typing import Annotated

from pydantic import Field

from llmrouter.settings.values import Flag, Frozen, PositiveInt, Url


class OtelSettings(Frozen):
    """OpenTelemetry over OTLP by HTTP, by the semantic conventions for generative AI; needs the extra llmrouter[otel].

    The variables OTEL_EXPORTER_OTLP_* and OTEL_RESOURCE_ATTRIBUTES hold, too.
    """

    traces: Flag = False
    """Whether each call is a span, with one for each attempt below it; an app's traceparent is continued."""
    metrics: Flag = False
    """Whether durations and tokens are sent as figures."""
    endpoint: Url | None = None
    """Where the collector is, without /v1/traces; default: OTEL_EXPORTER_OTLP_ENDPOINT, else http://localhost:4318."""
    service_name: Annotated[str, Field(min_length=1)] = "llmrouter"
    """The name of the service in traces and figures."""


SinkName = Annotated[str, Field(pattern=r"^.+\.py:[A-Za-z_][A-Za-z0-9_]*$")]


class TelemetrySettings(Frozen):
    """Who is told of every decision, beside the log; no call ever waits for any of them."""

    otel: OtelSettings = OtelSettings()
    """OpenTelemetry."""
    sinks: tuple[SinkName, ...] = ()
    """Classes of your own, file.py:Class, by paths from the configuration's folder; each takes every decision."""
    queue_size: PositiveInt = 10_000
    """How many decisions may wait for one sink; those that come after that are dropped for it, and counted."""
