"""What a provider's error means: its status, headers and body in, one classified AttemptFailed out."""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import orjson

from llmrouter.chat_members import NATIVE_RESPONSES, NATIVE_TEXT
from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers import error_words
from llmrouter.providers.error_bodies import LONGEST_WORD, Told, read_error
from llmrouter.providers.error_rules import INSIDE_SUCCESS, day_ends_in_s, outcome_of
from llmrouter.providers.rate_limits import retry_after_s
from llmrouter.providers.unsupported import named_member

LONGEST_MESSAGE = 400
_NOTHING_SENT: Mapping[str, str] = MappingProxyType({})
_MAY_NAME_MEMBERS = frozenset({INSIDE_SUCCESS, 400, 404, 422, 500, 501})
_WAITING_HELPS = frozenset({Outcome.RATE_LIMITED, Outcome.OUT_OF_CREDIT, Outcome.SERVER_ERROR})

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
    members: Mapping[str, str] = _NOTHING_SENT,
) -> AttemptFailed:
    """What an HTTP answer that is no success means.

    `headers` have lower-case names, `now_wall` is Unix seconds, `secrets` are the keys that were sent. `error` is
    given for REFUSED, UNSUPPORTED and CONTEXT_EXCEEDED, in OpenAI's shape; `retry_after_s` where waiting can help.
    `members` are the wire names of what was sent, and the call's members that they stand for: one of them is `member`
    where the error calls it unsupported.
    """
    text = body[: 4 * LONGEST_WORD].decode("utf-8", "replace")
    try:
        told = read_error(orjson.loads(body.strip()))
    except orjson.JSONDecodeError:
        told = read_error(text)
    outcome, member = _meaning(status, told, members)
    wait_s = _wait_s(outcome, told, {**told.headers, **headers}, text, now_wall)
    return _failed(outcome, told, status, wait_s, member, tuple(secrets))


def without_endpoint(failure: AttemptFailed, members: Mapping[str, str]) -> AttemptFailed:
    """What a refusal of an endpoint for this model means where one other than chat was asked, which then stands among
    the `members`: the target may still chat, and is asked so at once."""
    endpoint = next((name for name in (NATIVE_TEXT, NATIVE_RESPONSES) if name in members), None)
    if endpoint is None or failure.outcome is not Outcome.MODEL_GONE:
        return failure
    return AttemptFailed(Outcome.UNSUPPORTED, failure.message, failure.status, failure.error, member=endpoint)


def classify_inside(
    parsed: Any, secrets: Iterable[str] = (), members: Mapping[str, str] = _NOTHING_SENT
) -> AttemptFailed:
    """What an error means that came as the parsed JSON body, or stream event, of a successful answer.

    A status that the error itself tells is believed; without one its codes and texts decide, and BAD_REPLY remains.
    `secrets` and `members` are those of `classify`.
    """
    told = read_error(parsed)
    outcome, member = _meaning(told.status or INSIDE_SUCCESS, told, members)
    status = told.status
    if status is None and outcome in (Outcome.REFUSED, Outcome.UNSUPPORTED, Outcome.CONTEXT_EXCEEDED):
        status = 400
    wait_s = retry_after_s({}, told.words, 0.0) if outcome in _WAITING_HELPS else None
    return _failed(outcome, told, status, wait_s, member, tuple(secrets))


def _meaning(status: int, told: Told, members: Mapping[str, str]) -> tuple[Outcome, str | None]:
    outcome = outcome_of(status, told.words)
    is_open = outcome in (Outcome.REFUSED, Outcome.BAD_REPLY) and status in _MAY_NAME_MEMBERS
    member = named_member(told, members) if is_open and members else None
    return (outcome, None) if member is None else (Outcome.UNSUPPORTED, member)


def _wait_s(outcome: Outcome, told: Told, headers: Mapping[str, str], text: str, now_wall: float) -> float | None:
    if outcome not in _WAITING_HELPS:
        return None
    wait_s = retry_after_s(headers, text, now_wall)
    if wait_s is None and outcome is Outcome.RATE_LIMITED:
        return day_ends_in_s(told.words, now_wall)
    return wait_s


def _failed(
    outcome: Outcome, told: Told, status: int | None, wait_s: float | None, member: str | None, secrets: tuple[str, ...]
) -> AttemptFailed:
    message = redact(told.message[: 4 * LONGEST_WORD], secrets)[:LONGEST_MESSAGE] or _without_message(status)
    error: dict[str, Any] | None = None
    if outcome is Outcome.CONTEXT_EXCEEDED:
        error = _error(message, error_words.REFUSAL, "messages", "context_length_exceeded")
    elif outcome is Outcome.UNSUPPORTED:
        error = _error(message, error_words.REFUSAL, member, error_words.unsupported_code_of(told))
    elif outcome is Outcome.REFUSED:
        param, code = (_without_keys(word, secrets) for word in (told.param, error_words.code_of(told)))
        error = _error(message, error_words.type_of(told, status), param, code)
    return AttemptFailed(outcome, message, status, error, wait_s, member)


def _error(message: str, kind: str, param: str | None, code: str | None) -> dict[str, Any]:
    return {"message": message, "type": kind, "param": param, "code": code}


def _without_keys(word: str | None, secrets: tuple[str, ...]) -> str | None:
    return word if word is not None and redact(word, secrets) == word else None


def _without_message(status: int | None) -> str:
    told = "an error" if status is None else f"HTTP {status}"
    return f"the provider answered with {told} and no message"
