"""Server-sent events come out the same however their bytes were split."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrouter.sse import Event, SseDecoder, SseError

CASES = {
    "one event": (b"data: a\n\n", [Event("message", b"a")]),
    "two events": (b"data: a\n\ndata: b\n\n", [Event("message", b"a"), Event("message", b"b")]),
    "CRLF": (b"data: a\r\n\r\ndata: b\r\n\r\n", [Event("message", b"a"), Event("message", b"b")]),
    "CR": (b"data: a\r\rdata: b\r\r", [Event("message", b"a"), Event("message", b"b")]),
    "line ends mixed": (b"data: a\r\n\ndata: b\n\r\ndata: c\r\r\n", [Event("message", x) for x in (b"a", b"b", b"c")]),
    "comments": (b": OPENROUTER PROCESSING\n\n: x\ndata: a\n\n:\n\n", [Event("message", b"a")]),
    "several data lines": (b"data: a\ndata:b\ndata\n\n", [Event("message", b"a\nb\n")]),
    "name": (b"event: error\ndata: a\n\n", [Event("error", b"a")]),
    "name after data": (b"data: a\nevent:ping\n\n", [Event("ping", b"a")]),
    "name without data": (b"event: ping\n\ndata: a\n\n", [Event("message", b"a")]),
    "empty name": (b"event:\ndata: a\n\n", [Event("message", b"a")]),
    "id and retry": (b"id: 1\nretry: 5\ndata: a\nother: x\n\n", [Event("message", b"a")]),
    "no space": (b"data:a\n\n", [Event("message", b"a")]),
    "only one space goes": (b"data:  a\n\n", [Event("message", b" a")]),
    "colon in data": (b'data: {"a":1}\n\n', [Event("message", b'{"a":1}')]),
    "empty data": (b"data:\n\n", [Event("message", b"")]),
    "BOM": (b"\xef\xbb\xbfdata: a\n\n", [Event("message", b"a")]),
    "a later BOM is text": (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [Event("message", b"a")]),
    "many blank lines": (b"\n\n\ndata: a\n\n\n\n\ndata: b\n\n\n", [Event("message", b"a"), Event("message", b"b")]),
    "no blank line at the end": (b"data: a\n\ndata: b", [Event("message", b"a"), Event("message", b"b")]),
    "one line end at the end": (b"data: a\n", [Event("message", b"a")]),
    "split UTF-8": ("data: é🎉\n\n".encode(), [Event("message", "é🎉".encode())]),
    "nothing": (b"", []),
}


def decode(parts: list[bytes], max_event_bytes: int = 1000) -> list[Event]:
    decoder = SseDecoder(max_event_bytes)
    events = [event for part in parts for event in decoder.feed(part)]
    return events + decoder.finish()


@pytest.mark.parametrize(("stream", "expected"), CASES.values(), ids=CASES)
def test_whole_and_byte_by_byte(stream: bytes, expected: list[Event]) -> None:
    assert decode([stream]) == expected
    assert decode([bytes([byte]) for byte in stream]) == expected


@given(st.data())
def test_split_at_random(data: st.DataObject) -> None:
    stream, expected = data.draw(st.sampled_from(list(CASES.values())))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    parts = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert decode(parts) == expected


@given(st.lists(st.sampled_from([b"\r", b"\n", b"data: x", b":", b"event: e", b"\xef\xbb\xbf", b"data"]), max_size=30))
def test_any_stream_decodes_alike_whole_and_in_pieces(parts: list[bytes]) -> None:
    whole = b"".join(parts)
    assert decode(parts) == decode([whole])
    assert decode([bytes([byte]) for byte in whole]) == decode([whole])


def test_an_event_is_given_as_soon_as_its_blank_line_is_there() -> None:
    decoder = SseDecoder()
    assert decoder.feed(b"data: a\r\n\r") == [Event("message", b"a")]
    assert decoder.feed(b"\ndata: b\n\n") == [Event("message", b"b")]


@pytest.mark.parametrize("size", [1, 1000])
def test_an_event_over_the_bound_is_an_error(size: int) -> None:
    stream = b"data: " + b"a" * 95
    parts = [stream[start : start + size] for start in range(0, len(stream), size)]
    with pytest.raises(SseError, match="larger than 100 bytes"):
        decode(parts, 100)
    with pytest.raises(SseError):
        decode([*parts, b"\n\n"], 100)


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n"])
def test_an_event_at_the_bound_passes(size: int, end: bytes) -> None:
    stream = b"data: " + b"a" * 94 + end
    parts = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert decode(parts, 100) == [Event("message", b"a" * 94)]


def test_the_bound_is_per_event() -> None:
    assert len(decode([b"data: aaaa\n\n" * 1000], 10)) == 1000
