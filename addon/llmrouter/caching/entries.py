"""What a store keeps of one answer, and its form in bytes."""

from dataclasses import dataclass
from struct import Struct
from zlib import crc32

import msgspec
import zstandard

from llmrouter.replies import Usage

VERSION = 1
"""Of the form in bytes and of what an answer in it means; an entry of another version is a miss."""

_MAGIC = b"LLRE"
_START = Struct(">4sBBIII")
"""Magic, version, compression, lengths of the meta data and of the completion, and the checksum of all of it."""

_CHECKED_START = Struct(">4sBBII")
_PLAIN, _ZSTD = 0, 1
_LEAST_COMPRESSED = 512
"""Below this many bytes zstd saves too little to be worth its time."""

_LARGEST = 64 * 2**20
"""More bytes than any answer has: what claims more is damaged, and no memory is taken for it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One answer: `completion` is the whole of it as chat completion JSON, as the client got it.

    `cost_usd` is what it cost when it was made, None where that is unknown; `created` is Unix seconds; `target` is
    "provider/model", and `place` the address that it had then.
    """

    completion: bytes
    usage: Usage | None
    cost_usd: float | None
    created: float
    target: str
    place: str = ""


class _Meta(msgspec.Struct, array_like=True, forbid_unknown_fields=True, gc=False):
    target: str
    created: float
    cost_usd: float | None
    usage: tuple[int, int, int, int, int] | None
    place: str


_write_meta = msgspec.msgpack.Encoder().encode
_read_meta = msgspec.msgpack.Decoder(_Meta).decode


def encode(entry: Entry, compress: bool = False) -> bytes:
    """An entry as bytes, its completion compressed with zstd where that is wanted and makes it smaller."""
    meta = _write_meta(_Meta(entry.target, entry.created, entry.cost_usd, _counts(entry.usage), entry.place))
    body, form = entry.completion, _PLAIN
    if compress and len(body) >= _LEAST_COMPRESSED:
        # A compressor of its own for each entry, for one must not be shared between threads.
        small = zstandard.ZstdCompressor().compress(body)
        if len(small) < len(body):
            body, form = small, _ZSTD
    lengths = len(meta), len(entry.completion)
    start = _CHECKED_START.pack(_MAGIC, VERSION, form, *lengths)
    checksum = crc32(body, crc32(meta, crc32(start)))
    return b"%b%b%b%b" % (start, checksum.to_bytes(4), meta, body)


def decode(data: bytes) -> Entry | None:
    """The entry that these bytes are; None where they are of another version, damaged, or none at all."""
    if len(data) < _START.size:
        return None
    magic, version, form, meta_length, length, checksum = _START.unpack_from(data)
    if magic != _MAGIC or version != VERSION or length > _LARGEST:
        return None
    meta_end = _START.size + meta_length
    rest = memoryview(data)[_START.size :]
    if crc32(rest, crc32(data[: _CHECKED_START.size])) != checksum:
        return None
    try:
        meta = _read_meta(data[_START.size : meta_end])
        body = _inflated(data[meta_end:], form, length)
    except (msgspec.MsgspecError, zstandard.ZstdError):
        return None
    if body is None:
        return None
    usage = None if meta.usage is None else Usage(*meta.usage)
    return Entry(body, usage, meta.cost_usd, meta.created, meta.target, meta.place)


def _counts(usage: Usage | None) -> tuple[int, int, int, int, int] | None:
    if usage is None:
        return None
    inputs = usage.input_tokens, usage.output_tokens, usage.cached_tokens
    return *inputs, usage.reasoning_tokens, usage.cache_write_tokens


def _inflated(body: bytes, form: int, length: int) -> bytes | None:
    if form == _PLAIN:
        return body
    if form != _ZSTD or zstandard.frame_content_size(body) != length:
        return None
    return zstandard.ZstdDecompressor().decompress(body)
