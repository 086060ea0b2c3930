"""The record of one call: what was asked, what could have answered and why not, what was tried, what it cost."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from llmrouter.calls import Call
from llmrouter.replies import Usage

PASSED_THROUGH = "passed_through"
"""What a call came to that OpenAI is to answer, because the router itself could not."""


class CacheUse(StrEnum):
    """What the response cache did for a call: nothing, for it was not asked; looked in vain; answered; or the call
    shared the answer to an identical one that was under way."""

    BYPASS = "bypass"
    MISS = "miss"
    HIT = "hit"
    SHARED = "shared"


class PlanRecord(Protocol):
    """A plan that is written down only where somebody wants to read it."""

    def to_record(self) -> dict[str, Any]:
        """The plan as plain JSON values."""
        ...


@dataclass(slots=True)
class AttemptRecord:
    """One try: the target, what it came to, and how long it took in seconds.

    `changes` says in what the request differed from the client's; `requests_left` and `tokens_left` are what the
    provider says is left of its limits. `usage` is what it used, and `cost_usd` what that cost, whether the client got
    the answer or not, `cost_source` who says so: the provider, or whoever told the price. Both are None where nobody
    knows; `is_unpriced` tells that it was paid for all the same. `guessed_usage` is what was booked in place of a usage
    that was not told: what had passed when the answer was cut off. `began_s` is how long after the call it began.
    """

    target: str
    outcome: str
    seconds: float
    first_content_s: float | None = None
    status: int | None = None
    message: str | None = None
    changes: tuple[str, ...] = ()
    requests_left: int | None = None
    tokens_left: int | None = None
    usage: Usage | None = None
    cost_usd: float | None = None
    cost_source: str | None = None
    is_unpriced: bool = False
    guessed_usage: Usage | None = None
    began_s: float | None = None


@dataclass(slots=True)
class Decision:
    """Everything about one call; filled as it goes, published when it ends.

    `at` is Unix time, `result` is `answered`, `failed`, `broken` (after content was sent), `client_gone`, or
    `passed_through`: to OpenAI with the app's own key, as the router itself could not answer. `age_s` is how old an
    answer of the cache was. `continuations` is how often another target went on with a stream that broke;
    `answered_by` is the last one then, and `usage` the sum of all parts, None where one is not known. `cost_usd` is the
    sum over all attempts, None where one of them was paid for and nobody knows how much: `known_cost_usd` is the sum of
    those that are known.
    `trace` are the client's headers by which its trace goes on (W3C Trace Context), where it sent any.
    `error_kind` is a word for the error, one of few. `call` is there while observers are told, and not kept after that:
    it holds the prompt and the client's credential.
    """

    id: str
    at: float
    endpoint: str
    model: str
    stream: bool
    plan: PlanRecord | None = None
    cache: CacheUse = CacheUse.BYPASS
    age_s: float | None = None
    attempts: list[AttemptRecord] = field(default_factory=list)
    continuations: int = 0
    result: str = "failed"
    status: int | None = None
    answered_by: str | None = None
    usage: Usage | None = None
    cost_usd: float | None = None
    known_cost_usd: float = 0.0
    saved_usd: float | None = None
    seconds: float = 0.0
    error: str | None = None
    trace: Mapping[str, str] = field(default_factory=dict)
    error_kind: str | None = None
    call: Call | None = field(default=None, repr=False)

    def to_record(self) -> dict[str, Any]:
        """The record as plain JSON values."""
        usage = self.usage
        return {
            "event": "decision",
            "id": self.id,
            "at": round(self.at, 3),
            "endpoint": self.endpoint,
            "model": self.model,
            "stream": self.stream,
            "result": self.result,
            "status": self.status,
            "answered_by": self.answered_by,
            "seconds": round(self.seconds, 4),
            "cache": self.cache,
            **({} if self.age_s is None else {"age_s": round(self.age_s, 1)}),
            "plan": {} if self.plan is None else self.plan.to_record(),
            "attempts": [_attempt_record(attempt) for attempt in self.attempts],
            **({"continuations": self.continuations} if self.continuations else {}),
            "usage": _usage_record(usage),
            "cost_usd": self.cost_usd,
            **({} if self.cost_usd is not None else {"known_cost_usd": self.known_cost_usd}),
            "saved_usd": self.saved_usd,
            "error": self.error,
            **({} if self.error_kind is None else {"error_kind": self.error_kind}),
            **({"traceparent": self.trace["traceparent"]} if "traceparent" in self.trace else {}),
        }


def _usage_record(usage: Usage | None) -> dict[str, int] | None:
    if usage is None:
        return None
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
    }


def _attempt_record(attempt: AttemptRecord) -> dict[str, Any]:
    record: dict[str, Any] = {
        "target": attempt.target,
        "outcome": attempt.outcome,
        "seconds": round(attempt.seconds, 4),
    }
    if attempt.began_s is not None:
        record["began_s"] = round(attempt.began_s, 4)
    if attempt.first_content_s is not None:
        record["first_content_s"] = round(attempt.first_content_s, 4)
    if attempt.status is not None:
        record["status"] = attempt.status
    if attempt.message is not None:
        record["message"] = attempt.message
    if attempt.changes:
        record["changes"] = list(attempt.changes)
    if attempt.requests_left is not None:
        record["requests_left"] = attempt.requests_left
    if attempt.tokens_left is not None:
        record["tokens_left"] = attempt.tokens_left
    return record | _money_record(attempt)


def _money_record(attempt: AttemptRecord) -> dict[str, Any]:
    record: dict[str, Any] = {}
    if attempt.usage is not None:
        record["usage"] = _usage_record(attempt.usage)
    if attempt.guessed_usage is not None:
        record["guessed_usage"] = _usage_record(attempt.guessed_usage)
    if attempt.cost_usd is not None:
        record |= {"cost_usd": attempt.cost_usd, "cost_source": attempt.cost_source}
    if attempt.is_unpriced:
        record["cost_usd"] = None
    return record


type Observer = Callable[[Decision], None]
