"""Chat completion requests in Gemini's own words."""

import dataclasses
import json
from typing import Any

import orjson
import pytest

from llmrouter.brands.dialect import Structured, Thinking
from llmrouter.calls import Call, Caller, Preferences
from llmrouter.endpoints.chat import parse
from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.gemini import GeminiTranslation, translate
from llmrouter.providers.turn_memory import TurnMemory
from llmrouter.providers.wire import Job
from tests.providers.samples import target_of

PING = [{"role": "user", "content": "ping"}]
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CLOCK = {"type": "function", "function": {"name": "clock", "description": "The time."}}
WEATHER_CALL = {"id": "call-w", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Bonn"}'}}


def call_with(messages: Any = PING, **members: Any) -> Call:
    body = {"model": "gpt-4o", "messages": messages, **members}
    return parse(json.dumps(body).encode(), "gpt-4o", id="call-1", caller=Caller(), preferences=Preferences())


def job_of(
    model: str = "gemini-3-flash",
    messages: Any = PING,
    *,
    unsupported: frozenset[str] = frozenset(),
    base_url: str | None = None,
    changes: dict[str, Any] | None = None,
    **members: Any,
) -> Job:
    """A job in the native dialect, as a call with tools gets it; `changes` are made to the dialect."""
    where = {} if base_url is None else {"base_url": base_url}
    target = target_of("gemini", model=model, **where)
    dialect = dataclasses.replace(target.dialect.for_members(frozenset({"tools"})), **(changes or {}))
    return Job(call_with(messages, **members), target, dialect, 1_795_000_000, TurnMemory(), unsupported)


def translated(*args: Any, **members: Any) -> GeminiTranslation:
    return translate(job_of(*args, **members))


def body_of(*args: Any, **members: Any) -> Any:
    return orjson.loads(translated(*args, **members).request.body)


def config_of(*args: Any, **members: Any) -> Any:
    return body_of(*args, **members).get("generationConfig")


def contents_of(*messages: dict[str, Any], model: str = "gemini-3-flash", **members: Any) -> Any:
    return body_of(model, list(messages), **members)["contents"]


def refusal(*args: Any, **members: Any) -> str:
    with pytest.raises(AttemptFailed) as caught:
        translated(*args, **members)
    assert caught.value.outcome is Outcome.NOT_TRANSLATABLE
    return str(caught.value)


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


@pytest.mark.parametrize(
    ("base_url", "model", "stream", "url"),
    [
        ("https://g.test/v1beta/openai", "gemini-3", False, "https://g.test/v1beta/models/gemini-3:generateContent"),
        (
            "https://g.test/v1beta/",
            "models/gemini-3",
            True,
            "https://g.test/v1beta/models/gemini-3:streamGenerateContent?alt=sse",
        ),
        (
            "https://g.test/openai/?trace=1",
            "a b/c?d",
            True,
            "https://g.test/models/a%20b%2Fc%3Fd:streamGenerateContent?trace=1&alt=sse",
        ),
    ],
)
def test_the_address_is_that_of_the_model(base_url: str, model: str, stream: bool, url: str) -> None:
    assert translated(model, base_url=base_url, stream=stream).request.url == url


def test_the_key_goes_in_googles_own_header() -> None:
    headers = translated().request.headers
    assert headers["x-goog-api-key"] == "key-of-gemini"
    assert "authorization" not in headers


def test_a_plain_call_says_nothing_but_its_contents() -> None:
    assert body_of() == {"contents": [{"role": "user", "parts": [{"text": "ping"}]}]}
    assert translated().changes == ()


def test_system_messages_are_the_system_instruction() -> None:
    body = body_of(
        messages=[
            {"role": "system", "content": "Be kind."},
            {"role": "developer", "content": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": ""}]},
            *PING,
        ]
    )
    assert body["systemInstruction"] == {"parts": [{"text": "Be kind."}, {"text": "Be brief."}]}
    assert len(body["contents"]) == 1


def test_a_later_system_message_keeps_its_place() -> None:
    messages = [*PING, {"role": "assistant", "content": "pong"}, {"role": "system", "content": "Now in French."}, *PING]
    done = translated(messages=messages)
    assert orjson.loads(done.request.body)["contents"][2] == {
        "role": "user",
        "parts": [{"text": "Now in French."}, {"text": "ping"}],
    }
    assert done.changes == ("later system message as user text",)


def test_a_system_message_alone_is_said_by_the_user() -> None:
    done = translated(messages=[{"role": "system", "content": "Tell a joke."}])
    assert orjson.loads(done.request.body) == {"contents": [{"role": "user", "parts": [{"text": "Tell a joke."}]}]}
    assert done.changes == ("system message as user text",)


def test_neighbours_of_one_role_are_one_turn() -> None:
    assert contents_of(*PING, *PING, {"role": "assistant", "content": "a"}, {"role": "assistant", "refusal": "b"}) == [
        {"role": "user", "parts": [{"text": "ping"}, {"text": "ping"}]},
        {"role": "model", "parts": [{"text": "a"}, {"text": "b"}]},
    ]


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAEC"}},
            {"inlineData": {"mimeType": "image/png", "data": "AAEC"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "data:image/svg+xml,%3Csvg/%3E"}},
            {"inlineData": {"mimeType": "image/svg+xml", "data": "PHN2Zy8+"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA%3D%3D"}},
            {"inlineData": {"mimeType": "image/png", "data": "AA=="}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://p.test/cat.WEBP?size=2"}},
            {"fileData": {"fileUri": "https://p.test/cat.WEBP?size=2", "mimeType": "image/webp"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "gs://bucket/cat"}},
            {"fileData": {"fileUri": "gs://bucket/cat", "mimeType": "image/jpeg"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AAEC", "format": "mp3"}},
            {"inlineData": {"mimeType": "audio/mp3", "data": "AAEC"}},
        ),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAEC", "filename": "a.pdf"}},
            {"inlineData": {"mimeType": "application/pdf", "data": "AAEC"}},
        ),
        (
            {"type": "file", "file": {"file_data": "AAEC", "filename": "table.csv"}},
            {"inlineData": {"mimeType": "text/csv", "data": "AAEC"}},
        ),
    ],
)
def test_media(part: dict[str, Any], told: dict[str, Any]) -> None:
    assert contents_of(user({"type": "text", "text": "What is it?"}, part)) == [
        {"role": "user", "parts": [{"text": "What is it?"}, told]}
    ]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
        {"type": "image_url", "image_url": {"url": "https://[bad/"}},
        {"type": "image_url", "image_url": {"url": "data:image/png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,A%3D%3D%3DA"}},
        {"type": "image_url", "image_url": "https://p.test/cat.png"},
        {"type": "input_audio", "input_audio": {"data": "AAEC"}},
        {"type": "hologram"},
        {"type": "text", "text": 3},
        "text",
    ],
)
def test_what_has_no_part_goes_elsewhere(part: Any) -> None:
    assert refusal(messages=[user(part)])


def test_what_is_lost_of_messages_is_named() -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://p.test/a.png", "detail": "low"}}
    done = translated(messages=[{**user(picture), "name": "ada"}])
    assert done.changes == ("without messages[].name", "without image detail")


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": ""}],
        [{"role": "wizard", "content": "abracadabra"}],
        [*PING, {"role": "assistant", "audio": {"id": "audio-1"}}],
        [*PING, {"role": "assistant", "tool_calls": "all of them"}],
        [*PING, {"role": "assistant", "tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "sql"}}]}],
        [*PING, {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{"}}]}],
        [*PING, {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "[1]"}}]}],
        [*PING, {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": {}}}]}],
        [*PING, {"role": "tool", "tool_call_id": "unheard-of", "content": "1"}],
        [*PING, {"role": "tool", "content": "1"}],
    ],
)
def test_messages_that_gemini_has_no_words_for(messages: Any) -> None:
    assert refusal(messages=messages)


def test_a_last_word_of_the_assistant_goes_where_it_is_taken() -> None:
    messages = [*PING, {"role": "assistant", "content": "po"}]
    assert body_of(messages=messages)["contents"][-1]["role"] == "model"
    assert refusal(messages=messages, changes={"takes_prefill": False})


def answered(content: Any, **call: Any) -> list[dict[str, Any]]:
    return [
        *PING,
        {"role": "assistant", "content": None, "tool_calls": [{**WEATHER_CALL, **call}]},
        {"role": "tool", "tool_call_id": "call-w", "content": content},
    ]


@pytest.mark.parametrize(
    ("content", "response"),
    [
        ('{"degrees":7}', {"degrees": 7}),
        ("7 degrees", {"result": "7 degrees"}),
        ("[7]", {"result": "[7]"}),
        ("", {"result": ""}),
        ([{"type": "text", "text": '{"degrees":'}, {"type": "text", "text": "7}"}], {"degrees": 7}),
    ],
)
def test_a_tools_result_is_an_object(content: Any, response: Any) -> None:
    contents = contents_of(*answered(content), model="gemini-2.5-flash")
    assert contents[1:] == [
        {
            "role": "model",
            "parts": [{"functionCall": {"id": "call-w", "name": "weather", "args": {"city": "Bonn"}}}],
        },
        {
            "role": "user",
            "parts": [{"functionResponse": {"id": "call-w", "name": "weather", "response": response}}],
        },
    ]


def test_a_picture_is_no_tools_result() -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://p.test/a.png"}}
    assert refusal(messages=answered([picture]))


def test_no_arguments_are_an_empty_object() -> None:
    messages = answered("1", function={"name": "weather", "arguments": ""})
    assert contents_of(*messages)[1]["parts"][0]["functionCall"]["args"] == {}


def test_a_kept_signature_goes_back() -> None:
    job = job_of(messages=answered("1"))
    job.memory.keep(job.call, job.target, "call-w", "c2lnbmVk")
    done = translate(job)
    assert orjson.loads(done.request.body)["contents"][1]["parts"][0]["thoughtSignature"] == "c2lnbmVk"
    assert done.changes == ()


def test_a_signature_that_the_client_kept_goes_back() -> None:
    extra = {"google": {"thought_signature": "Y2xpZW50"}}
    contents = contents_of(*answered("1", extra_content=extra))
    assert contents[1]["parts"][0]["thoughtSignature"] == "Y2xpZW50"


@pytest.mark.parametrize("extra", [None, "text", {"google": "text"}, {"google": {"thought_signature": 3}}])
def test_where_no_signature_is_left_a_stand_in_goes(extra: Any) -> None:
    done = translated(messages=answered("1", extra_content=extra))
    part = orjson.loads(done.request.body)["contents"][1]["parts"][0]
    assert part["thoughtSignature"] == "skip_thought_signature_validator"
    assert done.changes == ("a stand-in for a thought signature",)


def test_models_before_gemini_3_need_no_stand_in() -> None:
    contents = contents_of(*answered("1"), model="gemini-2.5-flash")
    assert "thoughtSignature" not in contents[1]["parts"][0]


def test_a_conversation_that_begins_with_a_tool_call_gets_a_user_turn() -> None:
    done = translated("gemini-2.5-flash", answered("1")[1:])
    assert orjson.loads(done.request.body)["contents"][0] == {"role": "user", "parts": [{"text": "."}]}
    assert done.changes == ("a user turn before the first tool call",)


def test_tools_are_function_declarations() -> None:
    assert body_of(tools=[WEATHER, CLOCK])["tools"] == [
        {
            "functionDeclarations": [
                {"name": "weather", "parametersJsonSchema": {"type": "object"}},
                {"name": "clock", "description": "The time."},
            ]
        }
    ]
    assert "toolConfig" not in body_of(tools=[WEATHER])


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        ("auto", None),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ({"type": "function", "function": {"name": "clock"}}, {"mode": "ANY", "allowedFunctionNames": ["clock"]}),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [CLOCK]}},
            {"mode": "ANY", "allowedFunctionNames": ["clock"]},
        ),
    ],
)
def test_tool_choices(choice: Any, config: Any) -> None:
    body = body_of(tools=[WEATHER, CLOCK], tool_choice=choice)
    assert body.get("toolConfig") == (config and {"functionCallingConfig": config})
    assert len(body["tools"][0]["functionDeclarations"]) == 2


