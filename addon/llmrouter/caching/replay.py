"""A stored answer for another client: as a stream of chat completion chunks, or as JSON."""

from collections.abc import Iterable
from typing import Any

import orjson

from llmrouter.caching.entries import Entry
from llmrouter.caching.pieces import pieces_of, with_logprobs
from llmrouter.calls import JsonObject
from llmrouter.replies import Chunk

PIECE_CHARACTERS = 80
"""About 20 tokens: several chunks for a short answer, and some hundred for the longest."""

_BASE64_CHARACTERS = 16 * 1024
"""Of each piece of sound; a multiple of 4, so that each piece can be decoded by itself."""

_THOUGHTS = ("reasoning_content", "reasoning")
_TEXTS = ("content", "refusal")
_TOLD = frozenset({*_THOUGHTS, *_TEXTS, "role", "reasoning_details", "audio", "tool_calls", "function_call"})
_HEAD = ("system_fingerprint", "service_tier")
"""What OpenAI repeats in every chunk (openai 3.54 keeps what the last one says of the fingerprint)."""

_FRAME = frozenset({*_HEAD, "id", "object", "created", "model", "choices", "usage"})
_INPUTS = (("function", "arguments"), ("custom", "input"))


class _Unfit(Exception):
    """What is stored is no chat completion that a stream can tell."""


def as_json(entry: Entry, *, id: str | None, model: str) -> bytes:
    """The answer as a whole, under its own id and the model's name that this client used; all else byte for byte.

    An id is never given twice, for apps use it as a key of what they store; embeddings have none. Raises `ValueError`
    where the completion is no JSON object.
    """
    changes = {"model": model} if id is None else {"id": id, "model": model}
    return JsonObject(entry.completion).encode(changes)


def as_chunks(
    entry: Entry, *, id: str, model: str, include_usage: bool, size: int = PIECE_CHARACTERS
) -> list[Chunk] | None:
    """The answer as a valid stream, whose texts come in pieces of at least `size` characters.

    Of each choice: the role, what the model thought, the text or refusal with its log probabilities, tool calls, all
    else that the message has, and the end. Last comes the usage, which the client sees where it asked for it. None
    where the completion is not one that a stream can tell.
    """
    try:
        return _chunks(entry, {"id": id, "object": "chat.completion.chunk", "model": model}, include_usage, size)
    except (_Unfit, orjson.JSONDecodeError, orjson.JSONEncodeError, LookupError, TypeError, AttributeError):
        return None


def _chunks(entry: Entry, head: dict[str, Any], include_usage: bool, size: int) -> list[Chunk]:
    fields = orjson.loads(entry.completion)
    choices = _objects(fields["choices"])
    if not choices or len({choice["index"] for choice in choices}) < len(choices):
        raise _Unfit
    created = fields.get("created")
    head["created"] = created if isinstance(created, int) else int(entry.created)
    head |= {name: fields[name] for name in _HEAD if fields.get(name) is not None}
    start = orjson.dumps(head)[:-1]
    rest = {name: value for name, value in fields.items() if name not in _FRAME and value is not None}
    chunks: list[Chunk] = []
    for choice in choices:
        _Writer(start, choice["index"], chunks, size, with_usage=include_usage).write(choice, rest)
        rest = {}
    usage = fields.get("usage")
    if not isinstance(usage, dict):
        usage = None if entry.usage is None else entry.usage.to_openai()
    if usage is not None:
        data = b'%b,"choices":[],"usage":%b}' % (start, orjson.dumps(usage)) if include_usage else b""
        chunks.append(Chunk(data, False, entry.usage))
    return chunks


