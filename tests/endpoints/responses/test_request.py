"""Requests of the Responses API: what is right, what is refused in which words, and what only OpenAI can do."""

import json
from typing import Any

import pytest

from llmrouter.endpoints.responses.request import ResponsesRequest, custom_tools, echoed, parse
from llmrouter.errors import InvalidRequest

FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object"}}


def read(**body: Any) -> ResponsesRequest:
    return parse(json.dumps({"model": "m", "input": "hi"} | body).encode(), "default")


def test_a_text_is_a_message() -> None:
    request = read()
    assert request.input == [{"type": "message", "role": "user", "content": "hi"}]
    assert (request.model, request.store, request.stream, request.background) == ("m", True, False, False)
    assert parse(b'{"input": "hi"}', "default").model == "default"


def test_an_easy_message_gets_its_type() -> None:
    assert read(input=[{"role": "user", "content": "hi"}]).input[0]["type"] == "message"
    assert read(input=[{"id": "msg_1"}]).input[0]["type"] == "item_reference"


def test_a_conversation_is_named_or_an_object() -> None:
    assert read(conversation="conv_1").conversation == "conv_1"
    assert read(conversation={"id": "conv_1"}).conversation == "conv_1"


@pytest.mark.parametrize("more", [{"previous_response_id": "resp_1"}, {"conversation": "conv_1"}])
def test_input_may_be_missing_where_something_came_before(more: dict[str, Any]) -> None:
    assert read(input=None, **more).input == []


ALLOWED = "tool_choice.tools[0]"
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"input": None}, "input", "Missing required parameter: 'input'."),
    ({"input": 3}, "input", "expected a string or an array of input items, but got a number"),
    ({"input": [3]}, "input[0]", "expected an object, but got a number"),
    ({"input": [{"role": "boss", "content": "x"}]}, "input[0].role", "Invalid value: 'boss'"),
    ({"input": [{"role": "user", "content": 3}]}, "input[0].content", "a string or an array of content parts"),
    ({"input": [{"role": "user", "content": [{}]}]}, "input[0].content[0].type", "Missing required"),
    ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text", "a string"),
    ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0].image_url", "Missing"),
    ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id", "Missing required"),
    ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input[0].output", "but got null"),
    ({"input": [{"type": "function_call", "call_id": "c", "name": "f"}]}, "input[0].arguments", "Missing required"),
    ({"input": [{"type": "custom_tool_call", "call_id": "c", "name": "f"}]}, "input[0].input", "Missing required"),
    ({"input": [{"type": 3}]}, "input[0].type", "must be a string"),
    ({"previous_response_id": "r", "conversation": "c"}, "previous_response_id", "exclude each other"),
    ({"conversation": {}}, "conversation.id", "Missing required"),
    ({"conversation": 3}, "conversation", "a string or an object with an 'id', but got a number"),
    ({"background": True, "store": False}, "background", "needs 'store'"),
    ({"stream_options": {"include_obfuscation": False}}, "stream_options", "only allowed when 'stream' is true"),
    ({"tools": [3]}, "tools[0]", "expected an object"),
    ({"tools": [{}]}, "tools[0].type", "Missing required"),
    ({"tools": [{"type": "function"}]}, "tools[0].name", "Missing required"),
    ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools[0].name", "not in 'function'"),
    ({"tools": [FUNCTION, FUNCTION]}, "tools[1].name", "Two tools are named 'f'"),
    ({"tools": [FUNCTION | {"parameters": "x"}]}, "tools[0].parameters", "must be an object"),
    ({"text": {"verbosity": {}}}, "text.verbosity", "must be a string"),
    (
        {"text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": "yes"}}},
        "text.format.strict",
        "must be a boolean",
    ),
    (
        {"input": [{"role": "assistant", "content": [{"type": "input_image", "image_url": "data:,"}]}]},
        "input[0].content[0].type",
        "Supported values are: 'output_text' and 'refusal'",
    ),
    ({"tool_choice": "maybe"}, "tool_choice", "must be one of 'none', 'auto', 'required'"),
    ({"tool_choice": {"type": "function"}}, "tool_choice.name", "Missing required"),
    ({"tool_choice": {"type": "function", "name": "g"}, "tools": [FUNCTION]}, "tool_choice", "is not in 'tools'"),
    ({"tool_choice": "required"}, "tool_choice", "there are no 'tools'"),
    ({"tool_choice": {"type": "allowed_tools", "tools": [{"type": "function", "name": "g"}]}}, ALLOWED, "not in"),
    ({"tool_choice": {"type": "allowed_tools", "tools": [{"type": "function", "name": ["f"]}]}}, ALLOWED, "not in"),
    ({"tool_choice": {"type": "allowed_tools", "tools": [3]}}, ALLOWED, "expected an object"),
    ({"tool_choice": {"type": "allowed_tools", "mode": 7, "tools": [FUNCTION]}}, "tool_choice.mode", "'auto' or"),
    ({"tools": [{"type": "custom", "name": "c", "format": "text"}]}, "tools[0].format", "must be an object"),
    ({"input": [{"type": "reasoning", "summary": 3}]}, "input[0].summary", "expected an array"),
    ({"input": [{"type": "reasoning", "content": 3}]}, "input[0].content", "expected an array"),
    ({"top_logprobs": 1.5}, "top_logprobs", "expected an integer"),
    ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice.tools", "Missing required"),
    ({"text": {"format": {"type": "xml"}}}, "text.format.type", "must be one of"),
    ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name", "must be a string"),
    ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema", "must be an object"),
    ({"include": ["all"]}, "include[0]", "Invalid value: 'all'"),
    ({"include": [{}]}, "include[0]", "Invalid value"),
    ({"truncation": "some"}, "truncation", "Supported values are: 'auto' and 'disabled'"),
    ({"metadata": {str(n): "x" for n in range(17)}}, "metadata", "16 pairs at most, not 17"),
    ({"metadata": {"k" * 65: "x"}}, "metadata", "64 characters"),
    ({"metadata": {"k": "x" * 513}}, "metadata.k", "512 characters"),
    ({"metadata": {"k": 1}}, "metadata.k", "must be a string"),
    ({"temperature": 3}, "temperature", "a number from 0 to 2"),
    ({"top_p": True}, "top_p", "a number from 0 to 1"),
    ({"top_logprobs": 21}, "top_logprobs", "from 0 to 20"),
    ({"max_output_tokens": 0}, "max_output_tokens", "at least 1"),
    ({"reasoning": {"effort": 3}}, "reasoning.effort", "must be a string"),
    ({"store": "yes"}, "store", "expected a boolean"),
]


