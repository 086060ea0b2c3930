"""What stands beside a text, log probabilities and citations, from chat completions to Responses."""

from collections.abc import Iterator
from typing import Any


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """The objects in a list; none where it is no list."""
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())


def logprobs_of(told: Any) -> list[dict[str, Any]]:
    """The log probabilities of a text's tokens (a choice's `logprobs`), without entries that are none."""
    entries = told.get("content") if isinstance(told, dict) else None
    return [
        {**token, "top_logprobs": [other for top in objects(entry.get("top_logprobs")) if (other := _token(top))]}
        for entry in objects(entries)
        if (token := _token(entry))
    ]


def _token(entry: dict[str, Any]) -> dict[str, Any] | None:
    """A token; its bytes are always a list in Responses (SDK 3.54, `response_output_text.py`)."""
    token, logprob, spelt = entry.get("token"), entry.get("logprob"), entry.get("bytes")
    if not isinstance(token, str) or isinstance(logprob, bool) or not isinstance(logprob, int | float):
        return None
    is_spelt = isinstance(spelt, list) and all(isinstance(byte, int) for byte in spelt)
    return {"token": token, "bytes": spelt if is_spelt else [], "logprob": logprob}


def citations_of(annotations: Any) -> list[dict[str, Any]]:
    """The citations of web pages among a message's annotations, all that chat completions know of."""
    return [told for entry in objects(annotations) if (told := _citation(entry))]


def _citation(entry: dict[str, Any]) -> dict[str, Any] | None:
    inner = entry.get("url_citation") if entry.get("type") == "url_citation" else None
    if not isinstance(inner, dict) or not isinstance(url := inner.get("url"), str):
        return None
    start, end, title = inner.get("start_index"), inner.get("end_index"), inner.get("title")
    if not _is_place(start) or not _is_place(end):
        return None
    named = title if isinstance(title, str) else ""
    return {"type": "url_citation", "start_index": start, "end_index": end, "url": url, "title": named}


def _is_place(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
