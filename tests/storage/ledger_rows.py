"""Rows of the ledger for tests."""

from typing import Any

from llmrouter.storage.call_rows import CallRow

NOON = 1795435200.0
"""2026-11-23, noon in UTC."""

_ANSWERED = CallRow(
    at=NOON,
    id="req-1",
    endpoint="chat.completions",
    requested="gpt-4o",
    provider="groq",
    model="llama",
    caller="c0ffee",
    stream=False,
    cache="miss",
    result="answered",
    status=200,
    error=None,
    attempts=1,
    failures=None,
    input_tokens=100,
    cached_tokens=20,
    cache_write_tokens=0,
    output_tokens=10,
    reasoning_tokens=4,
    cost_usd=0.001,
    known_cost_usd=0.001,
    is_unpriced=False,
    saved_usd=0.002,
    first_content_s=0.5,
    seconds=1.0,
)


def row(**members: Any) -> CallRow:
    """A call that was answered, with some members changed."""
    return _ANSWERED._replace(**members)
