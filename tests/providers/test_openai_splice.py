"""The model's name is changed in a JSON text, and nothing else is."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrouter.providers.openai_compatible.splice import with_model

MODELS: dict[str, bytes] = {
    "plain": b'{"model":"a","choices":[%s]}',
    "a space": b'{"model": "a","choices":[%s]}',
    "more space": b'{"model" :  "a","choices":[%s]}',
    "the same": b'{"model":"gpt-4o","choices":[%s]}',
    "missing": b'{"choices":[%s]}',
    "null": b'{"model":null,"choices":[%s]}',
    "a number": b'{"model":1,"choices":[%s]}',
    "escaped": b'{"model":"\\u0061\\"b","choices":[%s]}',
    "accented": '{"model":"é","choices":[%s]}'.encode(),
    "twice": b'{"model":"b","model":"a","choices":[%s]}',
    "inside first": b'{"x":{"model":"a"},"model":"a","choices":[%s]}',
    "only inside": b'{"x":{"model":"a"},"choices":[%s]}',
    "as a value": b'{"x":"model","model":"a","choices":[%s]}',
    "inside a name": b'{"x\\"model":"a","model" : "a","choices":[%s]}',
    "in text": b'{"x":"\\"model\\":\\"a\\"","model":"a","choices":[%s]}',
}


@pytest.mark.parametrize("data", MODELS.values(), ids=MODELS)
def test_the_model_is_the_requested_one_however_it_was_written(data: bytes) -> None:
    data = data % b"1"
    expected = {**orjson.loads(data), "model": "gpt-4o"}
    assert orjson.loads(with_model(data, orjson.loads(data), "gpt-4o")) == expected


NAMES = st.sampled_from(["model", "x", '"model', "model\\", "é"])
VALUES = st.recursive(
    st.none() | st.integers() | NAMES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
)


@given(st.dictionaries(NAMES, VALUES), st.booleans(), st.booleans())
def test_the_model_is_replaced_in_any_object(members: dict[str, Any], is_compact: bool, is_ascii: bool) -> None:
    separators = (",", ":") if is_compact else None
    data = json.dumps({**members, "choices": [1]}, separators=separators, ensure_ascii=is_ascii).encode()
    assert json.loads(with_model(data, orjson.loads(data), "gpt-4o")) == {**members, "choices": [1], "model": "gpt-4o"}
