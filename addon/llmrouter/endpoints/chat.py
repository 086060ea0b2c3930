"""POST /v1/chat/completions: a request's JSON becomes a Call; chunks become the stream that OpenAI's clients read."""

from collections.abc import Iterator, Mapping
from itertools import repeat
from typing import Any

from llmrouter.calls import Beginnings, Call, Caller, Endpoint, JsonObject, Need, Part, Preferences
from llmrouter.chat_members import DEFAULTS
from llmrouter.endpoints.media import PART_NEEDS, media_in
from llmrouter.endpoints.request_members import expect, expect_limit, kind_of, read, read_object
from llmrouter.errors import InvalidRequest
from llmrouter.replies import Chunk

PATH = "/v1/chat/completions"
DONE = b"data: [DONE]\n\n"

_MEDIA = frozenset(PART_NEEDS.values())
_PLAIN = {"role", "content"}
_ALWAYS = frozenset({"messages", "model"})
_FORMAT_NEEDS = {"json_schema": Need.JSON_SCHEMA, "json_object": Need.JSON_OBJECT}


def parse(body: bytes, default_model: str, *, id: str, caller: Caller, preferences: Preferences) -> Call:
    """Checks a request's body and says what it asks for; raises `InvalidRequest` where OpenAI would answer 400.

    Only what the router itself reads is checked: everything else is the provider's to judge.
    """
    fields = read_object(body, "'model' and 'messages'")
    model = expect(fields, "model", str, "a string") or default_model
    stream = bool(expect(fields, "stream", bool, "a boolean"))
    options = expect(fields, "stream_options", dict, "an object") or {}
    if options and not stream:
        raise InvalidRequest("'stream_options' is only allowed when 'stream' is true.", param="stream_options")
    needs = _needs_of_messages(fields)
    characters, media = (0, None) if needs.isdisjoint(_MEDIA) else media_in(fields["messages"])
    limits = [expect_limit(fields, name) for name in ("max_completion_tokens", "max_tokens")]
    return Call(
        id=id,
        endpoint=Endpoint.CHAT_COMPLETIONS,
        body=fields,
        model=model,
        stream=stream,
        include_usage=options.get("include_usage") is True,
        needs=frozenset(needs | _needs_of_options(fields)),
        members=asked_members(fields),
        input_characters=fields.size_of("messages") - characters + fields.size_of("tools"),
        media=media,
        max_output_tokens=next((limit for limit in limits if limit is not None), None),
        caller=caller,
        preferences=preferences,
        beginnings=Beginnings(lambda: _parts(fields)),
    )


def _parts(fields: JsonObject) -> Iterator[Part]:
    """The prompt in the order in which providers read it: what tools there are, then each message."""
    yield fields.text_of("tools")
    yield fields.text_of("functions")
    messages: list[dict[str, Any]] = fields["messages"]
    # As they were parsed before, where nothing is lost: to split a long text again takes as long as to plan for it.
    plain = [message.keys() == _PLAIN and isinstance(message["content"], str) for message in messages]
    texts = repeat(memoryview(b"")) if all(plain) else fields.items_of("messages")
    for message, is_plain, text in zip(messages, plain, texts, strict=False):
        yield (message["role"], message["content"]) if is_plain else text


def _needs_of_messages(fields: JsonObject) -> set[Need]:
    messages = expect(fields, "messages", list, "an array of objects")
    if messages is None:
        raise InvalidRequest("Missing required parameter: 'messages'.", param="messages")
    if not messages:
        raise InvalidRequest("'messages' is empty: it must hold at least one message.", param="messages")
    needs: set[Need] = set()
    for number, message in enumerate(messages):
        needs |= _needs_of_message(message, f"messages[{number}]")
    return needs


def _needs_of_message(message: Any, where: str) -> set[Need]:
    if not isinstance(message, dict):
        raise InvalidRequest(
            f"Invalid type for '{where}': expected an object, but got {kind_of(message)}.", param=where
        )
    if not isinstance(message.get("role"), str):
        raise InvalidRequest(f"Missing required parameter: '{where}.role'.", param=f"{where}.role")
    content = message.get("content")
    if content is None or isinstance(content, str):
        return set()
    if not isinstance(content, list):
        wanted = "a string or an array of content parts"
        raise InvalidRequest(
            f"Invalid type for '{where}.content': expected {wanted}, but got {kind_of(content)}.",
            param=f"{where}.content",
        )
    kinds = [part.get("type") for part in content if isinstance(part, dict)]
    return {need for kind, need in PART_NEEDS.items() if kind in kinds}


def _needs_of_options(fields: JsonObject) -> set[Need]:
    needs: set[Need] = set()
    if expect(fields, "tools", list, "an array") or expect(fields, "functions", list, "an array"):
        needs.add(Need.TOOLS)
        if read(fields, "parallel_tool_calls") is True:
            needs.add(Need.PARALLEL_TOOLS)
    form = expect(fields, "response_format", dict, "an object") or {}
    if isinstance(kind := form.get("type"), str) and kind in _FORMAT_NEEDS:
        needs.add(_FORMAT_NEEDS[kind])
    if (expect(fields, "n", int, "an integer") or 1) > 1:
        needs.add(Need.SEVERAL_CHOICES)
    if read(fields, "logprobs"):
        needs.add(Need.LOGPROBS)
    if read(fields, "seed") is not None:
        needs.add(Need.SEED)
    return needs


def asked_members(fields: JsonObject) -> frozenset[str]:
    """The members that ask for something; see `Call.members`."""
    names = {name for name in fields if name not in _ALWAYS and not fields.is_null(name)}
    names = {name for name in names if name not in DEFAULTS or read(fields, name) != DEFAULTS[name]}
    if "functions" in names:
        names.add("tools")
    if any(name in names and fields[name] != "none" for name in ("tool_choice", "function_call")):
        names.add("tool_choice:forced")
    if "reasoning_effort" in names and fields["reasoning_effort"] == "none":
        names.add("reasoning_effort:none")
    return frozenset(names)


def render_body(data: bytes) -> bytes:
    """A whole answer, which is in the client's words already."""
    return data


def render_chunk(chunk: Chunk) -> bytes:
    """One event of the stream; empty for a chunk that the client must not see."""
    return b"data: %b\n\n" % chunk.data if chunk.data else b""


def render_error(error: bytes) -> bytes:
    """The event that ends a stream which broke: OpenAI's clients raise on it, and no `[DONE]` follows."""
    return b"data: %b\n\n" % error


def headers_for(stream: bool) -> Mapping[str, str]:
    """The reply's own headers, beside the router's."""
    if stream:
        return {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
    return {"content-type": "application/json"}