class _Writer:
    """Writes the chunks of one choice, by hand where there are many of them."""

    __slots__ = ("_chunks", "_end", "_head", "_size")

    def __init__(self, start: bytes, index: Any, chunks: list[Chunk], size: int, *, with_usage: bool) -> None:
        if not isinstance(index, int):
            raise _Unfit
        self._head = b'%b,"choices":[{"index":%d,"delta":{' % (start, index)
        self._end = b'}],"usage":null}' if with_usage else b"}]}"
        self._chunks = chunks
        self._size = size

    def write(self, choice: dict[str, Any], frame: dict[str, Any]) -> None:
        """All chunks of the choice; `frame` are members of the completion that the first chunk takes along."""
        message, finish_reason = choice["message"], choice["finish_reason"]
        if not isinstance(finish_reason, str):
            raise _Unfit
        self._begin(message, frame)
        for name in _THOUGHTS:
            self._text(name, message.get(name))
        if details := message.get("reasoning_details"):
            self._delta({"reasoning_details": details})
        logprobs = self._texts(message, choice.get("logprobs"))
        if function := message.get("function_call"):
            self._function(function)
        for number, call in enumerate(_objects(message.get("tool_calls") or [])):
            self._call(number, call)
        if audio := message.get("audio"):
            self._audio(audio)
        if rest := {k: v for k, v in message.items() if k not in _TOLD and v is not None and v != []}:
            self._delta(rest)
        end = {**choice, "logprobs": logprobs}
        end = {name: value for name, value in end.items() if name not in ("index", "message") and value is not None}
        self._add(b"},%b" % orjson.dumps(end)[1:-1])

    def _begin(self, message: dict[str, Any], frame: dict[str, Any]) -> None:
        """The role alone, for some clients take a choice's first chunk for no more (openai 3.54 would count log
        probabilities there twice)."""
        texts = {name: "" if isinstance(message[name], str) else None for name in _TEXTS if name in message}
        delta = orjson.dumps({"role": "assistant", "content": None, **texts})[1:-1]
        end = self._end if not frame else b"%b,%b" % (self._end[:-1], orjson.dumps(frame)[1:])
        self._chunks.append(Chunk(b'%b%b},"finish_reason":null%b' % (self._head, delta, end), False))

    def _texts(self, message: dict[str, Any], logprobs: Any) -> Any:
        """Text and refusal, each piece with its log probabilities; gives those that are left for the end."""
        if not isinstance(logprobs, dict):
            for name in _TEXTS:
                self._text(name, message.get(name))
            return logprobs
        # An empty list is told with the first piece: openai 3.54 would pass over one that comes later.
        nothing: dict[str, Any] = {name: [] if logprobs.get(name) == [] else None for name in _TEXTS}
        told: dict[str, Any] = {}
        for name in _TEXTS:
            text, tokens = message.get(name), logprobs.get(name)
            split = with_logprobs(text, tokens, self._size) if text and tokens else None
            if split is None:
                self._text(name, text)
                continue
            told = {**nothing, **told, name: tokens}
            for piece, some in split:
                data = name.encode(), orjson.dumps(piece), orjson.dumps({**nothing, name: some})
                self._add(b'"%b":%b},"logprobs":%b,"finish_reason":null' % data)
        return {k: v for k, v in logprobs.items() if v is not None and told.get(k) is None} or None

    def _text(self, name: str, text: Any) -> None:
        if text:
            self._pieces(b'"%b":' % name.encode(), text, b"")

    def _function(self, function: dict[str, Any]) -> None:
        arguments = function.get("arguments")
        self._delta({"function_call": {**function, "arguments": ""}})
        self._pieces(b'"function_call":{"arguments":', arguments or "", b"}")

    def _call(self, number: int, call: dict[str, Any]) -> None:
        """The id and the name, then what the tool is given."""
        for kind, name in _INPUTS:
            inner = call.get(kind)
            if isinstance(inner, dict):
                self._delta({"tool_calls": [{**call, "index": number, kind: {**inner, name: ""}}]})
                before = b'"tool_calls":[{"index":%d,"%b":{"%b":' % (number, kind.encode(), name.encode())
                self._pieces(before, inner.get(name) or "", b"}}]")
                return
        self._delta({"tool_calls": [{**call, "index": number}]})

    def _audio(self, audio: dict[str, Any]) -> None:
        empty = {name: "" for name in ("data", "transcript") if audio.get(name) is not None}
        self._delta({"audio": {**audio, **empty}})
        self._pieces(b'"audio":{"transcript":', audio.get("transcript") or "", b"}")
        data = audio.get("data") or ""
        starts = range(0, len(data), _BASE64_CHARACTERS)
        self._list(b'"audio":{"data":', (data[start : start + _BASE64_CHARACTERS] for start in starts), b"}")

    def _pieces(self, before: bytes, text: Any, after: bytes) -> None:
        if not isinstance(text, str):
            raise _Unfit
        if text:
            self._list(before, pieces_of(text, self._size), after)

    def _list(self, before: bytes, pieces: Iterable[str], after: bytes) -> None:
        before, after = self._head + before, b'%b},"finish_reason":null%b' % (after, self._end)
        dumps = orjson.dumps
        self._chunks += [Chunk(before + dumps(piece) + after, True) for piece in pieces]

    def _delta(self, delta: dict[str, Any]) -> None:
        self._add(b'%b},"finish_reason":null' % orjson.dumps(delta)[1:-1])

    def _add(self, members: bytes) -> None:
        self._chunks.append(Chunk(b"%b%b%b" % (self._head, members, self._end), True))


def _objects(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise _Unfit
    return value
