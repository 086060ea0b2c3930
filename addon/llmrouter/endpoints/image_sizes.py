"""The width and height of a picture, from the first bytes of its file."""

from collections.abc import Callable
from struct import error as StructError
from struct import unpack_from

type Size = tuple[int, int]

LONGEST_HEAD = 65_536
"""So many bytes hold the size, but in pictures with much else before it."""

# Markers of JPEG that say how large the picture is: all SOF (ITU-T T.81, table B.1), which DHT, JPG and DAC are not.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def size_of(head: bytes) -> Size | None:
    """Width and height in pixels of PNG, JPEG, GIF and WebP, which are the formats that OpenAI takes.

    None where these bytes do not tell.
    """
    for start, read in _READERS.items():
        if head.startswith(start):
            try:
                width, height = read(head)
            except (StructError, IndexError, ValueError):
                return None
            return (width, height) if width > 0 and height > 0 else None
    return None


def _png(head: bytes) -> Size:
    width, height = unpack_from(">II", head, 16)
    return width, height


def _gif(head: bytes) -> Size:
    width, height = unpack_from("<HH", head, 6)
    return width, height


def _jpeg(head: bytes) -> Size:
    at = 2
    while True:
        filler, marker, length = unpack_from(">BBH", head, at)
        if filler != 0xFF or length < 2:
            raise ValueError("no segment begins here")
        if marker in _FRAMES:
            height, width = unpack_from(">HH", head, at + 5)
            return width, height
        at += 2 + length


def _webp(head: bytes) -> Size:
    """The three forms of RFC 9649, sections 2.5 to 2.7."""
    match head[8:16]:
        case b"WEBPVP8X":
            return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
        case b"WEBPVP8L":
            (bits,) = unpack_from("<I", head, 21)
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case b"WEBPVP8 ":
            width, height = unpack_from("<HH", head, 26)
            return width & 0x3FFF, height & 0x3FFF
        case _:
            raise ValueError("no picture of WebP")


_READERS: dict[bytes, Callable[[bytes], Size]] = {
    b"\x89PNG\r\n\x1a\n": _png,
    b"\xff\xd8": _jpeg,
    b"GIF8": _gif,
    b"RIFF": _webp,
}