def test_tools_that_may_be_chosen_are_the_only_ones_told() -> None:
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [CLOCK]}}
    body = body_of(tools=[WEATHER, CLOCK], tool_choice=choice)
    assert [tool["name"] for tool in body["tools"][0]["functionDeclarations"]] == ["clock"]
    assert "toolConfig" not in body
    choice["allowed_tools"] = {"mode": "auto", "tools": []}
    assert "tools" not in body_of(tools=[WEATHER], tool_choice=choice)


def test_strict_tools_are_validated() -> None:
    strict = {"type": "function", "function": {**WEATHER["function"], "strict": True}}  # type: ignore[dict-item] # an object
    assert body_of(tools=[strict])["toolConfig"] == {"functionCallingConfig": {"mode": "VALIDATED"}}
    assert "toolConfig" not in body_of(tools=[strict], changes={"takes_strict": False})


@pytest.mark.parametrize(
    "members",
    [
        {"tools": [{"type": "custom", "custom": {"name": "sql"}}]},
        {"tools": ["weather"]},
        {"tools": [WEATHER], "tool_choice": "perhaps"},
        {"tools": [WEATHER], "tool_choice": {"type": "custom", "custom": {"name": "sql"}}},
        {"tools": [WEATHER], "tool_choice": {"type": "function", "function": {}}},
        {"tools": [WEATHER], "tool_choice": {"allowed_tools": {"mode": "required", "tools": []}}},
        {"response_format": {"type": "grammar"}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}},
        {"reasoning_effort": "heroic"},
        {"reasoning_effort": 3},
    ],
)
def test_options_that_gemini_has_no_words_for(members: dict[str, Any]) -> None:
    assert refusal(**members)


