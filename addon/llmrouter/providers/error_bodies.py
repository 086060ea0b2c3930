"""What an error says, whatever shape its body has (provider reference, section 5.1, 2026-11-23).

Texts are searched only in the members in which providers put messages and codes: an error may quote the prompt, and a
prompt may talk about errors.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

LONGEST_WORD = 2000
_DEEPEST = 5


@dataclass(frozen=True, slots=True)
class Told:
    """What an error says: `words` are its message and codes, one per line; `status` is one inside the body."""

    message: str
    words: str
    type: str | None
    code: str | None
    param: str | None
    status: int | None


def read_error(parsed: Any) -> Told:
    source = _source(parsed)
    message = _message(parsed)
    if message.startswith("<"):
        message = _title(message)
    words = "\n".join([message[:LONGEST_WORD], *_words(parsed)])
    return Told(
        message,
        words,
        _short(source.get("type")) or _short(source.get("status")),
        _short(source.get("code")),
        _param(source),
        _status(parsed, source),
    )


def _source(parsed: Any) -> Mapping[str, Any]:
    """The object that holds type, code and param, of all the shapes of section 5.1."""
    if isinstance(parsed, list):
        parsed = parsed[0] if parsed else None
    if not isinstance(parsed, dict):
        return {}
    for name in ("error", "errors", "detail"):
        inner = parsed.get(name)
        if isinstance(inner, list) and inner:
            inner = inner[0]
        if isinstance(inner, dict):
            return inner
    return parsed


_MESSAGES = ("error", "message", "detail", "title", "errors", "msg", "code", "type", "status", "details", "metadata")


def _message(value: Any, depth: int = 0) -> str:
    """The first text among the members that hold a message, in the order of section 5.1; empty where there is none."""
    if isinstance(value, str):
        return value.strip()
    if depth >= _DEEPEST:
        return ""
    if isinstance(value, list):
        return _message(value[0], depth + 1) if value else ""
    if isinstance(value, dict):
        found = (_message(value[name], depth + 1) for name in _MESSAGES if name in value)
        return next((text for text in found if text), "")
    return ""


_CODES = frozenset(
    {
        "code",
        "detail",
        "error",
        "error_code",
        "error_type",
        "message",
        "msg",
        "provider_code",
        "quotaId",
        "raw",
        "reason",
        "retryDelay",
        "status",
        "title",
        "type",
    }
)
_CONTAINERS = frozenset({"error", "errors", "detail", "details", "metadata", "innererror", "violations"})


def _words(value: Any, depth: int = 0) -> Iterator[str]:
    """The texts that say what went wrong, of the object and the objects inside it."""
    if depth >= _DEEPEST:
        return
    if isinstance(value, list):
        for item in value[:10]:
            yield from _words(item, depth + 1)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name in _CONTAINERS and not isinstance(inner, str):
                yield from _words(inner, depth + 1)
            else:
                yield from _word(name, inner)


def _word(name: str, value: Any) -> Iterator[str]:
    if name == "flagged_input":
        yield name
    elif name in _CODES and isinstance(value, str):
        yield f"{name}: {value[:LONGEST_WORD]}" if name == "retryDelay" else value[:LONGEST_WORD]


def _title(page: str) -> str:
    found = re.search(r"<title[^>]{0,200}>([^<]{1,200})", page, re.IGNORECASE)
    title = f": {found[1].strip()}" if found else ""
    return f"the provider sent a web page in place of an answer{title}"


def _short(value: Any) -> str | None:
    return value[:100] if isinstance(value, str) and value else None


def _param(source: Mapping[str, Any]) -> str | None:
    place = source.get("loc")
    if isinstance(place, list) and place:
        return _short(str(place[-1]))
    return _short(source.get("param"))


def _status(parsed: Any, source: Mapping[str, Any]) -> int | None:
    outer = parsed if isinstance(parsed, dict) else {}
    for value in (source.get("code"), source.get("status"), outer.get("status_code"), outer.get("status")):
        number = int(value) if isinstance(value, str) and re.fullmatch(r"[45]\d\d", value) else value
        if isinstance(number, int) and 400 <= number < 600:
            return number
    return None
