"""What was used over a span of time, out of the ledger, as plain JSON values for the dashboard's charts."""

from dataclasses import asdict
from typing import Any, NamedTuple

from llmrouter.errors import InvalidRequest
from llmrouter.storage.usage_queries import Bucket, Span, Usage, UsageRecords, total_of

_MOST_LINES = 50


class Range(NamedTuple):
    """A span of time that ends now, in seconds, and the length of its buckets."""

    seconds: float
    bucket_s: float


RANGES = {
    "hour": Range(3_600, 60),
    "day": Range(86_400, 1_800),
    "week": Range(7 * 86_400, 4 * 3_600),
    "month": Range(30 * 86_400, 86_400),
}
DEFAULT_RANGE = "day"


def range_of(name: str) -> str:
    """The name of a range; raises `InvalidRequest`."""
    if name not in RANGES:
        told = ", ".join(f"'{one}'" for one in RANGES)
        raise InvalidRequest(f"'range' must be one of {told}.", param="range")
    return name


def usage_record(records: UsageRecords, name: str, now: float) -> dict[str, Any]:
    """All that the charts show; `now` is Unix seconds. Raises `NoLedger`.

    Buckets begin at multiples of their length, and those without calls are left out. Money that nobody knows is no
    part of the sums: `unknown_cost` and `unknown_saving` tell for how many calls.
    """
    frame = _frame(name, now)
    span = Span(frame["since"], frame["until"])
    return {
        **frame,
        "total": _line(records.total(span)),
        "over_time": [_bucket(one) for one in records.over_time(span, frame["bucket_s"])],
        "by_provider": [_line(one) for one in records.by("provider", span)[:_MOST_LINES]],
        "by_model": [_line(one) for one in records.by("model", span)[:_MOST_LINES]],
        "latencies": [asdict(one) for one in records.latencies(span)[:_MOST_LINES]],
        "failed_calls": [asdict(one) for one in records.failed_calls(span)[:_MOST_LINES]],
        "failed_attempts": [asdict(one) for one in records.failed_attempts(span)[:_MOST_LINES]],
    }


def no_usage(name: str, now: float) -> dict[str, Any]:
    """The same of a ledger in which nothing stands yet."""
    lists = ("over_time", "by_provider", "by_model", "latencies", "failed_calls", "failed_attempts")
    return {**_frame(name, now), "total": _line(total_of(())), **{one: [] for one in lists}}


def _frame(name: str, now: float) -> dict[str, float]:
    seconds, bucket_s = RANGES[name]
    until = (now // bucket_s + 1) * bucket_s
    return {"since": until - seconds, "until": until, "bucket_s": bucket_s}


def _line(usage: Usage) -> dict[str, Any]:
    return {
        "key": usage.key,
        "calls": usage.calls,
        "answered": usage.answered,
        "failed": usage.failed,
        "cache_hits": usage.cache_hits,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost_usd": usage.cost_usd,
        "unknown_cost": usage.unknown_cost,
        "saved_usd": usage.saved_usd,
        "unknown_saving": usage.unknown_saving,
    }


def _bucket(bucket: Bucket) -> dict[str, Any]:
    return {"at": bucket.at, **_line(bucket.usage)}
