"""Loaded into mitmproxy beside the router: a chat that says "break me" meets a defect before anything is sent."""

from typing import Any

from llmrouter.endpoints import chat

_parse = chat.parse


def _parse_or_raise(body: bytes, *rest: Any, **more: Any) -> Any:
    if b"break me" in body:
        raise RuntimeError("a defect")
    return _parse(body, *rest, **more)


chat.parse = _parse_or_raise
