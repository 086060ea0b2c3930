"""What is sent to a provider that speaks OpenAI's wire format: the client's body, and nothing of its headers."""

import re
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from llmrouter import __version__
from llmrouter.calls import Call, Caller
from llmrouter.providers.openai_compatible import translate
from llmrouter.providers.wire import UpstreamRequest
from llmrouter.targets import Target
from tests.providers.samples import call_of, job_of, target_of

CALLER = Caller(SecretStr("Bearer key-of-caller"), {"OpenAI-Organization": "org-1", "OpenAI-Project": "proj-1"})


def prepare(call: Call, target: Target) -> UpstreamRequest:
    return translate(job_of(call, target)).request


def sent(brand: str = "groq", **members: Any) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(prepare(call_of(**members), target_of(brand)).body)
    return body


def test_a_plain_request() -> None:
    request = prepare(call_of(caller=CALLER), target_of("groq"))
    assert (request.method, request.url) == ("POST", "https://api.groq.com/openai/v1/chat/completions")
    assert request.headers == {
        "content-type": "application/json",
        "accept": "application/json",
        "user-agent": f"llmrouter/{__version__}",
        "authorization": "Bearer key-of-groq",
    }
    assert orjson.loads(request.body) == {"model": "llama-3.3-70b", "messages": [{"role": "user", "content": "ping"}]}
    assert not request.stream


def test_a_stream_is_accepted_as_events() -> None:
    request = prepare(call_of(stream=True), target_of("groq"))
    assert request.headers["accept"] == "text/event-stream"
    assert request.stream


def test_a_slash_at_the_end_of_the_base_url_does_no_harm() -> None:
    assert (
        prepare(call_of(), target_of(base_url="http://localhost:1/v1/")).url == "http://localhost:1/v1/chat/completions"
    )


def test_the_text_form_shows_neither_key_nor_prompt() -> None:
    shown = repr(prepare(call_of(), target_of("groq")))
    assert not re.search("key-of|ping|authorization", shown)


def test_without_a_key_there_is_no_authorization() -> None:
    request = prepare(call_of(caller=CALLER), target_of("ollama", credential=None))
    assert "authorization" not in request.headers


def test_the_callers_key_is_sent_only_where_the_target_uses_it() -> None:
    target = target_of("openai", credential=None, uses_caller_key=True)
    headers = prepare(call_of(caller=CALLER), target).headers
    assert headers["authorization"] == "Bearer key-of-caller"
    assert (headers["openai-organization"], headers["openai-project"]) == ("org-1", "proj-1")
    for brand in ("openai", "groq", "openai_compatible"):
        values = " ".join(prepare(call_of(caller=CALLER), target_of(brand)).headers.values())
        assert not re.search("caller|org-1|proj-1", values)


def test_a_caller_key_without_scheme_gets_one() -> None:
    target = target_of("openai", credential=None, uses_caller_key=True)
    call = call_of(caller=Caller(SecretStr("key-of-caller")))
    assert prepare(call, target).headers["authorization"] == "Bearer key-of-caller"


def test_a_caller_without_key_sends_none() -> None:
    target = target_of("openai", credential=None, uses_caller_key=True)
    assert "authorization" not in prepare(call_of(), target).headers


def test_extra_headers_are_added_and_win() -> None:
    target = target_of("openrouter", extra_headers={"X-Title": "my app", "User-Agent": "my app"})
    headers = prepare(call_of(), target).headers
    assert (headers["x-title"], headers["user-agent"]) == ("my app", "my app")


def test_unknown_members_go_on_byte_for_byte() -> None:
    text = b'{"model":"gpt-4o","messages":[{"role":"user","content":"\\u00e9"}],"x":{"y": 1.50, "z":1e400}}'
    body = prepare(call_of(text=text), target_of("groq")).body
    assert body == text.replace(b'"gpt-4o"', b'"llama-3.3-70b"')


def test_a_missing_model_is_added() -> None:
    body = prepare(call_of(text=b'{"messages":[{"role":"user"}]}'), target_of("groq")).body
    assert orjson.loads(body) == {"messages": [{"role": "user"}], "model": "llama-3.3-70b"}


@pytest.mark.parametrize("given", [{}, {"include_usage": False}, {"include_usage": True}, None])
def test_usage_is_asked_of_every_stream(given: Any) -> None:
    assert sent(stream=True, stream_options=given)["stream_options"] == {"include_usage": True}


def test_the_clients_own_stream_options_are_kept() -> None:
    options = sent("openai", stream=True, stream_options={"include_obfuscation": False})["stream_options"]
    assert options == {"include_obfuscation": False, "include_usage": True}


def test_without_a_stream_no_usage_is_asked_for() -> None:
    assert "stream_options" not in sent()


@pytest.mark.parametrize("brand", ["together", "nvidia_nim"])
def test_stream_options_are_left_out_where_they_are_refused(brand: str) -> None:
    assert "stream_options" not in sent(brand, stream=True, stream_options={"include_usage": True})


RENAMING = ("nvidia_nim", "huggingface", "together", "ollama", "llama_cpp", "lm_studio")


@pytest.mark.parametrize("brand", RENAMING)
def test_the_output_limit_gets_the_name_that_the_provider_knows(brand: str) -> None:
    body = sent(brand, max_completion_tokens=5, max_tokens=7)
    assert (body.get("max_tokens"), "max_completion_tokens" in body) == (5, False)


def test_a_limit_of_null_does_not_hide_the_other_one() -> None:
    assert sent("together", max_completion_tokens=None, max_tokens=7)["max_tokens"] == 7


@pytest.mark.parametrize("brand", ["openai", "groq", "openrouter", "vllm", "openai_compatible"])
def test_elsewhere_the_output_limit_is_left_alone(brand: str) -> None:
    body = sent(brand, max_completion_tokens=5)
    assert (body["max_completion_tokens"], "max_tokens" in body) == (5, False)


OPENAI_ONLY = {
    "store": True,
    "metadata": {"a": "b"},
    "user": "u",
    "safety_identifier": "s",
    "prompt_cache_key": "k",
    "service_tier": "flex",
}


def test_what_only_openai_knows_goes_to_openai() -> None:
    assert OPENAI_ONLY.items() <= sent("openai", **OPENAI_ONLY).items()


@pytest.mark.parametrize("brand", ["groq", "openrouter", "vllm", "openai_compatible", *RENAMING])
def test_what_only_openai_knows_goes_nowhere_else(brand: str) -> None:
    assert sent(brand, **OPENAI_ONLY, temperature=0.5) == sent(brand, temperature=0.5)


MESSAGES = [{"role": "developer", "content": "be brief", "x": 1}, {"role": "user", "content": "ping"}]


@pytest.mark.parametrize("brand", ["groq", "openai_compatible", *RENAMING])
def test_the_developer_becomes_the_system_where_it_is_not_known(brand: str) -> None:
    assert sent(brand, messages=MESSAGES)["messages"] == [
        {"role": "system", "content": "be brief", "x": 1},
        MESSAGES[1],
    ]


@pytest.mark.parametrize("brand", ["openai", "openrouter", "vllm"])
def test_the_developer_stays_where_it_is_known(brand: str) -> None:
    assert sent(brand, messages=MESSAGES)["messages"] == MESSAGES


@pytest.mark.parametrize("calls", [5, True, "x", {}, []])
def test_tool_calls_that_are_no_list_are_the_providers_to_judge(calls: Any) -> None:
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "tool_calls": calls}]
    assert sent("deepseek", messages=messages)["messages"] == messages
