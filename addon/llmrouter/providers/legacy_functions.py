"""`functions` and `function_call`, which came before `tools`, for targets that know tools alone.

Apps of 2023 still send them, and expect `function_call` in the answer (OpenAI's API reference, chat completions:
deprecated members). OpenAI's own models get them untouched.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from llmrouter.calls import Call, JsonObject
from llmrouter.providers.wire import ChunkDecoder
from llmrouter.replies import Chunk, Reply, Usage

_LEGACY = frozenset({"functions", "function_call"})


def is_legacy(call: Call) -> bool:
    """Whether the call has functions, or a history of their calls, in the old form."""
    return bool(call.members & _LEGACY) or any(
        message["role"] == "function" or message.get("function_call") for message in call.body["messages"]
    )


def modernised(call: Call) -> Call:
    """The same call with tools, one call of them at a time, as it was with functions."""
    body = call.body
    changes: dict[str, Any] = {"messages": _messages(body["messages"])}
    if functions := body.get("functions"):
        changes["tools"] = [{"type": "function", "function": function} for function in functions]
        changes["parallel_tool_calls"] = False
        if choice := body.get("function_call"):
            changes["tool_choice"] = {"type": "function", "function": choice} if isinstance(choice, dict) else choice
    members = (call.members - _LEGACY) | (changes.keys() - {"messages"})
    return replace(call, body=JsonObject(body.encode(changes, _LEGACY)), members=members)


def _messages(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Messages whose function calls have ids, by which their results find them."""
    written = []
    ids: dict[str, str] = {}
    for number, message in enumerate(messages):
        called = message.get("function_call")
        if message["role"] == "function":
            id = ids.get(str(message.get("name")), f"call_{number}")
            written.append({"role": "tool", "tool_call_id": id, "content": message.get("content") or ""})
        elif isinstance(called, dict):
            id = ids[str(called.get("name"))] = f"call_{number}"
            call = {"id": id, "type": "function", "function": called}
            rest = {name: value for name, value in message.items() if name != "function_call"}
            written.append({**rest, "tool_calls": [call]})
        else:
            written.append(message)
    return written


def legacy_reply(reply: Reply) -> Reply:
    """The reply with its first tool call as a function call."""
    if b'"tool_calls"' not in reply.data:
        return reply
    fields = orjson.loads(reply.data)
    fields["choices"] = [_choice(choice, "message") for choice in fields["choices"]]
    return Reply(orjson.dumps(fields), reply.usage)


def _choice(choice: dict[str, Any], name: str) -> dict[str, Any]:
    inner = dict(choice[name])
    if calls := inner.pop("tool_calls", None):
        function = calls[0].get("function") or {}
        inner["function_call"] = {key: function[key] for key in ("name", "arguments") if key in function}
    reason = choice.get("finish_reason")
    return {**choice, name: inner, "finish_reason": "function_call" if reason == "tool_calls" else reason}


class LegacyDecoder:
    """Decodes a stream and gives its first tool call as a function call."""

    __slots__ = ("_inner",)

    def __init__(self, inner: ChunkDecoder) -> None:
        self._inner = inner

    @property
    def done(self) -> bool:
        return self._inner.done

    @property
    def usage(self) -> Usage | None:
        return self._inner.usage

    @property
    def is_holding(self) -> bool:
        return self._inner.is_holding

    def feed(self, data: bytes) -> list[Chunk]:
        """The chunks that these bytes complete."""
        return [_chunk(chunk) for chunk in self._inner.feed(data)]

    def finish(self) -> list[Chunk]:
        """The chunks that the end of the stream completes."""
        return [_chunk(chunk) for chunk in self._inner.finish()]


def _chunk(chunk: Chunk) -> Chunk:
    if b'"tool_calls"' not in chunk.data:
        return chunk
    fields = orjson.loads(chunk.data)
    fields["choices"] = [_choice(choice, "delta") for choice in fields["choices"]]
    return replace(chunk, data=orjson.dumps(fields))