def test_options() -> None:
    done = translated(
        temperature=0.5,
        top_p=1,
        max_completion_tokens=100,
        stop=["a", "", "b"],
        seed=7,
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        n=2,
        logprobs=True,
        top_logprobs=3,
    )
    assert orjson.loads(done.request.body)["generationConfig"] == {
        "temperature": 0.5,
        "topP": 1,
        "maxOutputTokens": 100,
        "stopSequences": ["a", "b"],
        "seed": 7,
        "presencePenalty": 0.5,
        "frequencyPenalty": -0.5,
        "candidateCount": 2,
        "responseLogprobs": True,
        "logprobs": 3,
    }
    assert done.changes == ()
    assert done.members["maxOutputTokens"] == "max_completion_tokens"
    assert done.members["presence_penalty"] == "presence_penalty"
    assert done.members["top_p"] == "top_p"


def test_what_asks_for_nothing_is_not_said() -> None:
    assert config_of(n=1, logprobs=False, top_logprobs=0, stop=[], presence_penalty=0, seed=None) is None


@pytest.mark.parametrize(("seed", "told"), [(2**40 + 5, 5), (-(2**31), -(2**31)), (2**31, 0)])
def test_seeds_are_32_bit(seed: int, told: int) -> None:
    assert config_of(seed=seed) == {"seed": told}


