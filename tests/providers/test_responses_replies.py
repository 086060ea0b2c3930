"""Complete responses as chat completions; what is plain is shown by the contract cases."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.openai_responses import translate
from llmrouter.sse import SseDecoder
from tests.providers.responses_samples import (
    CREATED,
    a_job,
    custom_call,
    function_call,
    message,
    reasoning,
    response,
    text_part,
)
from tests.providers.samples import NOW

CASES = Path(__file__).parent.parent / "contract" / "openai_responses"
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
NO_EVENTS_OF_OPENAI = ("ping", "response.future.event")
ODD = ("error-body", "unsupported-member-under-its-wire-name")


def read(fields: Any, **members: Any) -> dict[str, Any]:
    """The reply as JSON, valid by the types of OpenAI's SDK."""
    reply = translate(a_job(**members)).read_reply(json.dumps(fields).encode())
    ChatCompletion.model_validate_json(reply.data, strict=True)
    parsed = json.loads(reply.data)
    assert isinstance(parsed, dict)
    return parsed


@pytest.mark.parametrize("path", sorted(CASES.glob("*/upstream_reply.json")), ids=lambda path: path.parent.name)
def test_the_responses_of_the_contract_cases_are_openais(path: Path) -> None:
    if path.parent.name not in ODD:
        Response.model_validate_json(path.read_bytes())


@pytest.mark.parametrize("path", sorted(CASES.glob("*/upstream_reply.sse")), ids=lambda path: path.parent.name)
def test_the_events_of_the_contract_cases_are_openais(path: Path) -> None:
    if path.parent.name in ("error-event-with-the-error-inside", "error-in-place-of-a-stream"):
        return
    for event in SseDecoder().feed(path.read_bytes()):
        fields = {} if event.data == b"[DONE]" else json.loads(event.data)
        if fields and fields["type"] not in NO_EVENTS_OF_OPENAI:
            EVENT.validate_python(fields)


def test_every_kind_of_item_has_its_place() -> None:
    output = [
        reasoning("Hm."),
        message(text_part("Let me "), text_part("see.")),
        function_call("a", '{"x":1}'),
        custom_call("b", "ls"),
        {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "x"}},
    ]
    reply = read(response(*output), tools=[{"type": "custom", "custom": {"name": "shell"}}])
    choice = reply["choices"][0]
    assert reply["created"] == CREATED
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == "Let me see."
    assert choice["message"]["reasoning_content"] == "Hm."
    assert [call["type"] for call in choice["message"]["tool_calls"]] == ["function", "custom"]
    assert reply["usage"]["prompt_tokens_details"] == {"cached_tokens": 3, "cache_write_tokens": 2}
    assert reply["usage"]["completion_tokens_details"] == {"reasoning_tokens": 5}


@pytest.mark.parametrize(
    ("reason", "ends"),
    [("max_output_tokens", "length"), ("content_filter", "content_filter"), ("steered", "length"), (None, "length")],
)
def test_ends_of_incomplete_responses(reason: str | None, ends: str) -> None:
    fields = response(message(text_part("po")), status="incomplete", incomplete_details={"reason": reason})
    assert read(fields)["choices"][0]["finish_reason"] == ends


@pytest.mark.parametrize("created", [None, True, "x", -1, 1e300])
def test_a_date_that_is_none_is_replaced(created: Any) -> None:
    assert read({**response(message(text_part("x"))), "created_at": created})["created"] == int(NOW)


def test_a_server_that_tells_no_status_and_no_usage_has_answered() -> None:
    fields = response(message(text_part("pong")))
    reply = read({"output": fields["output"]})
    assert reply["choices"][0]["finish_reason"] == "stop"
    assert "usage" not in reply


def test_counts_that_are_too_large_for_json_are_none() -> None:
    fields = response(message(text_part("pong")))
    fields["usage"]["input_tokens"] = 2**64 - 1
    assert "usage" not in read(fields)


def test_a_tier_that_chat_completions_do_not_know_is_not_told() -> None:
    assert "service_tier" not in read(response(message(text_part("x")), service_tier="ultrafast"))
    assert read(response(message(text_part("x")), service_tier="flex"))["service_tier"] == "flex"