@pytest.mark.parametrize(("body", "param", "told"), REFUSED)
def test_what_is_wrong_is_told(body: dict[str, Any], param: str, told: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(**body)
    assert caught.value.param == param
    assert told in caught.value.message


HOSTED: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"tools": [FUNCTION, {"type": "custom", "name": "c"}]}, ()),
    ({"tools": [{"type": "web_search"}, FUNCTION, {"type": "mcp", "server_label": "x"}]}, ("web_search", "mcp")),
    ({"input": [{"type": "computer_call_output", "call_id": "c", "output": {}}]}, ("computer_call_output",)),
    ({"prompt": {"id": "pmpt_1"}}, ("prompt",)),
    ({"tools": [FUNCTION], "tool_choice": {"type": "web_search"}}, ("web_search",)),
    ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}, ("input_file by file_id",)),
    ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, ("input_image by file_id",)),
    ({"input": [{"role": "user", "content": [{"type": "input_file", "file_data": "data:,"}]}]}, ()),
]


@pytest.mark.parametrize(("body", "hosted"), HOSTED)
def test_what_only_openai_has(body: dict[str, Any], hosted: tuple[str, ...]) -> None:
    assert read(**body).hosted_tools == hosted


def test_what_a_response_repeats() -> None:
    told = echoed(read(instructions="be kind", temperature=0.5, unknown=1, tools=[FUNCTION]))
    assert told == {"instructions": "be kind", "temperature": 0.5, "tools": [FUNCTION]}


def test_tools_that_take_a_text() -> None:
    assert custom_tools(read(tools=[FUNCTION, {"type": "custom", "name": "c"}])) == {"c"}
    assert custom_tools(read()) == frozenset()
