"""The last decisions as JSON: a list that can be narrowed down, and one of them with all that it holds."""

from collections.abc import Callable, Mapping
from typing import Any

from llmrouter.errors import InvalidRequest, NoPage
from llmrouter.telemetry.decisions import Decision
from llmrouter.telemetry.recent_decisions import RecentDecisions

_DEFAULT_LIMIT, _MOST = 50, 200


def _providers(decision: Decision) -> set[str]:
    """Who answered, or was asked in vain."""
    keys = [attempt.target for attempt in decision.attempts]
    return {key.partition("/")[0] for key in (*keys, decision.answered_by) if key is not None}


# What a query's member narrows the list down to.
_FILTERS: Mapping[str, Callable[[Decision, str], bool]] = {
    "model": lambda decision, wanted: decision.model == wanted,
    "provider": lambda decision, wanted: wanted in _providers(decision),
    "target": lambda decision, wanted: decision.answered_by == wanted,
    "result": lambda decision, wanted: decision.result == wanted,
    "cache": lambda decision, wanted: str(decision.cache) == wanted,
    "endpoint": lambda decision, wanted: decision.endpoint == wanted,
    "since": lambda decision, wanted: decision.at >= _number(wanted),
}


def several_decisions(recent: RecentDecisions, query: Mapping[str, str]) -> dict[str, Any]:
    """The latest decisions first, without what was left out of their plans: that is told one by one.

    `limit` is 1 to 200 and 50 where it is not given, `since` Unix seconds; the other filters are exact: `model` is the
    one asked for, `provider` answered or was tried, `target` answered. Raises `InvalidRequest`.
    """
    if unknown := query.keys() - _FILTERS.keys() - {"limit"}:
        known = ", ".join(["limit", *_FILTERS])
        raise InvalidRequest(f"There is no filter '{min(unknown)[:50]}'. There are: {known}.")
    limit, wanted = _limit(query.get("limit")), [(_FILTERS[name], query[name]) for name in _FILTERS if name in query]
    found = [one for one in recent.latest() if all(fits(one, value) for fits, value in wanted)]
    return {"object": "list", "data": [_summary(one) for one in found[:limit]], "has_more": len(found) > limit}


def one_decision(recent: RecentDecisions, id: str) -> dict[str, Any]:
    """All of one decision, with the whole plan; raises `NoPage` where it is not among the last ones."""
    for decision in recent.latest():
        if decision.id == id:
            return decision.to_record()
    raise NoPage(f"There is no decision '{id[:50]}' among the last {_MOST}.")


def _summary(decision: Decision) -> dict[str, Any]:
    record = decision.to_record()
    plan = record["plan"]
    record["plan"] = {name: plan[name] for name in ("policy", "targets") if name in plan}
    return record


def _limit(text: str | None) -> int:
    if text is None:
        return _DEFAULT_LIMIT
    if not (text.isascii() and text.isdecimal() and len(text) <= 6 and 1 <= int(text) <= _MOST):
        raise InvalidRequest(f"'limit' must be a whole number from 1 to {_MOST}.", param="limit")
    return int(text)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidRequest("'since' must be a number of seconds since 1970.", param="since") from None
