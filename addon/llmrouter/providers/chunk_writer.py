"""Writes chat completions and their streams for wire formats whose answers have to be built anew."""

from collections.abc import Sequence
from typing import Any

import orjson

from llmrouter.calls import Call
from llmrouter.replies import Chunk, Reply, Usage

_ROLE = b'"role":"assistant",'
_NO_END = b'},"finish_reason":null}]}'


def completion_json(
    call: Call, created: int, choices: Sequence[dict[str, Any]], usage: Usage | None, **members: Any
) -> Reply:
    """A whole chat completion; `choices` are complete, `members` are added."""
    fields: dict[str, Any] = {
        "id": f"chatcmpl-{call.id}",
        "object": "chat.completion",
        "created": created,
        "model": call.model,
        "choices": choices,
        **members,
    }
    if usage is not None:
        fields["usage"] = usage.to_openai()
    return Reply(orjson.dumps(fields), usage)


def choice_json(
    message: dict[str, Any], finish_reason: str, index: int = 0, logprobs: dict[str, Any] | None = None
) -> dict[str, Any]:
    """One choice of a whole chat completion; `message` needs neither `role` nor an empty `content` or `refusal`."""
    whole = {"role": "assistant", "content": None, "refusal": None, **message}
    return {"index": index, "message": whole, "logprobs": logprobs, "finish_reason": finish_reason}


def tool_call_json(id: str, name: str, arguments: str) -> dict[str, Any]:
    """One function call of a whole message; `arguments` is JSON text."""
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


class ChunkWriter:
    """Writes the chunks of one stream; each choice's first one carries the role."""

    __slots__ = ("_begun", "_call", "_head")

    def __init__(self, call: Call, created: int) -> None:
        self._call = call
        head = {
            "id": f"chatcmpl-{call.id}",
            "object": "chat.completion.chunk",
            "created": created,
            "model": call.model,
        }
        self._head = orjson.dumps(head)[:-1]
        self._begun: set[int] = set()

    def text(self, text: str, index: int = 0, logprobs: dict[str, Any] | None = None) -> Chunk:
        """A piece of the answer."""
        if logprobs is not None:
            return self._chunk({"content": text}, index, None, logprobs)
        return self._piece(b'"content":', text, index)

    def reasoning(self, text: str, index: int = 0) -> Chunk:
        """A piece of what the model thought, in the member that most OpenAI-compatible providers use."""
        return self._piece(b'"reasoning_content":', text, index)

    def refusal(self, text: str, index: int = 0) -> Chunk:
        """A piece of a refusal."""
        return self._piece(b'"refusal":', text, index)

    def tool_call(self, number: int, id: str, name: str, arguments: str = "", index: int = 0) -> Chunk:
        """The beginning of the tool call of this number, counted from 0 in each choice."""
        call = {"index": number, **tool_call_json(id, name, arguments)}
        return self._chunk({"tool_calls": [call]}, index)

    def arguments(self, number: int, fragment: str, index: int = 0) -> Chunk:
        """A fragment of a tool call's arguments."""
        return self._piece(b'"tool_calls":[{"index":%d,"function":{"arguments":' % number, fragment, index, b"}}]")

    def end(self, finish_reason: str, index: int = 0) -> Chunk:
        """The end of a choice."""
        return self._chunk({}, index, finish_reason)

    def usage(self, usage: Usage) -> Chunk:
        """The last chunk; the client sees it only if it asked."""
        if not self._call.include_usage:
            return Chunk(b"", False, usage)
        tail = orjson.dumps({"choices": [], "usage": usage.to_openai()})
        return Chunk(self._head + b"," + tail[1:], False, usage)

    def _piece(self, name: bytes, text: str, index: int, close: bytes = b"") -> Chunk:
        """A chunk whose delta has one member; it is written by hand, for there are hundreds of them in a stream."""
        role = b""
        if index not in self._begun:
            self._begun.add(index)
            role = _ROLE
        data = b'%b,"choices":[{"index":%d,"delta":{%b%b%b%b%b' % (
            *(self._head, index, role, name, orjson.dumps(text)),
            *(close, _NO_END),
        )
        return Chunk(data, bool(text) or bool(close), None)

    def _chunk(
        self,
        delta: dict[str, Any],
        index: int,
        finish_reason: str | None = None,
        logprobs: dict[str, Any] | None = None,
    ) -> Chunk:
        if index not in self._begun:
            self._begun.add(index)
            delta = {"role": "assistant", **delta}
        choice: dict[str, Any] = {"index": index, "delta": delta, "finish_reason": finish_reason}
        if logprobs is not None:
            choice["logprobs"] = logprobs
        is_content = bool(finish_reason or delta.get("content") or delta.get("tool_calls"))
        return Chunk(self._head + b"," + orjson.dumps({"choices": [choice]})[1:], is_content, None)
