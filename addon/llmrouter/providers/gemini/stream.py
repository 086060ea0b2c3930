"""A stream of Gemini's answers as a stream of chat completion chunks."""

from llmrouter.errors import AttemptFailed
from llmrouter.providers.bodies import bad
from llmrouter.providers.chunk_writer import ChunkWriter
from llmrouter.providers.failures import classify_inside
from llmrouter.providers.gemini.answer import Candidate, Piece, Text, Thought, indexed, objects_in, refusal_of, usage_of
from llmrouter.providers.wire import Job
from llmrouter.replies import Chunk, Usage
from llmrouter.sse import Event, SseDecoder, SseError

_HEAD_BYTES = 4096


class StreamDecoder:
    """Decodes one stream of Gemini, for one call.

    The stream has no end mark: it is whole where every candidate had told its end when the bytes ended. Some models
    tell an end in every event, so that the last one counts, and ends are given when the stream is over.
    """

    __slots__ = ("_candidates", "_events", "_head", "_job", "_refusal", "_usage", "_writer", "done")

    def __init__(self, job: Job) -> None:
        self._job = job
        self._writer = ChunkWriter(job.call, job.created)
        self._events = SseDecoder()
        self._candidates: dict[int, Candidate] = {}
        self._refusal: str | None = None
        self._usage: Usage | None = None
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
        if not self._has_ended():
            raise self._cut_off()
        self.done = True
        return [*chunks, *self._last_words()]

    def _has_ended(self) -> bool:
        if not self._candidates:
            return self._refusal is not None
        return all(candidate.finish_reason is not None for candidate in self._candidates.values())

    def _last_words(self) -> list[Chunk]:
        chunks = []
        if not self._candidates and self._refusal is not None:
            chunks = [self._writer.refusal(self._refusal), self._writer.end("content_filter")]
        for index, candidate in sorted(self._candidates.items()):
            chunks.append(self._writer.end(candidate.finish_reason or "stop", index))
        return chunks if self._usage is None else [*chunks, self._writer.usage(self._usage)]

    def _decode(self, events: list[Event]) -> list[Chunk]:
        self._head = None if events else self._head
        chunks: list[Chunk] = []
        for event in events:
            data = event.data.strip()
            if data and not data.startswith(b"[DONE]"):
                chunks += self._read(data)
        return chunks

    def _read(self, data: bytes) -> list[Chunk]:
        chunks = []
        for fields in objects_in(data):
            self._usage = usage_of(fields) or self._usage
            for index, candidate in indexed(fields.get("candidates")):
                known = self._candidates.get(index)
                if known is None:
                    known = self._candidates[index] = Candidate(index, self._job)
                chunks += [self._chunk(piece, index) for piece in known.read(candidate)]
            if (refusal := refusal_of(fields)) is not None:
                self._block(refusal)
        return chunks

    def _block(self, refusal: str) -> None:
        self._refusal = refusal
        for candidate in self._candidates.values():
            if candidate.finish_reason is None:
                candidate.block()

    def _chunk(self, piece: Piece, index: int) -> Chunk:
        if isinstance(piece, Text):
            return self._writer.text(piece.text, index, piece.logprobs)
        if isinstance(piece, Thought):
            return self._writer.reasoning(piece.text, index)
        return self._writer.tool_call(piece.number, piece.id, piece.name, piece.arguments, index)

    def _cut_off(self) -> AttemptFailed:
        """Why there is no real end: often the body is no stream, but an error or a web page with status 200."""
        if self._head is None:
            return bad("the provider's stream ended before the answer did")
        head = self._head.strip()
        if head.startswith(b":"):
            return bad("the provider's stream ended before the answer began")
        try:
            objects = objects_in(head)
        except AttemptFailed as failed:
            return failed
        return classify_inside(objects)
