"""A stream of Responses events as a stream of chat completion chunks (provider reference, sections 10.4 and 10.6)."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from llmrouter.errors import AttemptFailed
from llmrouter.providers.bodies import bad, parsed
from llmrouter.providers.openai_responses.answer import (
    answer_of,
    created_of,
    failed,
    finish_reason,
    logprobs_of,
    objects,
    remember,
    tool_call_of,
    usage_of,
    wants_one_call,
    without_output,
)
from llmrouter.providers.openai_responses.writer import AnswerWriter, Said
from llmrouter.providers.wire import Job
from llmrouter.replies import Chunk, Usage
from llmrouter.sse import Event, SseDecoder, SseError

_HEAD_BYTES = 4096


class _Item:
    """An output item while it comes: its parts by kind and number, and the id of the tool call that it is."""

    __slots__ = ("call_id", "parts")

    def __init__(self) -> None:
        self.call_id: str | None = None
        self.parts: dict[tuple[str, Any], Said] = {}

    def part(self, kind: str, number: Any) -> Said:
        """The part of this kind and number; the first one where the number is missing."""
        key = kind, number if isinstance(number, int) else 0
        known = self.parts.get(key)
        if known is None:
            known = self.parts[key] = Said()
        return known


class StreamDecoder:
    """Decodes one stream of Responses events, for one call.

    The member `type` says what an event is, for some servers write no `event` line. Deltas are told as they come; what
    comes only as a whole, in an event `done` or in the last response, is told then. The answer ends with the event
    that carries the last response, and without one it was cut off, `[DONE]` or not.
    """

    __slots__ = ("_by_id", "_by_place", "_events", "_finished", "_head", "_job", "_latest", "_usage", "_writer", "done")

    def __init__(self, job: Job) -> None:
        self._job = job
        self._writer = self._new_writer(job.created)
        self._events = SseDecoder()
        self._by_id: dict[str, _Item] = {}
        self._by_place: dict[int, _Item] = {}
        self._latest: _Item | None = None
        self._finished: list[dict[str, Any]] = []
        self._head: bytes | None = b""
        self._usage: Usage | None = None
        self.done = False

    @property
    def usage(self) -> Usage | None:
        return self._usage

    @property
    def is_holding(self) -> bool:
        return False

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

    def _new_writer(self, created: int) -> AnswerWriter:
        return AnswerWriter(self._job.call, created, only_one_call=wants_one_call(self._job))

    def _cut_off(self) -> AttemptFailed:
        """Why there is no real end: often the body is no stream, but an error or a web page with status 200."""
        if self._head is None:
            return bad("the provider's stream ended before the answer did")
        head = self._head.strip()
        if head.startswith(b":"):
            return bad("the provider's stream ended before the answer began")
        try:
            return without_output(parsed(head))
        except AttemptFailed as failure:
            return failure

    def _decode(self, events: list[Event]) -> list[Chunk]:
        chunks: list[Chunk] = []
        for event in events:
            data = event.data.strip()
            if not data:
                continue
            self._head = None
            if data.startswith(b"[DONE]"):
                raise bad("the provider's stream ended before the answer did")
            chunks += self._read(data, event.event)
            if self.done:
                break
        return chunks

    def _read(self, data: bytes, name: str) -> list[Chunk]:
        fields = parsed(data)
        if not isinstance(fields, dict):
            raise bad("the provider's stream has an event that is no object")
        kind = fields.get("type")
        read = _READERS.get(kind if isinstance(kind, str) else name)
        if read is not None:
            return read(self, fields)
        if fields.get("error"):
            raise failed(fields["error"])
        return []

    def _item(self, fields: Mapping[str, Any]) -> _Item:
        """The item that an event is about: by its id, and where that one is unknown by its place in the output.

        Some gateways give an item another id in every event, others give every item the same place.
        """
        id, place = fields.get("item_id"), fields.get("output_index")
        known = self._by_id.get(id) if isinstance(id, str) else None
        if known is None:
            known = self._by_place.get(place) if isinstance(place, int) else self._latest
        return known if known is not None else self._new_item(id, place)

    def _new_item(self, id: Any, place: Any) -> _Item:
        item = self._latest = _Item()
        if isinstance(id, str):
            self._by_id[id] = item
        if isinstance(place, int):
            self._by_place[place] = item
        return item

    def read_created(self, fields: dict[str, Any]) -> list[Chunk]:
        """The response's date, which every chunk repeats."""
        if not self._writer.has_begun:
            self._writer = self._new_writer(created_of(_object(fields, "response"), self._job.created))
        return []

    def read_item_added(self, fields: dict[str, Any]) -> list[Chunk]:
        """The beginning of an output item."""
        inner = _object(fields, "item")
        id = inner.get("id")
        known = self._by_id.get(id) if isinstance(id, str) else None
        item = known if known is not None else self._new_item(id, fields.get("output_index"))
        call = tool_call_of(inner)
        if call is None:
            return []
        item.call_id = call.id
        return self._writer.call(call)

    def read_item_done(self, fields: dict[str, Any]) -> list[Chunk]:
        """A whole output item: what of it was not told yet."""
        inner = _object(fields, "item")
        self._finished.append(inner)
        call = tool_call_of(inner)
        if call is not None:
            return self._writer.call(call)
        item = self._item({"item_id": inner.get("id"), "output_index": fields.get("output_index")})
        chunks = []
        for kind, name, parts in _PARTS:
            for number, part in enumerate(objects(inner.get(parts))):
                if part.get("type") == kind:
                    chunks += self._tell_rest(item.part(kind, number), kind, part.get(name))
        return chunks

    def read_part_done(self, fields: dict[str, Any]) -> list[Chunk]:
        """A whole part of a message."""
        part = _object(fields, "part")
        kind = part.get("type")
        if kind not in ("output_text", "refusal"):
            return []
        said = self._item(fields).part(kind, fields.get("content_index"))
        return self._tell_rest(said, kind, part.get("text" if kind == "output_text" else "refusal"))

    def tell(self, said: Said, kind: str, piece: str, logprobs: dict[str, Any] | None = None) -> list[Chunk]:
        """A piece of a part of the answer."""
        if not piece:
            return []
        said.add(piece)
        if kind == "output_text":
            return [self._writer.say(piece, logprobs)]
        if kind == "refusal":
            return [self._writer.refuse(piece)]
        return [self._writer.think(piece, said)]

    def _tell_rest(self, said: Said, kind: str, whole: Any) -> list[Chunk]:
        rest = said.rest_of(whole) if isinstance(whole, str) else ""
        return self.tell(said, kind, rest) if rest else []

    def read_delta(self, fields: dict[str, Any], kind: str, number: str) -> list[Chunk]:
        """A piece of a part; `number` is the member that counts the parts."""
        said = self._item(fields).part(kind, fields.get(number))
        logprobs = logprobs_of(fields.get("logprobs")) if fields.get("logprobs") else None
        return self.tell(
            said, kind, _text(fields, "delta"), {"content": logprobs, "refusal": None} if logprobs else None
        )

    def read_whole(self, fields: dict[str, Any], kind: str, number: str, name: str) -> list[Chunk]:
        """A whole part, in the member `name`."""
        return self._tell_rest(self._item(fields).part(kind, fields.get(number)), kind, fields.get(name))

    def read_input_delta(self, fields: dict[str, Any]) -> list[Chunk]:
        """A piece of a tool call's input; of a call that never began it is told when the whole call comes."""
        id = self._item(fields).call_id
        return [] if id is None else self._writer.input(id, _text(fields, "delta"))

    def read_input_whole(self, fields: dict[str, Any], name: str) -> list[Chunk]:
        """A tool call's whole input, in the member `name`."""
        id, whole = self._item(fields).call_id, fields.get(name)
        return self._writer.rest_of_input(id, whole) if id is not None and isinstance(whole, str) else []

    def read_end(self, fields: dict[str, Any], status: str) -> list[Chunk]:
        """The last response: what of it was not told yet, the end, and the usage."""
        response = _object(fields, "response")
        # Some servers do not repeat the output here, and only `output_item.done` surely has the reasoning whole.
        repeated, writer = response.get("output") or self._finished, self._writer
        chunks = writer.rest_of(answer_of(repeated, self._job))
        reason = finish_reason(response, status, writer.has_calls)
        remember(answer_of(self._finished or repeated, self._job).calls, self._job)
        self.done = True
        self._usage = usage = usage_of(response)
        return [*chunks, writer.end(reason), *([] if usage is None else [writer.usage(usage)])]


