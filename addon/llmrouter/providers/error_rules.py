"""Which outcome an error has: a table from status and words to the rows of design 6.2.

Texts and classes are those of the provider reference, sections 3 and 5, 2026-11-23.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from llmrouter.errors import Outcome


def _any_of(*texts: str) -> re.Pattern[str]:
    return re.compile("|".join(texts), re.IGNORECASE)


_THROTTLED = _any_of("throttl", "rate limit", "too many requests")
_TIER_TOO_SMALL = _any_of(r"request too large.{0,300}limit:? \d+, requested:? \d+")
_CONTEXT = _any_of(
    "context_length_exceeded",
    "exceed_context_size_error",
    "model_context_window_exceeded",
    r"maximum context length",
    r"exceeds the context window",
    r"prompt is too long: \d+ tokens",
    r"exceed context limit",
    r"input is too long for requested model",
    r"input token count \(\d+\) exceeds",
    r"maximum prompt length is \d+",
    r"reduce the length of the messages",
    r"too large for model with \d+ maximum context length",
    r"inputs?`? tokens \+ `?max_(?:new_)?tokens`? must be",
    r"exceeded model token limit",
    r"context window exceeds limit",
    r"range of input length should be",
    r"exceeds the available context size",
    r"greater than the context length",
    r"prompt too long; exceeded max context length",
    r"longer than the maximum model length",
    r"too many tokens",
)
_CONTEXT_AT_403 = _any_of(
    r"tokens.{0,80}max_(?:new_|completion_)?tokens", r"max_(?:new_|completion_)?tokens.{0,80}context"
)
_BILLING = _any_of(
    "insufficient_quota",
    "credit_balance_exhausted",
    r"\w{1,40}_spend_limit_(?:exceeded|reached)",
    "organization_usage_limit_exceeded",
    "billing_error",
    "payment_required",
    "credit balance is too low",
    "insufficient (?:credits|balance|funds)",
)
_RATE = _any_of(
    "rate_?limit", "rate limit", "too_?many_?requests", "too many requests", "resource_exhausted", "slow_down"
)
_BUSY = _any_of(
    "overloaded", "server_error", "unavailable", "timeout", "insufficient_system_resource", "internal_error"
)
_BAD_KEY = _any_of(
    "API_KEY_INVALID",
    "invalid_api_key",
    "authentication_error",
    r"api key not valid",
    r"valid api key",
    r"(?:invalid|incorrect) api key",
)
_GONE = _any_of(
    "model_not_found",
    "decommissioned",
    r"\bmodel\b.{0,120}(?:does not exist|not found|has been (?:removed|retired|deprecated))",
)
# OpenRouter knows the model, and no provider of it that does what this request asks (section 3.4).
_UNFIT_ENDPOINTS = _any_of("no endpoints found (?:that|matching)", "no allowed providers", "no endpoints available")
IS_DAILY = _any_of(r"\bdaily\b", r"per[-_ ]day")
"""A day's allowance that is used up: unless the provider says more, it returns at 00:00 UTC (sections 3.18 and 7)."""

_POLICY = _any_of("moderation", "flagged_input", "content_policy", "content_filter", "guardrail")


@dataclass(frozen=True, slots=True)
class Rule:
    """An error of one of these statuses, with such a text where one is given, has this outcome.

    200 stands for an error inside a successful reply that tells no status of its own.
    """

    outcome: Outcome
    statuses: frozenset[int]
    text: re.Pattern[str] | None = None
    unless: re.Pattern[str] | None = None

    def fits(self, status: int, words: str) -> bool:
        """Whether this is the rule for an error of this status with these words."""
        if status not in self.statuses or (self.text is not None and not self.text.search(words)):
            return False
        return self.unless is None or not self.unless.search(words)


def _rule(
    outcome: Outcome,
    statuses: Iterable[int],
    text: re.Pattern[str] | None = None,
    unless: re.Pattern[str] | None = None,
) -> Rule:
    return Rule(outcome, frozenset(statuses), text, unless)


RULES = (
    # A request that is larger than the whole bucket never fits, however long one waits.
    _rule(Outcome.CONTEXT_EXCEEDED, {200, 413, 429}, _TIER_TOO_SMALL),
    _rule(Outcome.RATE_LIMITED, {200, 402}, _any_of("in_flight_budget_exhausted")),
    _rule(Outcome.OUT_OF_CREDIT, {402}),
    _rule(Outcome.OUT_OF_CREDIT, {200, 400, 403, 429}, _BILLING),
    _rule(Outcome.UNAUTHORIZED, {401}),
    _rule(Outcome.RATE_LIMITED, {429, 498}),
    _rule(Outcome.REFUSED, {404}, _UNFIT_ENDPOINTS),
    _rule(Outcome.MODEL_GONE, {404, 410}),
    _rule(Outcome.CONTEXT_EXCEEDED, {200, 400, 403, 413, 422, 500}, _CONTEXT, _THROTTLED),
    _rule(Outcome.SERVER_ERROR, {408, 425, *range(500, 600)}),
    _rule(Outcome.UNAUTHORIZED, {200, 400}, _BAD_KEY),
    _rule(Outcome.MODEL_GONE, {200, 400, 403, 422}, _GONE),
    _rule(Outcome.REFUSED, {200, 403}, _POLICY),
    _rule(Outcome.CONTEXT_EXCEEDED, {403}, _CONTEXT_AT_403),
    _rule(Outcome.UNAUTHORIZED, {403}),
    _rule(Outcome.RATE_LIMITED, {200}, _RATE),
    _rule(Outcome.SERVER_ERROR, {200}, _BUSY),
    _rule(Outcome.REFUSED, range(400, 500)),
)
"""The first rule that fits decides; where none does it is a bad reply."""


def outcome_of(status: int, words: str) -> Outcome:
    """The outcome of an error of this status (200: inside a success) with these words; BAD_REPLY where no rule fits."""
    return next((rule.outcome for rule in RULES if rule.fits(status, words)), Outcome.BAD_REPLY)
