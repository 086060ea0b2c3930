"""What a recorded answer used: what it says itself, else an estimate by its length."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import orjson

from llmrouter.calls import Call, Endpoint
from llmrouter.endpoints import chat, embeddings
from llmrouter.hindsight.exchanges import RecordedExchange
from llmrouter.hindsight.recorded_calls import RESPONSES
from llmrouter.providers.openai_responses.answer import usage_of
from llmrouter.replies import Usage
from llmrouter.routing.estimates import FIRST_CHARACTERS_PER_TOKEN
from llmrouter.sse import SseDecoder, SseError

_STANDARD_TIERS = (None, "auto", "default", "standard")
# Members of a stream's pieces and of whole answers that hold what the model wrote.
_WRITTEN = frozenset({"content", "refusal", "reasoning_content", "arguments", "text", "delta", "input", "name"})
_ENDS_OF_RESPONSES = frozenset({"response.completed", "response.incomplete", "response.failed"})


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """What an answer used, and who is said to have given it.

    `usage` is None where nobody can say. `completion` is a whole chat completion, None for all else. `is_standard`
    tells that it was made at the usual prices, and not in another service tier.
    """

    usage: Usage | None
    is_estimate: bool = False
    model: str | None = None
    completion: dict[str, Any] | None = None
    is_standard: bool = True


def answer_of(exchange: RecordedExchange, call: Call | None) -> RecordedAnswer:
    """What a successful answer used; without the call, which estimates need, only what it says itself."""
    is_stream = "event-stream" in exchange.content_type or exchange.answer.startswith((b"data:", b"event:"))
    pieces = list(_pieces(exchange.answer) if is_stream else _whole(exchange.answer))
    if not pieces:
        return RecordedAnswer(None)
    usage, model, tier = None, None, None
    for piece in pieces:
        holder: dict[str, Any] = inner if isinstance(inner := piece.get("response"), dict) else piece
        usage = _usage(holder, exchange.path) or usage
        model = holder.get("model") or model
        tier = holder.get("service_tier") or tier
    completion = pieces[0] if not is_stream and exchange.path == chat.PATH else None
    told = RecordedAnswer(
        usage,
        model=model if isinstance(model, str) else None,
        completion=completion,
        is_standard=tier in _STANDARD_TIERS,
    )
    return told if usage is not None or call is None else replace(told, usage=_estimate(pieces, call), is_estimate=True)


def _whole(body: bytes) -> Iterator[dict[str, Any]]:
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        return
    if isinstance(fields, dict):
        yield fields


def _pieces(body: bytes) -> Iterator[dict[str, Any]]:
    decoder = SseDecoder()
    try:
        events = [*decoder.feed(body), *decoder.finish()]
    except SseError:
        return
    for event in events:
        yield from _whole(event.data)


def _usage(fields: dict[str, Any], path: str) -> Usage | None:
    if path == RESPONSES:
        return usage_of(fields)
    if path == embeddings.PATH and isinstance(told := fields.get("usage"), dict):
        return Usage.from_openai({**told, "completion_tokens": 0})
    return Usage.from_openai(fields.get("usage"))


def _estimate(pieces: list[dict[str, Any]], call: Call) -> Usage:
    # The last event of a response repeats all of it.
    said = [piece for piece in pieces if piece.get("type") not in _ENDS_OF_RESPONSES] or pieces
    made = 0 if call.endpoint is Endpoint.EMBEDDINGS else sum(_written(piece) for piece in said)
    media = 0 if call.media is None else call.media.guess
    given = ceil(call.input_characters / FIRST_CHARACTERS_PER_TOKEN) + media
    return Usage(given, ceil(made / FIRST_CHARACTERS_PER_TOKEN))


def _written(piece: dict[str, Any]) -> int:
    """How many characters of an answer a piece of it holds; what ends a part of a response repeats it."""
    if str(piece.get("type", "")).endswith((".done", ".created", ".in_progress", ".added")):
        return 0
    characters, holders = 0, [piece]
    while holders:
        holder = holders.pop()
        for name, value in holder.items():
            if isinstance(value, str):
                characters += len(value) if name in _WRITTEN else 0
            elif isinstance(value, dict):
                holders.append(value)
            elif isinstance(value, list):
                holders += [item for item in value if isinstance(item, dict)]
    return characters
