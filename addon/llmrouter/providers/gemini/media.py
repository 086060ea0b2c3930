"""Pictures, sound and files of a message as parts of Gemini's contents."""

import base64
import binascii
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from llmrouter.errors import AttemptFailed, Outcome

_TYPES = {
    "csv": "text/csv",
    "flac": "audio/flac",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "html": "text/html",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "md": "text/markdown",
    "mov": "video/quicktime",
    "mp3": "audio/mp3",
    "mp4": "video/mp4",
    "ogg": "audio/ogg",
    "pdf": "application/pdf",
    "png": "image/png",
    "txt": "text/plain",
    "wav": "audio/wav",
    "webm": "video/webm",
    "webp": "image/webp",
}
_PICTURE, _FILE = "image/jpeg", "application/pdf"


def picture_part(picture: Any) -> dict[str, Any]:
    """The value of an `image_url` part: `inlineData` for a data URI, `fileData` for an address (provider reference,
    section 3.8).

    An address tells no media type: it is guessed from the ending of its path, JPEG where there is none. Raises
    `AttemptFailed` with NOT_TRANSLATABLE for anything else.
    """
    url = picture.get("url") if isinstance(picture, dict) else None
    if not isinstance(url, str) or not url:
        raise untold("an 'image_url' has no 'url'")
    if url[:5].lower() == "data:":
        return _inline(*_data_of(url, _PICTURE))
    if _scheme(url) not in ("http", "https", "gs"):
        raise untold("an 'image_url' is neither a data URI nor an http, https or gs address")
    return {"fileData": {"fileUri": url, "mimeType": _guessed(url.partition("?")[0].partition("#")[0], _PICTURE)}}


def sound_part(sound: Any) -> dict[str, Any]:
    """The value of an `input_audio` part; its `format` becomes the media type of the same name."""
    data = sound.get("data") if isinstance(sound, dict) else None
    kind = sound.get("format") if isinstance(sound, dict) else None
    if not isinstance(data, str) or not isinstance(kind, str) or not data or not kind:
        raise untold("an 'input_audio' has no 'data' or no 'format'")
    return _inline(f"audio/{kind}", data)


def file_part(file: Any) -> dict[str, Any]:
    """The value of a `file` part with `file_data`: a data URI, or base64 whose type the file's name tells, else PDF."""
    data = file.get("file_data") if isinstance(file, dict) else None
    if not isinstance(data, str) or not data:
        raise untold("a file that was uploaded to OpenAI is not to be had elsewhere")
    name = file.get("filename")
    guess = _guessed(name, _FILE) if isinstance(name, str) else _FILE
    if data[:5].lower() == "data:":
        return _inline(*_data_of(data, guess))
    return _inline(guess, data)


def untold(message: str) -> AttemptFailed:
    """The failure for what cannot be said to Gemini."""
    return AttemptFailed(Outcome.NOT_TRANSLATABLE, message)


def _inline(kind: str, data: str) -> dict[str, Any]:
    return {"inlineData": {"mimeType": kind, "data": data}}


def _data_of(uri: str, default: str) -> tuple[str, str]:
    """Media type and base64 of a data URI, whose data may be percent-encoded instead (RFC 2397)."""
    head, comma, data = uri[5:].partition(",")
    if not comma:
        raise untold("a data URI has no data")
    kind, *parameters = (piece.strip() for piece in head.split(";"))
    if parameters and parameters[-1].lower() == "base64":
        return kind.lower() or default, _checked(data)
    return kind.lower() or default, base64.b64encode(unquote_to_bytes(data)).decode()


def _checked(data: str) -> str:
    """The base64 text itself; a `%` in it means that it was percent-encoded, too."""
    if "%" not in data:
        return data
    try:
        return base64.b64encode(base64.b64decode(unquote_to_bytes(data), validate=True)).decode()
    except binascii.Error as error:
        raise untold("a data URI holds no valid base64") from error


def _guessed(name: str, default: str) -> str:
    return _TYPES.get(name.rpartition(".")[2].lower(), default)


def _scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme
    except ValueError:
        return ""
