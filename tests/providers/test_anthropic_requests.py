"""Calls in the words of Anthropic's Messages API; every body is checked against the types of its own SDK."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from anthropic.types.message_create_params import MessageCreateParams
from pydantic import TypeAdapter

from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.anthropic import translate
from llmrouter.providers.turn_memory import TurnMemory
from llmrouter.providers.wire import Job, Translation
from tests.providers.samples import call_of, target_of

ADAPTER: TypeAdapter[Any] = TypeAdapter(MessageCreateParams)
BUDGET, LEVEL, ALWAYS, UNFORCED = "claude-sonnet-4-5", "claude-opus-5", "claude-fable-5", "claude-sonnet-5-5"
OLD, SAMPLED = "claude-3-5-haiku", "claude-sonnet-4-6"
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
TIME = {"type": "function", "function": {"name": "time"}}
PIXEL = base64.b64encode(b"not really a picture").decode()


def job_of(model: str = LEVEL, memory: TurnMemory | None = None, unsupported: Any = (), **members: Any) -> Job:
    call, target = call_of(**members), target_of("anthropic", model=model)
    dialect = target.dialect.for_members(call.members)
    return Job(call, target, dialect, 1_795_000_000, memory or TurnMemory(), frozenset(unsupported))


def body_of(translation: Translation) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(translation.request.body)
    ADAPTER.validate_python(body, strict=True)
    return body


def told(model: str = LEVEL, **members: Any) -> tuple[dict[str, Any], list[str]]:
    """The body for a call with these members, and what was changed."""
    translation = translate(job_of(model, **members))
    return body_of(translation), list(translation.changes)


def messages_of(*messages: dict[str, Any], model: str = LEVEL, **members: Any) -> tuple[Any, Any, list[str]]:
    body, changes = told(model, messages=list(messages), **members)
    return body.get("system"), body["messages"], changes


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: Any = None, *calls: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **({"tool_calls": list(calls)} if calls else {}), **members}


def system(content: Any, role: str = "system") -> dict[str, Any]:
    return {"role": role, "content": content}


def result(content: Any, id: str = "t1") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id, "content": content}


def use(arguments: str = "{}", id: str = "t1", name: str = "weather") -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def text(words: str, **members: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **members}


def untold(model: str = LEVEL, **members: Any) -> str:
    with pytest.raises(AttemptFailed) as caught:
        translate(job_of(model, **members))
    assert caught.value.outcome is Outcome.NOT_TRANSLATABLE
    return caught.value.message


def test_the_plainest_call() -> None:
    translation = translate(job_of())
    assert body_of(translation) == {
        "model": LEVEL,
        "max_tokens": 32_000,
        "messages": [user([text("ping")])],
    }
    request = translation.request
    assert (request.method, request.url, request.stream) == ("POST", "https://api.anthropic.com/v1/messages", False)
    assert request.headers["x-api-key"] == "key-of-anthropic"
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in request.headers
    assert translation.changes == ()
    assert translation.emulation is None


def test_a_stream_is_asked_for() -> None:
    translation = translate(job_of(stream=True, stream_options={"include_usage": True}))
    assert body_of(translation)["stream"] is True
    assert translation.request.stream
    assert translation.request.headers["accept"] == "text/event-stream"
    assert translation.changes == ()


def test_limits() -> None:
    assert told(max_tokens=7)[0]["max_tokens"] == 7
    assert told(max_completion_tokens=8, max_tokens=7)[0]["max_tokens"] == 8
    assert told(OLD)[0]["max_tokens"] == 8192
    body, changes = told(max_tokens=100_000, unsupported=["max_tokens"])
    assert (body["max_tokens"], changes) == (32_000, ["max_tokens 100000 as 32000"])
    assert translate(job_of(max_completion_tokens=8)).members["max_tokens"] == "max_completion_tokens"
    job = job_of()
    bare = replace(job, dialect=replace(job.dialect, max_output_tokens=None))
    assert body_of(translate(bare))["max_tokens"] == 4096


def test_system_messages_are_hoisted_in_order_and_empty_ones_dropped() -> None:
    told_system, messages, changes = messages_of(
        system("one"), system("", "developer"), system([text("two"), text(" ")], "developer"), user("hi")
    )
    assert told_system == [text("one"), text("two")]
    assert messages == [user([text("hi")])]
    assert changes == []


def test_a_later_system_message_keeps_its_place_as_user_text() -> None:
    told_system, messages, changes = messages_of(user("hi"), assistant("hello"), system("be brief"), user("go"))
    assert told_system is None
    assert messages[2] == user([text("<system>\nbe brief\n</system>"), text("go")])
    assert changes == ["later system message as user text"]


def test_system_messages_alone_become_the_question() -> None:
    told_system, messages, changes = messages_of(system("Say hi."))
    assert told_system is None
    assert messages == [user([text("Say hi.")])]
    assert changes == ["system message as user text"]


def test_the_first_message_is_the_users() -> None:
    _, messages, changes = messages_of(system("s"), assistant("Hello, what may I do?"), user("go"))
    assert messages[0] == user([text(".")])
    assert changes == ["a user message before the first"]


def test_empty_messages_are_dropped_and_replaced_where_something_must_stand() -> None:
    assert messages_of(user(" "), user("a"), assistant(""), user([text("\n"), text("b")]))[1] == [
        user([text("a"), text("b")])
    ]
    _, messages, changes = messages_of(user("a"), assistant("b"), user(""))
    assert messages[-1] == user([text(".")])
    assert changes == ["a user message after the last"]
    assert messages_of(user(" "))[1] == [user([text(".")])]


def test_prefill() -> None:
    talk = [user("a"), assistant("The answer is \n")]
    assert "does not go on" in untold(messages=talk)
    body, changes = told(BUDGET, messages=talk, reasoning_effort="high")
    assert body["messages"][-1] == assistant([text("The answer is")])
    assert "thinking" not in body
    assert changes == ["without reasoning_effort"]


def test_tool_results_stand_in_one_message_before_all_else() -> None:
    _, messages, _ = messages_of(
        user("hi"),
        assistant("Looking.", use('{"city": "Bonn"}', "a"), use("", "b", "time")),
        result("sunny", "a"),
        system("hurry"),
        result([text("noon"), text(" ")], "b"),
        user("and?"),
        tools=[WEATHER, TIME],
    )
    assert messages[1]["content"] == [
        text("Looking."),
        {"type": "tool_use", "id": "a", "name": "weather", "input": {"city": "Bonn"}},
        {"type": "tool_use", "id": "b", "name": "time", "input": {}},
    ]
    assert messages[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "a", "content": "sunny"},
        {"type": "tool_result", "tool_use_id": "b", "content": [text("noon")]},
        text("<system>\nhurry\n</system>"),
        text("and?"),
    ]


def test_an_empty_result_has_no_content() -> None:
    _, messages, _ = messages_of(user("hi"), assistant(None, use()), result(""), tools=[WEATHER])
    assert messages[-1]["content"] == [{"type": "tool_result", "tool_use_id": "t1"}]


def test_arguments_keep_their_own_text() -> None:
    arguments = '{"n": 123456789012345678901234567890, "x": 1.0}'
    translation = translate(
        job_of(messages=[user("hi"), assistant(None, use(arguments)), result("1")], tools=[WEATHER])
    )
    assert arguments.encode() in translation.request.body


@pytest.mark.parametrize("arguments", ["{", "[1]", "null", '"a"', "{'a': 1}"])
def test_arguments_that_are_no_object_are_wrapped(arguments: str) -> None:
    _, messages, changes = messages_of(user("hi"), assistant(None, use(arguments)), result("1"), tools=[WEATHER])
    assert messages[1]["content"][0]["input"] == {"arguments": arguments}
    assert changes == ["arguments that are no JSON object as text"]


def test_ids_in_other_letters_and_ids_used_twice() -> None:
    turn = [assistant(None, use(id="functions.weather:0")), result("1", "functions.weather:0")]
    _, messages, _ = messages_of(user("hi"), *turn, *turn, user("so?"), tools=[WEATHER])
    ids = [message["content"][0]["id"] for message in messages if message["role"] == "assistant"]
    answered = [message["content"][0].get("tool_use_id") for message in messages[2::2]]
    assert ids == answered
    assert len(set(ids)) == 2
    assert all(id.replace("_", "").replace("-", "").isalnum() for id in ids)


def test_tool_names_in_other_letters_are_told_otherwise_everywhere() -> None:
    odd = {"type": "function", "function": {"name": "files.read ü"}}
    body, _ = told(
        messages=[user("hi"), assistant(None, use(name="files.read ü")), result("1")],
        tools=[odd],
        tool_choice={"type": "function", "function": {"name": "files.read ü"}},
    )
    name = body["tools"][0]["name"]
    assert name.isascii()
    assert name == body["messages"][1]["content"][0]["name"] == body["tool_choice"]["name"]


def test_tools_of_earlier_turns_are_defined_but_cannot_be_called() -> None:
    body, changes = told(messages=[user("hi"), assistant(None, use()), result("1")])
    assert body["tools"] == [{"name": "weather", "input_schema": {"type": "object", "properties": {}}}]
    assert body["tool_choice"] == {"type": "none"}
    assert changes == ["the tools of earlier turns with tool_choice none"]


def test_names_of_messages_and_reasoning_without_signature_are_dropped() -> None:
    messages = [{**user("hi"), "name": "ann"}, assistant("yes", reasoning_content="hm"), user("go")]
    assert messages_of(*messages)[2] == ["without messages[].name", "without messages[].reasoning_content"]


def test_refusals_of_earlier_turns_are_text() -> None:
    _, messages, _ = messages_of(
        user("a"),
        assistant(None, refusal="No."),
        user("b"),
        assistant([{"type": "refusal", "refusal": "Never."}]),
        user("c"),
    )
    assert [messages[1]["content"], messages[3]["content"]] == [[text("No.")], [text("Never.")]]


def picture(url: str, **members: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **members}}


def file(data: str | None, **members: Any) -> dict[str, Any]:
    return {"type": "file", "file": {"file_data": data, **members}}


def test_pictures() -> None:
    _, messages, changes = messages_of(
        user([picture(f"data:image/jpg;base64,{PIXEL}", detail="low"), picture("https://a.example/b.png"), text("?")])
    )
    assert messages[0]["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": PIXEL}},
        {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}},
        text("?"),
    ]
    assert changes == ["without image detail"]
    percent = messages_of(user([picture("data:image/png,a%20b")]))[1][0]["content"][0]
    assert base64.b64decode(percent["source"]["data"]) == b"a b"


def test_files() -> None:
    words = base64.b64encode("grüße".encode()).decode()
    _, messages, _ = messages_of(
        user(
            [
                file(f"data:application/pdf;base64,{PIXEL}", filename="a.pdf"),
                file(PIXEL),
                file(f"data:text/plain;base64,{words}"),
                file(words, filename="b.csv"),
            ]
        )
    )
    pdf = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PIXEL}}
    words_told = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "grüße"}}
    assert messages[0]["content"] == [pdf | {"title": "a.pdf"}, pdf, words_told, words_told | {"title": "b.csv"}]


@pytest.mark.parametrize(
    "part",
    [
        picture("http://a.example/b.png"),
        picture(f"data:image/tiff;base64,{PIXEL}"),
        picture("data:image/png;base64"),
        {"type": "image_url", "image_url": None},
        file(None, file_id="file-1"),
        file(f"data:application/zip;base64,{PIXEL}"),
        file("data:text/plain;base64,%%%"),
        file("data:text/plain;base64,gICA"),
        {"type": "input_audio", "input_audio": {"data": "a", "format": "wav"}},
        {"type": "text"},
        {"type": 7},
        "text",
    ],
)
def test_content_that_cannot_be_said(part: Any) -> None:
    assert untold(messages=[user([part])])


def test_messages_that_cannot_be_said() -> None:
    for messages in (
        [{"role": "function", "name": "f", "content": "1"}],
        [user("a"), assistant(None, {"id": 1}), user("b")],
        [user("a"), {"role": "assistant", "tool_calls": "x"}, user("b")],
        [user("a"), assistant(None, audio={"id": "a"}), user("b")],
        [user("a"), {"role": "tool", "content": "b"}],
        [user("a"), assistant([picture("https://a.example/b.png")]), user("b")],
        [system([picture("https://a.example/b.png")]), user("b")],
    ):
        assert untold(messages=messages)


def test_cache_breakpoints() -> None:
    mark = {"prompt_cache_breakpoint": {"mode": "explicit"}}
    messages = [
        system([text("s", **mark)]),
        user([text("a", **mark)]),
        assistant(None, use()),
        result([text("r", **mark)]),
        user([text("b", **mark), text("c", **mark)]),
    ]
    told_system, sent, changes = messages_of(*messages, tools=[WEATHER])
    cached = {"cache_control": {"type": "ephemeral"}}
    assert told_system == [text("s")]
    assert sent[0]["content"] == [text("a", **cached)]
    assert sent[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "t1", "content": [text("r")], **cached},
        text("b", **cached),
        text("c", **cached),
    ]
    assert changes == ["without the earliest prompt_cache_breakpoint"]


def test_too_deep_to_write() -> None:
    deep: Any = "x"
    for _ in range(400):
        deep = {"items": deep}
    assert untold(tools=[{"type": "function", "function": {"name": "f", "parameters": deep}}])
