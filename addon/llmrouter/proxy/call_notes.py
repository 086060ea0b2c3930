"""What stands beside a flow about its call: a comment and a marker for flow filters, and figures for the LLM view."""

import weakref
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from mitmproxy import ctx, hooks, http

from llmrouter.call_record import Answer
from llmrouter.errors import Outcome
from llmrouter.telemetry.decisions import CacheUse, Decision
from llmrouter.viewing.usage import usage_line

FIGURES = "llmrouter"
"""The name under which a flow's metadata holds what is known of its call, as plain values."""

_HIT, _FAILOVER, _ERROR = ":floppy_disk:", ":twisted_rightwards_arrows:", ":x:"
_OURS = frozenset({"", _HIT, _FAILOVER, _ERROR})
_BETWEEN, _MOST_COMMENTS = " | ", 5
_NO_FAILURES = (Outcome.SUCCESS, Outcome.NOT_TRANSLATABLE, Outcome.CLIENT_GONE, Outcome.HEDGED_OFF)
_WITHOUT_PROVIDER = {CacheUse.HIT: "from the cache", CacheUse.SHARED: "shared with an identical request"}


_shown_in: ContextVar["weakref.ref[http.HTTPFlow] | None"] = ContextVar("the flow of an operation", default=None)


def note(flow: http.HTTPFlow, answer: Answer) -> None:
    """Puts comment, marker and figures into the flow, as far as they are known; a mark of the owner's own stays."""
    flow.comment = comment_on(answer)
    _mark(flow, answer.decision, answer.target.key if answer.target else None, is_error=answer.error is not None)


def expect_calls(flow: http.HTTPFlow) -> None:
    """The calls that begin in this task, and in those that it starts, are noted in this flow when they end.

    An operation of Responses or of Assistants makes calls of its own, some long after it was answered.
    """
    _shown_in.set(weakref.ref(flow))


def note_ended(decision: Decision) -> None:
    """An observer of decisions: notes a call of an operation in the operation's flow."""
    shown_in = _shown_in.get()
    flow = None if shown_in is None else shown_in()
    if flow is None:
        return
    is_error = decision.result == "failed"
    comment = _comment(decision, decision.answered_by, is_error=is_error, status=decision.status)
    before = flow.comment.split(_BETWEEN) if flow.comment else []
    flow.comment = _BETWEEN.join([*before, comment][-_MOST_COMMENTS:])
    _mark(flow, decision, decision.answered_by, is_error=is_error)
    if (master := getattr(ctx, "master", None)) is not None:
        master.addons.trigger(hooks.UpdateHook([flow]))


def comment_on(answer: Answer) -> str:
    """One line on who answered, in how many attempts, for how much, and who failed before."""
    target = answer.target
    by = None if target is None else f"{target.provider} · {target.model}"
    return _comment(answer.decision, by, is_error=answer.error is not None, status=answer.status)


def _comment(decision: Decision, by: str | None, *, is_error: bool, status: int | None) -> str:
    attempts = len(decision.attempts)
    parts = [] if by is None else [by]
    parts.append(_WITHOUT_PROVIDER.get(decision.cache) or f"{attempts} attempt" + ("" if attempts == 1 else "s"))
    if decision.cost_usd is not None:
        parts.append(f"${decision.cost_usd:.6f}")
    if failed := _failed(decision, is_error=is_error):
        told = ", ".join(f"{target} {outcome}" for target, outcome in failed)
        parts.append(f"{'error' if is_error else 'failover'} after {told}")
    elif is_error:
        parts.append(f"error {status or ''}".rstrip())
    if decision.result != "answered":
        parts.append(decision.result.replace("_", " "))
    return " · ".join(parts)


def _mark(flow: http.HTTPFlow, decision: Decision, by: str | None, *, is_error: bool) -> None:
    if flow.marked in _OURS:
        flow.marked = _marker(decision, is_error=is_error)
    flow.metadata[FIGURES] = dict(_figures(decision, by, is_error=is_error))


def footer_of(flow: http.HTTPFlow) -> list[str]:
    """What is known of a flow's call, in lines; nothing of a flow that the router did not answer."""
    figures = flow.metadata.get(FIGURES)
    if not isinstance(figures, dict):
        return []
    lines = [f"Answered by: {figures['answered_by']}"] if figures.get("answered_by") else []
    lines += [line for line in [usage_line(figures)] if line]
    lines += [f"Cost: {_money(figures.get('cost_usd'))}, saved: {_money(figures.get('saved_usd'))}"]
    if "cache" in figures:
        lines.append(f"Cache: {figures['cache']}")
    lines += [f"Attempt {number}: {told}" for number, told in enumerate(figures.get("attempts", ()), 1)]
    lines += [f"{name.capitalize()}: {figures[name]}" for name in ("result", "error") if figures.get(name)]
    return lines


def _failed(decision: Decision, *, is_error: bool) -> list[tuple[str, str]]:
    """The attempts that failed, at others than who answered; those that were never sent left out."""
    answered_by = None if is_error else decision.answered_by
    return [
        (attempt.target, attempt.outcome.replace("_", " "))
        for attempt in decision.attempts
        if attempt.target != answered_by and attempt.outcome not in _NO_FAILURES
    ]


def _marker(decision: Decision, *, is_error: bool) -> str:
    if is_error or decision.result == "broken":
        return _ERROR
    if decision.cache in _WITHOUT_PROVIDER:
        return _HIT
    return _FAILOVER if _failed(decision, is_error=is_error) else ""


def _figures(decision: Decision, by: str | None, *, is_error: bool) -> Iterator[tuple[str, Any]]:
    if by is not None:
        yield "answered_by", by
    yield "id", decision.id
    yield "cost_usd", decision.cost_usd
    yield "saved_usd", decision.saved_usd
    yield "cache", str(decision.cache)
    if (usage := decision.usage) is not None:
        told = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
        yield "usage", told | {"cached_tokens": usage.cached_tokens, "reasoning_tokens": usage.reasoning_tokens}
    tried = decision.attempts
    yield "attempts", [f"{one.target} {one.outcome.replace('_', ' ')}, {one.seconds:.3f} s" for one in tried]
    # "failed" is what every decision says until it ends.
    if decision.result != "answered" and (is_error or decision.result != "failed"):
        yield "result", decision.result
    yield "error", decision.error


def _money(amount: Any) -> str:
    return f"${amount:.6f}" if isinstance(amount, (int, float)) else "unknown"
