"""Chat completion requests as requests to Responses; what is plain is shown by the contract cases."""

import dataclasses
import json
from typing import Any

import pytest
from openai.types.responses.response_create_params import ResponseCreateParams
from pydantic import SecretStr, TypeAdapter

from llmrouter.brands.dialect import Structured
from llmrouter.calls import Caller
from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.openai_responses import ResponsesTranslation, translate
from llmrouter.providers.structured import Emulation
from llmrouter.providers.wire import Job
from tests.providers.responses_samples import (
    WEATHER,
    a_job,
    events_of,
    function_call,
    message,
    reasoning,
    response,
    run,
    text_part,
)
from tests.providers.samples import call_of, sse

USER = {"role": "user", "content": "ping"}
VALID: TypeAdapter[Any] = TypeAdapter(ResponseCreateParams)
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}
FORM = {"type": "json_schema", "json_schema": {"name": "number", "schema": SCHEMA}}
SHELL = {"type": "custom", "custom": {"name": "shell"}}


def sent(translation: ResponsesTranslation) -> Any:
    body = json.loads(translation.request.body)
    VALID.validate_python(body)
    return body


def with_dialect(job: Job, **changes: Any) -> Job:
    return dataclasses.replace(job, dialect=dataclasses.replace(job.dialect, **changes))


def call_json(id: str, name: str = "weather") -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": "{}"}}


def next_turn(job: Job, ids: list[str], text: str | None = None, caller: Caller | None = None) -> list[Any]:
    """The input of the turn after one with these tool calls, at the same target and with the same memory."""
    results = [{"role": "tool", "tool_call_id": id, "content": "12 °C"} for id in ids]
    said = {"role": "assistant", "content": text, "tool_calls": [call_json(id) for id in ids]}
    call = call_of(messages=[USER, said, *results], tools=[WEATHER], caller=caller)
    input = sent(translate(dataclasses.replace(job, call=call)))["input"]
    assert isinstance(input, list)
    return input


class TestReasoningOfATurnWithTools:
    def test_it_stands_before_its_call_again(self) -> None:
        job = a_job("openai", "gpt-6-astra", tools=[WEATHER])
        output = [reasoning("Hm."), function_call("call_a"), reasoning("So.", id="rs_2"), function_call("call_b")]
        translate(job).read_reply(json.dumps(response(*output)).encode())
        kept = [{name: value for name, value in item.items() if name != "status"} for item in (output[0], output[2])]
        call_a, call_b = (
            {"type": "function_call", "call_id": id, "name": "weather", "arguments": "{}"}
            for id in ("call_a", "call_b")
        )
        assert next_turn(job, ["call_a", "call_b"])[1:5] == [kept[0], call_a, kept[1], call_b]

    def test_it_stands_before_the_text_of_its_turn(self) -> None:
        job = a_job("openai", "gpt-6-astra", tools=[WEATHER])
        output = [reasoning(), message(text_part("Let me see.")), function_call("call_a")]
        translate(job).read_reply(json.dumps(response(*output)).encode())
        kinds = [item.get("type", item.get("role")) for item in next_turn(job, ["call_a"], "Let me see.")]
        assert kinds == ["user", "reasoning", "assistant", "function_call", "function_call_output"]

    @pytest.mark.parametrize("repeats", [True, False])
    def test_it_is_kept_from_a_stream(self, repeats: bool) -> None:
        job = a_job("openai", "gpt-6-astra", tools=[WEATHER], stream=True)
        *events, end = events_of(reasoning("Hm."), function_call("call_a"))
        # The last response of some servers is empty, and OpenAI's own may lack the encrypted reasoning.
        end["response"]["output"] = [reasoning(encrypted=None), function_call("call_a")] if repeats else []
        run(translate(job).decoder(), sse(*events, end))
        assert next_turn(job, ["call_a"])[1]["encrypted_content"] == "opaque"

    def test_it_is_not_kept_from_a_stream_that_was_cut(self) -> None:
        job = a_job("openai", "gpt-6-astra", tools=[WEATHER], stream=True)
        with pytest.raises(AttemptFailed):
            run(translate(job).decoder(), sse(*events_of(reasoning("Hm."), function_call("call_a"))[:-1]))
        assert next_turn(job, ["call_a"])[1]["type"] == "function_call"

    def test_another_caller_does_not_get_it(self) -> None:
        job = a_job("openai", "gpt-6-astra", tools=[WEATHER])
        translate(job).read_reply(json.dumps(response(reasoning(), function_call("call_a"))).encode())
        other = Caller(SecretStr("Bearer key-of-another-app"))
        assert next_turn(job, ["call_a"], caller=other)[1]["type"] == "function_call"

    def test_reasoning_of_which_only_the_id_is_known_is_not_sent(self) -> None:
        job = a_job("openai", "gpt-6-astra", tools=[WEATHER])
        output = [reasoning("Hm.", encrypted=None), function_call("call_a")]
        translate(job).read_reply(json.dumps(response(*output)).encode())
        assert next_turn(job, ["call_a"])[1]["type"] == "function_call"

    def test_open_reasoning_comes_back_as_it_was(self) -> None:
        job = a_job(tools=[WEATHER])
        thought = {
            "id": "rs_1",
            "type": "reasoning",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "Hm."}],
        }
        translate(job).read_reply(json.dumps(response(thought, function_call("call_a"))).encode())
        assert next_turn(job, ["call_a"])[1] == thought


