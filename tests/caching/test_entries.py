"""Entries as bytes: what goes in comes out, and what is damaged is a miss."""

from zlib import crc32

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrouter.caching import entries
from llmrouter.caching.entries import Entry, decode, encode
from llmrouter.replies import Usage

COUNTS = st.integers(0, 2**53 - 1)
ENTRIES = st.builds(
    Entry,
    completion=st.binary(max_size=3000),
    usage=st.none() | st.builds(Usage, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS),
    cost_usd=st.none() | st.floats(0, 1e6),
    created=st.floats(0, 1e11),
    target=st.text(),
    place=st.text(),
)
ENTRY = Entry(b'{"id":"c1"}' * 200, Usage(10, 20, 3, 4, 5), 0.25, 1_795_000_000.5, "groq/llama", "https://groq.test/v1")


@given(ENTRIES, st.booleans())
def test_an_entry_comes_out_as_it_went_in(entry: Entry, compress: bool) -> None:
    assert decode(encode(entry, compress)) == entry


@pytest.mark.parametrize("compress", [False, True])
def test_every_damaged_byte_is_found(compress: bool) -> None:
    data = encode(ENTRY, compress)
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 0x41
        assert decode(bytes(damaged)) is None


@pytest.mark.parametrize("compress", [False, True])
def test_an_entry_that_was_cut_or_grew_is_none(compress: bool) -> None:
    data = encode(ENTRY, compress)
    assert all(decode(data[:length]) is None for length in range(len(data)))
    assert decode(data + b"x") is None


@given(st.binary(max_size=200))
def test_other_bytes_are_no_entry(data: bytes) -> None:
    assert decode(data) is None
    assert decode(b"LLRE" + data) is None


@pytest.mark.parametrize(("name", "value"), [("VERSION", 2), ("_MAGIC", b"ELSE"), ("_ZSTD", 7), ("_LARGEST", 100)])
def test_what_another_version_wrote_is_a_miss(name: str, value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(ENTRY, compress=True)
    monkeypatch.setattr(entries, name, value)
    assert decode(data) is None


def test_a_sound_checksum_over_unsound_content_is_a_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    for meta in (b"", b"\xc1", b"\x90", msgspec.msgpack.encode(["t", 1.0, None, [1, 2]])):
        monkeypatch.setattr(entries, "_write_meta", lambda _, meta=meta: meta)
        assert decode(encode(ENTRY)) is None


def test_a_compressed_body_that_is_not_as_long_as_it_says_is_a_miss() -> None:
    data = encode(ENTRY, compress=True)
    start, rest = data[:14], data[18:]
    longer = start[:10] + (len(ENTRY.completion) + 1).to_bytes(4)
    for head, is_sound in ((start, True), (longer, False)):
        assert (decode(head + crc32(rest, crc32(head)).to_bytes(4) + rest) == ENTRY) is is_sound


def test_compression_makes_large_entries_smaller_and_leaves_small_ones() -> None:
    assert len(encode(ENTRY, compress=True)) < len(encode(ENTRY)) / 5
    small = Entry(b'{"id":"c1"}', None, None, 0.0, "a/b")
    assert encode(small, compress=True) == encode(small)
