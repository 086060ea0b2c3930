"""Every way in which providers say when they may be asked again."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrouter.providers.rate_limits import LONGEST_S, Headroom, headroom, reset_s, retry_after_s
from tests.providers.samples import NOW

RESETS = {
    "Go duration in seconds": ("1s", 1.0),
    "Go duration with zero": ("6m0s", 360.0),
    "Go duration in milliseconds": ("12ms", 0.012),
    "Groq's duration": ("2m59.56s", 179.56),
    "SambaNova's duration": ("4h17m", 15420.0),
    "days": ("1d", 86400.0),
    "seconds": ("60", 60.0),
    "seconds as a decimal": ("33011.382867", 33011.382867),
    "Unix seconds": (str(int(NOW) + 30), 30.0),
    "Unix milliseconds": (str((int(NOW) + 30) * 1000), 30.0),
    "RFC 3339": ("2026-11-18T11:07:10Z", 30.0),
    "RFC 3339 with an offset": ("2026-11-18T12:07:10+01:00", 30.0),
    "spaces around": (" 60 ", 60.0),
    "negative": ("-5", None),
    "past Unix seconds": (str(int(NOW) - 1), None),
    "past date": ("2026-11-18T11:06:39Z", None),
    "garbage": ("soon", None),
    "half a duration": ("5s and more", None),
    "not a number": ("nan", None),
    "infinite": ("inf", None),
    "empty": ("", None),
}


@pytest.mark.parametrize(("value", "expected"), RESETS.values(), ids=RESETS)
def test_reset_formats(value: str, expected: float | None) -> None:
    assert reset_s(value, NOW) == (expected if expected is None else pytest.approx(expected))


WAITS: dict[str, tuple[dict[str, str], str, float | None]] = {
    "nothing said": ({}, "", None),
    "seconds": ({"retry-after": "7"}, "", 7.0),
    "zero": ({"retry-after": "0"}, "", 0.0),
    "decimal seconds": ({"retry-after": "0.5"}, "", 0.5),
    "HTTP date": ({"retry-after": "Wed, 18 Nov 2026 11:07:10 GMT"}, "", 30.0),
    "past HTTP date": ({"retry-after": "Wed, 18 Nov 2026 11:06:00 GMT"}, "", None),
    "duration": ({"retry-after": "30s"}, "", 30.0),
    "milliseconds": ({"retry-after-ms": "1500", "retry-after": "2"}, "", 1.5),
    "milliseconds with a control character": ({"retry-after-ms": "1500\x1f"}, "", 1.5),
    "bad milliseconds": ({"retry-after-ms": "x", "retry-after": "2"}, "", 2.0),
    "negative": ({"retry-after": "-3"}, "", None),
    "garbage, then the text": ({"retry-after": "later"}, "try again in 3.7s", 3.7),
    "capped": ({"retry-after": "9999999"}, "", LONGEST_S),
    "Groq's text": ({}, "Rate limit reached. Please try again in 7m12.5s. Need more tokens?", 432.5),
    "text in milliseconds": ({}, "Please try again in 250ms.", 0.25),
    "text in words": ({}, "Please retry after 2 minutes 5 seconds", 125.0),
    "text with milliseconds in words": ({}, "try again in 20 milliseconds", 0.02),
    "wait": ({}, "Please wait 30 seconds and try again", 30.0),
    "Gemini's retryDelay": ({}, '"@type": "RetryInfo", "retryDelay": "33s"', 33.0),
    "text that says nothing": ({}, "try again in a while", None),
    "the axis that is used up": (
        {
            "x-ratelimit-remaining-requests": "14",
            "x-ratelimit-reset-requests": "4h17m",
            "x-ratelimit-remaining-tokens": "0",
            "x-ratelimit-reset-tokens": "7.66s",
        },
        "",
        7.66,
    ),
    "both axes used up": (
        {
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "1m",
            "x-ratelimit-remaining-tokens": "0",
            "x-ratelimit-reset-tokens": "7.66s",
        },
        "",
        60.0,
    ),
    "OpenRouter's": ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1795000030000"}, "", 30.0),
    "Together's tokens": ({"x-tokenlimit-remaining": "0", "x-tokenlimit-reset": "2"}, "", 2.0),
    "Anthropic's": (
        {"anthropic-ratelimit-tokens-remaining": "0", "anthropic-ratelimit-tokens-reset": "2026-11-18T11:07:10Z"},
        "",
        30.0,
    ),
    "SambaNova's day": (
        {"x-ratelimit-remaining-requests-day": "0", "x-ratelimit-reset-requests-day": "4h"},
        "",
        14400.0,
    ),
    "a limit that is not kept": ({"x-ratelimit-remaining-tokens": "-1", "x-ratelimit-reset-tokens": "9"}, "", None),
    "no reset": ({"x-ratelimit-remaining-tokens": "0"}, "", None),
    "retry-after before resets": (
        {"retry-after": "3", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "60"},
        "",
        3.0,
    ),
}


@pytest.mark.parametrize(("headers", "message", "expected"), WAITS.values(), ids=WAITS)
def test_where_the_wait_is_read(headers: dict[str, str], message: str, expected: float | None) -> None:
    assert retry_after_s(headers, message, NOW) == (expected if expected is None else pytest.approx(expected))


@given(st.text(max_size=80), st.text(max_size=80))
def test_no_text_breaks_it(value: str, message: str) -> None:
    headers = {"retry-after": value, "retry-after-ms": value, "x-ratelimit-remaining": "0", "x-ratelimit-reset": value}
    wait = retry_after_s(headers, message, NOW)
    assert wait is None or 0 <= wait <= LONGEST_S
    room = headroom(headers | {"x-ratelimit-limit-tokens": value, "x-ratelimit-remaining-tokens": value}, NOW)
    assert room is not None
    assert room.requests_left == 0


@given(
    st.from_regex(r"[0-9:TZ+. -]{1,40}|[A-Z][a-z]{2}, [0-9]{1,3} [A-Z][a-z]{2} [0-9]{1,6} [0-9:]{1,9} [+-][0-9]{1,9}")
)
def test_no_date_breaks_it(value: str) -> None:
    wait = retry_after_s({"retry-after": value, "x-limit-remaining": "0", "x-limit-reset": value}, "", NOW)
    assert wait is None or 0 <= wait <= LONGEST_S


LEFT: dict[str, tuple[dict[str, str], Headroom | None]] = {
    "OpenAI": (
        {
            "x-ratelimit-limit-requests": "5000",
            "x-ratelimit-remaining-requests": "4999",
            "x-ratelimit-reset-requests": "12ms",
            "x-ratelimit-remaining-tokens": "159976",
        },
        Headroom(4999, 159976),
    ),
    "Groq without requests": (
        {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2m59.5s"},
        Headroom(0, None, 179.5),
    ),
    "Azure": (
        {
            "x-ratelimit-remaining-tokens": "0",
            "x-ratelimit-renewalperiod-tokens": "60",
            "x-ratelimit-reset-tokens": "2",
        },
        Headroom(None, 0, 60.0),
    ),
    "Azure's Responses": ({"x-ratelimit-remaining-tokens": "-1", "x-ratelimit-limit-tokens": "0"}, None),
    "Cerebras": (
        {"x-ratelimit-remaining-requests-day": "14399", "x-ratelimit-remaining-tokens-minute": "59000"},
        Headroom(14399, 59000),
    ),
    "SambaNova": (
        {
            "x-ratelimit-remaining-requests": "29",
            "x-ratelimit-remaining-requests-day": "0",
            "x-ratelimit-reset-requests-day": "4h17m",
        },
        Headroom(0, None, 15420.0),
    ),
    "Mistral": (
        {"x-ratelimit-remaining-req-minute": "59", "x-ratelimit-remaining-tokens-minute": "499000"},
        Headroom(59, 499000),
    ),
    "Mistral, older": ({"ratelimitbysize-remaining": "100", "ratelimitbysize-limit": "200"}, Headroom(None, 100)),
    "Together": ({"x-ratelimit-remaining": "9", "x-tokenlimit-remaining": "1000"}, Headroom(9, 1000)),
    "Fireworks": ({"x-ratelimit-remaining-tokens-prompt": "60000"}, Headroom(None, 60000)),
    "OpenRouter": (
        {"x-ratelimit-limit": "50", "x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int((NOW + 90) * 1000))},
        Headroom(0, None, 90.0),
    ),
    "Anthropic": (
        {
            "anthropic-ratelimit-requests-remaining": "0",
            "anthropic-ratelimit-requests-reset": datetime.fromtimestamp(NOW + 30, UTC).isoformat(),
            "anthropic-ratelimit-tokens-remaining": "39000",
            "anthropic-ratelimit-input-tokens-remaining": "29000",
        },
        Headroom(0, 29000, 30.0),
    ),
    "Anthropic, unified": (
        {
            "anthropic-ratelimit-unified-5h-status": "rejected",
            "anthropic-ratelimit-unified-5h-reset": str(int(NOW + 600)),
        },
        Headroom(None, None, 600.0),
    ),
    "a limit that is not kept": ({"x-ratelimit-limit-tokens": "-1", "x-ratelimit-remaining-tokens": "0"}, None),
    "a period by name": ({"x-ratelimit-remaining-tokens-minute": "0"}, Headroom(None, 0, 60.0)),
    "images": ({"x-ratelimit-remaining-images": "0", "x-ratelimit-reset-images": "9s"}, None),
    "nothing": ({"content-type": "application/json"}, None),
    "garbage": ({"x-ratelimit-remaining-requests": "many"}, None),
    "limits alone": ({"x-ratelimit-limit-requests": "30"}, None),
}


@pytest.mark.parametrize(("headers", "expected"), LEFT.values(), ids=LEFT)
def test_how_much_is_left(headers: dict[str, str], expected: Headroom | None) -> None:
    assert headroom(headers, NOW) == expected


def test_azures_short_retry_after_may_be_that_of_another_limit() -> None:
    """When its tokens are used up, the period of the tokens is what to wait for."""
    headers = {
        "retry-after": "1",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-renewalperiod-tokens": "60",
        "x-ratelimit-remaining-requests": "10",
    }
    assert retry_after_s(headers, "", NOW) == 60
    assert retry_after_s({**headers, "x-ratelimit-remaining-tokens": "5"}, "", NOW) == 1