class TestDialects:
    def test_a_server_that_knows_no_developer_is_told_system(self) -> None:
        job = a_job(messages=[{"role": "developer", "content": "Be brief."}, USER])
        assert sent(translate(job))["input"] == [{"role": "system", "content": "Be brief."}, USER]

    def test_a_target_without_custom_tools_is_not_told_of_any(self) -> None:
        job = with_dialect(a_job(tools=[SHELL]), takes_custom_tools=False)
        with pytest.raises(AttemptFailed, match="custom") as caught:
            translate(job)
        assert caught.value.outcome is Outcome.NOT_TRANSLATABLE

    def test_a_target_without_allowed_tools_is_told_only_of_those(self) -> None:
        other = {"type": "function", "function": {"name": "clock"}}
        choice = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [WEATHER]}}
        job = with_dialect(a_job(tools=[WEATHER, other], tool_choice=choice), takes_custom_tools=False)
        body = sent(translate(job))
        assert [tool["name"] for tool in body["tools"]] == ["weather"]
        assert body["tool_choice"] == "required"

    def test_strict_is_not_told_where_it_is_unknown_and_choices_have_other_words(self) -> None:
        job = a_job(tools=[WEATHER], tool_choice="required")
        job = with_dialect(job, takes_strict=False, tool_choices=(("required", "any"),))
        body = json.loads(translate(job).request.body)
        assert body["tools"] == [{"type": "function", "name": "weather", "parameters": {"type": "object"}}]
        assert body["tool_choice"] == "any"

    def test_extras_are_sent_and_efforts_have_other_words(self) -> None:
        job = with_dialect(a_job(reasoning_effort="max"), extras=(("top_k", 1),), efforts=(("max", "high"),))
        translation = translate(job)
        assert sent(translation)["top_k"] == 1
        assert sent(translation)["reasoning"] == {"effort": "high"}
        assert translation.changes == ("reasoning_effort max as high",)

    def test_no_reasoning_may_be_told_by_other_members(self) -> None:
        job = with_dialect(a_job(reasoning_effort="none"), no_thinking=(("thinking", {"type": "disabled"}),))
        translation = translate(job)
        assert sent(translation)["thinking"] == {"type": "disabled"}
        assert "reasoning" not in sent(translation)
        assert translation.changes == ()

    def test_refused_members_with_their_default_are_just_not_sent(self) -> None:
        translation = translate(a_job("openai", "gpt-6-astra", tools=[WEATHER], logprobs=False, n=1, temperature=1))
        assert not {"logprobs", "n", "temperature", "top_logprobs"} & sent(translation).keys()
        assert translation.changes == ()

    def test_what_was_refused_before_is_left_out_and_named(self) -> None:
        members: dict[str, Any] = {"max_tokens": 9, "verbosity": "low", "top_p": 0.5}
        translation = translate(a_job(unsupported=frozenset(members), **members))
        assert sent(translation).keys() == {"model", "input", "store", "include"}
        assert translation.changes == ("without max_tokens", "without top_p", "without verbosity")

    @pytest.mark.parametrize(
        ("structured", "form", "told"),
        [
            (Structured.OBJECT, {"type": "json_object"}, {"format": {"type": "json_object"}}),
            (Structured.OBJECT, FORM, {"format": {"type": "json_object"}}),
            (Structured.PROMPT, FORM, None),
            (Structured.PROMPT, {"type": "json_object"}, None),
        ],
    )
    def test_a_form_is_told_as_far_as_the_target_knows_it(self, structured: Structured, form: Any, told: Any) -> None:
        translation = translate(with_dialect(a_job(response_format=form), structured=structured))
        body = sent(translation)
        assert body.get("text") == told
        is_emulated = told is None or form is FORM
        assert isinstance(translation.emulation, Emulation) is is_emulated
        assert [item["role"] for item in body["input"]] == (["system", "user"] if is_emulated else ["user"])
        assert translation.changes == ((f"{form['type']} by the prompt",) if is_emulated else ())


