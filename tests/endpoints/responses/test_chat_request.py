"""Responses requests as chats: every row of the provider reference's sections 10.1 and 10.2."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrouter.calls import Caller, Preferences
from llmrouter.endpoints import chat
from llmrouter.endpoints.responses.chat_request import chat_body
from llmrouter.endpoints.responses.request import parse
from llmrouter.errors import InvalidRequest

FUNCTION = {"type": "function", "name": "f", "description": "does", "parameters": {"type": "object"}, "strict": True}
CUSTOM = {"type": "custom", "name": "c", "description": "runs"}


def chat_of(history: list[dict[str, Any]] | None = None, **body: Any) -> dict[str, Any]:
    text = json.dumps({"model": "m", "input": "hi"} | body).encode()
    made: dict[str, Any] = json.loads(chat_body(parse(text, "default"), history or []))
    return made


def messages(*items: dict[str, Any], **more: Any) -> Any:
    return chat_of(input=list(items), **more)["messages"]


def call(id: str, name: str = "f") -> dict[str, Any]:
    return {"type": "function_call", "call_id": id, "name": name, "arguments": "{}", "id": f"fc_{id}"}


def told_call(id: str, arguments: str = "{}", name: str = "f") -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def output(id: str, said: Any = "done") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": id, "output": said}


def test_the_shortest_request() -> None:
    assert chat_of() == {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


OPTIONS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"max_output_tokens": 9}, {"max_completion_tokens": 9}),
    ({"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning_effort": "low"}),
    ({"text": {"verbosity": "low"}}, {"verbosity": "low"}),
    ({"text": {"format": {"type": "text"}}}, {}),
    ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
    (
        {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"a": 1}, "strict": True}}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"a": 1}, "strict": True}}},
    ),
    ({"top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}),
    ({"include": ["message.output_text.logprobs"]}, {"logprobs": True}),
    ({"include": ["reasoning.encrypted_content"], "store": False, "truncation": "auto"}, {}),
    ({"temperature": 0.5, "top_p": 0.1, "user": "u"}, {"temperature": 0.5, "top_p": 0.1, "user": "u"}),
    ({"metadata": {"a": "b"}, "prompt_cache_key": "k"}, {"metadata": {"a": "b"}, "prompt_cache_key": "k"}),
    ({"parallel_tool_calls": False, "newest": 1}, {"parallel_tool_calls": False, "newest": 1}),
    ({"temperature": None, "instructions": None, "tools": None}, {}),
    ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
    ({"background": True}, {"stream": True, "stream_options": {"include_usage": True}}),
    ({"conversation": "conv_1", "max_tool_calls": 3}, {}),
]


@pytest.mark.parametrize(("body", "told"), OPTIONS)
def test_options(body: dict[str, Any], told: dict[str, Any]) -> None:
    assert chat_of(**body) == chat_of() | told


def test_tools() -> None:
    made = chat_of(tools=[FUNCTION, CUSTOM])
    function = {name: value for name, value in FUNCTION.items() if name != "type"}
    assert made["tools"][0] == {"type": "function", "function": function}
    bridge = made["tools"][1]["function"]
    assert (bridge["name"], bridge["description"], bridge["parameters"]["required"]) == ("c", "runs", ["input"])
    assert "tool_choice" not in made


def test_a_grammar_is_told_in_words() -> None:
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: A"}
    (made,) = chat_of(tools=[CUSTOM | {"format": grammar}])["tools"]
    assert made["function"]["description"] == "runs\n\nThe input must match this lark grammar:\nstart: A"


CHOICES: list[tuple[Any, Any, list[str]]] = [
    ("required", "required", ["f", "c"]),
    ({"type": "function", "name": "f"}, {"type": "function", "function": {"name": "f"}}, ["f", "c"]),
    ({"type": "custom", "name": "c"}, {"type": "function", "function": {"name": "c"}}, ["f", "c"]),
    ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "custom", "name": "c"}]}, "required", ["c"]),
]


@pytest.mark.parametrize(("choice", "told", "tools"), CHOICES)
def test_choices_of_tools(choice: Any, told: Any, tools: list[str]) -> None:
    made = chat_of(tools=[FUNCTION, CUSTOM], tool_choice=choice)
    assert made["tool_choice"] == told
    assert [tool["function"]["name"] for tool in made["tools"]] == tools


def test_a_choice_without_tools_says_nothing() -> None:
    assert "tool_choice" not in chat_of(tool_choice="none")


def test_instructions_come_first_and_history_before_input() -> None:
    said = [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "before"}]}]
    assert chat_of(said, instructions="be kind")["messages"] == [
        {"role": "developer", "content": "be kind"},
        {"role": "assistant", "content": "before"},
        {"role": "user", "content": "hi"},
    ]


def test_parts() -> None:
    content = [
        {"type": "input_text", "text": "see"},
        {"type": "input_image", "image_url": "https://x/y.png", "detail": "low"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:x"},
        {"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}},
    ]
    (message,) = messages({"role": "user", "content": content})
    assert message["content"] == [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:x"}},
        {"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}},
    ]


def test_a_refusal_stays_one() -> None:
    parts = [{"type": "refusal", "refusal": "no"}]
    told = messages({"role": "assistant", "content": parts})
    assert told == [{"role": "assistant", "content": None, "refusal": "no"}]


def test_an_answer_and_its_calls_are_one_message() -> None:
    said = {"role": "assistant", "content": "let me see"}
    assert messages(said, call("a"), call("b"), output("a"), output("b", "two")) == [
        {"role": "assistant", "content": "let me see", "tool_calls": [told_call("a"), told_call("b")]},
        {"role": "tool", "tool_call_id": "a", "content": "done"},
        {"role": "tool", "tool_call_id": "b", "content": "two"},
    ]


def test_calls_after_outputs_are_another_message() -> None:
    made = messages(call("a"), output("a"), call("b"), output("b"))
    assert [message["role"] for message in made] == ["assistant", "tool", "assistant", "tool"]


THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}


@pytest.mark.parametrize("between", [THOUGHT, {"role": "assistant", "content": "\n"}])
def test_nothing_stands_between_calls_and_their_outputs(between: dict[str, Any]) -> None:
    for items in (
        [call("a"), between, call("b"), output("a"), output("b")],
        [call("a"), call("b"), between, output("a"), output("b")],
    ):
        made = messages(*items)
        assert [message["role"] for message in made] == ["assistant", "tool", "tool"]
        assert [one["id"] for one in made[0]["tool_calls"]] == ["a", "b"]
        assert made[0].get("reasoning_content") == ("hm" if between is THOUGHT else None)


def test_a_thought_that_led_to_nothing_is_not_anothers() -> None:
    made = messages(THOUGHT, {"role": "user", "content": "x"}, {"role": "assistant", "content": "y"})
    assert "reasoning_content" not in made[1]


def test_custom_calls_are_bridged() -> None:
    item = {"type": "custom_tool_call", "call_id": "a", "name": "c", "input": 'print("x")'}
    done = {"type": "custom_tool_call_output", "call_id": "a", "output": "x"}
    assert messages(item, done) == [
        {"role": "assistant", "content": None, "tool_calls": [told_call("a", '{"input":"print(\\"x\\")"}', "c")]},
        {"role": "tool", "tool_call_id": "a", "content": "x"},
    ]


def test_pictures_of_tools_follow_all_outputs() -> None:
    picture = {"type": "input_image", "image_url": "data:x"}
    made = messages(call("a"), call("b"), output("a", [{"type": "input_text", "text": "t"}, picture]), output("b"))
    assert made[1:] == [
        {"role": "tool", "tool_call_id": "a", "content": "t"},
        {"role": "tool", "tool_call_id": "b", "content": "done"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]},
    ]


def test_thoughts_go_with_the_answer_that_they_precede() -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
    summed = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "so"}]}
    secret = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}
    assert messages(thought, call("a"))[0]["reasoning_content"] == "hm"
    assert messages(summed, {"role": "assistant", "content": "a"})[0]["reasoning_content"] == "so"
    assert "reasoning_content" not in messages(secret, call("a"))[0]


def test_a_message_without_parts_says_nothing() -> None:
    assert messages({"role": "user", "content": []}) == [{"role": "user", "content": ""}]


def test_what_openais_own_tools_did_is_told_by_the_answer_after_it() -> None:
    searched = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}}
    said = {"role": "assistant", "content": "news"}
    assert messages({"role": "user", "content": "news?"}, searched, said) == [
        {"role": "user", "content": "news?"},
        {"role": "assistant", "content": "news"},
    ]


def test_nothing_to_answer_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="nothing to answer"):
        messages()


text = st.text(max_size=5)
part = st.fixed_dictionaries(
    {"type": st.sampled_from(["input_text", "output_text", "refusal", "input_image", "input_file", "other"])},
    optional={"text": text, "refusal": text, "image_url": text, "file_data": text, "file_id": text},
)
item = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["message", "function_call", "function_call_output", "reasoning", "custom_tool_call"]),
        "role": st.sampled_from(["user", "assistant", "developer", "boss"]),
        "content": text | st.lists(part, max_size=3),
        "call_id": text,
        "name": text,
        "arguments": text,
        "input": text,
        "output": text | st.lists(part, max_size=3),
        "summary": st.lists(st.fixed_dictionaries({"text": text}), max_size=2),
    },
)


@given(st.lists(item, min_size=1, max_size=6))
def test_whatever_comes_is_refused_or_is_a_chat(items: list[dict[str, Any]]) -> None:
    try:
        request = parse(json.dumps({"model": "m", "input": items}).encode(), "default")
        if request.hosted_tools:
            return
        body = chat_body(request, [])
    except InvalidRequest:
        return
    chat.parse(body, "", id="r", caller=Caller(), preferences=Preferences())
