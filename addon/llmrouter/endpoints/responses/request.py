"""POST /v1/responses: a request's JSON, checked (provider reference, sections 10.1 and 10.7)."""

from dataclasses import dataclass
from typing import Any

from llmrouter.calls import JsonObject
from llmrouter.endpoints.request_members import expect, expect_limit, kind_of, read, read_object
from llmrouter.endpoints.responses.request_items import checked_items
from llmrouter.endpoints.responses.request_tools import check_choice, check_tools
from llmrouter.errors import InvalidRequest

Item = dict[str, Any]

INCLUDABLE = frozenset(
    {
        "file_search_call.results",
        "web_search_call.results",
        "web_search_call.action.sources",
        "message.input_image.image_url",
        "computer_call_output.output.image_url",
        "code_interpreter_call.outputs",
        "reasoning.encrypted_content",
        "message.output_text.logprobs",
    }
)
"""What a client may want beside the answer (OpenAI's SDK, `response_includable.py`)."""

ECHOED = (
    "conversation",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
)
"""What a response repeats of its request."""

_FORMATS = ("text", "json_object", "json_schema")
_MOST_PAIRS, _LONGEST_KEY, _LONGEST_VALUE = 16, 64, 512
_MOST_LOGPROBS = 20


@dataclass(frozen=True, slots=True)
class ResponsesRequest:
    """A request, checked; `fields` is the JSON as it was sent.

    `input` are items in their full form. `hosted_tools` names what of it only OpenAI can do: tools, kinds of items,
    files by their ids, and prompt templates.
    """

    fields: JsonObject
    model: str
    input: list[Item]
    instructions: str | None
    previous_response_id: str | None
    conversation: str | None
    store: bool
    background: bool
    stream: bool
    include: frozenset[str]
    truncation: str
    metadata: dict[str, str]
    hosted_tools: tuple[str, ...]


def parse(body: bytes, default_model: str) -> ResponsesRequest:
    """Checks a request's body; raises `InvalidRequest` where OpenAI would answer 400.

    Only what the router itself reads is checked: everything else is the provider's to judge.
    """
    fields = read_object(body, "'model' and 'input'")
    items, hosted = checked_items(_input(fields))
    tools = expect(fields, "tools", list, "an array of tools") or []
    hosted += check_tools(tools)
    hosted += check_choice(read(fields, "tool_choice"), tools)
    if expect(fields, "prompt", dict, "an object") is not None:
        hosted.append("prompt")
    _check_options(fields)
    previous, conversation = _goes_on_from(fields)
    return ResponsesRequest(
        fields=fields,
        model=expect(fields, "model", str, "a string") or default_model,
        input=items,
        instructions=expect(fields, "instructions", str, "a string"),
        previous_response_id=previous,
        conversation=conversation,
        store=expect(fields, "store", bool, "a boolean") is not False,
        background=bool(expect(fields, "background", bool, "a boolean")),
        stream=bool(expect(fields, "stream", bool, "a boolean")),
        include=_include(fields),
        truncation=_one_of(fields, "truncation", ("auto", "disabled")) or "disabled",
        metadata=_metadata(fields),
        hosted_tools=tuple(dict.fromkeys(hosted)),
    )


def echoed(request: ResponsesRequest) -> dict[str, Any]:
    """The members that the response repeats, as they were sent."""
    return {name: request.fields[name] for name in ECHOED if name in request.fields}


def custom_tools(request: ResponsesRequest) -> frozenset[str]:
    """The names of the tools that take a text, and no JSON object."""
    tools = request.fields.get("tools") or ()
    return frozenset(tool["name"] for tool in tools if tool["type"] == "custom")


def _input(fields: JsonObject) -> list[Any]:
    given = read(fields, "input")
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    if isinstance(given, list):
        return given
    if given is not None:
        wanted = "a string or an array of input items"
        raise InvalidRequest(f"Invalid type for 'input': expected {wanted}, but got {kind_of(given)}.", param="input")
    if all(read(fields, name) is None for name in ("previous_response_id", "conversation", "prompt")):
        raise InvalidRequest("Missing required parameter: 'input'.", param="input")
    return []


