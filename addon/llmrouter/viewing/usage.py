"""What a body says of the tokens that a call took."""

from typing import Any

from llmrouter.viewing.shapes import Json, object_of

USAGE = "Usage: "
"""How the line begins."""


def usage_line(body: Json) -> str | None:
    """The tokens in and out, None where the body does not tell them."""
    usage = object_of(body.get("usage")) or object_of(body.get("usageMetadata"))
    given = _first(usage, "prompt_tokens", "input_tokens", "promptTokenCount")
    made = _first(usage, "completion_tokens", "output_tokens", "candidatesTokenCount")
    if given is None and made is None:
        return None
    cached = _first(
        {**usage, **object_of(usage.get("prompt_tokens_details")), **object_of(usage.get("input_tokens_details"))},
        "cached_tokens",
        "cache_read_input_tokens",
        "cachedContentTokenCount",
    )
    thought = _first(
        {**usage, **object_of(usage.get("completion_tokens_details")), **object_of(usage.get("output_tokens_details"))},
        "reasoning_tokens",
        "thoughtsTokenCount",
    )
    parts = [f"{_told(given)} tokens in" + (f" ({cached:,} cached)" if cached else "")]
    parts.append(f"{_told(made)} out" + (f" ({thought:,} thinking)" if thought else ""))
    return USAGE + ", ".join(parts)


def _first(usage: Json, *names: str) -> int | None:
    values: list[Any] = [usage.get(name) for name in names]
    return next((value for value in values if isinstance(value, int)), None)


def _told(count: int | None) -> str:
    return "?" if count is None else f"{count:,}"
