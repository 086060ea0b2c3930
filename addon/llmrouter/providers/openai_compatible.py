"""The wire format of OpenAI's chat completions, as OpenAI and everyone who copied it speak it.

What the provider sent goes to the client byte for byte; only the model's name is put back to the one that was asked
for, and usage that was not asked for is taken out. The tolerances are those of the provider reference, sections 2.2,
3 and 15, 2026-11-23.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from llmrouter import __version__
from llmrouter.calls import Call, JsonObject
from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.failures import classify_inside
from llmrouter.providers.wire import UpstreamRequest
from llmrouter.replies import Chunk, Reply, Usage
from llmrouter.sse import Event, SseDecoder, SseError
from llmrouter.targets import Target

_PATH = "/chat/completions"
_FAILED_ENDS = frozenset({"error", "abort", "insufficient_system_resource"})
"""Finish reasons by which OpenRouter, vLLM and DeepSeek say that the answer was cut off by a failure."""

_CONTENT = ("content", "tool_calls", "refusal", "reasoning_content", "reasoning", "function_call", "audio")
_HEAD_BYTES = 4096


def prepare(call: Call, target: Target) -> UpstreamRequest:
    """The request to send to the target: the client's body with what must differ there, and headers made from nothing.

    None of the client's headers is handed on, save its credential and OpenAI's own two where `uses_caller_key` says
    that it is OpenAI. The caller's authorization is the whole header value; a bare key gets `Bearer` before it.
    """
    return UpstreamRequest(
        method="POST",
        url=target.base_url.rstrip("/") + _PATH,
        headers=_headers(call, target),
        body=_body(call, target),
        stream=call.stream,
    )


def _headers(call: Call, target: Target) -> dict[str, str]:
    headers = {
        "content-type": "application/json",
        "accept": "text/event-stream" if call.stream else "application/json",
        "user-agent": f"llmrouter/{__version__}",
    }
    if target.uses_caller_key:
        headers |= {name.lower(): value for name, value in call.caller.openai_headers.items()}
        if call.caller.authorization is not None:
            value = call.caller.authorization.get_secret_value()
            headers["authorization"] = value if " " in value else f"Bearer {value}"
    elif target.credential is not None:
        headers["authorization"] = f"Bearer {target.credential.get_secret_value()}"
    headers |= {name.lower(): value for name, value in target.extra_headers.items()}
    return headers


def _body(call: Call, target: Target) -> bytes:
    body, brand = call.body, target.brand
    replace: dict[str, Any] = {"model": target.model}
    without = set(brand.drops)
    for name, other_name in brand.renames:
        if name in body:
            without.add(name)
            if body[name] is not None:
                replace[other_name] = body[name]
    if not brand.asks_for_usage:
        without.add("stream_options")
    elif call.stream:
        options = body.get("stream_options")
        replace["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
    if not brand.knows_developer and (messages := _without_developer(body.get("messages"))) is not None:
        replace["messages"] = messages
    return body.encode(replace, frozenset(without))


def _without_developer(messages: Any) -> list[Any] | None:
    """The messages with the role `developer` told as `system`; None where there is none of it."""
    if not isinstance(messages, list):
        return None
    if not any(isinstance(message, dict) and message.get("role") == "developer" for message in messages):
        return None
    return [
        {**message, "role": "system"} if isinstance(message, dict) and message.get("role") == "developer" else message
        for message in messages
    ]


def read_reply(data: bytes, call: Call) -> Reply:
    """The complete answer in this body; white space before the JSON is keep-alive, and is dropped.

    Raises `AttemptFailed`: BAD_REPLY where the body is empty, no JSON, or has no choices, else what an error inside it
    tells.
    """
    data = data.removeprefix(b"\xef\xbb\xbf").strip()
    fields = _parsed(data)
    if not isinstance(fields, dict) or fields.get("error"):
        raise classify_inside(fields)
    choices = fields.get("choices")
    if not isinstance(choices, list) or not choices:
        raise _without_choices(fields)
    for choice in choices:
        if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
            raise _bad("the provider's answer has a choice without a message")
        if _finish_reason(choice) in _FAILED_ENDS:
            raise _bad("the provider ended its answer with a failure")
    return Reply(_with_model(data, fields, call.model), Usage.from_openai(fields.get("usage")))


class ChunkDecoder:
    """Decodes one stream of a provider, for one call.

    `feed` takes the bytes as they come, `finish` is called at their end. Both raise `AttemptFailed`: BAD_REPLY for
    what is malformed or ends too early, else what an error in the stream tells. An answer has really ended when every
    choice that appeared has told why it finished; `[DONE]` alone is no end, and an end needs no `[DONE]`.
    """

    __slots__ = ("_call", "_ended", "_events", "_head", "_model", "done")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._model = orjson.dumps(call.model)
        self._events = SseDecoder()
        self._ended: dict[int, bool] = {}
        self._head: bytes | None = b""
        self.done = False
        """Whether `[DONE]` came after a real end; what follows it is not looked at."""

    def feed(self, data: bytes) -> list[Chunk]:
        """The chunks that these bytes complete."""
        if self.done:
            return []
        if self._head is not None:
            self._head = (self._head + data)[:_HEAD_BYTES]
        try:
            events = self._events.feed(data)
        except SseError as error:
            raise _bad(f"the provider's stream is malformed: {error}") from error
        return self._decode(events) if events else []

    def finish(self) -> list[Chunk]:
        """The chunks that the end of the stream completes; what is cut off after the answer's real end is dropped."""
        if self.done:
            return []
        had_ended = self._has_ended()
        try:
            chunks = self._decode(self._events.finish())
        except AttemptFailed:
            if had_ended:
                return []
            raise
        if not self._has_ended():
            raise self._cut_off()
        return chunks

    def _has_ended(self) -> bool:
        return bool(self._ended) and all(self._ended.values())

    def _cut_off(self) -> AttemptFailed:
        """Why there is no real end: often the body is no stream, but an error or a web page with status 200."""
        if self._head is None:
            return _bad("the provider's stream ended before the answer did")
        head = self._head.strip()
        if head.startswith(b":"):
            return _bad("the provider's stream ended before the answer began")
        try:
            told = _parsed(head)
        except AttemptFailed as failed:
            return failed
        return classify_inside(told)

    def _decode(self, events: list[Event]) -> list[Chunk]:
        self._head = None if events else self._head
        chunks = []
        for event in events:
            data = event.data.strip()
            if data.startswith(b"[DONE]"):
                if not self._has_ended():
                    raise _bad("the provider's stream ended before the answer did")
                self.done = True
                break
            if data:
                chunks.append(self._chunk(data, event.event))
        return chunks

    def _chunk(self, data: bytes, name: str) -> Chunk:
        fields = _parsed(data)
        if not isinstance(fields, dict) or name == "error" or _error_of(fields):
            raise classify_inside(_error_of(fields) or fields)
        choices = fields.get("choices") or ()
        if not isinstance(choices, list | tuple):
            raise _bad("the provider's stream has choices that are no list")
        is_content = False
        for choice in choices:
            is_content |= self._read_choice(choice)
        return Chunk(self._visible(data, fields, is_content), is_content, _usage(fields), fields)

    def _read_choice(self, choice: Any) -> bool:
        """Keeps in mind whether the choice has ended; returns whether it carries content or its end."""
        if not isinstance(choice, dict):
            raise _bad("the provider's stream has a choice that is no object")
        index = choice.get("index")
        index = index if isinstance(index, int) else 0
        reason = _finish_reason(choice)
        if reason is None:
            self._ended.setdefault(index, False)
        elif reason in _FAILED_ENDS:
            raise _bad("the provider ended its answer with a failure")
        else:
            self._ended[index] = True
        delta = _inside(choice, "delta")
        return reason is not None or any(delta.get(name) for name in _CONTENT)

    def _visible(self, data: bytes, fields: Mapping[str, Any], is_content: bool) -> bytes:
        """The chunk as the client gets it: without usage, or not at all, where the client did not ask for it."""
        if not self._call.include_usage:
            if not fields.get("choices"):
                return b""
            if fields.get("usage"):
                if not is_content and self._has_ended():
                    return b""
                return JsonObject(data).encode({"model": self._call.model}, frozenset({"usage"}))
        if b"\n" in data:
            # Between the members only: inside a JSON text a line feed is always escaped.
            data = data.replace(b"\n", b" ")
        return _with_model(data, fields, self._call.model, self._model)


