"""Content parts of messages as Anthropic's blocks (provider reference, section 9.1)."""

import base64
import binascii
from typing import Any
from urllib.parse import unquote_to_bytes

from llmrouter.providers.anthropic.notes import Notes, untold

_PICTURES = frozenset({"image/gif", "image/jpeg", "image/png", "image/webp"})
_PDF = "application/pdf"
_TEXTS = frozenset({"application/json", "application/xml", "application/yaml"})
_BY_ENDING = {"csv": "text/csv", "html": "text/html", "json": "application/json", "md": "text/markdown"}
_BY_ENDING |= {"pdf": _PDF, "txt": "text/plain", "xml": "application/xml", "yaml": "application/yaml"}


def blocks_of(content: Any, notes: Notes) -> list[dict[str, Any]]:
    """The blocks of a message's content, without blank text, which Anthropic refuses.

    Raises `AttemptFailed` with NOT_TRANSLATABLE for content that it has no block for.
    """
    if content is None:
        return []
    if isinstance(content, str):
        return [text_block(content)] if content.strip() else []
    return [block for part in content if (block := _block(part, notes)) is not None]


def text_block(text: str) -> dict[str, Any]:
    """A block of text."""
    return {"type": "text", "text": text}


def _block(part: Any, notes: Notes) -> dict[str, Any] | None:
    kind = part.get("type") if isinstance(part, dict) else None
    match kind:
        case "text" | "refusal":
            if not isinstance(text := part.get(kind), str):
                raise untold(f"a content part of the type '{kind}' has no text")
            block = text_block(text) if text.strip() else None
        case "image_url":
            block = _picture(part.get("image_url"), notes)
        case "file":
            block = _document(part.get("file"))
        case _:
            raise untold(f"it knows no content of the type '{kind}'")
    if block is not None and part.get("prompt_cache_breakpoint"):
        notes.mark(block)
    return block


def _picture(picture: Any, notes: Notes) -> dict[str, Any]:
    url = picture.get("url") if isinstance(picture, dict) else None
    if not isinstance(url, str):
        raise untold("an 'image_url' has no 'url'")
    if picture.get("detail") not in (None, "auto"):
        notes.add("without image detail")
    if url[:8].lower() == "https://":
        return {"type": "image", "source": {"type": "url", "url": url}}
    if url[:5].lower() != "data:":
        raise untold("an 'image_url' is neither a data URI nor an https address")
    kind, data = _data_of(url)
    kind = "image/jpeg" if kind == "image/jpg" else kind
    if kind not in _PICTURES:
        raise untold(f"it takes no pictures of the type '{kind[:100]}'")
    return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}


def _document(file: Any) -> dict[str, Any]:
    """A `file` part with `file_data`: a data URI, or base64 whose type the file's name tells, else PDF."""
    data = file.get("file_data") if isinstance(file, dict) else None
    if not isinstance(data, str) or not data:
        raise untold("a file that was uploaded to OpenAI is not to be had elsewhere")
    name = file.get("filename")
    name = name if isinstance(name, str) and name.strip() else None
    guess = _BY_ENDING.get(name.rpartition(".")[2].lower(), _PDF) if name else _PDF
    kind, data = _data_of(data) if data[:5].lower() == "data:" else (guess, data)
    source = {"type": "base64", "media_type": _PDF, "data": data}
    if kind != _PDF:
        source = {"type": "text", "media_type": "text/plain", "data": _decoded(kind, data)}
    return {"type": "document", "source": source} | ({"title": name} if name else {})


def _data_of(uri: str) -> tuple[str, str]:
    """Media type and base64 of a data URI, whose data may be percent-encoded instead (RFC 2397)."""
    head, comma, data = uri[5:].partition(",")
    kind, *parameters = (piece.strip().lower() for piece in head.split(";"))
    if not comma or not data:
        raise untold("a data URI has no data")
    if parameters and parameters[-1] == "base64":
        return kind or "text/plain", unquote_to_bytes(data).decode("ascii", "replace") if "%" in data else data
    return kind or "text/plain", base64.b64encode(unquote_to_bytes(data)).decode()


def _decoded(kind: str, data: str) -> str:
    if not kind.startswith("text/") and kind not in _TEXTS:
        raise untold(f"it takes no files of the type '{kind[:100]}'")
    try:
        text = base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise untold("a text file holds no valid base64 of UTF-8") from error
    if not text.strip():
        raise untold("it takes no files without any text")
    return text
