"""Holds an emulated structured answer back until it is whole and valid, whatever the wire format."""

from typing import Any

import orjson

from llmrouter.errors import AttemptFailed
from llmrouter.providers.structured import Emulation
from llmrouter.providers.wire import ChunkDecoder
from llmrouter.replies import Chunk, Reply, Usage

_WHOLE_ENDS = ("stop",)
_FINAL = ("tool_calls", "refusal")
"""What makes the answer the client's before it is whole; what the model thought does not, for it may be for nothing."""


def validated_reply(reply: Reply, emulation: Emulation) -> Reply:
    """The reply with each finished choice's text validated, and its JSON alone left; raises `AttemptFailed`."""
    fields = orjson.loads(reply.data)
    for choice in fields["choices"]:
        text = choice["message"].get("content")
        if choice.get("finish_reason") in _WHOLE_ENDS and not choice["message"].get("refusal"):
            try:
                choice["message"]["content"] = emulation.checked(text or "")
            except AttemptFailed as failed:
                failed.usage, failed.is_answer = reply.usage, True
                raise
    return Reply(orjson.dumps(fields), reply.usage)


class ValidatedDecoder:
    """Decodes a stream and gives the text of each choice in one piece, once it is whole and valid.

    A text that does not fit fails once the usage is told, or the stream has ended: the answer is paid for all the same.
    What ends otherwise than with `stop` (too long, refused, a tool call) is given as it is, as OpenAI does.
    """

    __slots__ = ("_emulation", "_failure", "_has_begun", "_held", "_inner", "_refused")

    def __init__(self, inner: ChunkDecoder, emulation: Emulation) -> None:
        self._inner = inner
        self._emulation = emulation
        self._held: dict[int, list[str]] = {}
        self._refused: set[int] = set()
        self._has_begun = False
        self._failure: AttemptFailed | None = None

    @property
    def done(self) -> bool:
        return self._inner.done

    @property
    def is_holding(self) -> bool:
        return self._has_begun

    @property
    def usage(self) -> Usage | None:
        return self._inner.usage

    def feed(self, data: bytes) -> list[Chunk]:
        """The chunks that these bytes complete."""
        return self._let_through(self._inner.feed(data))

    def finish(self) -> list[Chunk]:
        """The chunks that the end of the stream completes."""
        try:
            chunks = self._let_through(self._inner.finish())
        except AttemptFailed as failed:
            raise self._failure or failed from None
        if self._failure is not None:
            raise self._failure
        return chunks

    def _let_through(self, chunks: list[Chunk]) -> list[Chunk]:
        if self._failure is None:
            try:
                return [out for chunk in chunks for out in (self._split(chunk) if chunk.data else [chunk])]
            except AttemptFailed as failed:
                failed.is_answer = True
                self._failure = failed
        if self._inner.usage is not None:
            raise self._failure
        return []

    def _split(self, chunk: Chunk) -> list[Chunk]:
        """The chunk without the text that is held, and before it the text of a choice that it ends."""
        frame: dict[str, Any] = orjson.loads(chunk.data)
        choices = frame.pop("choices", None) or ()
        out: list[Chunk] = []
        for choice in choices:
            index, delta = choice.get("index", 0), choice.get("delta") or {}
            self._held.setdefault(index, []).append(delta.pop("content", None) or "")
            self._has_begun = self._has_begun or chunk.is_content
            if delta.get("refusal"):
                self._refused.add(index)
            if reason := choice.get("finish_reason"):
                if text := self._released(index, reason):
                    piece = {"index": index, "delta": {"content": text}, "finish_reason": None}
                    out.append(_chunk(frame, [piece], is_content=True))
                out.append(_chunk(frame, [choice], is_content=True))
            elif delta:
                out.append(_chunk(frame, [choice], is_content=any(delta.get(name) for name in _FINAL)))
        return [*out, Chunk(b"", False, chunk.usage)] if choices else [chunk]

    def _released(self, index: int, finish_reason: str) -> str:
        text = "".join(self._held.pop(index, ()))
        if finish_reason in _WHOLE_ENDS and index not in self._refused:
            return self._emulation.checked(text)
        return text


def _chunk(frame: dict[str, Any], choices: list[dict[str, Any]], is_content: bool) -> Chunk:
    return Chunk(orjson.dumps({**frame, "choices": choices}), is_content)
