"""Anthropic's complete answers as chat completions."""

import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.anthropic import translate
from llmrouter.providers.wire import Job
from llmrouter.replies import Usage
from tests.providers.test_anthropic_requests import LEVEL, UNFORCED, WEATHER, job_of, text

COUNTS = {
    "input_tokens": 10,
    "output_tokens": 20,
    "cache_read_input_tokens": 5,
    "cache_creation_input_tokens": 3,
    "output_tokens_details": {"thinking_tokens": 7},
    "service_tier": "standard",
}
COUNTED = Usage(input_tokens=18, output_tokens=20, cached_tokens=5, reasoning_tokens=7, cache_write_tokens=3)


def message(*content: Any, stop_reason: Any = "end_turn", **members: Any) -> bytes:
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": LEVEL, "stop_sequence": None}
    return orjson.dumps({**head, "content": content, "stop_reason": stop_reason, "usage": COUNTS, **members})


def tool_use(id: Any = "toolu_1", name: Any = "weather", **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": id, "name": name, "input": given}


def read(data: bytes, job: Job | None = None) -> tuple[ChatCompletion, Any]:
    reply = translate(job or job_of()).read_reply(data)
    completion = ChatCompletion.model_validate_json(reply.data, strict=True)
    assert (completion.id, completion.created, completion.model) == ("chatcmpl-call-1", 1_795_000_000, "gpt-4o")
    return completion, reply.usage


def choice_of(data: bytes, job: Job | None = None) -> Any:
    return read(data, job)[0].choices[0]


def failed(data: bytes, job: Job | None = None) -> AttemptFailed:
    with pytest.raises(AttemptFailed) as caught:
        translate(job or job_of()).read_reply(data)
    return caught.value


def test_text_and_usage() -> None:
    completion, usage = read(message(text("Hel"), text("lo")))
    choice = completion.choices[0]
    assert (choice.message.content, choice.finish_reason, choice.message.tool_calls) == ("Hello", "stop", None)
    assert usage == COUNTED
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == 18


@pytest.mark.parametrize(
    ("stop_reason", "expected"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("compaction", "length"),
        ("tool_use", "stop"),
        ("pause_turn", "stop"),
        ("something_new", "stop"),
        ("refusal", "content_filter"),
    ],
)
def test_ends(stop_reason: str, expected: str) -> None:
    assert choice_of(message(text("a"), stop_reason=stop_reason)).finish_reason == expected


def test_tool_calls() -> None:
    choice = choice_of(
        message(tool_use(city="Köln"), tool_use("toolu_2", "time"), stop_reason="tool_use"), job_of(tools=[WEATHER])
    )
    calls = [(call.id, call.function.name, call.function.arguments) for call in choice.message.tool_calls]
    assert calls == [("toolu_1", "weather", '{"city":"Köln"}'), ("toolu_2", "time", "{}")]
    assert (choice.message.content, choice.finish_reason) == (None, "tool_calls")
    cut = choice_of(message(tool_use(), stop_reason="max_tokens"))
    assert cut.finish_reason == "length"
    assert choice_of(message(tool_use(id=None), stop_reason="tool_use")).message.tool_calls[0].id == "call_call-1_0"


def test_the_client_gets_its_own_names_back() -> None:
    odd = {"type": "function", "function": {"name": "files.read"}}
    job = job_of(tools=[odd])
    name = orjson.loads(translate(job).request.body)["tools"][0]["name"]
    choice = choice_of(message(tool_use(name=name), stop_reason="tool_use"), job)
    assert name != "files.read" == choice.message.tool_calls[0].function.name


def test_custom_tools_get_their_text() -> None:
    job = job_of(tools=[{"type": "custom", "custom": {"name": "shell"}}])
    for given_input, expected in (({"input": "ls -l"}, "ls -l"), ({"cmd": "ls"}, '{"cmd":"ls"}')):
        call = choice_of(
            message(tool_use(name="shell", **given_input), stop_reason="tool_use"), job
        ).message.tool_calls[0]
        assert (call.type, call.custom.name, call.custom.input) == ("custom", "shell", expected)


def test_thinking() -> None:
    thinking = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
    redacted = {"type": "redacted_thinking", "data": "b3BhcXVl"}
    choice = choice_of(message(redacted, thinking, text("Yes.")))
    assert (choice.message.content, choice.message.reasoning_content) == ("Yes.", "Hm.")
    assert not hasattr(choice_of(message({**thinking, "thinking": ""}, text("Yes."))).message, "reasoning_content")


def test_refusals() -> None:
    details = {"type": "refusal", "category": "bio", "explanation": "Not that."}
    choice = choice_of(message(stop_reason="refusal", stop_details=details))
    assert (choice.message.content, choice.message.refusal, choice.finish_reason) == (
        None,
        "Not that.",
        "content_filter",
    )
    for other in (None, {"explanation": None}, "x", {"explanation": 7}):
        partly = choice_of(message(text("Par"), stop_reason="refusal", stop_details=other))
        assert (partly.message.content, partly.message.refusal) == ("Par", "The model refused to answer.")


def test_an_empty_answer_is_an_answer() -> None:
    assert choice_of(message()).message.content == ""


def test_blocks_of_anthropics_own_tools_are_dropped() -> None:
    own = [{"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}, {"type": "container_upload"}]
    choice = choice_of(message(*own, text("a")))
    assert (choice.message.content, choice.message.tool_calls) == ("a", None)


def test_iterations_are_summed() -> None:
    usage = {**COUNTS, "iterations": [{"input_tokens": 100, "output_tokens": 5}, COUNTS, "x"]}
    assert read(message(text("a"), usage=usage))[1] == Usage(118, 25, 5, 7, 3)


@pytest.mark.parametrize(
    "usage", [None, {}, "x", {"input_tokens": "10"}, {"input_tokens": True}, {"output_tokens": 2**63}]
)
def test_usage_that_counts_nothing(usage: Any) -> None:
    assert read(message(text("a"), usage=usage))[1] is None


def test_a_demanded_tool_call_that_does_not_come() -> None:
    job = job_of(UNFORCED, tools=[WEATHER], tool_choice="required")
    assert choice_of(message(text("a"), tool_use(), stop_reason="tool_use"), job).message.tool_calls
    assert failed(message(text("Sunny, I guess.")), job).outcome is Outcome.BAD_REPLY
    for stop_reason in ("max_tokens", "refusal"):
        assert choice_of(message(text("a"), stop_reason=stop_reason), job).message.content == "a"


def error_body(kind: str, message: str) -> bytes:
    return orjson.dumps({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"})


@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        (b"", Outcome.BAD_REPLY),
        (b"  \n", Outcome.BAD_REPLY),
        (b"<html><title>Oops</title></html>", Outcome.BAD_REPLY),
        (b"{", Outcome.BAD_REPLY),
        (b"[]", Outcome.BAD_REPLY),
        (b"{}", Outcome.BAD_REPLY),
        (message(text("a"), stop_reason=None), Outcome.BAD_REPLY),
        (message(stop_reason="end_turn", content="text"), Outcome.BAD_REPLY),
        (message("text"), Outcome.BAD_REPLY),
        (message({"type": "text", "text": 7}), Outcome.BAD_REPLY),
        (message({"type": "thinking"}), Outcome.BAD_REPLY),
        (message({"type": "tool_use", "name": ""}), Outcome.BAD_REPLY),
        (message({"type": "tool_use", "name": "f", "input": "{}"}), Outcome.BAD_REPLY),
        (error_body("overloaded_error", "Overloaded"), Outcome.SERVER_ERROR),
        (error_body("rate_limit_error", "slow down"), Outcome.RATE_LIMITED),
        (error_body("invalid_request_error", "prompt is too long: 2 tokens > 1 maximum"), Outcome.CONTEXT_EXCEEDED),
    ],
)
def test_what_is_no_answer(data: bytes, outcome: Outcome) -> None:
    assert failed(data).outcome is outcome


VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**64 - 1) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
TYPES = st.sampled_from(["text", "thinking", "redacted_thinking", "tool_use", "server_tool_use"])
NAMES = ("text", "thinking", "signature", "data", "id", "name", "input")
BLOCKS = st.fixed_dictionaries({"type": TYPES | VALUES}, optional=dict.fromkeys(NAMES, VALUES)) | VALUES
MEMBERS = {
    "content": st.lists(BLOCKS, max_size=4) | VALUES,
    "stop_reason": st.sampled_from(["tool_use", "refusal"]) | VALUES,
}
MORE = {"usage": VALUES, "stop_details": VALUES, "type": VALUES, "error": VALUES}


@given(st.fixed_dictionaries(MEMBERS, optional=MORE))
def test_any_shape_is_an_answer_or_a_failed_attempt(fields: Any) -> None:
    for job in (job_of(), job_of(UNFORCED, tools=[WEATHER], tool_choice="required")):
        with contextlib.suppress(AttemptFailed):
            read(orjson.dumps(fields), job)


@given(st.binary(max_size=60))
def test_any_bytes_are_an_answer_or_a_failed_attempt(data: bytes) -> None:
    assert failed(data).message
