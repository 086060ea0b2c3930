"""A stream of Anthropic's events as a stream of chat completion chunks (provider reference, section 9.5)."""

from typing import Any

import orjson

from llmrouter.errors import AttemptFailed
from llmrouter.providers.anthropic.answer import finish_reason, object_in, refusal_of, usage_of
from llmrouter.providers.anthropic.request import Expected
from llmrouter.providers.anthropic.stream_blocks import OpenBlock, ThinkingBlock, ToolBlock, ToolCalls, ToolWriter
from llmrouter.providers.anthropic.turns import TurnOrder
from llmrouter.providers.bodies import bad
from llmrouter.providers.failures import classify_inside
from llmrouter.providers.wire import Job
from llmrouter.replies import Chunk, Usage
from llmrouter.sse import Event, SseDecoder, SseError

_HEAD_BYTES = 4096
_DELTA = "content_block_delta"
_loads = orjson.loads


class StreamDecoder:
    """Decodes one stream of Anthropic's, for one call.

    The answer has really ended with `message_stop` after a stop reason; only then the client is told its end. Text is
    held back where it counts only with, or only without, a tool call.
    """

    __slots__ = (
        *("_blocks", "_calls", "_details", "_events", "_head", "_held", "_job", "_length", "_must_call", "_order"),
        *("_reason", "_usage", "_writer", "done"),
    )

    def __init__(self, job: Job, expected: Expected) -> None:
        self._job = job
        self._writer = ToolWriter(job.call, job.created)
        self._events = SseDecoder()
        self._order = TurnOrder()
        self._calls = ToolCalls(job, expected, self._writer, self._order)
        self._must_call = expected.must_call
        self._held: list[str] | None = [] if expected.must_call or expected.by_tool else None
        self._blocks: dict[int, OpenBlock] = {}
        self._length = 0
        self._reason: str | None = None
        self._details: Any = None
        self._usage: dict[str, Any] = {}
        self._head: bytes | None = b""
        self.done = False

    @property
    def usage(self) -> Usage | None:
        # Before the end it has the tokens of the prompt alone.
        return None if self._reason is None else usage_of(self._usage)

    @property
    def is_holding(self) -> bool:
        return bool(self._held) or any(block.is_holding for block in self._blocks.values())

    def feed(self, data: bytes) -> list[Chunk]:
        """The chunks that these bytes complete."""
        if self.done:
            return []
        if self._head is not None:
            self._head = (self._head + data)[:_HEAD_BYTES]
        try:
            events = self._events.feed(data)
        except SseError as error:
            raise bad(f"the provider's stream is malformed: {error}") from error
        return self._decode(events) if events else []

    def finish(self) -> list[Chunk]:
        """The chunks that the end of the stream completes."""
        if self.done:
            return []
        chunks = self._decode(self._events.finish())
        if not self.done:
            raise self._cut_off()
        return chunks

    def _decode(self, events: list[Event]) -> list[Chunk]:
        self._head = None if events else self._head
        chunks: list[Chunk] = []
        for event in events:
            if self.done:
                break
            if event.data.strip() and not event.data.startswith(b"[DONE]"):
                self._read(event, chunks)
        return chunks

    def _read(self, event: Event, chunks: list[Chunk]) -> None:
        """One event; what it says goes by its type, or by its delta's where it is one."""
        try:
            fields = _loads(event.data)
        except orjson.JSONDecodeError as error:
            raise bad("the provider's stream has an event that is no valid JSON") from error
        if fields.__class__ is not dict:
            raise classify_inside(fields)
        kind, readers = fields.get("type"), _EVENTS
        if kind == _DELTA:
            part, readers = fields.get("delta"), _DELTAS
            kind = part.get("type") if part.__class__ is dict else None
        if kind.__class__ is not str:
            if fields.get("error"):
                raise classify_inside(fields)
            raise bad("the provider's stream has an event without a type")
        reader = readers.get(kind)
        if reader is not None:
            reader(self, fields, chunks)
        elif event.event == "error":
            raise classify_inside(fields)

    def _text_delta(self, fields: dict[str, Any], chunks: list[Chunk]) -> None:
        self._say(fields["delta"].get("text"), chunks)

    def _say(self, text: Any, chunks: list[Chunk]) -> None:
        if text.__class__ is not str:
            raise bad("the provider's stream has a text that is none")
        if text:
            self._length += len(text)
            if self._held is None:
                chunks.append(self._writer.text(text))
            else:
                self._held.append(text)

    def _thinking_delta(self, fields: dict[str, Any], chunks: list[Chunk]) -> None:
        self._think(fields["delta"].get("thinking"), self._open(fields), chunks)

    def _think(self, text: Any, block: OpenBlock | None, chunks: list[Chunk]) -> None:
        if text.__class__ is not str:
            raise bad("the provider's stream has a thinking that is no text")
        if isinstance(block, ThinkingBlock):
            block.pieces.append(text)
        if text:
            chunks.append(self._writer.reasoning(text))

    def _signature_delta(self, fields: dict[str, Any], chunks: list[Chunk]) -> None:
        block = self._open(fields)
        if isinstance(block, ThinkingBlock):
            block.fields["signature"] = fields["delta"].get("signature")

    def _json_delta(self, fields: dict[str, Any], chunks: list[Chunk]) -> None:
        text = fields["delta"].get("partial_json")
        if text.__class__ is not str:
            raise bad("the provider's stream has a tool's input that is no text")
        block = self._open(fields)
        if text and isinstance(block, ToolBlock):
            chunks += block.add(text)

    def _message_start(self, fields: dict[str, Any], chunks: list[Chunk]) -> None:
        message = fields.get("message")
        if not isinstance(message, dict):
            raise bad("the provider's stream begins without a message")
        self._count(message.get("usage"))
        chunks.append(self._writer.text(""))

    def _block_start(self, fields: dict[str, Any], chunks: list[Chunk]) -> None:
        block, index = fields.get("content_block"), fields.get("index")
        if not isinstance(block, dict) or not isinstance(index, int):
            raise bad("the provider's stream has a block that is no object with an index")
        match block.get("type"):
            case "text":
                self._length = 0
                self._blocks[index] = OpenBlock()
                self._say(block.get("text") or "", chunks)
            case "thinking" | "redacted_thinking":
                self._blocks[index] = opened = ThinkingBlock(block)
                self._think(block.get("thinking") or "", opened, chunks)
            case "tool_use":
                self._blocks[index] = tool = self._calls.open(block)
                if self._must_call:
                    self._release(chunks)
                chunks += tool.begin()
            case _:
                pass

    def _block_stop(self, fields: dict[str, Any], chunks: list[Chunk]) -> None:
        block = self._open(fields)
        if block is None:
            return
        del self._blocks[fields["index"]]
        if isinstance(block, ThinkingBlock):
            self._order.thought(block.whole())
        elif isinstance(block, ToolBlock):
            chunks += block.end()
        else:
            self._order.text(self._length)

    def _message_delta(self, fields: dict[str, Any], chunks: list[Chunk]) -> None:
        delta = fields.get("delta")
        if isinstance(delta, dict):
            if isinstance(delta.get("stop_reason"), str):
                self._reason = delta["stop_reason"]
            self._details = delta.get("stop_details") or self._details
        self._count(fields.get("usage"))

    def _message_stop(self, fields: dict[str, Any], chunks: list[Chunk]) -> None:
        if self._reason is None:
            raise bad("the provider's stream ended before the answer did")
        for index in list(self._blocks):
            self._block_stop({"index": index}, chunks)
        reason = finish_reason(self._reason, has_calls=self._calls.has_calls)
        if self._must_call and reason == "stop":
            raise bad("the model was asked to call a tool and did not")
        if not self._calls.has_answer:
            self._release(chunks)
        if (refusal := refusal_of(self._reason, self._details)) is not None:
            chunks.append(self._writer.refusal(refusal))
        self._order.keep(self._job)
        chunks.append(self._writer.end(reason))
        if (usage := usage_of(self._usage)) is not None:
            chunks.append(self._writer.usage(usage))
        self._held = None
        self.done = True

    def _error(self, fields: dict[str, Any], chunks: list[Chunk]) -> None:
        raise classify_inside(fields)

    def _open(self, fields: dict[str, Any]) -> OpenBlock | None:
        """The open block that an event is about; None for those of Anthropic's own tools."""
        index = fields.get("index")
        return self._blocks.get(index) if index.__class__ is int else None

    def _count(self, usage: Any) -> None:
        """Later counts are of the whole answer, and take the place of earlier ones."""
        if isinstance(usage, dict):
            self._usage |= {name: value for name, value in usage.items() if value is not None}

    def _release(self, chunks: list[Chunk]) -> None:
        chunks += [self._writer.text(text) for text in self._held or ()]
        self._held = None

    def _cut_off(self) -> AttemptFailed:
        """Why there is no real end: often the body is no stream, but an error or a web page with status 200."""
        if self._head is None:
            return bad("the provider's stream ended before the answer did")
        head = self._head.strip()
        if head.startswith(b":"):
            return bad("the provider's stream ended before the answer began")
        try:
            fields = object_in(head)
        except AttemptFailed as failed:
            return failed
        return classify_inside(fields)


_EVENTS = {
    "content_block_start": StreamDecoder._block_start,
    "content_block_stop": StreamDecoder._block_stop,
    "error": StreamDecoder._error,
    "message_delta": StreamDecoder._message_delta,
    "message_start": StreamDecoder._message_start,
    "message_stop": StreamDecoder._message_stop,
}
"""What reads an event, by its type; what is not known, such as `ping`, is not looked at."""

_DELTAS = {
    "input_json_delta": StreamDecoder._json_delta,
    "signature_delta": StreamDecoder._signature_delta,
    "text_delta": StreamDecoder._text_delta,
    "thinking_delta": StreamDecoder._thinking_delta,
}
"""What reads a `content_block_delta`, by the type of its delta."""
