"""What an error says, whatever shape its body has (provider reference, section 5.1, 2026-11-23).

Texts are searched only in the members in which providers put messages and codes: an error may quote the prompt, and a
prompt may talk about errors.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

LONGEST_WORD = 2000
_LONGEST_CODE = 100
_DEEPEST = 8
_QUOTATION = re.compile(r"""['"]input(?:_value)?['"]\s?:|\binput_value=""")
"""Where pydantic, and servers that print its errors, begin to quote the request."""

_MOST_ITEMS = 10


@dataclass(frozen=True, slots=True)
class Told:
    """What an error says.

    `texts` are its message and all texts and codes, `codes` the codes and types alone. `type`, `code` and `param` are
    those of the object that holds the message. `status` is an HTTP status inside the body. `extra` are the places that
    a validator calls superfluous, `headers` (lower-case names) those that the body quotes.
    """

    message: str
    texts: tuple[str, ...]
    codes: tuple[str, ...]
    type: str | None
    code: str | None
    param: str | None
    status: int | None
    extra: tuple[str, ...]
    headers: Mapping[str, str]

    @property
    def words(self) -> str:
        """All texts, one per line, without what they quote of the request."""
        return "\n".join(_QUOTATION.split(text, maxsplit=1)[0] for text in self.texts)


def read_error(parsed: Any) -> Told:
    """What the parsed body of an error says; bodies that are no JSON are given as text."""
    parsed = _unwrapped(parsed)
    source = _source(parsed)
    message = _message(parsed)
    if message.startswith("<"):
        message = _title(message)
    words = list(_words(parsed))
    return Told(
        message,
        (message[:LONGEST_WORD], *(text[:LONGEST_WORD] for _, text in words)),
        tuple(text[:_LONGEST_CODE] for name, text in words if name in _CODES),
        _short(source.get("type")) or _short(source.get("status")),
        _short(source.get("code")),
        _param(source),
        _status(parsed, source),
        tuple(_extra(parsed)),
        _headers(source),
    )


def _unwrapped(parsed: Any) -> Any:
    """Of a list its first element (section 5.1)."""
    if isinstance(parsed, list):
        return parsed[0] if parsed else None
    return parsed


def _source(parsed: Any) -> Mapping[str, Any]:
    """The object that holds type, code and param."""
    if not isinstance(parsed, dict):
        return {}
    for name in ("error", "errors", "detail"):
        inner = _unwrapped(parsed.get(name))
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


_TEXTS = frozenset({"description", "detail", "error", "message", "msg", "title"})
_CODES = frozenset({"code", "error_code", "error_type", "provider_code", "reason", "status", "type"})
_OTHER_WORDS = frozenset({"quotaId", "retryDelay"})
_CONTAINERS = frozenset(
    {"detail", "details", "error", "errors", "fieldViolations", "innererror", "metadata", "violations"}
)


def _words(value: Any, depth: int = 0) -> Iterator[tuple[str, str]]:
    """The texts that say what went wrong, of the object and the objects inside it, each with its member's name."""
    if depth >= _DEEPEST:
        return
    if isinstance(value, list):
        for item in value[:_MOST_ITEMS]:
            yield from _words(item, depth + 1)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _word(name, inner, depth)


def _word(name: str, value: Any, depth: int) -> Iterator[tuple[str, str]]:
    if name == "flagged_input":
        yield name, name
    elif name == "raw":
        yield from _quoted(value, depth)
    elif name in _CONTAINERS and not isinstance(value, str):
        yield from _words(value, depth + 1)
    elif isinstance(value, str) and name in _TEXTS | _CODES | _OTHER_WORDS:
        yield name, f"retryDelay: {value}" if name == "retryDelay" else value


def _quoted(value: Any, depth: int) -> Iterator[tuple[str, str]]:
    """The error of another provider that OpenRouter hands on as text (section 3.4)."""
    if not isinstance(value, str):
        yield from _words(value, depth + 1)
        return
    yield "raw", value
    if (inner := _parsed(value)) is not None:
        yield from _words(inner, depth + 1)


def _parsed(text: str) -> Any:
    """The JSON value that the text is; None where it is none."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _title(page: str) -> str:
    found = re.search(r"<title[^>]{0,200}>([^<]{1,200})", page, re.IGNORECASE)
    title = f": {found[1].strip()}" if found else ""
    return f"the provider sent a web page in place of an answer{title}"


def _short(value: Any) -> str | None:
    return value[:_LONGEST_CODE] if isinstance(value, str) and value else None


def _param(source: Mapping[str, Any]) -> str | None:
    return _place(source.get("loc")) or _short(source.get("param"))


def _place(loc: Any) -> str | None:
    """FastAPI's place of an error in OpenAI's notation: `messages[0].content`; None for the body as a whole."""
    if not isinstance(loc, list):
        return None
    names = loc[1:] if loc[:1] == ["body"] else loc
    place = ""
    for name in names[:_MOST_ITEMS]:
        if isinstance(name, str):
            place += f".{name}" if place else name
        elif place:
            place += f"[{name}]"
    return _short(place)


_IS_EXTRA = re.compile(r"extra[ _](?:inputs? |fields? |input_)?(?:are |is )?(?:not permitted|forbidden)", re.IGNORECASE)


def _extra(parsed: Any) -> Iterator[str]:
    """The places that validators in the manner of FastAPI call superfluous."""
    if not isinstance(parsed, dict):
        return
    for name in ("detail", "error", "errors", "details", "message"):
        items = parsed.get(name)
        for item in items[:_MOST_ITEMS] if isinstance(items, list) else ():
            if not isinstance(item, dict) or not (place := _place(item.get("loc"))):
                continue
            if any(isinstance(item.get(word), str) and _IS_EXTRA.search(item[word]) for word in ("type", "msg")):
                yield place


def _status(parsed: Any, source: Mapping[str, Any]) -> int | None:
    outer = parsed if isinstance(parsed, dict) else {}
    told = (source.get("code"), source.get("status"), *(outer.get(n) for n in ("status_code", "statusCode", "status")))
    for value in told:
        number = int(value) if isinstance(value, str) and re.fullmatch(r"[45]\d\d", value) else value
        if isinstance(number, int) and 400 <= number < 600:
            return number
    return None


def _headers(source: Mapping[str, Any]) -> Mapping[str, str]:
    """The rate-limit headers that OpenRouter puts into the body, too."""
    metadata = source.get("metadata")
    headers = metadata.get("headers") if isinstance(metadata, dict) else None
    if not isinstance(headers, dict):
        return {}
    return {name.lower(): value for name, value in headers.items() if isinstance(value, str)}
