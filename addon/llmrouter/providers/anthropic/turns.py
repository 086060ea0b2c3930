"""What a model thought before it called tools, kept for the turn that brings their results.

Anthropic signs the thinking of a turn and wants it back byte for byte, before the tool calls (provider reference,
section 9.1). Clients of OpenAI bring back text and tool calls only, so the order of the whole turn is kept with the id
of its first tool call: thinking as it came, text by its length, tool calls by their ids.
"""

from typing import Any

from llmrouter.providers.wire import Job

_SIGNED = {"thinking": ("thinking", "signature"), "redacted_thinking": ("data",)}
"""Blocks that only Anthropic can read, with their members."""


class TurnOrder:
    """The order of one answer's blocks, gathered as they come."""

    __slots__ = ("_blocks", "_has_thinking", "_tool_ids")

    def __init__(self) -> None:
        self._blocks: list[dict[str, Any]] = []
        self._tool_ids: list[str] = []
        self._has_thinking = False

    def thought(self, block: dict[str, Any]) -> None:
        """A block of thinking; one without its signature is nothing to bring back."""
        kind = block.get("type")
        members = _SIGNED.get(kind) if isinstance(kind, str) else None
        if members is not None and all(isinstance(block.get(name), str) for name in members):
            self._has_thinking = True
            self._blocks.append({"type": kind, **{name: block[name] for name in members}})

    def text(self, length: int) -> None:
        """A block of text with so many characters."""
        if length:
            self._blocks.append({"type": "text", "length": length})

    def tool_call(self, id: str) -> None:
        """A tool call with the id that the client is told."""
        self._tool_ids.append(id)
        self._blocks.append({"type": "tool_use", "id": id})

    def keep(self, job: Job) -> None:
        """Remembers the turn, where it has thinking and a tool call that it belongs to."""
        if self._has_thinking and self._tool_ids:
            job.memory.keep(job.call, job.target, self._tool_ids[0], self._blocks)


def with_thinking(job: Job, texts: list[dict[str, Any]], calls: list[tuple[str, dict[str, Any]]]) -> list[Any] | None:
    """A turn's blocks with its thinking in its place; None where none is kept.

    `calls` are the tool calls with the client's ids. Where the client changed the turn, all thinking stands first.
    """
    kept = job.memory.recall(job.call, job.target, calls[0][0]) if calls else None
    if not isinstance(kept, list):
        return None
    text = "".join(block["text"] for block in texts)
    lengths = [block["length"] for block in kept if block["type"] == "text"]
    ids = [block["id"] for block in kept if block["type"] == "tool_use"]
    if sum(lengths) != len(text) or ids != [id for id, _ in calls]:
        return [block for block in kept if block["type"] in _SIGNED] + texts + [block for _, block in calls]
    return _in_order(kept, text, dict(calls))


def _in_order(kept: list[dict[str, Any]], text: str, calls: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    blocks, start = [], 0
    for block in kept:
        match block["type"]:
            case "text":
                end = start + block["length"]
                if (piece := text[start:end]).strip():
                    blocks.append({"type": "text", "text": piece})
                start = end
            case "tool_use":
                blocks.append(calls[block["id"]])
            case _:
                blocks.append(block)
    return blocks
