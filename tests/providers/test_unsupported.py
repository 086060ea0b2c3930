"""A member that the target does not take is recognised by the provider's words, and nothing else is taken for it."""

from typing import Any

import orjson
import pytest

from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.failures import classify
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
    "xAI": ({"code": "invalid-argument", "error": "Model grok-4 does not support parameter stop."}, ""),
    "xAI, quoted": (
        {"code": "x", "error": "Argument not supported on this model: frequency_penalty"},
        "frequency_penalty",
    ),
    "a word in quotes": (error("'stop' is not supported with this model"), "stop"),
    "tools": (error("This model does not support tools"), "tools"),
    "tool_choice": (error("`tool_choice` is not supported"), "tool_choice"),
}


@pytest.mark.parametrize(("body", "member"), NAMED.values(), ids=NAMED)
def test_the_member_is_named(body: Any, member: str) -> None:
    failure = failed(body, 422 if "detail" in body else 400)
    expected = (Outcome.UNSUPPORTED, member) if member else (Outcome.REFUSED, None)
    assert (failure.outcome, failure.member) == expected
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
