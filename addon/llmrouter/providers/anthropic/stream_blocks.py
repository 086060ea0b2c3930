"""The blocks of a stream between their start and their stop."""

from typing import Any

from llmrouter.providers.anthropic.answer import custom_input, json_text, tool_use_of
from llmrouter.providers.anthropic.request import Expected
from llmrouter.providers.anthropic.turns import TurnOrder
from llmrouter.providers.chunk_writer import ChunkWriter
from llmrouter.providers.structured import TOOL_NAME
from llmrouter.providers.wire import Job
from llmrouter.replies import Chunk


class ToolWriter(ChunkWriter):
    """Writes calls of custom tools, too."""

    __slots__ = ()

    def custom_tool_call(self, number: int, id: str, name: str, text: str) -> Chunk:
        """A whole call of a custom tool."""
        call = {"index": number, "id": id, "type": "custom", "custom": {"name": name, "input": text}}
        return self._chunk({"tool_calls": [call]}, 0)


class OpenBlock:
    """A block of text, or what the others have in common."""

    __slots__ = ()

    @property
    def is_holding(self) -> bool:
        """Whether content came that is held back until the block is whole."""
        return False


class ThinkingBlock(OpenBlock):
    """A block of thinking, of which every character is kept."""

    __slots__ = ("fields", "pieces")

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields
        self.pieces: list[str] = []

    def whole(self) -> dict[str, Any]:
        """The block as Anthropic wants it back."""
        if self.fields.get("type") == "thinking":
            self.fields["thinking"] = "".join(self.pieces)
        return self.fields


class ToolBlock(OpenBlock):
    """A tool call whose input comes in fragments of JSON text; where none comes, it was told at the start."""

    __slots__ = ("_at_start", "_has_input", "_id", "_name", "_number", "_writer")

    def __init__(self, writer: ToolWriter, number: int, id: str, name: str, at_start: Any) -> None:
        self._writer = writer
        self._number = number
        self._id = id
        self._name = name
        self._at_start = at_start
        self._has_input = False

    def begin(self) -> list[Chunk]:
        """What the client is told at once."""
        return [self._writer.tool_call(self._number, self._id, self._name)]

    def add(self, fragment: str) -> list[Chunk]:
        """What the client is told of a fragment of the input."""
        self._has_input = True
        return [self._writer.arguments(self._number, fragment)]

    def end(self) -> list[Chunk]:
        """What the client is told when the block is whole."""
        return [] if self._has_input else self.add(json_text(self._at_start))


class AnswerBlock(ToolBlock):
    """The tool call whose input is the answer's text."""

    __slots__ = ()

    def begin(self) -> list[Chunk]:
        return []

    def add(self, fragment: str) -> list[Chunk]:
        self._has_input = True
        return [self._writer.text(fragment)]


class CustomBlock(ToolBlock):
    """A call of a custom tool, which is told when it is whole, because its text stands inside a JSON string."""

    __slots__ = ("_pieces",)

    def __init__(self, writer: ToolWriter, number: int, id: str, name: str, at_start: Any) -> None:
        super().__init__(writer, number, id, name, at_start)
        self._pieces: list[str] = []

    @property
    def is_holding(self) -> bool:
        return True

    def begin(self) -> list[Chunk]:
        return []

    def add(self, fragment: str) -> list[Chunk]:
        self._pieces.append(fragment)
        return []

    def end(self) -> list[Chunk]:
        arguments = "".join(self._pieces) or json_text(self._at_start)
        return [self._writer.custom_tool_call(self._number, self._id, self._name, custom_input(arguments))]


class ToolCalls:
    """The tool calls of one stream, numbered as they come.

    `has_answer` tells that the tool was called whose input is the answer's text; it is none of the calls.
    """

    def __init__(self, job: Job, expected: Expected, writer: ToolWriter, order: TurnOrder) -> None:
        self.has_answer = False
        self._job = job
        self._expected = expected
        self._writer = writer
        self._order = order
        self._number = 0

    @property
    def has_calls(self) -> bool:
        return self._number > 0

    def open(self, block: dict[str, Any]) -> ToolBlock:
        """A block that began; raises `AttemptFailed` where it has no name."""
        number, names = self._number, self._expected.names
        id, told = tool_use_of(block, number, self._job)
        at_start = block.get("input")
        if self._expected.by_tool and told == TOOL_NAME:
            self.has_answer = True
            return AnswerBlock(self._writer, number, id, told, at_start)
        self._number += 1
        self._order.tool_call(id)
        name = names.meant(told)
        kind = CustomBlock if name in names.custom else ToolBlock
        return kind(self._writer, number, id, name, at_start)