def test_a_single_stop_sequence() -> None:
    assert config_of(stop="END", max_tokens=5) == {"maxOutputTokens": 5, "stopSequences": ["END"]}


def test_what_is_left_out_is_named() -> None:
    done = translated(
        user="ada", temperature=0.5, top_k=3, unsupported=frozenset({"temperature"}), parallel_tool_calls=False
    )
    assert orjson.loads(done.request.body).keys() == {"contents"}
    assert done.changes == ("without temperature", "without top_k", "without user")


@pytest.mark.parametrize(
    ("model", "effort", "thinking", "changes"),
    [
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}, ()),
        ("gemini-2.5-flash", "minimal", {"thinkingBudget": 1024, "includeThoughts": True}, ()),
        ("gemini-2.5-flash", "low", {"thinkingBudget": 1024, "includeThoughts": True}, ()),
        ("gemini-2.5-flash", "medium", {"thinkingBudget": 8192, "includeThoughts": True}, ()),
        ("gemini-2.5-flash", "high", {"thinkingBudget": 24576, "includeThoughts": True}, ()),
        (
            "gemini-2.5-flash",
            "xhigh",
            {"thinkingBudget": 24576, "includeThoughts": True},
            ("reasoning_effort xhigh as high",),
        ),
        ("gemini-2.5-pro", "none", {"thinkingBudget": 1024}, ("reasoning_effort none as minimal",)),
        ("gemini-3-flash", "minimal", {"thinkingLevel": "minimal", "includeThoughts": True}, ()),
        ("gemini-3-flash", "high", {"thinkingLevel": "high", "includeThoughts": True}, ()),
        ("gemini-3-flash", "none", {"thinkingLevel": "minimal"}, ("reasoning_effort none as minimal",)),
        (
            "gemini-3.1-pro",
            "minimal",
            {"thinkingLevel": "low", "includeThoughts": True},
            ("reasoning_effort minimal as low",),
        ),
        ("gemini-3.1-pro", "none", {"thinkingLevel": "low"}, ("reasoning_effort none as low",)),
        ("gemini-2.0-flash", "high", None, ("without reasoning_effort",)),
        ("gemini-2.0-flash", "none", None, ()),
    ],
)
def test_reasoning_efforts(model: str, effort: str, thinking: Any, changes: tuple[str, ...]) -> None:
    done = translated(model, reasoning_effort=effort)
    config = orjson.loads(done.request.body).get("generationConfig")
    assert config == (thinking and {"thinkingConfig": thinking})
    assert done.changes == changes


