"""Writes the chunks of one stream, and knows what it has written: what comes again as a whole is not told twice."""

from typing import Any

from llmrouter.calls import Call
from llmrouter.providers.chunk_writer import ChunkWriter
from llmrouter.providers.openai_responses.answer import BETWEEN_THOUGHTS, Answer, ToolCall
from llmrouter.replies import Chunk


class Said:
    """Text that was told in pieces."""

    __slots__ = ("_pieces",)

    def __init__(self) -> None:
        self._pieces: list[str] = []

    def add(self, piece: str) -> None:
        """Takes note of a piece that was told."""
        self._pieces.append(piece)

    def rest_of(self, whole: str) -> str:
        """What of the whole text was not told yet; nothing where what was told is not its beginning."""
        told = "".join(self._pieces)
        return whole[len(told) :] if len(whole) > len(told) and whole.startswith(told) else ""


class _CallInStream:
    """A tool call that has begun, with its number among those of the answer."""

    __slots__ = ("call", "number", "said")

    def __init__(self, number: int, call: ToolCall) -> None:
        self.number = number
        self.call = call
        self.said = Said()


class AnswerWriter(ChunkWriter):
    """Writes the chunks of one answer; `only_one_call` passes over all tool calls but the first.

    Thoughts are told part by part, and a blank line stands between two of them.
    """

    __slots__ = ("_calls", "_only_one_call", "_refusal", "_text", "_thinks_in", "_thoughts")

    def __init__(self, call: Call, created: int, *, only_one_call: bool) -> None:
        super().__init__(call, created)
        self._only_one_call = only_one_call
        self._text, self._refusal, self._thoughts = Said(), Said(), Said()
        self._thinks_in: Said | None = None
        self._calls: dict[str, _CallInStream] = {}

    @property
    def has_begun(self) -> bool:
        """Whether anything was told."""
        return bool(self._begun)

    @property
    def has_calls(self) -> bool:
        """Whether a tool call was told."""
        return bool(self._calls)

    def say(self, piece: str, logprobs: dict[str, Any] | None = None) -> Chunk:
        """A piece of the text."""
        self._text.add(piece)
        return self.text(piece, 0, logprobs)

    def refuse(self, piece: str) -> Chunk:
        """A piece of a refusal."""
        self._refusal.add(piece)
        return self.refusal(piece)

    def think(self, piece: str, part: Said) -> Chunk:
        """A piece of a part of the reasoning; the part itself tells whether it is another one than before."""
        if self._thinks_in not in (None, part):
            piece = BETWEEN_THOUGHTS + piece
        self._thinks_in = part
        self._thoughts.add(piece)
        return self.reasoning(piece)

    def call(self, call: ToolCall) -> list[Chunk]:
        """The beginning of a tool call, or what of it was not told yet."""
        known = self._calls.get(call.id)
        if known is not None:
            return self.input(call.id, known.said.rest_of(call.arguments))
        if self._only_one_call and self._calls:
            return []
        known = self._calls[call.id] = _CallInStream(len(self._calls), call)
        begun = self._begin_custom if call.is_custom else self._begin_function
        return [begun(known), *self.input(call.id, call.arguments)]

    def input(self, id: str, piece: str) -> list[Chunk]:
        """A piece of what a tool call is given; nothing where the call was not told."""
        known = self._calls.get(id)
        if known is None or not piece:
            return []
        known.said.add(piece)
        if not known.call.is_custom:
            return [self.arguments(known.number, piece)]
        return [self._chunk({"tool_calls": [{"index": known.number, "custom": {"input": piece}}]}, 0)]

    def rest_of_input(self, id: str, whole: str) -> list[Chunk]:
        """What of a tool call's input was not told yet."""
        known = self._calls.get(id)
        return [] if known is None else self.input(id, known.said.rest_of(whole))

    def rest_of(self, answer: Answer) -> list[Chunk]:
        """What of the whole answer was not told yet."""
        chunks = []
        if rest := self._thoughts.rest_of(BETWEEN_THOUGHTS.join(answer.thoughts)):
            chunks.append(self.reasoning(rest))
        if rest := self._text.rest_of(answer.text):
            chunks.append(self.say(rest))
        if rest := self._refusal.rest_of(answer.refusal):
            chunks.append(self.refuse(rest))
        if answer.annotations:
            chunks.append(self._chunk({"annotations": answer.annotations}, 0))
        return [*chunks, *(chunk for call in answer.calls for chunk in self.call(call))]

    def _begin_function(self, known: _CallInStream) -> Chunk:
        return self.tool_call(known.number, known.call.id, known.call.name)

    def _begin_custom(self, known: _CallInStream) -> Chunk:
        custom = {"name": known.call.name, "input": ""}
        told = {"index": known.number, "id": known.call.id, "type": "custom", "custom": custom}
        return self._chunk({"tool_calls": [told]}, 0)
