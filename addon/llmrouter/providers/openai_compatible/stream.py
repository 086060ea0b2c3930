"""A provider's stream of chat completion chunks, put right where it is not a valid stream of OpenAI's."""

from collections.abc import Mapping
from typing import Any

import orjson

from llmrouter.errors import AttemptFailed
from llmrouter.providers.bodies import bad, parsed
from llmrouter.providers.failures import classify_inside
from llmrouter.providers.openai_compatible.choices import ChoiceInStream
from llmrouter.providers.openai_compatible.splice import with_model
from llmrouter.providers.openai_compatible.usage import money_in, usage_in
from llmrouter.providers.wire import Job
from llmrouter.replies import Chunk, Usage
from llmrouter.sse import Event, SseDecoder, SseError

_HEAD_BYTES = 4096
_OBJECT = "chat.completion.chunk"


class StreamDecoder:
    """Decodes one stream of a provider, for one call.

    An answer has really ended when every choice that appeared has told why it finished; `[DONE]` alone is no end, and
    an end needs no `[DONE]`. The usage is told once, in a chunk of its own after the end.
    """

    __slots__ = (
        "_choices",
        "_created",
        "_events",
        "_head",
        "_id",
        "_job",
        "_model",
        "_money",
        "_usage",
        "_usage_data",
        "done",
    )

    def __init__(self, job: Job) -> None:
        self._job = job
        self._model = orjson.dumps(job.call.model)
        self._events = SseDecoder()
        self._choices: dict[int, ChoiceInStream] = {}
        self._id: str | None = None
        self._created = 0
        self._usage: Usage | None = None
        self._money: dict[str, Any] = {}
        self._usage_data = b""
        self._head: bytes | None = b""
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
        """The chunks that the end of the stream completes; what is cut off after the answer's real end is dropped."""
        if self.done:
            return []
        had_ended = self._has_ended()
        try:
            chunks = self._decode(self._events.finish())
        except AttemptFailed:
            if not had_ended:
                raise
            chunks = []
        if self.done:
            return chunks
        if not self._has_ended():
            raise self._cut_off()
        return [*chunks, *self._last_words()]

    def _has_ended(self) -> bool:
        return bool(self._choices) and all(choice.ended for choice in self._choices.values())

    def _last_words(self) -> list[Chunk]:
        """The usage chunk for a client that asked for it: the provider's own where it sent one, else one like it."""
        self.done = True
        if self._usage is None or not self._job.call.include_usage:
            return []
        if self._usage_data:
            return [Chunk(self._usage_data, False)]
        frame = {"id": self._id, "object": _OBJECT, "created": self._created}
        usage = {"model": self._job.call.model, "choices": [], "usage": self._usage.to_openai() | self._money}
        return [Chunk(orjson.dumps({**frame, **usage}), False)]

    def _cut_off(self) -> AttemptFailed:
        """Why there is no real end: often the body is no stream, but an error or a web page with status 200."""
        if self._head is None:
            return bad("the provider's stream ended before the answer did")
        head = self._head.strip()
        if head.startswith(b":"):
            return bad("the provider's stream ended before the answer began")
        try:
            told = parsed(head)
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
                    raise bad("the provider's stream ended before the answer did")
                chunks += self._last_words()
                break
            if data:
                chunks.append(self._chunk(data, event.event))
        return chunks

    def _chunk(self, data: bytes, name: str) -> Chunk:
        if b"\n" in data:
            # Between the members only: inside a JSON text a line feed is always escaped.
            data = data.replace(b"\n", b" ")
        fields = parsed(data)
        if not isinstance(fields, dict) or name == "error" or _error_of(fields):
            raise classify_inside(_error_of(fields) or fields)
        choices = fields.get("choices") or []
        if not isinstance(choices, list):
            raise bad("the provider's stream has choices that are no list")
        if self._is_plain_text(fields, choices):
            return Chunk(with_model(data, fields, self._job.call.model, self._model), True)
        usage = usage_in(fields, self._job.dialect)
        if usage is not None:
            self._usage, self._money = usage, money_in(fields)
        if choices:
            return self._with_choices(data, fields, choices, usage)
        if usage is not None:
            lacking: dict[str, Any] = {} if isinstance(fields.get("choices"), list) else {"choices": []}
            self._usage_data = self._written(data, fields, self._frame(fields) | lacking, keeps_usage=True)
        return Chunk(b"", False, usage)

    def _with_choices(self, data: bytes, fields: dict[str, Any], choices: list[Any], usage: Usage | None) -> Chunk:
        changes = self._frame(fields)
        read = [self._choice(choice, place) for place, choice in enumerate(choices)]
        left = [choice for choice in read if choice is not None]
        if not left:
            return Chunk(b"", False, usage)
        is_content = any(map(ChoiceInStream.is_content, left))
        if len(left) < len(choices) or any(new is not old for new, old in zip(left, choices, strict=True)):
            changes["choices"] = left
        return Chunk(self._written(data, fields, changes), is_content, usage)

    def _is_plain_text(self, fields: dict[str, Any], choices: list[Any]) -> bool:
        """Whether a chunk is what nearly all are: one more piece of text of a choice that goes on, with no fault."""
        if fields.get("id") != self._id or fields.get("created") != self._created or fields.get("usage"):
            return False
        if len(choices) != 1 or fields.get("object") != _OBJECT:
            return False
        choice = choices[0]
        if not isinstance(choice, dict) or choice.get("finish_reason", "") is not None:
            return False
        index, delta = choice.get("index"), choice.get("delta")
        known = self._choices.get(index) if isinstance(index, int) else None
        if known is None or not known.goes_on or not isinstance(delta, dict) or len(delta) != 1:
            return False
        text = delta.get("content")
        return isinstance(text, str) and bool(text)

    def _frame(self, fields: dict[str, Any]) -> dict[str, Any]:
        """What makes it the same completion in every chunk: the id and the date of the first one."""
        id, created = fields.get("id"), fields.get("created")
        if self._id is None:
            self._id = id if isinstance(id, str) and id else f"chatcmpl-{self._job.call.id}"
            is_date = isinstance(created, int) and not isinstance(created, bool) and created > 0
            self._created = created if isinstance(created, int) and is_date else self._job.created
        changes: dict[str, Any] = {}
        if id != self._id:
            changes["id"] = self._id
        if created != self._created:
            changes["created"] = self._created
        if fields.get("object") != _OBJECT:
            changes["object"] = _OBJECT
        return changes

    def _choice(self, choice: Any, place: int) -> dict[str, Any] | None:
        if not isinstance(choice, dict):
            raise bad("the provider's stream has a choice that is no object")
        index = choice.get("index")
        index = index if isinstance(index, int) else place
        known = self._choices.get(index)
        if known is None:
            known = self._choices[index] = ChoiceInStream(index, self._job)
        return known.read(choice)

    def _written(
        self, data: bytes, fields: dict[str, Any], changes: dict[str, Any], *, keeps_usage: bool = False
    ) -> bytes:
        has_usage = bool(fields.get("usage")) and not keeps_usage
        if changes or has_usage:
            whole = {**fields, **changes, "model": self._job.call.model}
            if has_usage:
                del whole["usage"]
            return orjson.dumps(whole)
        return with_model(data, fields, self._job.call.model, self._model)


def _error_of(fields: Any) -> Any:
    """The error in a stream event: a member `error`, Groq's `x_groq.error`, or the flat shape that calls itself one."""
    if not isinstance(fields, dict):
        return None
    if fields.get("error") or fields.get("object") == "error":
        return fields
    error = _inside(fields, "x_groq").get("error") if "x_groq" in fields else None
    return {"error": error} if error else None


def _inside(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = fields.get(name)
    return value if isinstance(value, dict) else {}