@pytest.mark.parametrize("status", ["in_progress", "queued", "cancelled", 7, ["x"]])
def test_what_has_not_ended_is_no_answer(status: Any) -> None:
    with pytest.raises(AttemptFailed) as caught:
        read({**response(message(text_part("x"))), "status": status})
    assert caught.value.outcome is Outcome.BAD_REPLY


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("server_error", Outcome.SERVER_ERROR),
        ("rate_limit_exceeded", Outcome.RATE_LIMITED),
        ("vector_store_timeout", Outcome.SERVER_ERROR),
        ("invalid_prompt", Outcome.REFUSED),
        ("bio_policy", Outcome.REFUSED),
        ("image_content_policy_violation", Outcome.REFUSED),
        ("invalid_image_url", Outcome.REFUSED),
        ("data_residency_mismatch", Outcome.BAD_REPLY),
    ],
)
def test_failed_responses_by_their_code(code: str, outcome: Outcome) -> None:
    fields = response(
        status="failed", error={"code": code, "message": "It did not work."}, metadata={"code": "overloaded"}
    )
    with pytest.raises(AttemptFailed) as caught:
        read(fields)
    assert caught.value.outcome is outcome
    assert caught.value.message == "It did not work."
    if outcome is Outcome.REFUSED:
        assert caught.value.error is not None
        assert caught.value.error["code"] == code


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (b"", Outcome.BAD_REPLY),
        (b"  \n", Outcome.BAD_REPLY),
        (b"{", Outcome.BAD_REPLY),
        (b"[]", Outcome.BAD_REPLY),
        (b"null", Outcome.BAD_REPLY),
        (b"{}", Outcome.BAD_REPLY),
        (b'{"status":"failed","output":[]}', Outcome.BAD_REPLY),
        (b'{"status":"failed","error":"boom"}', Outcome.BAD_REPLY),
        (b'{"output":[{"type":"function_call"}]}', Outcome.BAD_REPLY),
        (b"<html><title>502 Bad Gateway</title></html>", Outcome.BAD_REPLY),
        (b'{"error":{"message":"Rate limit reached","code":"rate_limit_exceeded"}}', Outcome.RATE_LIMITED),
        (b'{"detail":"Too many requests"}', Outcome.RATE_LIMITED),
    ],
)
def test_what_is_no_response(body: bytes, outcome: Outcome) -> None:
    with pytest.raises(AttemptFailed) as caught:
        translate(a_job()).read_reply(body)
    assert caught.value.outcome is outcome


RICH = response(
    reasoning("Hm."),
    message(
        text_part(
            "pong",
            annotations=[{"type": "url_citation", "start_index": 0, "end_index": 4, "title": "t", "url": "u"}],
            logprobs=[{"token": "pong", "bytes": [112], "logprob": -0.5, "top_logprobs": []}],
        ),
        {"type": "refusal", "refusal": "No."},
    ),
    function_call("a"),
    custom_call("b", "ls"),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(("type", "text", "error")), inner),
    max_leaves=4,
)


def with_another_value(fields: Any, value: Any, choose: Any) -> Any:
    """The JSON with one member or entry, at any depth, replaced by this value."""
    if not isinstance(fields, dict | list) or not fields or choose(4) == 0:
        return value
    if isinstance(fields, list):
        place = choose(len(fields))
        return [*fields[:place], with_another_value(fields[place], value, choose), *fields[place + 1 :]]
    name = sorted(fields)[choose(len(fields))]
    return {**fields, name: with_another_value(fields[name], value, choose)}


@given(value=JSON, data=st.data())
def test_values_of_other_types_never_raise_anything_else(value: Any, data: st.DataObject) -> None:
    changed = with_another_value(RICH, value, lambda bound: data.draw(st.integers(0, bound - 1)))
    try:
        reply = translate(a_job()).read_reply(json.dumps(changed).encode())
    except AttemptFailed:
        return
    assert json.loads(reply.data)["choices"][0]["finish_reason"]


@given(st.binary(max_size=60))
def test_other_bytes_never_raise_anything_else(body: bytes) -> None:
    with pytest.raises(AttemptFailed):
        translate(a_job()).read_reply(body)