def _parsed(data: bytes) -> Any:
    if not data:
        raise _bad("the provider sent an empty answer")
    if data.startswith(b"<"):
        raise classify_inside(data.decode("utf-8", "replace"))
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise _bad("the provider sent an answer that is no valid JSON") from error


def _bad(message: str) -> AttemptFailed:
    return AttemptFailed(Outcome.BAD_REPLY, message)


def _without_choices(fields: Mapping[str, Any]) -> AttemptFailed:
    failed = classify_inside(fields)
    if failed.outcome is Outcome.BAD_REPLY:
        failed.message = f"the provider sent an answer without choices: {failed.message}"
    return failed


def _error_of(fields: Any) -> Any:
    """The error in a stream event: a member `error`, Groq's `x_groq.error`, or the flat shape that calls itself one."""
    if not isinstance(fields, dict):
        return None
    if fields.get("error") or fields.get("object") == "error":
        return fields
    error = _inside(fields, "x_groq").get("error") if "x_groq" in fields else None
    return {"error": error} if error else None


def _usage(fields: Mapping[str, Any]) -> Usage | None:
    if usage := Usage.from_openai(fields.get("usage")):
        return usage
    return Usage.from_openai(_inside(fields, "x_groq").get("usage")) if "x_groq" in fields else None


def _inside(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def _finish_reason(choice: Mapping[str, Any]) -> str | None:
    """Why the choice ended; some servers say "" where it has not."""
    reason = choice.get("finish_reason")
    return reason if isinstance(reason, str) and reason else None


def _with_model(data: bytes, fields: Mapping[str, Any], model: str, encoded: bytes | None = None) -> bytes:
    """The object's text with `model` replaced, all else as it was.

    `fields` is the parsed text. The value is cut out of the bytes where it is plain to see which one it is: one
    `"model"` in the whole text, whose value is the one that was parsed. Elsewhere the members are joined anew.
    """
    old = fields.get("model")
    if old == model:
        return data
    start = data.find(b'"model":')
    if isinstance(old, str) and start >= 0 and data.count(b'"model"') == 1 and not data[:start].endswith(b"\\"):
        start += data[start + 8 : start + 9] == b" "
        literal = b'"' + old.encode() + b'"'
        if data.startswith(literal, start + 8):
            return data[: start + 8] + (encoded or orjson.dumps(model)) + data[start + 8 + len(literal) :]
    return JsonObject(data).encode({"model": model})
