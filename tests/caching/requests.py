"""Calls for the tests of the cache, parsed as the router parses them."""

import json
from typing import Any

from pydantic import SecretStr

from llmrouter.calls import CacheWishes, Call, Caller, Preferences
from llmrouter.endpoints import chat

ASKED: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "ping"}]}


def call_of(
    body: bytes | None = None, *, key: str | None = "key-of-the-app", wishes: CacheWishes | None = None, **members: Any
) -> Call:
    """A call with such members beside a short prompt, or with such a body."""
    credential = None if key is None else SecretStr(f"Bearer {key}")
    return chat.parse(
        json.dumps(ASKED | members).encode() if body is None else body,
        "gpt-4o-mini",
        id="req-1",
        caller=Caller(credential),
        preferences=Preferences(cache=wishes or CacheWishes()),
    )