def _goes_on_from(fields: JsonObject) -> tuple[str | None, str | None]:
    """The response or the conversation that comes before."""
    previous = expect(fields, "previous_response_id", str, "a string")
    conversation = read(fields, "conversation")
    if isinstance(conversation, dict):
        conversation = conversation.get("id")
        if not isinstance(conversation, str):
            raise InvalidRequest("Missing required parameter: 'conversation.id'.", param="conversation.id")
    elif conversation is not None and not isinstance(conversation, str):
        wanted = "a string or an object with an 'id'"
        text = f"Invalid type for 'conversation': expected {wanted}, but got {kind_of(conversation)}."
        raise InvalidRequest(text, param="conversation")
    if previous is not None and conversation is not None:
        text = "'previous_response_id' and 'conversation' exclude each other: give one of them."
        raise InvalidRequest(text, param="previous_response_id")
    return previous, conversation


def _check_options(fields: JsonObject) -> None:
    stream, store = read(fields, "stream"), read(fields, "store")
    if expect(fields, "stream_options", dict, "an object") and stream is not True:
        raise InvalidRequest("'stream_options' is only allowed when 'stream' is true.", param="stream_options")
    if read(fields, "background") is True and store is False:
        raise InvalidRequest("'background' needs 'store': nobody could ask for the answer.", param="background")
    expect_limit(fields, "max_output_tokens")
    expect(fields, "parallel_tool_calls", bool, "a boolean")
    _number(fields, "temperature", 2)
    _number(fields, "top_p", 1)
    _number(fields, "top_logprobs", _MOST_LOGPROBS)
    expect(fields, "top_logprobs", int, "an integer")
    reasoning = expect(fields, "reasoning", dict, "an object") or {}
    if not isinstance(reasoning.get("effort"), str | None):
        raise InvalidRequest("'reasoning.effort' must be a string.", param="reasoning.effort")
    _check_text(expect(fields, "text", dict, "an object") or {})


def _check_text(text: dict[str, Any]) -> None:
    if not isinstance(text.get("verbosity"), str | None):
        raise InvalidRequest("'text.verbosity' must be a string.", param="text.verbosity")
    form = text.get("format")
    if form is None:
        return
    if not isinstance(form, dict) or form.get("type") not in _FORMATS:
        told = ", ".join(f"'{name}'" for name in _FORMATS)
        raise InvalidRequest(f"'text.format.type' must be one of {told}.", param="text.format.type")
    if form["type"] == "json_schema":
        for name, kind, wanted in (("name", str, "a string"), ("schema", dict, "an object")):
            if not isinstance(form.get(name), kind):
                raise InvalidRequest(f"'text.format.{name}' must be {wanted}.", param=f"text.format.{name}")
        if not isinstance(form.get("strict"), bool | None):
            raise InvalidRequest("'text.format.strict' must be a boolean.", param="text.format.strict")


def _number(fields: JsonObject, name: str, most: float) -> None:
    value = read(fields, name)
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise InvalidRequest(f"'{name}' must be a number from 0 to {most}.", param=name)


def _one_of(fields: JsonObject, name: str, words: tuple[str, ...]) -> str | None:
    value: str | None = expect(fields, name, str, "a string")
    if value is not None and value not in words:
        told = " and ".join(f"'{word}'" for word in words)
        raise InvalidRequest(f"Invalid value: '{value[:100]}'. Supported values are: {told}.", param=name)
    return value


def _include(fields: JsonObject) -> frozenset[str]:
    wanted = expect(fields, "include", list, "an array of strings") or []
    for number, name in enumerate(wanted):
        if not isinstance(name, str) or name not in INCLUDABLE:
            told = ", ".join(f"'{one}'" for one in sorted(INCLUDABLE))
            text = f"Invalid value: '{str(name)[:100]}'. Supported values are: {told}."
            raise InvalidRequest(text, param=f"include[{number}]")
    return frozenset(wanted)


def _metadata(fields: JsonObject) -> dict[str, str]:
    given = expect(fields, "metadata", dict, "an object") or {}
    if len(given) > _MOST_PAIRS:
        raise InvalidRequest(f"'metadata' can hold {_MOST_PAIRS} pairs at most, not {len(given)}.", param="metadata")
    for key, value in given.items():
        if len(key) > _LONGEST_KEY:
            raise InvalidRequest(f"A key of 'metadata' can have {_LONGEST_KEY} characters at most.", param="metadata")
        if not isinstance(value, str) or len(value) > _LONGEST_VALUE:
            text = f"'metadata.{key}' must be a string of {_LONGEST_VALUE} characters at most."
            raise InvalidRequest(text, param=f"metadata.{key}")
    return given
