"""Reads the bodies of successful answers, whatever the wire format."""

from typing import Any

import orjson

from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.failures import classify_inside


def parsed(data: bytes) -> Any:
    """The JSON value; raises `AttemptFailed` for what is empty, a web page or no JSON."""
    if not data:
        raise bad("the provider sent an empty answer")
    if data.startswith(b"<"):
        raise classify_inside(data.decode("utf-8", "replace"))
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise bad("the provider sent an answer that is no valid JSON") from error


def bad(message: str) -> AttemptFailed:
    """The failure for an answer that makes no sense."""
    return AttemptFailed(Outcome.BAD_REPLY, message)
