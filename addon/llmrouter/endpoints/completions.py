"""POST /v1/completions, which came before chat: a prompt becomes one message of a chat, and its answer text again.

OpenAI has shut its own models of this endpoint down; this keeps old apps alive (provider reference, section 12).
"""

from typing import Any

import orjson

from llmrouter.calls import Call, Caller, Endpoint, JsonObject, Need, Preferences
from llmrouter.chat_members import SEVERAL_PROMPTS, TEXT_ONLY, TOKEN_PROMPT
from llmrouter.endpoints.chat import asked_members
from llmrouter.endpoints.request_members import expect, expect_limit, kind_of, read, read_object
from llmrouter.errors import InvalidRequest
from llmrouter.replies import Chunk

PATH = "/v1/completions"
_OBJECT = "text_completion"
_MOST_LOGPROBS = 5
_CHARACTERS_PER_TOKEN = 4
_WITHOUT = frozenset({"prompt", "logprobs", *TEXT_ONLY})


def parse(body: bytes, default_model: str, *, id: str, caller: Caller, preferences: Preferences) -> Call:
    """Checks a request's body; raises `InvalidRequest` where OpenAI would answer 400.

    The call's body is the client's own, and the messages that stand for its prompt.
    """
    sent = read_object(body, "'model' and 'prompt'")
    model = expect(sent, "model", str, "a string") or default_model
    stream = bool(expect(sent, "stream", bool, "a boolean"))
    options = expect(sent, "stream_options", dict, "an object") or {}
    if options and not stream:
        raise InvalidRequest("'stream_options' is only allowed when 'stream' is true.", param="stream_options")
    prompts = _prompts(sent)
    count, best_of = expect(sent, "n", int, "an integer") or 1, expect(sent, "best_of", int, "an integer")
    if best_of is not None and (best_of < count or stream):
        raise InvalidRequest("'best_of' must be at least 'n', and cannot be streamed.", param="best_of")
    text = prompts[0] if isinstance(prompts[0], str) else ""
    fields = JsonObject(sent.encode({"messages": [{"role": "user", "content": text}]}))
    return Call(
        id=id,
        endpoint=Endpoint.COMPLETIONS,
        body=fields,
        model=model,
        stream=stream,
        include_usage=options.get("include_usage") is True,
        needs=_needs(sent, count),
        members=_members(sent, prompts, best_of),
        input_characters=sum(len(p) if isinstance(p, str) else len(p) * _CHARACTERS_PER_TOKEN for p in prompts),
        max_output_tokens=expect_limit(sent, "max_tokens", 0),
        caller=caller,
        preferences=preferences,
    )


def _prompts(fields: JsonObject) -> list[Any]:
    """The prompts, each a text or an array of tokens; raises `InvalidRequest`."""
    value = read(fields, "prompt")
    if value is None:
        raise InvalidRequest("Missing required parameter: 'prompt'.", param="prompt")
    if isinstance(value, str) or (isinstance(value, list) and value and all(map(_is_token, value))):
        return [value]
    if not isinstance(value, list) or not value:
        wanted = "a string, an array of strings, or an array of tokens"
        raise InvalidRequest(f"Invalid type for 'prompt': expected {wanted}, but got {kind_of(value)}.", param="prompt")
    for number, item in enumerate(value):
        if not isinstance(item, str) and not (isinstance(item, list) and item and all(map(_is_token, item))):
            raise InvalidRequest(f"'prompt[{number}]' must be a string or an array of tokens.", param="prompt")
    return value


def _is_token(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _needs(fields: JsonObject, count: int) -> frozenset[Need]:
    logprobs = expect(fields, "logprobs", int, "an integer")
    if logprobs is not None and not 0 <= logprobs <= _MOST_LOGPROBS:
        raise InvalidRequest(f"'logprobs' must be from 0 to {_MOST_LOGPROBS}.", param="logprobs")
    asked = {
        Need.SEVERAL_CHOICES: count > 1,
        Need.LOGPROBS: logprobs is not None,
        Need.SEED: read(fields, "seed") is not None,
    }
    return frozenset(need for need, is_asked in asked.items() if is_asked)


def _members(fields: JsonObject, prompts: list[Any], best_of: int | None) -> frozenset[str]:
    """As `Call.members`; what a text completion alone has stands there only where it asks for something."""
    names = set(asked_members(fields) - _WITHOUT)
    if expect(fields, "echo", bool, "a boolean"):
        names.add("echo")
    if expect(fields, "suffix", str, "a string"):
        names.add("suffix")
    if best_of is not None and best_of > 1:
        names.add("best_of")
    if read(fields, "logprobs") is not None:
        names.add("logprobs")
    if len(prompts) > 1:
        names.add(SEVERAL_PROMPTS)
    if not all(isinstance(prompt, str) for prompt in prompts):
        names.add(TOKEN_PROMPT)
    return frozenset(names)


def render_body(data: bytes) -> bytes:
    """A chat completion as the text completion that the client asked for."""
    fields = orjson.loads(data)
    choices = [_whole_choice(choice) for choice in fields["choices"]]
    return orjson.dumps({**fields, "id": _id(fields), "object": _OBJECT, "choices": choices})


def render_chunk(chunk: Chunk) -> bytes:
    """One event of the stream; empty for a chunk that says nothing in a text completion."""
    if not chunk.data:
        return b""
    fields = orjson.loads(chunk.data)
    choices = [_piece(choice) for choice in fields["choices"]]
    told = [choice for choice in choices if choice["text"] or choice["finish_reason"] or choice["logprobs"]]
    if not told and choices:
        return b""
    return b"data: %b\n\n" % orjson.dumps({**fields, "id": _id(fields), "object": _OBJECT, "choices": told})


def _id(fields: dict[str, Any]) -> str:
    return "cmpl-" + str(fields.get("id", "")).removeprefix("chatcmpl-").removeprefix("cmpl-")


def _whole_choice(choice: dict[str, Any]) -> dict[str, Any]:
    return _choice(choice, choice["message"].get("content") or "")


def _piece(choice: dict[str, Any]) -> dict[str, Any]:
    return _choice(choice, (choice.get("delta") or {}).get("content") or "")


def _choice(choice: dict[str, Any], text: str) -> dict[str, Any]:
    return {
        "index": choice.get("index", 0),
        "text": text,
        "logprobs": _logprobs(choice.get("logprobs")),
        "finish_reason": choice.get("finish_reason"),
    }


def _logprobs(told: dict[str, Any] | None) -> dict[str, Any] | None:
    """Log probabilities in the form of text completions; those of a target that has the endpoint are so already."""
    if told is None or not isinstance(content := told.get("content"), list):
        return told if told and "tokens" in told else None
    tokens = [item["token"] for item in content]
    offsets = [sum(map(len, tokens[:number])) for number in range(len(tokens))]
    return {
        "tokens": tokens,
        "token_logprobs": [item["logprob"] for item in content],
        "top_logprobs": [{top["token"]: top["logprob"] for top in item.get("top_logprobs") or ()} for item in content],
        "text_offset": offsets,
    }
