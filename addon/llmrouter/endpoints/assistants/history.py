"""A thread and a run as the body of a chat call: what the model reads of the thread, and what the run asks for.

A thread's messages and the tool calls of its runs are pieces in the order in which they happened. A piece is kept or
dropped as a whole: the calls that a model made at once are one assistant message, and their outputs follow it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from llmrouter.endpoints.assistants.objects import Object

CHARACTERS_PER_TOKEN = 4
"""A rough guess for limits of tokens, which OpenAI itself keeps "by best effort"; usage tells the truth afterwards."""


class Placed(NamedTuple):
    """A message of a thread, and its position there."""

    position: int
    message: Object


@dataclass(frozen=True, slots=True)
class Past:
    """What happened in a thread: its messages by position, the tool calls of this run, and those of earlier ones."""

    messages: Sequence[Placed]
    own: Sequence[Object]
    earlier: Sequence[Object]


@dataclass(frozen=True, slots=True)
class _Piece:
    chat: list[Object]
    is_message: bool
    is_own: bool

    @property
    def characters(self) -> int:
        return sum(len(orjson.dumps(message)) for message in self.chat)


def chat_body(run: Object, past: Past, characters: int | None, completion_tokens: int | None) -> Object | None:
    """The chat call's body; None where even the least of it is longer than `characters` (None: no limit).

    `completion_tokens` is what the answer may take at most.
    """
    system = [{"role": "system", "content": run["instructions"]}] if run["instructions"] else []
    pieces = _window(_pieces(run["id"], past), run["truncation_strategy"])
    if characters is not None:
        for message in system:
            characters -= len(orjson.dumps(message))
        characters -= len(orjson.dumps(run["tools"])) if run["tools"] else 0
        kept = _fitting(pieces, characters)
        if kept is None:
            return None
        pieces = kept
    body: Object = {"model": run["model"], "messages": system + [one for piece in pieces for one in piece.chat]}
    if completion_tokens is not None:
        body["max_completion_tokens"] = completion_tokens
    return body | _options(run, bool(past.own)) | {"stream": True, "stream_options": {"include_usage": True}}


def _options(run: Object, is_continued: bool) -> Object:
    """What the run says otherwise than a chat call does by itself."""
    options: Object = {}
    for name in ("temperature", "top_p"):
        if run[name] not in (None, 1):
            options[name] = run[name]
    if run.get("reasoning_effort") is not None:
        options["reasoning_effort"] = run["reasoning_effort"]
    if isinstance(run["response_format"], dict) and run["response_format"]["type"] != "text":
        options["response_format"] = run["response_format"]
    if run["tools"]:
        options["tools"] = run["tools"]
        # A function that must be called is called once: the outputs would be asked for without end otherwise.
        choice = run["tool_choice"]
        if choice != "auto" and (choice == "none" or not is_continued):
            options["tool_choice"] = choice
        if run["parallel_tool_calls"] is False:
            options["parallel_tool_calls"] = False
    return options


def _pieces(run_id: str, past: Past) -> list[_Piece]:
    """Everything in the order in which it happened; calls stand after the message at their position."""
    exchanges = [(exchange, False) for exchange in past.earlier] + [(exchange, True) for exchange in past.own]
    exchanges.sort(key=lambda one: one[0]["after"])
    found: list[_Piece] = []
    for position, message in past.messages:
        while exchanges and exchanges[0][0]["after"] < position:
            found.append(_exchange_piece(*exchanges.pop(0)))
        chat = _chat_message(message)
        is_own = message["run_id"] == run_id
        if exchanges and exchanges[0][0]["message_id"] == message["id"]:
            exchange, _ = exchanges.pop(0)
            found.append(_Piece(_exchange_messages(exchange, chat), True, is_own))
        elif chat is not None:
            found.append(_Piece([chat], True, is_own))
    return found + [_exchange_piece(*one) for one in exchanges]


def _exchange_piece(exchange: Object, is_own: bool) -> _Piece:
    return _Piece(_exchange_messages(exchange, None), False, is_own)


def _exchange_messages(exchange: Object, text: Object | None) -> list[Object]:
    calls = [
        {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}}
        for call in exchange["tool_calls"]
    ]
    asking = {"role": "assistant", "content": None if text is None else text["content"], "tool_calls": calls}
    outputs = [
        {"role": "tool", "tool_call_id": call["id"], "content": call["output"]} for call in exchange["tool_calls"]
    ]
    return [asking, *outputs]


def _chat_message(message: Object) -> Object | None:
    """A thread's message as a chat message; None where it says nothing."""
    parts = [_chat_part(part) for part in message["content"]]
    texts = [part["text"] for part in parts if part["type"] == "text"]
    if len(texts) == len(parts) and (len(texts) == 1 or message["role"] == "assistant"):
        text = "\n".join(texts)
        return {"role": message["role"], "content": text} if text else None
    return {"role": message["role"], "content": parts} if parts else None


def _chat_part(part: Object) -> Object:
    match part["type"]:
        case "text":
            return {"type": "text", "text": part["text"]["value"]}
        case "refusal":
            return {"type": "text", "text": part["refusal"]}
        case _:
            return {"type": "image_url", "image_url": part["image_url"]}


def _window(pieces: list[_Piece], strategy: dict[str, Any]) -> list[_Piece]:
    """What the run's strategy lets it read; what the run itself added is always read."""
    if strategy["type"] != "last_messages":
        return pieces
    left, kept = strategy["last_messages"], []
    for piece in reversed(pieces):
        if not piece.is_own and left == 0:
            continue
        kept.append(piece)
        if piece.is_message and not piece.is_own:
            left -= 1
    return kept[::-1]


def _fitting(pieces: list[_Piece], characters: int) -> list[_Piece] | None:
    """The run's own pieces, what stands right before them, the first message, and as many of the newest as fit."""
    first_own = next((number for number, piece in enumerate(pieces) if piece.is_own), len(pieces))
    last = next((number for number in range(first_own - 1, -1, -1) if pieces[number].is_message), 0)
    must, before = pieces[last:], pieces[:last]
    left = characters - sum(piece.characters for piece in must)
    if left < 0:
        return None
    first: list[_Piece] = []
    if before and before[0].characters <= left:
        first = [before[0]]
        left -= before[0].characters
    newest: list[_Piece] = []
    for piece in reversed(before[1:]):
        left -= piece.characters
        if left < 0:
            break
        newest.append(piece)
    return [*first, *reversed(newest), *must]
