"""Pictures, sound and files are guessed by OpenAI's rules, from the first bytes of their data."""

import json
from base64 import b64encode
from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrouter.calls import Call, Caller, Preferences
from llmrouter.endpoints import chat
from llmrouter.endpoints.image_sizes import size_of
from llmrouter.endpoints.media import UNSEEN_FILE_TOKENS, UNSEEN_IMAGE_TOKENS


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + pack(">I4sII", 13, b"IHDR", width, height) + b"\x08\x06" + bytes(300)


def jpeg(width: int, height: int, before: int = 40) -> bytes:
    """One with so many bytes of what cameras write, then a table, then the frame."""
    exif = b"\xff\xe1" + pack(">H", before + 2) + bytes(before)
    return b"\xff\xd8" + exif + b"\xff\xc4\x00\x04ab" + b"\xff\xc2" + pack(">HBHH", 11, 8, height, width) + bytes(300)


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + pack("<HH", width, height) + bytes(30)


def webp(form: bytes, size: bytes) -> bytes:
    return b"RIFF" + bytes(4) + b"WEBP" + form + size + bytes(30)


def data_url(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{b64encode(data).decode()}"


def call_of(*parts: dict[str, Any]) -> Call:
    body = json.dumps({"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, *parts]}]})
    return chat.parse(body.encode(), "gpt-4o", id="c", caller=Caller(), preferences=Preferences())


def image(url: Any, **more: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url} | more}


def sound(data: bytes, format: str = "wav") -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": b64encode(data).decode(), "format": format}}


def file(**members: str) -> dict[str, Any]:
    return {"type": "file", "file": members}


WAV = b"RIFF" + bytes(4) + b"WAVEfmt " + pack("<IHHIIHH", 16, 1, 1, 24_000, 48_000, 2, 16)


@pytest.mark.parametrize(
    ("head", "size"),
    [
        (png(1200, 700), (1200, 700)),
        (jpeg(4000, 3000), (4000, 3000)),
        (jpeg(4000, 3000, 30_000), (4000, 3000)),
        (gif(320, 200), (320, 200)),
        (webp(b"VP8X", bytes(8) + b"\x3f\x01\x00\xc7\x00\x00"), (320, 200)),
        (webp(b"VP8L", bytes(4) + b"\x2f" + pack("<I", 319 | 199 << 14)), (320, 200)),
        (webp(b"VP8 ", bytes(4) + bytes(3) + b"\x9d\x01\x2a" + pack("<HH", 320, 200)), (320, 200)),
        (png(0, 700), None),
        (png(1, 1)[:20], None),
        (b"\xff\xd8\xff\xe1\x00\x01", None),
        (b"RIFF", None),
        (b"BM", None),
        (b"", None),
    ],
)
def test_the_size_of_a_picture(head: bytes, size: tuple[int, int] | None) -> None:
    """Every format that OpenAI takes; what is cut off or nonsense is not known."""
    assert size_of(head) == size


@pytest.mark.parametrize(
    ("part", "tokens"),
    [
        (image(data_url(png(1024, 1024))), 765),
        (image(data_url(png(2048, 4096)), detail="high"), 1105),
        (image(data_url(png(4096, 8192)), detail="low"), 85),
        (image(data_url(png(512, 512)), detail="auto"), 255),
        (image(data_url(jpeg(1024, 1024, 40_000), "image/jpeg")), 765),
        (image("https://example.com/a.png"), UNSEEN_IMAGE_TOKENS),
        (image(data_url(b"no picture")), UNSEEN_IMAGE_TOKENS),
        (image("data:image/png;base64,A"), UNSEEN_IMAGE_TOKENS),
        (image("data:"), UNSEEN_IMAGE_TOKENS),
        (image(None), UNSEEN_IMAGE_TOKENS),
        ({"type": "image_url", "image_url": data_url(png(512, 512))}, 255),
        ({"type": "image_url"}, UNSEEN_IMAGE_TOKENS),
        (sound(WAV + bytes(480_000 - len(WAV))), 100),
        (sound(bytes(160_000), "mp3"), 100),
        (file(file_data=data_url(bytes(400), "text/plain")), 100),
        (file(file_data=data_url(bytes(500_000), "application/pdf")), 15_625),
        (file(file_data=b64encode(bytes(500_000)).decode()), 15_625),
        (file(file_id="file-1"), UNSEEN_FILE_TOKENS),
    ],
)
def test_what_a_part_is_guessed_to_count_for(part: dict[str, Any], tokens: int) -> None:
    """The examples of OpenAI's own guide among them: 765, 1,105 and 85."""
    call = call_of(part)
    assert call.media is not None
    assert call.media.guess == pytest.approx(tokens, rel=0.001)
    assert call.media.least <= tokens / 3


def test_several_add_up_and_none_of_them_is_text() -> None:
    picture, pages = png(512, 512) + bytes(3000), file(file_data=data_url(bytes(32_000)))
    call = call_of(image(data_url(picture)), sound(bytes(16_000), "mp3"), pages)
    assert call.media == (255 + 10 + 1000, 85 + 3 + 100)
    assert call.input_characters < 400


def test_a_picture_of_a_few_bytes_is_no_text_either() -> None:
    """A small icon has some thousand characters of base64."""
    assert call_of(image(data_url(png(16, 16) + bytes(3000)))).input_characters < 200


def test_without_media_nothing_is_guessed() -> None:
    assert call_of().media is None


@given(st.sampled_from([b"\xff\xd8", b"GIF8", b"RIFF", b"\x89PNG\r\n\x1a\n", b"RIFF1234WEBPVP8 "]), st.binary())
def test_no_bytes_are_too_odd(start: bytes, rest: bytes) -> None:
    size = size_of(start + rest)
    assert size is None or min(size) > 0
    call = call_of(image(data_url(start + rest)), sound(start + rest), file(file_data=data_url(rest)))
    assert call.media is not None and 0 <= call.media.least <= call.media.guess < 10_000
