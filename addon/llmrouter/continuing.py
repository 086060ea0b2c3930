"""An answer that one provider began and another one goes on with: what to ask for, and what its client gets to see.

Only plain text can be gone on with. Whoever goes on is told to repeat the last words first, which is where the two
parts are put together (`seams`). One that takes a beginning of its answer from the client is given that instead:
Anthropic's older models (provider reference, section 4.1).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import orjson

from llmrouter.calls import Call, Endpoint, JsonObject, Need
from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.replies import Chunk, Usage
from llmrouter.seams import Seam
from llmrouter.targets import Target

_NOT_PLAIN = frozenset({Need.TOOLS, Need.JSON_OBJECT, Need.JSON_SCHEMA, Need.LOGPROBS, Need.SEVERAL_CHOICES})
_NOT_PLAIN_MEMBERS = frozenset({"audio", "modalities", "echo", "suffix", "best_of", "prediction", "web_search_options"})
_LIMITS = ("max_tokens", "max_completion_tokens")
# What waits to be read, and what is kept of one answer: there may be hundreds of streams at once.
_MOST_UNREAD_BYTES = 32 * 1024
_MOST_CHARACTERS = 128 * 1024
_ANCHOR_CHARACTERS = 60
_REASONING = frozenset({"reasoning_content", "reasoning", "reasoning_details", "thinking_blocks"})
# An answer that nobody can add to ends like this.
_ENDINGS = (*""".!?…`"”)]}*|>;""", "\u3002", "\uff01", "\uff1f", "\u2019")
_ORDER = (
    "Your last message was cut off on its way. Go on exactly where it stopped, in the same language and form. "
    "Begin by repeating its last words, which stand between the tags, and then write the rest. Do not start over, "
    "do not comment and do not apologise.\n<last_words>{anchor}</last_words>"
)


def may_continue(call: Call) -> bool:
    """Whether an answer to this call is plain text, which another target can go on with."""
    if not call.stream or call.endpoint not in (Endpoint.CHAT_COMPLETIONS, Endpoint.COMPLETIONS):
        return False
    if call.endpoint is Endpoint.COMPLETIONS and not isinstance(call.body.get("prompt"), str):
        return False
    return call.needs.isdisjoint(_NOT_PLAIN) and call.members.isdisjoint(_NOT_PLAIN_MEMBERS)


def continuing_call(call: Call, said: str, said_tokens: int, target: Target) -> Call:
    """The call that asks a target for the rest of an answer; the same call where nothing was said yet."""
    if not said.strip():
        return call
    messages: list[dict[str, Any]] = [*call.body["messages"]]
    begun = ""
    if messages[-1]["role"] == "assistant" and isinstance(messages[-1].get("content"), str):
        # The client began the answer itself, and many servers refuse two messages of the assistant in a row.
        begun = messages.pop()["content"]
    messages.append({"role": "assistant", "content": (begun + said).rstrip()})
    if not takes_beginning(target):
        messages.append({"role": "user", "content": _ORDER.format(anchor=_anchor(said))})
    changes: dict[str, Any] = {"messages": messages}
    if call.endpoint is Endpoint.COMPLETIONS:
        changes["prompt"] = call.body["prompt"] + said
    for name in _LIMITS:
        if isinstance(limit := call.body.get(name), int):
            changes[name] = max(limit - said_tokens, 1)
    left = None if call.max_output_tokens is None else max(call.max_output_tokens - said_tokens, 1)
    characters = call.input_characters + len(said) + len(_ORDER)
    body = JsonObject(call.body.encode(changes))
    return replace(call, body=body, input_characters=characters, max_output_tokens=left, responses=None)


def takes_beginning(target: Target) -> bool:
    """Whether a target goes on with a last message of the assistant as if it were its own."""
    return target.dialect.wire_format == "anthropic" and target.dialect.takes_prefill


def _anchor(said: str) -> str:
    """The last words, from the beginning of a word on where there is one."""
    tail = said.rstrip()[-_ANCHOR_CHARACTERS:]
    words = tail.split(maxsplit=1)
    return words[1] if len(tail) == _ANCHOR_CHARACTERS and len(words) > 1 else tail


def sum_of(usages: Sequence[Usage | None]) -> Usage | None:
    """What all parts used; None where one of them did not tell it."""
    told = [usage for usage in usages if usage is not None]
    if not told or len(told) < len(usages):
        return None
    costs = [usage.cost_usd for usage in told]
    return Usage(
        sum(usage.input_tokens for usage in told),
        sum(usage.output_tokens for usage in told),
        sum(usage.cached_tokens for usage in told),
        sum(usage.reasoning_tokens for usage in told),
        sum(usage.cache_write_tokens for usage in told),
        None if None in costs else sum(cost for cost in costs if cost is not None),
    )


class SaidSoFar:
    """What a client was told of a stream. The chunks are read when somebody asks, or there are many of them.

    Of an answer that is longer than anybody would be asked to go on with, nothing is kept: it is not plain any more.
    """

    __slots__ = ("_data", "_pieces", "_size", "_text", "finish_reason", "frame", "is_plain")

    def __init__(self) -> None:
        self._data: list[bytes] = []
        self._size = 0
        self._pieces: list[str] = []
        self._text = ""
        self.frame: dict[str, Any] = {}
        self.finish_reason: str | None = None
        self.is_plain = True

    def add(self, chunks: Sequence[Chunk]) -> None:
        """The next chunks, as the client gets them."""
        if not self.is_plain:
            return
        for chunk in chunks:
            # What a provider tells in events of its own nobody else can go on with.
            self.is_plain = self.is_plain and not chunk.native
            self._data.append(chunk.data)
            self._size += len(chunk.data)
        if self._size > _MOST_UNREAD_BYTES:
            self.read()

    @property
    def text(self) -> str:
        """The answer's text."""
        return self.read()._text

    def read(self) -> Self:
        """Takes in what was added: `frame`, `finish_reason` and `is_plain` are up to date then."""
        for data in filter(None, self._data):
            fields = orjson.loads(data)
            if not self.frame:
                names = ("id", "object", "created", "model")
                self.frame = {name: fields[name] for name in names if name in fields}
            for choice in fields.get("choices") or ():
                self._read_choice(choice)
        self._text += "".join(self._pieces)
        self._data.clear()
        self._pieces.clear()
        self._size = 0
        if len(self._text) > _MOST_CHARACTERS:
            self.is_plain, self._text = False, ""
        return self

    def _read_choice(self, choice: dict[str, Any]) -> None:
        delta = choice.get("delta") or {}
        if not isinstance(delta, dict):
            self.is_plain = False
            return
        if isinstance(text := delta.get("content"), str):
            self._pieces.append(text)
        self.finish_reason = choice.get("finish_reason") or self.finish_reason
        other = any(value for name, value in delta.items() if name not in _REASONING | {"role", "content"})
        if other or choice.get("index", 0) != 0 or (delta.get("content") and not isinstance(text, str)):
            self.is_plain = False


class Continuation:
    """The chunks of a target that goes on, as the client of the first one gets them.

    They have the first one's id and date and no role, what was said before is cut off, and so is what the target
    thinks: the client has seen another one's thoughts. The usage is told by whoever knows all parts.
    """

    __slots__ = ("_frame", "_is_new", "_said", "_seam", "finish_reason")

    def __init__(self, frame: dict[str, Any], said: str, *, is_beginning_given: bool) -> None:
        self._frame = frame
        self._said = said
        self._seam = Seam(said, is_exact=is_beginning_given) if said.strip() else None
        self._is_new = False
        self.finish_reason: str | None = None

    def feed(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        """What the client gets of these; raises `AttemptFailed` where the target does not go on."""
        told: list[Chunk] = []
        for chunk in chunks:
            if not chunk.data:
                continue
            for choice in orjson.loads(chunk.data).get("choices") or ():
                told += self._choice(choice)
        return told

    def _choice(self, choice: dict[str, Any]) -> list[Chunk]:
        delta = choice.get("delta") or {}
        if delta.get("tool_calls") or delta.get("function_call") or delta.get("refusal"):
            raise AttemptFailed(Outcome.BAD_REPLY, "it did not go on with the text")
        text, reason = delta.get("content") or "", choice.get("finish_reason")
        if not isinstance(text, str):
            raise AttemptFailed(Outcome.BAD_REPLY, "it did not go on with text")
        if self._seam is not None:
            text = self._seam.feed(text) + (self._seam.finish() if reason else "")
            if self._seam.began_anew:
                raise AttemptFailed(Outcome.BAD_REPLY, "it began the answer anew")
        self._is_new = self._is_new or bool(text.strip())
        told = [self._chunk({"content": text}, None)] if text else []
        if reason:
            self._end(reason)
            told.append(self._chunk({}, reason))
        return told

    def _end(self, reason: str) -> None:
        if reason == "stop" and not self._is_new and not self._said.rstrip().endswith(_ENDINGS):
            raise AttemptFailed(Outcome.BAD_REPLY, "it had nothing to go on with")
        self.finish_reason = reason

    def _chunk(self, delta: dict[str, Any], reason: str | None) -> Chunk:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return Chunk(orjson.dumps({**self._frame, "choices": [choice]}), is_content=True)

    def usage_chunk(self, usage: Usage) -> Chunk:
        """The last chunk, for a client that asked for it."""
        return Chunk(orjson.dumps({**self._frame, "choices": [], "usage": usage.to_openai()}), False, usage)
