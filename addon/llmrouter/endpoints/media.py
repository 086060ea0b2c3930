"""What pictures, sound and files in a chat count for: a guess, made from their first bytes and their length.

The rules are OpenAI's own for its 4o models; other models count otherwise, some three times as much or as little.
"""

from binascii import Error as NotBase64
from binascii import a2b_base64
from collections.abc import Callable, Iterable, Iterator
from math import ceil
from typing import Any

from llmrouter.calls import MediaTokens, Need
from llmrouter.endpoints.image_sizes import LONGEST_HEAD, Size, size_of

PART_NEEDS = {"image_url": Need.VISION, "input_audio": Need.AUDIO, "file": Need.FILES}
"""What a part of a message needs, by its type."""

LOW_DETAIL_TOKENS = 85
"""A picture at low detail, and what one at high detail costs before its tiles (OpenAI, "Images and vision")."""

TILE_TOKENS = 170
"""Each tile of 512 pixels, once the picture is fitted into 2048 and its shorter side into 768 (OpenAI, as above)."""

UNSEEN_IMAGE_TOKENS = 765
"""A picture whose size is not known, such as one that is told by its address: as one of 1024 pixels a side."""

AUDIO_TOKENS_PER_S = 10
"""OpenAI counts one token for each 100 ms of what a user says (OpenAI, "Managing Realtime costs")."""

UNSEEN_FILE_TOKENS = 5_000
"""A file that is told by its id or address: no more than a guess, of a few pages."""

# Where the header does not tell: MP3 at 128 kbit/s.
_AUDIO_BYTES_PER_S = 16_000
_TEXT_BYTES_PER_TOKEN = 4
# A page of a PDF file has about 50 kB, and is read as text and as a picture: about 1,500 tokens.
_FILE_BYTES_PER_TOKEN = 32
_HEAD = 4_096
# What a guess may be wrong by, before a target is left out for its window.
_MARGIN, _FILE_MARGIN = 3, 10


def media_in(messages: Iterable[Any]) -> tuple[int, MediaTokens]:
    """How many characters of these messages are base64, which no model counts as such, and what the media count for."""
    characters = tokens = least = 0
    for kind, member in _members(messages):
        data = _data_of(kind, member)
        guess, margin = _GUESSES[kind](member, data)
        characters += len(data)
        tokens += guess
        least += guess // margin
    return characters, MediaTokens(tokens, least)


def _members(messages: Iterable[Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for message in messages:
        if isinstance(parts := message.get("content"), list):
            for part in parts:
                kind = part.get("type") if isinstance(part, dict) else None
                if isinstance(kind, str) and kind in PART_NEEDS:
                    member = part.get(kind)
                    # Some clients give a picture's address where OpenAI wants an object.
                    yield kind, member if isinstance(member, dict) else {"url": member}


def _data_of(kind: str, member: dict[str, Any]) -> str:
    """The base64, with what stands before it in a data URL; empty where the part has none."""
    text = member.get({"image_url": "url", "input_audio": "data", "file": "file_data"}[kind])
    if not isinstance(text, str) or (kind == "image_url" and not text.startswith("data:")):
        return ""
    return text


def _image(member: dict[str, Any], data: str) -> tuple[int, int]:
    if member.get("detail") == "low":
        return LOW_DETAIL_TOKENS, _MARGIN
    # Most formats tell it at once, JPEG after what cameras write down, such as a small copy of the picture.
    size = size_of(_head(data, _HEAD)) or size_of(_head(data, LONGEST_HEAD))
    return UNSEEN_IMAGE_TOKENS if size is None else tokens_of_image(size), _MARGIN


def tokens_of_image(size: Size) -> int:
    """What a picture of so many pixels counts for at high detail."""
    scale = min(1.0, 2048 / max(size))
    scale *= min(1.0, 768 / (min(size) * scale))
    return LOW_DETAIL_TOKENS + TILE_TOKENS * ceil(size[0] * scale / 512) * ceil(size[1] * scale / 512)


def _audio(_: dict[str, Any], data: str) -> tuple[int, int]:
    head, per_s = _head(data, _HEAD), _AUDIO_BYTES_PER_S
    if head.startswith(b"RIFF") and head[8:16] == b"WAVEfmt ":
        per_s = int.from_bytes(head[28:32], "little") or per_s
    return ceil(_size(data) / per_s * AUDIO_TOKENS_PER_S), _MARGIN


def _file(_: dict[str, Any], data: str) -> tuple[int, int]:
    if not data:
        return UNSEEN_FILE_TOKENS, UNSEEN_FILE_TOKENS + 1
    if data.startswith("data:text/"):
        return ceil(_size(data) / _TEXT_BYTES_PER_TOKEN), _MARGIN
    return ceil(_size(data) / _FILE_BYTES_PER_TOKEN), _FILE_MARGIN


_GUESSES: dict[str, Callable[[dict[str, Any], str], tuple[int, int]]] = {
    "image_url": _image,
    "input_audio": _audio,
    "file": _file,
}


def _begin(data: str) -> int:
    """Where the base64 begins."""
    return data.find(",", 0, 200) + 1 if data.startswith("data:") else 0


def _head(data: str, size: int) -> bytes:
    """The first bytes; empty where they are no base64."""
    begin = _begin(data)
    text = data[begin : begin + size * 4 // 3 // 4 * 4]
    try:
        return a2b_base64(text)
    except (NotBase64, ValueError):
        return b""


def _size(data: str) -> int:
    return (len(data) - _begin(data)) * 3 // 4 - data[-2:].count("=")