def test_a_model_that_can_be_kept_from_thinking_is() -> None:
    config = config_of(reasoning_effort="none", changes={"thinking": Thinking.LEVEL})
    assert config == {"thinkingConfig": {"thinkingBudget": 0}}


SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
SCHEMA_FORMAT = {"type": "json_schema", "json_schema": {"name": "place", "description": "A town.", "schema": SCHEMA}}


def test_structured_output_is_geminis_own() -> None:
    done = translated(response_format=SCHEMA_FORMAT)
    assert orjson.loads(done.request.body)["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": {**SCHEMA, "description": "A town."},
    }
    assert done.emulation is None
    assert config_of(response_format={"type": "json_object"}) == {"responseMimeType": "application/json"}


@pytest.mark.parametrize("form", [SCHEMA_FORMAT, {"type": "json_object"}])
@pytest.mark.parametrize("structured", [Structured.PROMPT, Structured.TOOL, None])
def test_structured_output_by_the_prompt(structured: Structured | None, form: dict[str, Any]) -> None:
    if structured is None:
        done = translated(response_format=form, unsupported=frozenset({"response_format"}))
    else:
        done = translated(response_format=form, changes={"structured": structured})
    body = orjson.loads(done.request.body)
    assert done.emulation is not None
    assert body["systemInstruction"] == {"parts": [{"text": done.emulation.instruction}]}
    assert "generationConfig" not in body
    assert done.changes == (f"{form['type']} by the prompt",)


def test_a_schema_by_the_prompt_where_only_objects_are_geminis_own() -> None:
    done = translated(response_format=SCHEMA_FORMAT, changes={"structured": Structured.OBJECT})
    assert orjson.loads(done.request.body)["generationConfig"] == {"responseMimeType": "application/json"}
    assert done.emulation is not None


def test_what_is_nested_too_deep_goes_elsewhere() -> None:
    schema: dict[str, Any] = {}
    for _ in range(300):
        schema = {"properties": {"inner": schema}}
    assert refusal(tools=[{"type": "function", "function": {"name": "deep", "parameters": schema}}])
