"""How long a provider asks to be left alone, read from its headers and its message.

The order and the formats are those of the provider reference, section 4, 2026-11-23.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_S = 24 * 3600.0
_EPOCH_MS, _EPOCH_S = 1e12, 1e9
_NUMBER = re.compile(r"\d{1,18}(\.\d{1,18})?")
_PART = re.compile(
    r"(\d{1,12}(?:\.\d{1,12})?)\s?(milliseconds?|seconds?|minutes?|hours?|days?|ms|secs?|mins?|hrs?|[smhd])(?![a-z])",
    re.IGNORECASE,
)
_UNIT_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_HINT = re.compile(
    r"(?:(?:try again|retry)(?: again)? (?:in|after)|wait(?: for)?|retryDelay\"?\s?:)\s?\"?(.{1,60})", re.IGNORECASE
)
_LONGEST_HEADER = 64
_PERIOD_S = {"second": 1.0, "minute": 60.0, "hour": 3600.0}
_OTHER_AXES = ("image", "audio")


def retry_after_s(headers: Mapping[str, str], body_message: str, now_wall: float) -> float | None:
    """Seconds until the provider may be asked again, at most `LONGEST_S`; None where it does not say.

    Asked in this order: `retry-after-ms`, `retry-after` (seconds or an HTTP date), the text of the error, and the
    reset of the limit that is used up; at Azure the last one counts where it is later. Header names are lower-case;
    `now_wall` is Unix seconds. What is malformed or lies in the past is as good as absent.
    """
    exhausted = _exhausted(headers, now_wall)
    wait = _milliseconds(headers.get("retry-after-ms", ""))
    if wait is None:
        wait = _retry_after(headers.get("retry-after", ""), now_wall)
    if wait is None:
        wait = _hint(body_message)
    if wait is None:
        wait = exhausted
    elif exhausted is not None and any("renewalperiod" in name for name in headers):
        # Azure's retry-after may be that of another limit than the one which is used up (section 3.16).
        wait = max(wait, exhausted)
    return None if wait is None else min(wait, LONGEST_S)


def reset_s(value: str, now_wall: float) -> float | None:
    """Seconds until the moment that a reset header names; None where it is malformed or past.

    Six formats: Go durations (`6m0s`, `12ms`), seconds as integer or decimal, Unix seconds, Unix milliseconds, and
    RFC 3339.
    """
    value = value.strip()[:_LONGEST_HEADER]
    if _NUMBER.fullmatch(value):
        return _number(float(value), now_wall)
    wait = _duration(value, whole=True)
    return _moment(value, now_wall) if wait is None else wait


def _number(value: float, now_wall: float) -> float | None:
    if value > _EPOCH_MS:
        value = value / 1000 - now_wall
    elif value > _EPOCH_S:
        value -= now_wall
    return value if value >= 0 else None


def _milliseconds(value: str) -> float | None:
    value = value.strip()
    return float(value) / 1000 if _NUMBER.fullmatch(value) else None


def _retry_after(value: str, now_wall: float) -> float | None:
    value = value.strip()[:_LONGEST_HEADER]
    if _NUMBER.fullmatch(value):
        return float(value)
    wait = _duration(value, whole=True)
    if wait is not None:
        return wait
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return _until(moment, now_wall)


def _moment(value: str, now_wall: float) -> float | None:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return _until(moment, now_wall)


def _until(moment: datetime, now_wall: float) -> float | None:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        wait = moment.timestamp() - now_wall
    except (OverflowError, ValueError):
        return None
    return wait if wait >= 0 else None


def _duration(text: str, *, whole: bool) -> float | None:
    """The sum of the parts (`1m30s`, `2 minutes`) at the start of the text; `whole` wants nothing after them."""
    total, end = 0.0, 0
    while part := _PART.match(text, end):
        unit = part[2].lower()
        total += float(part[1]) * (0.001 if unit.startswith(("ms", "mil")) else _UNIT_S[unit[0]])
        end = part.end() + (text[part.end() : part.end() + 1] == " ")
    if end == 0 or (whole and end < len(text)):
        return None
    return total


def _hint(message: str) -> float | None:
    found = _HINT.search(message)
    return _duration(found[1], whole=False) if found else None


def _exhausted(headers: Mapping[str, str], now_wall: float) -> float | None:
    """The latest reset of the limits of which exactly nothing remains."""
    waits = [_returns_in_s(name, headers, now_wall) for name in headers if _is_used_up(name, headers)]
    return max((wait for wait in waits if wait is not None), default=None)


def _is_used_up(name: str, headers: Mapping[str, str]) -> bool:
    if name.endswith("-status"):
        return name.startswith("anthropic-ratelimit-unified") and headers[name].strip() == "rejected"
    return _left(name, headers) == 0


def _left(name: str, headers: Mapping[str, str]) -> float | None:
    """What a header says is left of a limit; None where it is no such header, or no limit is kept.

    Azure's -1 means that none is kept, as a remainder and as the limit itself (section 3.16).
    """
    if "remaining" not in name or "limit" not in name or any(other in name for other in _OTHER_AXES):
        return None
    value, limit = headers[name].strip(), headers.get(name.replace("remaining", "limit"), "1").strip()
    if not _NUMBER.fullmatch(value) or re.fullmatch(r"-\d{1,18}|0{1,18}", limit):
        return None
    return float(value)


def _returns_in_s(name: str, headers: Mapping[str, str], now_wall: float) -> float | None:
    """When a limit that is used up returns: at its reset, and at Azure not before its period is over.

    Mistral tells no reset, and the period of a limit by its name.
    """
    if name.endswith("-status"):
        return reset_s(headers.get(name.removesuffix("status") + "reset", ""), now_wall)
    reset = reset_s(headers.get(name.replace("remaining", "reset"), ""), now_wall)
    period = reset_s(headers.get(name.replace("remaining", "renewalperiod"), ""), now_wall)
    if reset is None and period is None:
        return _PERIOD_S.get(name.rpartition("-")[2])
    return max(reset or 0.0, period or 0.0)


@dataclass(frozen=True, slots=True)
class Headroom:
    """What a provider says is left of its tightest limits, and in how many seconds a limit that is used up returns."""

    requests_left: int | None = None
    tokens_left: int | None = None
    returns_in_s: float | None = None


def headroom(headers: Mapping[str, str], now_wall: float) -> Headroom | None:
    """What the headers of an answer say is left; None where they say nothing.

    All families of section 4: OpenAI's, Azure's, Groq's, Cerebras's, SambaNova's, Mistral's, Together's, Fireworks's,
    OpenRouter's and Anthropic's. A limit that is not told of is unknown, and so is one of -1.
    """
    requests: list[int] = []
    tokens: list[int] = []
    is_used_up = False
    for name in headers:
        if "limit" not in name:
            continue
        if (left := _left(name, headers)) is not None:
            (tokens if "token" in name or "size" in name else requests).append(int(left))
        is_used_up = is_used_up or _is_used_up(name, headers)
    if not (requests or tokens or is_used_up):
        return None
    wait = _exhausted(headers, now_wall) if is_used_up else None
    return_s = None if wait is None else min(wait, LONGEST_S)
    return Headroom(min(requests, default=None), min(tokens, default=None), return_s)
