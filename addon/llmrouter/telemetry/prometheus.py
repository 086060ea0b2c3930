"""What is measured for Prometheus: counted when a call ends, and looked up when somebody asks.

Labels are bounded: targets of the configuration, the router's own words for endpoints and outcomes. The names of models
that clients ask for are not among them, as anybody can make up new ones.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from llmrouter.telemetry.decisions import AttemptRecord, CacheUse, Decision

CONTENT_TYPE = CONTENT_TYPE_LATEST

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_OVERHEAD_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0)
_TARGET = ("provider", "model")

# The time at which a counter began would be a line more for each, which no query needs.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library gives it no types


class _OfTarget(NamedTuple):
    """The instruments of one target, found once: to look them up by labels costs more than to count."""

    seconds: Histogram
    first_content: Histogram
    cost: Counter
    unpriced: Counter
    saved: Gauge
    tokens: tuple[Counter, ...]


# The kinds of tokens: cached and cache_write are a part of the input, reasoning is one of the output.
_KINDS = ("input", "output", "cached", "cache_write", "reasoning")


class PrometheusMetrics:
    """An observer that counts; `looked_up` are collectors whose figures are looked up when somebody asks."""

    def __init__(self, looked_up: Iterable[Callable[[], Iterable[Metric]]] = ()) -> None:
        self.registry = registry = CollectorRegistry(auto_describe=False)
        self._requests = Counter(
            "llmrouter_requests", "Calls that ended.", ("endpoint", "result", "cache"), registry=registry
        )
        self._request_seconds = Histogram(
            "llmrouter_request_seconds",
            "From a call's beginning to its answer's end.",
            ("endpoint", "stream"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._overhead = Histogram(
            "llmrouter_overhead_seconds",
            "The part of a call in which no provider was asked, with waiting for quota and for a target's rest.",
            ("endpoint",),
            buckets=_OVERHEAD_SECONDS,
            registry=registry,
        )
        self._attempts = Counter(
            "llmrouter_attempts", "Attempts that ended, by what they came to.", (*_TARGET, "outcome"), registry=registry
        )
        self._make_target_metrics(registry)
        self._children: dict[tuple[str, ...], Counter] = {}
        self._timers: dict[tuple[str, bool], tuple[Histogram, Histogram]] = {}
        self._targets: dict[str, _OfTarget] = {}
        for collect in looked_up:
            registry.register(_LookedUp(collect))

    def _make_target_metrics(self, registry: CollectorRegistry) -> None:
        self._attempt_seconds = Histogram(
            "llmrouter_attempt_seconds", "How long attempts took.", _TARGET, buckets=_SECONDS, registry=registry
        )
        self._first_content = Histogram(
            "llmrouter_first_content_seconds",
            "From an attempt's beginning to its first content.",
            _TARGET,
            buckets=_SECONDS,
            registry=registry,
        )
        self._tokens = Counter(
            "llmrouter_tokens",
            "Tokens used; cached and cache_write are a part of the input, reasoning is one of the output.",
            (*_TARGET, "kind"),
            registry=registry,
        )
        self._cost = Counter("llmrouter_cost_usd", "What attempts are known to cost.", _TARGET, registry=registry)
        self._unpriced = Counter(
            "llmrouter_unpriced_attempts", "Attempts that cost nobody knows how much.", _TARGET, registry=registry
        )
        self._saved = Gauge(
            "llmrouter_saved_usd",
            "What answers cost less than those of the requested model would have; falls where one cost more.",
            _TARGET,
            registry=registry,
        )

    def __call__(self, decision: Decision) -> None:
        """Takes a decision."""
        endpoint, seconds = str(decision.endpoint), decision.seconds
        self._request(endpoint, decision.result, decision.cache).inc()
        total, overhead = self._timer(endpoint, decision.stream)
        total.observe(seconds)
        asked_s = 0.0
        for attempt in decision.attempts:
            asked_s += attempt.seconds
            self._take_attempt(attempt)
        overhead.observe(max(seconds - asked_s, 0.0))
        if decision.saved_usd is not None and decision.answered_by is not None:
            self._of(decision.answered_by).saved.inc(decision.saved_usd)

    def exposition(self) -> bytes:
        """All figures in the text format of Prometheus."""
        return generate_latest(self.registry)

    def _take_attempt(self, attempt: AttemptRecord) -> None:
        of_target = self._of(attempt.target)
        self._outcome(attempt.target, attempt.outcome).inc()
        of_target.seconds.observe(attempt.seconds)
        if attempt.first_content_s is not None:
            of_target.first_content.observe(attempt.first_content_s)
        if attempt.cost_usd:
            of_target.cost.inc(attempt.cost_usd)
        if attempt.is_unpriced:
            of_target.unpriced.inc()
        if (usage := attempt.usage) is not None:
            counts = (
                usage.input_tokens,
                usage.output_tokens,
                usage.cached_tokens,
                usage.cache_write_tokens,
                usage.reasoning_tokens,
            )
            for counter, count in zip(of_target.tokens, counts, strict=True):
                if count:
                    counter.inc(count)

    def _request(self, endpoint: str, result: str, cache: CacheUse) -> Counter:
        child = self._children.get(key := (endpoint, result, cache))
        if child is None:
            child = self._children[key] = self._requests.labels(*key)
        return child

    def _outcome(self, target: str, outcome: str) -> Counter:
        child = self._children.get(key := (target, outcome))
        if child is None:
            child = self._children[key] = self._attempts.labels(*_labels(target), str(outcome))
        return child

    def _timer(self, endpoint: str, stream: bool) -> tuple[Histogram, Histogram]:
        timers = self._timers.get(key := (endpoint, stream))
        if timers is None:
            total = self._request_seconds.labels(endpoint, "true" if stream else "false")
            timers = self._timers[key] = total, self._overhead.labels(endpoint)
        return timers

    def _of(self, target: str) -> _OfTarget:
        found = self._targets.get(target)
        if found is None:
            labels = _labels(target)
            found = self._targets[target] = _OfTarget(
                self._attempt_seconds.labels(*labels),
                self._first_content.labels(*labels),
                self._cost.labels(*labels),
                self._unpriced.labels(*labels),
                self._saved.labels(*labels),
                tuple(self._tokens.labels(*labels, kind) for kind in _KINDS),
            )
        return found


class _LookedUp(Collector):
    """Figures that are looked up when somebody asks."""

    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        """The figures now."""
        return self._collect()


def _labels(target: str) -> tuple[str, str]:
    provider, _, model = target.partition("/")
    return provider, model
