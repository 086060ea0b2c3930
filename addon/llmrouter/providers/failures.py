"""What a provider's error means: its status, headers and body in, one classified AttemptFailed out.

The shapes, texts and classes are those of the provider reference, sections 5.1 to 5.3, 2026-11-23. Texts are searched
only in the members in which providers put messages and codes: an error may quote the prompt, and a prompt may talk
about errors.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.rate_limits import retry_after_s

LONGEST_MESSAGE = 400
_LONGEST_WORD = 2000
_DEEPEST = 5
_INSIDE_SUCCESS = 200

_KEY_LIKE = re.compile(
    r"\bbearer\s+[^\s\"',]{6,}"
    r"|\b(?:sk|rk|pk|csk|xai|nvapi)-[\w*-]{4,}"
    r"|\b(?:gsk|hf|fw|tgp|r8)_[\w*-]{4,}"
    r"|\bAIza[\w*-]{10,}"
    r"|\b[0-9a-f]{32,}\b"
    r"|\beyJ[\w-]{10,}(?:\.[\w-]+)*"
    r"|\b(?:org|proj|user|acct)[-_](?=\w*\d)[A-Za-z0-9]{8,}",
    re.IGNORECASE,
)


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
_POLICY = _any_of("moderation", "flagged_input", "content_policy", "content_filter", "guardrail")


@dataclass(frozen=True, slots=True)
class _Rule:
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
) -> _Rule:
    return _Rule(outcome, frozenset(statuses), text, unless)


_RULES = (
    # A request that is larger than the whole bucket never fits, however long one waits.
    _rule(Outcome.CONTEXT_EXCEEDED, {200, 413, 429}, _TIER_TOO_SMALL),
    _rule(Outcome.RATE_LIMITED, {200, 402}, _any_of("in_flight_budget_exhausted")),
    _rule(Outcome.OUT_OF_CREDIT, {402}),
    _rule(Outcome.OUT_OF_CREDIT, {200, 400, 403, 429}, _BILLING),
    _rule(Outcome.UNAUTHORIZED, {401}),
    _rule(Outcome.RATE_LIMITED, {429, 498}),
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


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text with `***` in place of every known secret and of whatever looks like a key or an account id.

    Secrets under four characters are no secrets, and are left.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= 4:
            text = text.replace(secret, "***")
    return _KEY_LIKE.sub("***", text)


def classify(
    status: int, headers: Mapping[str, str], body: bytes, now_wall: float, secrets: Iterable[str] = ()
) -> AttemptFailed:
    """What an HTTP answer that is no success means.

    `headers` have lower-case names, `now_wall` is Unix seconds, `secrets` are the keys that were sent. `error` is
    given for REFUSED and CONTEXT_EXCEEDED, in OpenAI's shape; `retry_after_s` where waiting can help.
    """
    try:
        parsed = orjson.loads(body.strip())
    except orjson.JSONDecodeError:
        parsed = body[: 4 * _LONGEST_WORD].decode("utf-8", "replace")
    told = _read(parsed)
    outcome = _outcome(status, told.words)
    hint = body[: 4 * _LONGEST_WORD].decode("utf-8", "replace")
    return _failed(outcome, told, status, retry_after_s(headers, hint, now_wall), secrets)


def classify_inside(parsed: Any, secrets: Iterable[str] = ()) -> AttemptFailed:
    """What an error means that came as the parsed JSON body, or stream event, of a successful answer.

    A status that the error itself tells is believed; without one its codes and texts decide, and BAD_REPLY remains.
    """
    told = _read(parsed)
    outcome = _outcome(told.status or _INSIDE_SUCCESS, told.words)
    status = told.status
    if status is None and outcome in (Outcome.REFUSED, Outcome.CONTEXT_EXCEEDED):
        status = 400
    return _failed(outcome, told, status, retry_after_s({}, told.words, 0.0), secrets)


def _outcome(status: int, words: str) -> Outcome:
    return next((rule.outcome for rule in _RULES if rule.fits(status, words)), Outcome.BAD_REPLY)


_WAITING_HELPS = frozenset({Outcome.RATE_LIMITED, Outcome.OUT_OF_CREDIT, Outcome.SERVER_ERROR})


@dataclass(frozen=True, slots=True)
class _Told:
    """What an error says: `words` are its message and codes, one per line; `status` is one inside the body."""

    message: str
    words: str
    type: str | None
    code: str | None
    param: str | None
    status: int | None


def _failed(
    outcome: Outcome, told: _Told, status: int | None, wait_s: float | None, secrets: Iterable[str]
) -> AttemptFailed:
    known = tuple(secrets)
    message = redact(told.message, known)[:LONGEST_MESSAGE] or _without_message(status)
    error: dict[str, Any] | None = None
    if outcome is Outcome.CONTEXT_EXCEEDED:
        error = {
            "message": message,
            "type": "invalid_request_error",
            "param": "messages",
            "code": "context_length_exceeded",
        }
    elif outcome is Outcome.REFUSED:
        kind = "invalid_request_error" if told.type is None else redact(told.type, known)
        code = None if told.code is None else redact(told.code, known)
        error = {"message": message, "type": kind, "param": told.param, "code": code}
    return AttemptFailed(outcome, message, status, error, wait_s if outcome in _WAITING_HELPS else None)


def _without_message(status: int | None) -> str:
    told = "an error" if status is None else f"HTTP {status}"
    return f"the provider answered with {told} and no message"


def _read(parsed: Any) -> _Told:
    source = _source(parsed)
    message = _message(parsed)
    if message.startswith("<"):
        message = _title(message)
    words = "\n".join([message[:_LONGEST_WORD], *_words(parsed)])
    return _Told(
        message,
        words,
        _short(source.get("type")) or _short(source.get("status")),
        _short(source.get("code")),
        _param(source),
        _status(parsed, source),
    )


def _source(parsed: Any) -> Mapping[str, Any]:
    """The object that holds type, code and param, of all the shapes of section 5.1."""
    if isinstance(parsed, list):
        parsed = parsed[0] if parsed else None
    if not isinstance(parsed, dict):
        return {}
    for name in ("error", "errors", "detail"):
        inner = parsed.get(name)
        if isinstance(inner, list) and inner:
            inner = inner[0]
        if isinstance(inner, dict):
            return inner
    return parsed


_MESSAGES = ("error", "message", "detail", "title", "errors", "msg", "code", "type", "status", "details", "metadata")


def _message(value: Any, depth: int = 0) -> str:
    """The first text among the members that hold a message, in the order of section 5.1; empty where there is none."""
    if isinstance(value, str):
        return value.strip()
    if depth >= _DEEPEST:
        return ""
    if isinstance(value, list):
        return _message(value[0], depth + 1) if value else ""
    if isinstance(value, dict):
        found = (_message(value[name], depth + 1) for name in _MESSAGES if name in value)
        return next((text for text in found if text), "")
    return ""


_CODES = frozenset(
    {
        "code",
        "detail",
        "error",
        "error_code",
        "error_type",
        "message",
        "msg",
        "provider_code",
        "quotaId",
        "raw",
        "reason",
        "retryDelay",
        "status",
        "title",
        "type",
    }
)
_CONTAINERS = frozenset({"error", "errors", "detail", "details", "metadata", "innererror", "violations"})


def _words(value: Any, depth: int = 0) -> Iterator[str]:
    """The texts that say what went wrong, of the object and the objects inside it."""
    if depth >= _DEEPEST:
        return
    if isinstance(value, list):
        for item in value[:10]:
            yield from _words(item, depth + 1)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name in _CONTAINERS and not isinstance(inner, str):
                yield from _words(inner, depth + 1)
            else:
                yield from _word(name, inner)


def _word(name: str, value: Any) -> Iterator[str]:
    if name == "flagged_input":
        yield name
    elif name in _CODES and isinstance(value, str):
        yield f"{name}: {value[:_LONGEST_WORD]}" if name == "retryDelay" else value[:_LONGEST_WORD]


def _title(page: str) -> str:
    found = re.search(r"<title[^>]{0,200}>([^<]{1,200})", page, re.IGNORECASE)
    title = f": {found[1].strip()}" if found else ""
    return f"the provider sent a web page in place of an answer{title}"


def _short(value: Any) -> str | None:
    return value[:100] if isinstance(value, str) and value else None


def _param(source: Mapping[str, Any]) -> str | None:
    place = source.get("loc")
    if isinstance(place, list) and place:
        return _short(str(place[-1]))
    return _short(source.get("param"))


def _status(parsed: Any, source: Mapping[str, Any]) -> int | None:
    outer = parsed if isinstance(parsed, dict) else {}
    for value in (source.get("code"), source.get("status"), outer.get("status_code"), outer.get("status")):
        number = int(value) if isinstance(value, str) and re.fullmatch(r"[45]\d\d", value) else value
        if isinstance(number, int) and 400 <= number < 600:
            return number
    return None
