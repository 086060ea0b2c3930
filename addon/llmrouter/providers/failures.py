"""What a provider's error means: its status, headers and body in, one classified AttemptFailed out."""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import orjson

from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.error_bodies import LONGEST_WORD, Told, read_error
from llmrouter.providers.error_rules import IS_DAILY, outcome_of
from llmrouter.providers.rate_limits import retry_after_s
from llmrouter.providers.unsupported import named_member

LONGEST_MESSAGE = 400
_INSIDE_SUCCESS = 200
_DAY_S = 24 * 3600.0
_OPENAI_TYPES = frozenset({"invalid_request_error", "image_generation_user_error", "permission_error"})
"""Types that OpenAI's own refusals have (provider reference, section 2.3); every other word becomes the first one."""

_CODE = re.compile(r"[a-z]{1,30}(?:_[a-z0-9]{1,30}){0,6}")

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


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text with `***` in place of every known secret and of whatever looks like a key or an account id.

    Secrets under four characters are no secrets, and are left.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= 4:
            text = text.replace(secret, "***")
    return _KEY_LIKE.sub("***", text)


def classify(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    now_wall: float,
    secrets: Iterable[str] = (),
    members: Mapping[str, str] = MappingProxyType({}),
) -> AttemptFailed:
    """What an HTTP answer that is no success means.

    `headers` have lower-case names, `now_wall` is Unix seconds, `secrets` are the keys that were sent. `error` is
    given for REFUSED, UNSUPPORTED and CONTEXT_EXCEEDED, in OpenAI's shape; `retry_after_s` where waiting can help.
    `members` are the wire names of what was sent, and the call's members that they stand for: one of them is `member`
    where the error calls it unsupported.
    """
    try:
        parsed = orjson.loads(body.strip())
    except orjson.JSONDecodeError:
        parsed = body[: 4 * LONGEST_WORD].decode("utf-8", "replace")
    told = read_error(parsed)
    outcome = outcome_of(status, told.words)
    hint = body[: 4 * LONGEST_WORD].decode("utf-8", "replace")
    wait_s = retry_after_s(headers, hint, now_wall)
    if wait_s is None and IS_DAILY.search(told.words):
        wait_s = _DAY_S - now_wall % _DAY_S
    member = named_member(told, members) if outcome is Outcome.REFUSED else None
    failed = _failed(Outcome.UNSUPPORTED if member else outcome, told, status, wait_s, secrets)
    failed.member = member
    return failed


def classify_inside(parsed: Any, secrets: Iterable[str] = ()) -> AttemptFailed:
    """What an error means that came as the parsed JSON body, or stream event, of a successful answer.

    A status that the error itself tells is believed; without one its codes and texts decide, and BAD_REPLY remains.
    """
    told = read_error(parsed)
    outcome = outcome_of(told.status or _INSIDE_SUCCESS, told.words)
    status = told.status
    if status is None and outcome in (Outcome.REFUSED, Outcome.CONTEXT_EXCEEDED):
        status = 400
    return _failed(outcome, told, status, retry_after_s({}, told.words, 0.0), secrets)


_WAITING_HELPS = frozenset({Outcome.RATE_LIMITED, Outcome.OUT_OF_CREDIT, Outcome.SERVER_ERROR})


def _failed(
    outcome: Outcome, told: Told, status: int | None, wait_s: float | None, secrets: Iterable[str]
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
    elif outcome in (Outcome.REFUSED, Outcome.UNSUPPORTED):
        kind = told.type if told.type in _OPENAI_TYPES else "invalid_request_error"
        code = told.code if told.code is not None and _CODE.fullmatch(redact(told.code, known)) else None
        error = {"message": message, "type": kind, "param": told.param, "code": code}
    return AttemptFailed(outcome, message, status, error, wait_s if outcome in _WAITING_HELPS else None)


def _without_message(status: int | None) -> str:
    told = "an error" if status is None else f"HTTP {status}"
    return f"the provider answered with {told} and no message"
