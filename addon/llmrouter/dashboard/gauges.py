"""What Prometheus is told of each target as it stands when it asks, and of the sinks."""

from collections.abc import Iterable, Mapping

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from llmrouter import __version__
from llmrouter.routing.breaker import BreakerState
from llmrouter.routing.standings import Standing

_TARGET = ("provider", "model")


def target_gauges(standings: Iterable[Standing]) -> Iterable[Metric]:
    """Breaker, rest, limits and attempts under way; a rest that lasts until the settings change is +Inf."""
    breaker = GaugeMetricFamily(
        "llmrouter_breaker_state", "1 for the state in which a target's breaker is.", labels=(*_TARGET, "state")
    )
    resting = GaugeMetricFamily("llmrouter_resting_seconds", "How long a target still rests.", labels=_TARGET)
    left = GaugeMetricFamily(
        "llmrouter_limit_left", "What is left of a limit, by its name in the settings.", labels=(*_TARGET, "limit")
    )
    in_flight = GaugeMetricFamily("llmrouter_in_flight", "Attempts under way.", labels=_TARGET)
    for one in standings:
        labels = (one.target.provider, one.target.model)
        for state in BreakerState:
            breaker.add_metric((*labels, str(state)), float(one.breaker is state))
        resting.add_metric(labels, _rest_s(one))
        for limit, amount in one.limits_left.items():
            left.add_metric((*labels, limit), amount)
        in_flight.add_metric(labels, one.in_flight)
    return breaker, resting, left, in_flight


def _rest_s(standing: Standing) -> float:
    if standing.resting is None:
        return 0.0
    return float("inf") if standing.rest_left_s is None else standing.rest_left_s


def process_gauges(
    uptime_s: float, tasks: int, dropped: Mapping[str, int], failures: Mapping[str, int]
) -> Iterable[Metric]:
    """The router itself: its version, how long it runs, how much it does at once, and what its sinks lost."""
    info = GaugeMetricFamily("llmrouter_info", "The router that runs.", labels=("version",))
    info.add_metric((__version__,), 1)
    lost = CounterMetricFamily("llmrouter_sink_dropped", "Decisions that a sink was too slow for.", labels=("sink",))
    failed = CounterMetricFamily("llmrouter_sink_failures", "Decisions that a sink failed on.", labels=("sink",))
    for family, counts in ((lost, dropped), (failed, failures)):
        for sink, count in counts.items():
            family.add_metric((sink,), count)
    uptime = GaugeMetricFamily("llmrouter_uptime_seconds", "How long it runs.", uptime_s)
    at_once = GaugeMetricFamily("llmrouter_tasks", "Tasks of its event loop.", tasks)
    return info, uptime, at_once, lost, failed


def bounds(named: Mapping[str, float]) -> Iterable[Metric]:
    """What bounds the router under too much load, by names such as `in_flight`, `limit` and `refused`."""
    family = GaugeMetricFamily("llmrouter_overload", "What bounds the router under overload.", labels=("figure",))
    for figure, value in named.items():
        family.add_metric((figure,), value)
    return (family,)
