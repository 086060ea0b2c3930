"""What the errors of each provider mean, in every shape they come in."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrouter.errors import Outcome
from llmrouter.providers.failures import LONGEST_MESSAGE, classify, classify_inside, redact
from tests.providers.samples import NOW, told


def error(message: str = "no", **members: Any) -> dict[str, Any]:
    return {"error": {"message": message, **members}}


GROQ_413 = (
    "Request too large for model `llama-3.3-70b` in organization `org_01abcdefgh` on tokens per minute (TPM): "
    "Limit 8000, Requested 10098, please reduce your message size and try again. Visit /settings/billing"
)
GEMINI_429 = {
    "error": {
        "code": 429,
        "message": "You exceeded your current quota, please check your plan and billing details.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [
            {"@type": "QuotaFailure", "violations": [{"quotaId": "RequestsPerDayPerProject-FreeTier"}]},
            {"@type": "RetryInfo", "retryDelay": "33s"},
        ],
    }
}
OPENROUTER_MODERATION = error("flagged", code=403, metadata={"reasons": ["violence"], "flagged_input": "..."})

CASES: dict[str, tuple[int, Any, Outcome]] = {
    "wrong key": (401, error("Incorrect API key", code="invalid_api_key"), Outcome.UNAUTHORIZED),
    "vLLM wrong key": (401, {"error": "Unauthorized"}, Outcome.UNAUTHORIZED),
    "forbidden": (403, error("Country not supported"), Outcome.UNAUTHORIZED),
    "forbidden, a web page": (403, "<html><title>Blocked</title></html>", Outcome.REFUSED),
    "Gemini wrong key": (
        400,
        [{"error": {"code": 400, "message": "x", "details": [{"reason": "API_KEY_INVALID"}]}}],
        Outcome.UNAUTHORIZED,
    ),
    "OpenRouter moderation": (403, OPENROUTER_MODERATION, Outcome.REFUSED),
    "Together 403": (
        403,
        error("`inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000 `inputs` tokens"),
        Outcome.CONTEXT_EXCEEDED,
    ),
    "402": (402, error("Insufficient Balance"), Outcome.OUT_OF_CREDIT),
    "Hugging Face 402": (402, {"error": "You have exceeded your monthly included credits"}, Outcome.OUT_OF_CREDIT),
    "budget in flight": (402, error(metadata={"error_type": "in_flight_budget_exhausted"}), Outcome.RATE_LIMITED),
    "429 insufficient_quota": (429, error(type="insufficient_quota"), Outcome.OUT_OF_CREDIT),
    "429 credit": (429, error(code="credit_balance_exhausted"), Outcome.OUT_OF_CREDIT),
    "429 spend limit": (429, error(code="project_spend_limit_exceeded"), Outcome.OUT_OF_CREDIT),
    "429": (429, error(code="rate_limit_exceeded"), Outcome.RATE_LIMITED),
    "429 without body": (429, "", Outcome.RATE_LIMITED),
    "429 NVIDIA": (429, {"status": 429, "title": "Too Many Requests"}, Outcome.RATE_LIMITED),
    "429 Gemini talks of billing": (429, GEMINI_429, Outcome.RATE_LIMITED),
    "429 in a list": (429, [GEMINI_429], Outcome.RATE_LIMITED),
    "429 too many tokens is throttling": (429, {"message": "Too many tokens, please wait"}, Outcome.RATE_LIMITED),
    "429 that never fits": (429, error(GROQ_413, type="tokens", code="rate_limit_exceeded"), Outcome.CONTEXT_EXCEEDED),
    "498": (498, error(code="capacity_exceeded"), Outcome.RATE_LIMITED),
    "Groq 413": (413, error(GROQ_413, type="tokens", code="rate_limit_exceeded"), Outcome.CONTEXT_EXCEEDED),
    "413 in bytes": (413, error("Request exceeds the maximum size", type="request_too_large"), Outcome.REFUSED),
    "404": (404, error(code="model_not_found"), Outcome.MODEL_GONE),
    "404 without body": (404, "404 page not found", Outcome.MODEL_GONE),
    "410": (410, error(), Outcome.MODEL_GONE),
    "decommissioned": (400, error("The model `x` has been decommissioned"), Outcome.MODEL_GONE),
    "unknown model as 400": (400, error("The model `x` does not exist"), Outcome.MODEL_GONE),
    "no access to the model": (403, error(code="model_not_found"), Outcome.MODEL_GONE),
    "408": (408, error(), Outcome.SERVER_ERROR),
    "425": (425, "", Outcome.SERVER_ERROR),
    "500": (500, error(), Outcome.SERVER_ERROR),
    "502 web page": (502, "<html>bad gateway</html>", Outcome.SERVER_ERROR),
    "503 loading": (503, error("Loading model", code=503, type="unavailable_error"), Outcome.SERVER_ERROR),
    "504": (504, "", Outcome.SERVER_ERROR),
    "524": (524, "", Outcome.SERVER_ERROR),
    "529": (529, error(type="overloaded_error"), Outcome.SERVER_ERROR),
    "bad request": (400, error("temperature must be below 2", type="invalid_request_error"), Outcome.REFUSED),
    "400 without body": (400, "", Outcome.REFUSED),
    "FastAPI 422": (422, {"detail": [{"loc": ["body", "n"], "msg": "Field required", "input": {}}]}, Outcome.REFUSED),
    "a prompt about errors": (
        422,
        {"detail": [{"loc": ["body"], "msg": "bad", "input": "context_length_exceeded model_not_found"}]},
        Outcome.REFUSED,
    ),
    "409": (409, error(), Outcome.REFUSED),
    "301": (301, "", Outcome.BAD_REPLY),
    "Anthropic balance": (400, error("Your credit balance is too low"), Outcome.OUT_OF_CREDIT),
}


def body_of(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


@pytest.mark.parametrize(("status", "body", "expected"), CASES.values(), ids=CASES)
def test_what_an_error_means(status: int, body: Any, expected: Outcome) -> None:
    failed = classify(status, {}, body_of(body), NOW)
    assert failed.outcome == expected
    assert failed.status == status
    assert failed.message
    assert (failed.error is not None) == (expected in (Outcome.REFUSED, Outcome.CONTEXT_EXCEEDED))


CONTEXT_TEXTS = (
    "This model's maximum context length is 8192 tokens. However, you requested 9000",
    "Your input exceeds the context window of this model",
    "prompt is too long: 213462 tokens > 200000 maximum",
    "input length and `max_tokens` exceed context limit: 1 + 2 > 3",
    "Input is too long for requested model",
    "The input token count (9) exceeds the maximum number of tokens allowed (8)",
    "This model's maximum prompt length is 8 but the request contains 9 tokens.",
    "Please reduce the length of the messages or completion",
    "This endpoint's maximum context length is 8 tokens",
    "Prompt contains 9 tokens and 0 draft tokens, too large for model with 8 maximum context length",
    "Your request exceeded model token limit: 8",
    "context window exceeds limit",
    "Range of input length should be [1, 8]",
    "the request exceeds the available context size",
    "the number of tokens to keep from the initial prompt is greater than the context length",
    "prompt too long; exceeded max context length by 9 tokens",
    "the prompt is longer than the maximum model length of 8",
    "too many tokens: total tokens exceed the limit",
)


@pytest.mark.parametrize("text", CONTEXT_TEXTS)
def test_context_length_texts(text: str) -> None:
    failed = classify(400, {}, body_of(error(text)), NOW)
    assert failed.outcome == Outcome.CONTEXT_EXCEEDED
    assert failed.error == {
        "message": text,
        "type": "invalid_request_error",
        "param": "messages",
        "code": "context_length_exceeded",
    }


@pytest.mark.parametrize(
    "members",
    [
        {"code": "context_length_exceeded"},
        {"type": "exceed_context_size_error", "code": 400},
        {"metadata": {"error_type": "context_length_exceeded"}},
        {"metadata": {"raw": '{"error":{"message":"maximum context length is 8 tokens"}}'}},
    ],
)
def test_context_length_codes(members: dict[str, Any]) -> None:
    assert classify(400, {}, body_of(error("no", **members)), NOW).outcome == Outcome.CONTEXT_EXCEEDED


def test_throttling_is_not_taken_for_a_long_prompt() -> None:
    failed = classify(400, {}, body_of(error("Too many tokens per day, rate limit reached")), NOW)
    assert failed.outcome == Outcome.REFUSED


MESSAGES: dict[str, tuple[Any, str]] = {
    "OpenAI": (error("m"), "m"),
    "string": ({"error": "m"}, "m"),
    "list": ([{"error": {"message": "m"}}], "m"),
    "flat": ({"object": "error", "message": "m", "type": "t", "param": None, "code": "1"}, "m"),
    "FastAPI": ({"detail": [{"loc": ["body"], "msg": "m"}]}, "m"),
    "detail": ({"detail": "m"}, "m"),
    "RFC 7807": ({"status": 400, "title": "m"}, "m"),
    "Cloudflare": ({"success": False, "errors": [{"code": 4006, "message": "m"}]}, "m"),
    "errors as text": ({"errors": "m"}, "m"),
    "xAI": ({"code": "invalid-argument", "error": "m"}, "m"),
    "Anthropic": ({"type": "error", "error": {"type": "x", "message": "m"}}, "m"),
    "only a code": ({"error": {"code": "m"}}, "m"),
    "text": ("m", "m"),
    "JSON text": ('"m"', "m"),
    "web page": ("<html><title>Oops</title>", "the provider sent a web page in place of an answer: Oops"),
    "empty": ("", "the provider answered with HTTP 400 and no message"),
    "null": ("null", "the provider answered with HTTP 400 and no message"),
    "empty list": ("[]", "the provider answered with HTTP 400 and no message"),
}


@pytest.mark.parametrize(("body", "expected"), MESSAGES.values(), ids=MESSAGES)
def test_the_message_is_found_in_every_shape(body: Any, expected: str) -> None:
    failed = classify(400, {}, body_of(body), NOW)
    assert failed.message == expected
    assert told(failed)["message"] == expected


def test_a_refusal_is_handed_on_in_openais_shape() -> None:
    failed = classify(400, {}, body_of(error("m", type="invalid_request_error", param="n", code="c")), NOW)
    assert failed.error == {"message": "m", "type": "invalid_request_error", "param": "n", "code": "c"}


@pytest.mark.parametrize("kind", ["INVALID_ARGUMENT", "BadRequestError", "invalid_request", "t"])
def test_other_words_for_a_refusal_become_openais(kind: str) -> None:
    failed = classify(400, {}, body_of(error("m", type=kind, code="1234")), NOW)
    assert failed.error == {"message": "m", "type": "invalid_request_error", "param": None, "code": None}


def test_what_a_refusal_lacks_is_filled_in() -> None:
    failed = classify(422, {}, body_of({"detail": [{"loc": ["body", "n"], "msg": "m"}]}), NOW)
    assert failed.error == {"message": "m", "type": "invalid_request_error", "param": "n", "code": None}


def test_a_code_that_only_repeats_the_status_is_left_out() -> None:
    assert told(classify(400, {}, body_of(error("m", code=400)), NOW))["code"] is None


def test_the_wait_comes_from_the_header() -> None:
    assert classify(429, {"retry-after": "7"}, body_of(error()), NOW).retry_after_s == 7.0


def test_the_wait_comes_from_the_body() -> None:
    assert classify(429, {}, body_of(GEMINI_429), NOW).retry_after_s == 33.0
    assert classify(429, {}, body_of(error("Please try again in 3.7s.")), NOW).retry_after_s == 3.7


def test_an_overloaded_server_may_say_when_to_come_back() -> None:
    assert classify(503, {"retry-after": "7"}, b"", NOW).retry_after_s == 7.0


def test_where_waiting_does_not_help_there_is_no_wait() -> None:
    assert classify(400, {"retry-after": "7"}, body_of(error()), NOW).retry_after_s is None


INSIDE: dict[str, tuple[Any, Outcome, int | None]] = {
    "a number": (error(code=429), Outcome.RATE_LIMITED, 429),
    "a number as text": (error(code="402"), Outcome.OUT_OF_CREDIT, 402),
    "Cerebras": ({"error": {"message": "m"}, "status_code": 503}, Outcome.SERVER_ERROR, 503),
    "rate limit": (error(code="rate_limit_exceeded"), Outcome.RATE_LIMITED, None),
    "no credit": (error(type="insufficient_quota"), Outcome.OUT_OF_CREDIT, None),
    "overloaded": (error(type="overloaded_error"), Outcome.SERVER_ERROR, None),
    "LM Studio's context": (
        {"error": "Trying to keep 9 tokens, greater than the context length"},
        Outcome.CONTEXT_EXCEEDED,
        400,
    ),
    "content policy": (error(metadata={"error_type": "content_policy_violation"}), Outcome.REFUSED, 400),
    "wrong key": (error(code="invalid_api_key"), Outcome.UNAUTHORIZED, None),
    "no model": (error(code="model_not_found"), Outcome.MODEL_GONE, None),
    "who knows": (error("Provider returned error"), Outcome.BAD_REPLY, None),
    "text": ("oops", Outcome.BAD_REPLY, None),
    "nothing": (None, Outcome.BAD_REPLY, None),
}


@pytest.mark.parametrize(("parsed", "expected", "status"), INSIDE.values(), ids=INSIDE)
def test_what_an_error_inside_a_success_means(parsed: Any, expected: Outcome, status: int | None) -> None:
    failed = classify_inside(parsed)
    assert (failed.outcome, failed.status) == (expected, status)


SECRETS = (
    "sk-proj-abcdef123456",
    "sk-or-v1-abcdef",
    "sk-abcd********wxyz",
    "gsk_abcdef123",
    "hf_abcdef123",
    "nvapi-abc_def-123",
    "Bearer abcdef",
    "bearer abc.def-ghi",
    "AIzaSyabcdefghij",
    "org-abc123def456",
    "0123456789abcdef0123456789abcdef",
)


@pytest.mark.parametrize("secret", SECRETS)
def test_what_looks_like_a_key_is_redacted(secret: str) -> None:
    assert redact(f"Wrong key: {secret}, see the docs.") == "Wrong key: ***, see the docs."


@pytest.mark.parametrize(
    "text", ["a task-list", "the organization of it", "risk-free", "llama-3.3-70b-versatile", "ask me"]
)
def test_plain_text_is_left(text: str) -> None:
    assert redact(text) == text


def test_known_secrets_are_redacted_longest_first() -> None:
    assert redact("key-of-groq-two and key-of-groq", ["key-of-groq", "key-of-groq-two", ""]) == "*** and ***"


def test_messages_and_errors_hold_no_key() -> None:
    body = body_of(error("bad key gsk_abcdef123 of key-of-groq", code="gsk_abcdef123", type="sk-abcdef123"))
    failed = classify(400, {}, body, NOW, ["key-of-groq"])
    assert failed.message == "bad key *** of ***"
    assert failed.error == {
        "message": "bad key *** of ***",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }


def test_a_long_message_is_cut_after_its_keys_are_out() -> None:
    text = "x" * (LONGEST_MESSAGE - 4) + " gsk_abcdef123"
    assert classify(400, {}, body_of(error(text)), NOW).message == "x" * (LONGEST_MESSAGE - 4) + " ***"
    assert len(classify(400, {}, b"y" * 10_000, NOW).message) == LONGEST_MESSAGE


MEMBERS = [
    *("error", "errors", "message", "msg", "code", "type", "param", "detail", "details", "status", "title", "loc"),
    *("metadata", "raw", "headers", "violations", "quotaId", "retryDelay", "statusCode", "fieldViolations"),
]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner),
)


@given(st.integers(100, 999), JSON_VALUES)
def test_no_json_breaks_it(status: int, body: Any) -> None:
    assert classify(status, {}, body_of(body), NOW, members={"n": "n"}).message
    assert classify_inside(body, members={"n": "n"}).message


@given(st.binary())
def test_no_bytes_break_it(body: bytes) -> None:
    assert classify(500, {}, body, NOW).outcome == Outcome.SERVER_ERROR


def test_deep_nesting_does_not_break_it() -> None:
    assert classify(400, {}, b"[" * 900 + b"]" * 900, NOW).outcome == Outcome.REFUSED
    assert classify(400, {}, b'{"error":' * 900 + b"1" + b"}" * 900, NOW).outcome == Outcome.REFUSED


HARMLESS = {
    "a firewall's page": (403, "<html><title>Attention Required!</title></html>", Outcome.REFUSED),
    "a quoted prompt": (
        400,
        error("[{'type': 'missing', 'loc': ('body', 'x'), 'input': 'Incorrect API key provided: spending limit'}]"),
        Outcome.REFUSED,
    ),
    "one model that is denied": (403, error("no", code="model_permission_blocked_project"), Outcome.MODEL_GONE),
    "a file that is gone": (404, error("File 'file-abc123' not found"), Outcome.REFUSED),
}


@pytest.mark.parametrize(("status", "body", "expected"), HARMLESS.values(), ids=HARMLESS)
def test_what_says_nothing_about_the_key_does_not_end_the_provider(status: int, body: Any, expected: Outcome) -> None:
    assert classify(status, {}, body_of(body), NOW).outcome == expected
