"""Puts the chunks of a stream together as the whole answer that a client would have got without a stream."""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Any

import orjson

from llmrouter.caching.merging import (
    Base64,
    Continued,
    DifferentItems,
    Items,
    Latest,
    Members,
    Numbered,
    Once,
    Same,
    Text,
    Unsound,
    Way,
)
from llmrouter.replies import Chunk, Reply, Usage

_LIMIT_BYTES = 4 * 2**20
_FOLD_BYTES = 64 * 1024
"""How much is held before it is put together: some hundred chunks, whose reading takes about a millisecond."""

_TEXT, _ONCE, _SAME, _LATEST = Text(), Once(), Same(), Latest()

_TOOL_CALL = Members(
    {
        "index": None,
        "id": _SAME,
        "type": _SAME,
        "function": Members({"arguments": _TEXT}),
        "custom": Members({"input": _TEXT}),
    }
)
_THOUGHT = Members({"text": _TEXT, "summary": _TEXT, "data": _ONCE}, other=_SAME)
"""An item of OpenRouter's `reasoning_details`: its text comes in pieces that repeat its index, type and format."""

_MESSAGE = Members(
    {
        "role": _SAME,
        "content": _TEXT,
        "refusal": _TEXT,
        "reasoning_content": _TEXT,
        "reasoning": _TEXT,
        "reasoning_details": Continued(_THOUGHT),
        "annotations": DifferentItems(),
        "audio": Members({"id": _SAME, "data": Base64(), "transcript": _TEXT}),
        "tool_calls": Numbered(_TOOL_CALL),
        "function_call": Members({"arguments": _TEXT}),
        # Together numbers the token of each piece; a whole message has no such member.
        "token_id": None,
    }
)
_CHOICE = Members(
    {
        "index": None,
        "delta": _MESSAGE,
        "logprobs": Members({"content": Items(), "refusal": Items()}),
        # Azure tells them again with every piece.
        "content_filter_results": _SAME,
    }
)
_CHOICES = Numbered(_CHOICE)

_PADDING = MappingProxyType(dict[str, Way | None](obfuscation=None, p=None))
"""What OpenAI and Mistral add to hide the length of each piece (provider reference, section 2.2; Mistral's changelog of
May 2026)."""

_FRAME = Members(
    {
        **_PADDING,
        "choices": None,
        "object": None,
        "usage": _LATEST,
        "service_tier": _LATEST,
        "system_fingerprint": _LATEST,
        "moderation": _LATEST,
        "time_info": _LATEST,
        "timings": _LATEST,
    },
    other=_SAME,
)


class Collector:
    """Collects one stream; `limit_bytes` of chunks are the most that it takes.

    Chunks are read some hundred at a time: one by one would cost more, and all at the end would hold up other calls.
    """

    __slots__ = ("_choices", "_ended", "_frame", "_held", "_held_bytes", "_is_sound", "_left_bytes", "_usage")

    def __init__(self, limit_bytes: int = _LIMIT_BYTES) -> None:
        self._left_bytes = limit_bytes
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._frame: dict[str, Any] = {}
        self._choices: dict[int, Any] = {}
        self._ended: set[int] = set()
        self._usage: Usage | None = None
        self._is_sound = True

    def add(self, chunks: Iterable[Chunk]) -> None:
        """Takes the next chunks of the stream."""
        for chunk in chunks:
            if chunk.usage is not None:
                self._usage = chunk.usage
            if chunk.data and self._is_sound:
                self._held.append(chunk.data)
                self._held_bytes += len(chunk.data)
        if self._held_bytes > self._left_bytes:
            self._give_up()
        elif self._held_bytes > _FOLD_BYTES:
            self._fold()

    def reply(self) -> Reply | None:
        """The whole answer, once the stream has come to its end.

        None where the stream was larger than the limit, where a choice has no end, and where it has anything that
        cannot be put together faithfully.
        """
        self._fold()
        if not self._is_sound:
            return None
        try:
            return Reply(orjson.dumps(self._completion()), self._usage)
        except (Unsound, orjson.JSONEncodeError):
            return None

    def _give_up(self) -> None:
        self._is_sound = False
        self._held, self._held_bytes, self._frame, self._choices = [], 0, {}, {}

    def _fold(self) -> None:
        """Reads what is held, and lets go of it."""
        held, self._held = self._held, []
        self._left_bytes -= self._held_bytes
        self._held_bytes = 0
        try:
            for fields in orjson.loads(b"[%b]" % b",".join(held)):
                self._read(fields)
        except (Unsound, orjson.JSONDecodeError, RecursionError):
            self._give_up()

    def _read(self, fields: Any) -> None:
        if not isinstance(fields, dict) or fields.get("object") != "chat.completion.chunk" or fields.get("error"):
            raise Unsound("a chunk is none")
        _FRAME.add(self._frame, fields)
        choices = fields.get("choices")
        if not choices:
            return
        _CHOICES.add(self._choices, choices)
        for choice in choices:
            if choice["index"] in self._ended:
                raise Unsound("a choice goes on after its end")
            if choice.get("finish_reason") is not None:
                self._ended.add(choice["index"])

    def _completion(self) -> dict[str, Any]:
        frame = _FRAME.whole(self._frame)
        if not self._choices or self._choices.keys() != self._ended or not isinstance(frame.get("id"), str):
            raise Unsound("the answer is not whole")
        choices = [_whole_choice(index, self._choices[index]) for index in sorted(self._choices)]
        start = {name: frame.pop(name, None) for name in ("id", "created", "model")}
        usage = frame.pop("usage", None)
        if usage is None and self._usage is not None:
            usage = self._usage.to_openai()
        whole = {**start, "object": "chat.completion", "choices": choices, **frame}
        return whole if usage is None else {**whole, "usage": usage}


def _whole_choice(index: int, known: dict[str, Any]) -> dict[str, Any]:
    fields = _CHOICE.whole(known)
    message = fields.pop("delta", {})
    if message.get("role", "assistant") != "assistant" or not isinstance(fields["finish_reason"], str):
        raise Unsound("the answer is not the assistant's, or its end none")
    if calls := message.pop("tool_calls", None):
        message["tool_calls"] = [_whole_call(call) for call in calls]
    if function := message.pop("function_call", None):
        message["function_call"] = _named(function, "arguments")
    logprobs = fields.pop("logprobs", None)
    if logprobs is not None:
        logprobs = {"content": None, "refusal": None, **logprobs}
    return {
        "index": index,
        "message": {"role": "assistant", "content": None, "refusal": None, **message},
        "logprobs": logprobs,
        **fields,
    }


def _whole_call(call: dict[str, Any]) -> dict[str, Any]:
    """A tool call with all that OpenAI's have; its type is told by what it holds."""
    kind = call.get("type", "function")
    if not call.get("id"):
        raise Unsound("a tool call has no id")
    changes = {"function": "arguments", "custom": "input"}
    if kind in changes:
        call[kind] = _named(call.get(kind), changes[kind])
    return {"id": call["id"], "type": kind, **call}


def _named(function: Any, text: str) -> dict[str, Any]:
    if not isinstance(function, dict) or not function.get("name"):
        raise Unsound("a tool call has no name")
    return {"name": function["name"], text: "", **function}
