"""Which outcome an error has: a table from status and words to the rows of design 6.2.

Statuses, codes and texts are those of the provider reference, sections 2.3, 3 and 5, 2026-11-23. Every repetition in a
pattern is bounded, so that a search takes linear time.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from llmrouter.errors import Outcome

INSIDE_SUCCESS = 200
"""Stands for an error inside a successful reply that tells no status of its own."""

_DAY_S = 86400


def _any_of(*texts: str) -> re.Pattern[str]:
    return re.compile("|".join(texts), re.IGNORECASE)


def _kinds(*codes: str) -> re.Pattern[str]:
    """Codes that stand alone, as whole lines of the words."""
    return re.compile(rf"^(?:{'|'.join(codes)})$", re.IGNORECASE | re.MULTILINE)


_THROTTLED = _any_of("throttl", "rate limit", "too many requests")
_TIER_TOO_SMALL = _any_of(r"request too large.{0,300}limit:? \d{1,12}, requested:? \d{1,12}")
_CONTEXT = _any_of(
    "context_length_exceeded",
    "exceed_context_size_error",
    "model_context_window_exceeded",
    r"maximum context length",
    r"exceeds the context window",
    r"exceeded this model context window",
    r"prompt is too long: \d{1,12} tokens",
    r"exceed context limit",
    r"input is too long for requested model",
    r"input token count \(\d{1,12}\) exceeds",
    r"maximum prompt length is \d{1,12}",
    r"reduce the length of the messages",
    r"too large for model with \d{1,12} maximum context length",
    r"inputs?`? tokens \+ `?max_(?:new_)?tokens`? must be",
    r"exceeded model token limit",
    r"context window exceeds limit",
    r"range of input length should be",
    r"exceeds the available context size",
    r"greater than the context length",
    r"prompt too long; exceeded max context length",
    r"longer than the maximum model length",
    r"input is too large to process",
    r"too many tokens",
)
# Together tells an overflow as 403 (section 3.7).
_CONTEXT_AT_403 = _any_of(
    r"tokens.{0,80}max_(?:new_|completion_)?tokens", r"max_(?:new_|completion_)?tokens.{0,80}context"
)
_BILLING = _any_of(
    "insufficient_quota",
    "credit_balance_exhausted",
    r"\w{1,40}_spend_limit_(?:exceeded|reached)",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
    "billing_not_active",
    "billing_error",
    "payment_required",
    "credit balance is too low",
    "specified api usage limits",
    r"\bspend(?:ing)? (?:limit|cap)\b",
    "used all available credits",
    "insufficient (?:credits|balance|funds)",
)
_RATE = _any_of(
    "rate_?limit", "rate limit", "too_?many_?requests", "too many requests", "resource_exhausted", "slow_down"
)
_BUSY = _any_of(
    "overloaded",
    "server_error",
    "unavailable",
    "timeout",
    "deadline_exceeded",
    "insufficient_system_resource",
    "internal_error",
    "internalservererror",
)
_BUSY_KINDS = _kinds("api_error", "internal", "server")
_BAD_KEY = _any_of(
    "API_KEY_INVALID",
    "invalid_api_key",
    "authentication_error",
    r"api key (?:not valid|expired)",
    r"valid api key",
    r"(?:invalid|incorrect) api key",
    # Gemini tells so what is a 403 elsewhere: nothing gets through until something is changed.
    r"user location is not supported",
)
_BAD_KEY_KINDS = _kinds("authentication", "unauthenticated", "permission_error", "permission_denied", "unauthorized")
_GONE = _any_of(
    "model_not_found",
    "model_not_supported",
    "model_not_available",
    "decommissioned",
    "no such model",
    r"\bmodel\b.{0,120}(?:does not exist|not found|has been (?:removed|retired|deprecated))",
)
_GONE_KINDS = _kinds("not_found_error", "notfounderror", "not_found")
# OpenRouter knows the model, and no provider of it that does what this request asks (section 3.4).
_UNFIT_ENDPOINTS = _any_of("no endpoints found (?:that|matching)", "no allowed providers", "no endpoints available")
_POLICY = _any_of("moderation", "flagged_input", "content_policy", "content_filter", "guardrail", "usage guidelines")
_BLOCKED = _any_of("blocked", "violat")
# llama.cpp tells as an error of the server what its command line left out (section 3.22).
_NOT_BUILT_IN = _any_of("not_supported_error", "requires --jinja", r"(?:image|audio) input is not supported")
_BAD_REQUEST_KINDS = _kinds(
    *("invalid_request_error", "invalid_request", "invalid_argument", "invalid-argument", "invalid_prompt"),
    *("bad_request", "badrequesterror", "failed_precondition", "precondition_failed", "unprocessable"),
    *("refusal", "payload_too_large", "request_too_large", "unsupported_parameter", "unsupported_value"),
)


@dataclass(frozen=True, slots=True)
class Rule:
    """An error of one of these statuses, with such a text where one is given, has this outcome."""

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


# A firewall before the provider dislikes the prompt; the key is as good as it was.
_WEB_PAGE = _any_of("the provider sent a web page")
_MODEL_DENIED = _any_of(
    "access to (?:the |this )?model", "model_permission", r"\bmodel\b.{0,60}(?:not allowed|not authorized|no access)"
)
_NO_FILE = _any_of(r"\bfile\b.{0,80}(?:not found|does not exist)", "no such file", "file_not_found")

RULES = (
    # A request that is larger than the whole bucket never fits, however long one waits.
    _rule(Outcome.CONTEXT_EXCEEDED, {200, 413, 429}, _TIER_TOO_SMALL),
    _rule(Outcome.RATE_LIMITED, {200, 402}, _any_of("in_flight_budget_exhausted")),
    _rule(Outcome.OUT_OF_CREDIT, {402}),
    _rule(Outcome.OUT_OF_CREDIT, {200, 400, 403, 429}, _BILLING),
    _rule(Outcome.UNAUTHORIZED, {401}),
    _rule(Outcome.REFUSED, {498}, _BLOCKED),
    _rule(Outcome.RATE_LIMITED, {429, 498}),
    _rule(Outcome.RATE_LIMITED, {503}, _any_of("slow_down")),
    _rule(Outcome.REFUSED, {404}, _UNFIT_ENDPOINTS),
    _rule(Outcome.REFUSED, {404}, _NO_FILE),
    _rule(Outcome.MODEL_GONE, {404, 410}),
    _rule(Outcome.CONTEXT_EXCEEDED, {200, 400, 403, 413, 422, 500}, _CONTEXT, _THROTTLED),
    _rule(Outcome.REFUSED, {500, 501}, _NOT_BUILT_IN),
    _rule(Outcome.SERVER_ERROR, {408, 425, 499, *range(500, 600)}),
    _rule(Outcome.UNAUTHORIZED, {200, 400}, _BAD_KEY),
    _rule(Outcome.MODEL_GONE, {200, 400, 403, 422}, _GONE),
    _rule(Outcome.REFUSED, {200, 403}, _POLICY),
    _rule(Outcome.CONTEXT_EXCEEDED, {403}, _CONTEXT_AT_403),
    _rule(Outcome.REFUSED, {403}, _WEB_PAGE),
    _rule(Outcome.MODEL_GONE, {403}, _MODEL_DENIED),
    _rule(Outcome.UNAUTHORIZED, {403}),
    _rule(Outcome.RATE_LIMITED, {200}, _RATE),
    _rule(Outcome.SERVER_ERROR, {200}, _BUSY),
    _rule(Outcome.SERVER_ERROR, {200}, _BUSY_KINDS),
    _rule(Outcome.UNAUTHORIZED, {200}, _BAD_KEY_KINDS),
    _rule(Outcome.MODEL_GONE, {200}, _GONE_KINDS),
    _rule(Outcome.REFUSED, {200}, _BAD_REQUEST_KINDS),
    _rule(Outcome.REFUSED, range(400, 500)),
)
"""The first rule that fits decides; where none does it is a bad reply."""


def outcome_of(status: int, words: str) -> Outcome:
    """The outcome of an error of this status (`INSIDE_SUCCESS` where none is told) with these words; BAD_REPLY where
    no rule fits."""
    return next((rule.outcome for rule in RULES if rule.fits(status, words)), Outcome.BAD_REPLY)


_DAYS = (
    # Gemini's day ends at midnight in California, in summer an hour earlier than this (section 3.8).
    (re.compile("PerDay"), 8),
    # Cloudflare's and OpenRouter's days are those of UTC (sections 3.18 and 7).
    (_any_of(r"\bdaily\b", "per[-_ ]day"), 0),
)
"""Words for limits of a whole day, and the hour (UTC) at which the next day begins."""


def day_ends_in_s(words: str, now_wall: float) -> float | None:
    """Seconds until a limit of a whole day returns; None where the words tell of no such limit."""
    hour = next((hour for text, hour in _DAYS if text.search(words)), None)
    return None if hour is None else _DAY_S - (now_wall - hour * 3600) % _DAY_S
