"""A member that the target does not take is recognised by the provider's words, and nothing else is taken for it."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.failures import classify, classify_inside
from tests.providers.samples import NOW

SENT = {
    name: name
    for name in (
        *("model", "messages", "stream", "temperature", "top_p", "logprobs", "max_tokens", "n", "user", "tools"),
        *("response_format", "reasoning_effort", "stop", "frequency_penalty", "tool_choice", "parallel_tool_calls"),
    )
} | {"random_seed": "seed", "output_config.effort": "reasoning_effort", "max_completion_tokens": "max_tokens"}


def failed(body: Any, status: int = 400) -> AttemptFailed:
    return classify(status, {}, orjson.dumps(body), NOW, members=SENT)


def error(message: str, **members: Any) -> Any:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None, **members}}


NAMED: dict[str, tuple[Any, str]] = {
    "OpenAI, parameter": (
        error("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'."),
        "max_tokens",
    ),
    "OpenAI, value": (
        error("Unsupported value: 'temperature' does not support 0.2 with this model.", param="temperature"),
        "temperature",
    ),
    "OpenAI, unrecognized": (error("Unrecognized request argument supplied: top_p"), "top_p"),
    "OpenAI, tools with effort": (
        error(
            "Function tools with reasoning_effort are not supported for gpt-5.4 in /v1/chat/completions.",
            param="reasoning_effort",
        ),
        "reasoning_effort",
    ),
    "Anthropic": (
        {"type": "error", "error": {"message": "temperature: Extra inputs are not permitted"}},
        "temperature",
    ),
    "Anthropic, deprecated": (error("`temperature` is deprecated for this model."), "temperature"),
    "Anthropic, nested": (error("output_config.effort: this model does not support effort"), "reasoning_effort"),
    "Mistral": (
        {"detail": [{"type": "extra_forbidden", "loc": ["body", "random_seed"], "msg": "Extra inputs"}]},
        "seed",
    ),
    "Groq": (error("property 'logprobs' is unsupported"), "logprobs"),
    "xAI": ({"code": "invalid-argument", "error": "Model grok-4 does not support parameter stop."}, "stop"),
    "xAI, quoted": (
        {"code": "x", "error": "Argument not supported on this model: frequency_penalty"},
        "frequency_penalty",
    ),
    "a word in quotes": (error("'stop' is not supported with this model"), "stop"),
    "tools": (error("This model does not support tools"), "tools"),
    "a list": (error("`temperature` and `top_p` are not supported"), "temperature"),
    "the one that was sent": (error("Unsupported parameter(s): `seed`, `logprobs`"), "seed"),
    "a name inside": (error("Unknown parameter: 'response_format.strict'."), "response_format"),
    "a code and a param": (error("No.", code="unsupported_value", param="n"), "n"),
    "a quoted error": (
        error("Provider returned error", metadata={"raw": '{"error": {"message": "unknown field `user`"}}'}),
        "user",
    ),
    "a validator's text": (error("1 validation error for Request\ntop_p\n  Extra inputs are not permitted"), "top_p"),
    "tool_choice": (error("`tool_choice` is not supported"), "tool_choice"),
}


@pytest.mark.parametrize(("body", "member"), NAMED.values(), ids=NAMED)
def test_the_member_is_named(body: Any, member: str) -> None:
    failure = failed(body, 422 if "detail" in body else 400)
    assert (failure.outcome, failure.member) == (Outcome.UNSUPPORTED, member)
    assert failure.error is not None


NOT_NAMED: dict[str, Any] = {
    "too large": error("max_tokens is too large: 100000. This model supports at most 8192.", param="max_tokens"),
    "a bad schema": error("Invalid schema for response_format 'a': 'x' is not permitted.", param="response_format"),
    "inside a member": error("Extra inputs are not permitted", param="tools[0].function.strict"),
    "messages": error("Unsupported value: 'messages[0].role' does not support 'x'.", param="messages"),
    "the whole model": error("This model is not supported", param="model"),
    "not sent": error("Unsupported parameter: 'logit_bias'", param="logit_bias"),
    "a word of prose": error("This is not supported for this user, stop asking."),
    "part of a longer name": error("'my_temperature' is not supported"),
    "no complaint about support": error("temperature must be a number", param="temperature"),
    "nothing said": {},
    "another value": error("Invalid value: 'x'.", param="reasoning_effort", code="invalid_value"),
    "one of two": error("`temperature` and `top_p` cannot both be specified for this model."),
    "DeepSeek's reasoning": error("The reasoning_content in the thinking mode must be passed back to the API."),
    "inside a message": error("messages.0.content.0.text.user: Extra inputs are not permitted"),
    "a schema's members": error("output_config.effort.schema: For 'number', properties 'maximum' are not supported"),
    "far into a text": error("x" * 400 + " Unsupported parameter: 'top_p'"),
    "a part of a text": {"detail": [{"loc": ["body", "n"], "msg": "Too big", "input": "unknown field `top_p`"}]},
}


@pytest.mark.parametrize("body", NOT_NAMED.values(), ids=NOT_NAMED)
def test_other_refusals_stay_refusals(body: Any) -> None:
    failure = failed(body)
    assert (failure.outcome, failure.member) == (Outcome.REFUSED, None)


def test_without_knowing_what_was_sent_nothing_is_named() -> None:
    body = orjson.dumps(error("Unsupported parameter: 'logprobs'", param="logprobs"))
    assert classify(400, {}, body, NOW).outcome == Outcome.REFUSED


@pytest.mark.parametrize("status", [401, 403, 429, 500])
def test_only_refusals_are_looked_at(status: int) -> None:
    assert failed(error("'logprobs' is not supported"), status).outcome != Outcome.UNSUPPORTED


def test_an_error_inside_a_success_names_members_too() -> None:
    failure = classify_inside(error("Unsupported parameter: 'logprobs'", param="logprobs"), members=SENT)
    assert (failure.outcome, failure.member, failure.status) == (Outcome.UNSUPPORTED, "logprobs", 400)


def test_the_client_is_told_of_its_own_member() -> None:
    body = {"detail": [{"type": "extra_forbidden", "loc": ["body", "random_seed"], "msg": "Extra inputs"}]}
    assert failed(body, 422).error == {
        "message": "Extra inputs",
        "type": "invalid_request_error",
        "param": "seed",
        "code": "unsupported_parameter",
    }


WORDS = st.sampled_from(
    ["unsupported parameter", "'top_p'", "tools", "is not supported", ": ", ", ", "`", "[0]", ".", "body", "stop"]
)


@given(st.lists(WORDS, max_size=30).map("".join) | st.text(max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    assert failed(error(text, param=text[:20])).message
    assert failed({"detail": [{"loc": ["body", text], "msg": text, "type": "extra_forbidden"}]}).message


@pytest.mark.parametrize("part", ["a, ", "`a` and ", "unsupported parameter ", "not supported on ", "a.b[0].", "'"])
def test_a_long_hostile_text_is_read_in_linear_time(part: str) -> None:
    assert failed(error(part * (60_000 // len(part)))).outcome == Outcome.REFUSED


PARTIAL = {
    "in streams": error("This model doesn't support tool use in streaming mode."),
    "in company": error("Function calling is not supported with response_format of type json_object."),
    "under a condition": error("`tools` is not supported when `logprobs` is set"),
    "of one kind": error("Custom tools are not supported: tools"),
    "one value": error("tool_choice 'required' is not supported by this model"),
}


@pytest.mark.parametrize("body", PARTIAL.values(), ids=PARTIAL)
def test_a_complaint_about_a_combination_does_not_leave_the_target_out_for_more(body: Any) -> None:
    assert failed(body).member in (None, "response_format")
