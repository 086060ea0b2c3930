"""Text completions: at targets that have them, in their own words; at all others by chat.

Answers are chat completions within the router, whoever gives them (provider reference, section 12).
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import orjson

from llmrouter.calls import Call, Endpoint, JsonObject
from llmrouter.chat_members import NATIVE_TEXT, NATIVE_TEXT_ONLY, TEXT_ONLY
from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.bodies import bad, parsed
from llmrouter.providers.chunk_writer import ChunkWriter, choice_json, completion_json
from llmrouter.providers.failures import classify_inside
from llmrouter.providers.headers import headers_for, url_for
from llmrouter.providers.openai_compatible.usage import usage_in
from llmrouter.providers.structured import Emulation
from llmrouter.providers.wire import Job, UpstreamRequest
from llmrouter.replies import Chunk, Reply, Usage
from llmrouter.sse import SseDecoder, SseError

_PATH = "/completions"
_WITHOUT = TEXT_ONLY | {"prompt", "logprobs"}


def as_chat(call: Call) -> Call:
    """The same call as a chat; raises `AttemptFailed` with NOT_TRANSLATABLE for what only a text completion can say."""
    if lost := call.members & NATIVE_TEXT_ONLY:
        message = f"it has no text completions, which {', '.join(sorted(lost))} need"
        raise AttemptFailed(Outcome.NOT_TRANSLATABLE, message)
    changes: dict[str, Any] = {}
    logprobs = call.body.get("logprobs")
    if logprobs is not None:
        changes = {"logprobs": True, "top_logprobs": logprobs}
    body = JsonObject(call.body.encode(changes, _WITHOUT - changes.keys()))
    return replace(call, endpoint=Endpoint.CHAT_COMPLETIONS, body=body, members=call.members | changes.keys())


class TextTranslation:
    """A text completion for a target that has the endpoint."""

    __slots__ = ("_job", "changes", "emulation", "members", "request")

    def __init__(self, job: Job) -> None:
        body, dialect = job.call.body, job.dialect
        dropped = body.keys() & (dialect.drops | job.unsupported)
        self._job = job
        self.changes: tuple[str, ...] = tuple(f"without {name}" for name in sorted(dropped & job.call.members))
        self.emulation: Emulation | None = None
        self.members: Mapping[str, str] = MappingProxyType({name: name for name in (*body, NATIVE_TEXT)})
        replaced: dict[str, Any] = {"model": job.target.model}
        if job.call.stream and dialect.asks_for_usage and "stream_options" not in job.unsupported:
            replaced["stream_options"] = {"include_usage": True}
        self.request = UpstreamRequest(
            method="POST",
            url=url_for(job.target.base_url, _PATH),
            headers=headers_for(job),
            body=body.encode(replaced, frozenset(dropped - replaced.keys() | {"messages"})),
            stream=job.call.stream,
        )

    def read_reply(self, data: bytes) -> Reply:
        """The text completion in this body as a chat completion; raises `AttemptFailed` where there is none."""
        fields = parsed(data.strip())
        if not isinstance(fields, dict) or fields.get("error"):
            raise classify_inside(fields)
        choices = fields.get("choices")
        if not isinstance(choices, list) or not choices or not all(map(_is_choice, choices)):
            raise bad("the provider sent a text completion without texts")
        whole = [
            choice_json(
                {"content": choice["text"]},
                choice.get("finish_reason") or "stop",
                choice.get("index", number),
                choice.get("logprobs"),
            )
            for number, choice in enumerate(choices)
        ]
        return completion_json(self._job.call, self._job.created, whole, usage_in(fields, self._job.dialect))

    def decoder(self) -> "TextDecoder":
        """A decoder for one stream."""
        return TextDecoder(self._job)


class TextDecoder:
    """Decodes a stream of text completions into chunks of chat; see `wire.ChunkDecoder`."""

    __slots__ = ("_dialect", "_ended", "_events", "_usage", "_writer", "done")

    def __init__(self, job: Job) -> None:
        self._dialect = job.dialect
        self._events = SseDecoder()
        self._writer = ChunkWriter(job.call, job.created)
        self._ended: dict[int, bool] = {}
        self._usage: Usage | None = None
        self.done = False

    @property
    def usage(self) -> Usage | None:
        return self._usage

    @property
    def is_holding(self) -> bool:
        """Never: each piece goes on as it comes."""
        return False

    def feed(self, data: bytes) -> list[Chunk]:
        """The chunks that these bytes complete."""
        try:
            events = self._events.feed(data)
        except SseError as error:
            raise bad(f"the provider's stream is malformed: {error}") from error
        return self._read([event.data for event in events])

    def finish(self) -> list[Chunk]:
        """The chunks that the end of the stream completes."""
        if self.done:
            return []
        chunks = self._read([event.data for event in self._events.finish()])
        if self.done:
            return chunks
        if not self._ended or not all(self._ended.values()):
            raise bad("the provider's stream ended before the answer did")
        return [*chunks, *self._last_words()]

    def _read(self, events: list[bytes]) -> list[Chunk]:
        chunks: list[Chunk] = []
        for data in events:
            if self.done:
                break
            if data.strip() == b"[DONE]":
                if not self._ended or not all(self._ended.values()):
                    raise bad("the provider's stream ended before the answer did")
                chunks += self._last_words()
            else:
                chunks += self._event(data)
        return chunks

    def _event(self, data: bytes) -> list[Chunk]:
        try:
            fields = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise bad("the provider sent a piece that is no valid JSON") from error
        if not isinstance(fields, dict) or fields.get("error"):
            raise classify_inside(fields)
        self._usage = usage_in(fields, self._dialect) or self._usage
        chunks = []
        for choice in fields.get("choices") or ():
            if not _is_choice(choice):
                raise bad("the provider sent a piece without a text")
            index, reason = choice.get("index", 0), choice.get("finish_reason")
            self._ended.setdefault(index, False)
            if choice["text"] or choice.get("logprobs"):
                chunks.append(self._writer.text(choice["text"], index, choice.get("logprobs")))
            if reason and not self._ended[index]:
                self._ended[index] = True
                chunks.append(self._writer.end(reason, index))
        return chunks

    def _last_words(self) -> list[Chunk]:
        self.done = True
        return [] if self._usage is None else [self._writer.usage(self._usage)]


def translate(job: Job) -> TextTranslation:
    """The call as a text completion."""
    return TextTranslation(job)


def _is_choice(choice: Any) -> bool:
    return isinstance(choice, dict) and isinstance(choice.get("text"), str)
