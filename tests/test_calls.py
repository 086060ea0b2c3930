"""A JSON object that is parsed where it is looked at, and forwarded byte for byte elsewhere."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrouter.calls import JsonObject

NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def has_surrogates(value: Any) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in json.dumps(value, ensure_ascii=False))


@given(st.dictionaries(st.text(), VALUES, max_size=5))
def test_what_goes_in_comes_out(members: dict[str, Any]) -> None:
    """Reading and encoding keep every member."""
    if has_surrogates(members):
        return
    text = json.dumps(members).encode()
    parsed = JsonObject(text)
    assert dict(parsed) == members
    assert json.loads(parsed.encode({})) == members
    assert json.loads(parsed.encode({"model": "x"})) == members | {"model": "x"}


def test_untouched_members_keep_their_bytes() -> None:
    """Number forms, white space, escapes and order within a member stay as they were."""
    text = b'{"a": {"y":1.0, "x" : 1e2}, "model": "old", "big": 123456789012345678901, "s": "\\u00e9"}'
    assert JsonObject(text).encode({"model": "new"}) == (
        b'{"a":{"y":1.0, "x" : 1e2},"model":"new","big":123456789012345678901,"s":"\\u00e9"}'
    )


def test_members_can_be_left_out() -> None:
    assert JsonObject(b'{"a":1,"b":2}').encode({}, frozenset({"a"})) == b'{"b":2}'


def test_the_last_of_two_equal_names_counts() -> None:
    """As in Python and JavaScript, for reading and for forwarding."""
    doubled = JsonObject(b'{"a":1,"a":2}')
    assert doubled["a"] == 2
    assert doubled.encode({}) == b'{"a":2}'


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"5", b'{"a":}', b'{"a":1', b'{"a":1}x', b'{"a":NaN}', b'{"a":' + b"[" * 99999]
)
def test_what_is_no_object_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        JsonObject(text)


def test_invalid_utf8_is_found_where_it_stands() -> None:
    """The other members can be read."""
    object_ = JsonObject(b'{"good":1,"bad":"\xff"}')
    assert object_["good"] == 1
    with pytest.raises(ValueError, match=r"."):
        object_["bad"]


def test_sizes() -> None:
    """Estimates need no parsing."""
    assert JsonObject(b'{"messages": [1, 2]}').size_of("messages") == 6
    assert JsonObject(b"{}").size_of("messages") == 0
