"""Calls, targets and stream text for the tests of wire formats."""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pydantic import SecretStr

from llmrouter.brands import BRANDS
from llmrouter.calls import Call, Caller, Preferences
from llmrouter.endpoints import chat
from llmrouter.errors import AttemptFailed
from llmrouter.providers.turn_memory import TurnMemory
from llmrouter.providers.wire import Job
from llmrouter.targets import Target

NOW = 1_795_000_000.0
"""Some moment in November 2026, in Unix seconds."""


def call_of(
    include_usage: bool = False, caller: Caller | None = None, text: bytes | None = None, **members: Any
) -> Call:
    """A call for gpt-4o; `members` are added to its body, `text` is a whole body in its place."""
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "ping"}], **members}
    whole = text or json.dumps(body).encode()
    call = chat.parse(whole, "gpt-4o", id="call-1", caller=caller or Caller(), preferences=Preferences())
    return replace(call, include_usage=include_usage or call.include_usage)


def job_of(call: Call | None = None, target: Target | None = None, unsupported: Iterable[str] = ()) -> Job:
    """The job of a call, a plain one where none is given, for a target, by default one of groq."""
    call, target = call or call_of(), target or target_of()
    dialect = target.dialect.for_members(call.members)
    return Job(call, target, dialect, int(NOW), TurnMemory(), frozenset(unsupported))


def target_of(brand: str = "groq", **changes: Any) -> Target:
    """A target of this brand with a key of its own."""
    settings: dict[str, Any] = {
        "provider": brand,
        "model": "llama-3.3-70b",
        "brand": BRANDS[brand],
        "base_url": BRANDS[brand].base_url or "http://localhost:9/v1",
        "credential": SecretStr(f"key-of-{brand}"),
    }
    return Target(**(settings | changes))


def chunk_json(delta: Any = None, finish_reason: str | None = None, **members: Any) -> dict[str, Any]:
    """A chunk as a provider sends it."""
    choice = {"index": 0, "delta": {} if delta is None else delta, "finish_reason": finish_reason}
    frame = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "llama-3.3-70b"}
    return {**frame, "choices": [choice], **members}


def sse(*events: Any) -> bytes:
    """A stream of these events; text stands as it is, all else as JSON."""
    texts = [event if isinstance(event, str) else json.dumps(event, separators=(",", ":")) for event in events]
    return "".join(f"data: {text}\n\n" for text in texts).encode()


def told(failed: AttemptFailed) -> dict[str, Any]:
    """The error that a failure hands on; fails the test where there is none."""
    assert failed.error is not None
    return failed.error