class TestWhatCannotBeSaid:
    @pytest.mark.parametrize(
        "members",
        [
            {"messages": [{"role": "critic", "content": "x"}]},
            {"messages": [{"role": "user", "content": ["x"]}]},
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": 1}]}]},
            {"messages": [{"role": "user", "content": [{"type": "file", "file": "x"}]}]},
            {"messages": [{"role": "tool", "content": "x"}]},
            {"messages": [{"role": "assistant", "audio": {"id": "a"}}]},
            {"messages": [{"role": "assistant", "tool_calls": "x"}]},
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "x"}]}]},
            {"messages": [{"role": "assistant", "tool_calls": [{**call_json("x"), "id": None}]}]},
            {"messages": [{"role": "assistant", "content": [{"type": "image_url"}]}]},
            {"messages": [{"role": "assistant", "refusal": 1}]},
            {"tools": [{"type": "web_search"}]},
            {"tools": [{"type": "function", "function": {}}]},
            {"tools": [{"type": "custom", "custom": {"name": "x", "format": {"type": "grammar"}}}]},
            {"tools": [WEATHER], "tool_choice": {"type": "function"}},
            {"tools": [WEATHER], "tool_choice": {"type": "allowed_tools", "allowed_tools": {}}},
            {"tools": [WEATHER], "tool_choice": 1},
            {"response_format": {"type": "grammar"}},
            {"response_format": {"type": "json_schema"}},
        ],
        ids=lambda members: json.dumps(members),
    )
    def test_it_is_named(self, members: dict[str, Any]) -> None:
        with pytest.raises(AttemptFailed) as caught:
            translate(a_job(**members))
        assert caught.value.outcome is Outcome.NOT_TRANSLATABLE

    def test_objects_inside_objects_without_end(self) -> None:
        deep = b'{"a":' * 400 + b"1" + b"}" * 400
        text = b'{"messages":[{"role":"user","content":"x"}],"metadata":' + deep + b"}"
        job = dataclasses.replace(a_job(), call=call_of(text=text))
        with pytest.raises(AttemptFailed) as caught:
            translate(job)
        assert caught.value.outcome is Outcome.NOT_TRANSLATABLE


def test_of_two_limits_the_newer_counts() -> None:
    translation = translate(a_job(max_tokens=5, max_completion_tokens=7))
    assert sent(translation)["max_output_tokens"] == 7
    assert translation.changes == ()
    assert translation.members["max_output_tokens"] == "max_completion_tokens"


def test_empty_text_beside_tool_calls_is_not_sent() -> None:
    said = {"role": "assistant", "content": "", "tool_calls": [call_json("a")]}
    result = {"role": "tool", "tool_call_id": "a", "content": None}
    input = sent(translate(a_job(messages=[USER, said, result])))["input"]
    assert [item.get("type") for item in input] == [None, "function_call", "function_call_output"]
    assert input[2]["output"] == ""


def test_a_picture_may_be_given_as_a_plain_address_and_a_turn_may_be_empty() -> None:
    url = "https://example.com/a.png"
    content = [{"type": "image_url", "image_url": url}]
    messages = [{"role": "user", "content": content}, {"role": "assistant", "content": None}]
    image = {"type": "input_image", "image_url": url, "detail": "auto"}
    assert sent(translate(a_job(messages=messages)))["input"] == [{"role": "user", "content": [image]}]