def _read_failed(decoder: StreamDecoder, fields: dict[str, Any]) -> list[Chunk]:
    raise failed(_object(fields, "response").get("error"))


def _read_error(decoder: StreamDecoder, fields: dict[str, Any]) -> list[Chunk]:
    """The flat shape of the reference, or one with the error inside."""
    inner = fields.get("error")
    raise failed(inner or {name: fields[name] for name in ("code", "message", "param") if name in fields})


def _object(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = fields.get(name)
    if not isinstance(value, dict):
        raise bad(f"the provider's stream has an event without '{name}'")
    return value


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise bad(f"the provider's stream has an event whose '{name}' is no text")
    return value


_PARTS = (
    ("summary_text", "text", "summary"),
    ("reasoning_text", "text", "content"),
    ("output_text", "text", "content"),
    ("refusal", "refusal", "content"),
)
"""Kinds of parts, the member that holds their text, and the member of the item that lists them."""


def _delta(kind: str, number: str) -> "_Reader":
    return lambda decoder, fields: decoder.read_delta(fields, kind, number)


def _whole(kind: str, number: str, name: str = "text") -> "_Reader":
    return lambda decoder, fields: decoder.read_whole(fields, kind, number, name)


def _input(name: str) -> "_Reader":
    return lambda decoder, fields: decoder.read_input_whole(fields, name)


def _end(status: str) -> "_Reader":
    return lambda decoder, fields: decoder.read_end(fields, status)


type _Reader = Callable[[StreamDecoder, dict[str, Any]], list[Chunk]]

_READERS: Mapping[str, _Reader] = MappingProxyType(
    {
        "response.created": StreamDecoder.read_created,
        "response.output_item.added": StreamDecoder.read_item_added,
        "response.output_item.done": StreamDecoder.read_item_done,
        "response.content_part.done": StreamDecoder.read_part_done,
        "response.output_text.delta": _delta("output_text", "content_index"),
        "response.output_text.done": _whole("output_text", "content_index"),
        "response.refusal.delta": _delta("refusal", "content_index"),
        "response.refusal.done": _whole("refusal", "content_index", "refusal"),
        "response.reasoning_summary_text.delta": _delta("summary_text", "summary_index"),
        "response.reasoning_summary_text.done": _whole("summary_text", "summary_index"),
        "response.reasoning_text.delta": _delta("reasoning_text", "content_index"),
        "response.reasoning_text.done": _whole("reasoning_text", "content_index"),
        "response.function_call_arguments.delta": StreamDecoder.read_input_delta,
        "response.function_call_arguments.done": _input("arguments"),
        "response.custom_tool_call_input.delta": StreamDecoder.read_input_delta,
        "response.custom_tool_call_input.done": _input("input"),
        "response.completed": _end("completed"),
        "response.incomplete": _end("incomplete"),
        "response.failed": _read_failed,
        "error": _read_error,
    }
)
"""Events by type; all others are passed over."""
