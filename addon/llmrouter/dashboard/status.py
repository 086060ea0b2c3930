"""How the router is, as plain JSON values: what it did since its start, and each target as it stands now."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Any

from llmrouter.routing.standings import Standing
from llmrouter.targets import Target
from llmrouter.telemetry.totals import TargetTotals, Totals


def totals_record(totals: Totals) -> dict[str, Any]:
    """What was done since the start. `unpriced` calls were paid for, and nobody knows how much."""
    return {
        "requests": totals.requests,
        "failed": totals.failed,
        "results": _plain(totals.results),
        "endpoints": _plain(totals.endpoints),
        "failures_by_status": _plain(totals.failures),
        "failures_by_kind": _plain(totals.kinds),
        "attempts_by_outcome": _plain(totals.outcomes),
        "cost_usd": totals.cost_usd,
        "unpriced": totals.unpriced,
        "saved_usd": totals.saved_usd,
        "cache": _plain(totals.cache),
        "by_provider": _by_provider(totals),
        "by_model": {key: _figures([one]) for key, one in totals.targets.items()},
    }


def target_record(standing: Standing, totals: TargetTotals | None) -> dict[str, Any]:
    """One target; durations are seconds, None stands for what is not known."""
    target, rest = standing.target, standing.resting
    times: Iterable[float] = () if totals is None else totals.first_content_s
    return {
        "key": target.key,
        "provider": target.provider,
        "model": target.model,
        "type": target.brand.name,
        "priority": target.priority,
        "breaker": str(standing.breaker),
        "opens_again_in_s": round(standing.opens_again_in_s, 3),
        "resting": None if rest is None else {"reason": rest.reason, "left_s": standing.rest_left_s},
        "limits_left": standing.limits_left,
        "limits": standing.limits,
        "in_flight": standing.in_flight,
        "first_content_s": {"p50": quantile(times, 0.5), "p95": quantile(times, 0.95)},
        "error_rate": standing.figures.error_rate,
        "tokens_per_s": standing.figures.tokens_per_s,
        **_capabilities(target, standing),
    }


def quantile(values: Iterable[float], share: float) -> float | None:
    """The smallest value that at least a share of all is not above (the nearest-rank method); None of no values."""
    ordered = sorted(values)
    if not ordered:
        return None
    return round(ordered[max(-int(-len(ordered) * share // 1) - 1, 0)], 4)


def _plain(counts: Mapping[Any, int]) -> dict[str, int]:
    return {str(name): count for name, count in counts.items()}


def _capabilities(target: Target, standing: Standing) -> dict[str, Any]:
    known = target.capabilities
    reason = "not known, so it is tried" if known is None else "as the settings or the model index say"
    return {
        "capabilities": None if known is None else sorted(map(str, known)),
        "capabilities_reason": reason,
        "refused_members": sorted(standing.unsupported),
    }


def _by_provider(totals: Totals) -> dict[str, dict[str, Any]]:
    groups: dict[str, list[TargetTotals]] = {}
    for key, one in totals.targets.items():
        groups.setdefault(key.partition("/")[0], []).append(one)
    return {provider: _figures(group) for provider, group in groups.items()}


def _figures(group: list[TargetTotals]) -> dict[str, Any]:
    times = deque(seconds for one in group for seconds in one.first_content_s)
    return {
        "answered": sum(one.answered for one in group),
        "attempts": sum(one.attempts for one in group),
        "failed_attempts": sum(one.failed_attempts for one in group),
        "failures": _plain(sum((one.failures for one in group), Counter())),
        "input_tokens": sum(one.input_tokens for one in group),
        "output_tokens": sum(one.output_tokens for one in group),
        "cost_usd": sum(one.cost_usd for one in group),
        "saved_usd": sum(one.saved_usd for one in group),
        "first_content_s": {"p50": quantile(times, 0.5), "p95": quantile(times, 0.95)},
    }
