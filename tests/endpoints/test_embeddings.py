"""Requests for embeddings: what is read of them, and what is refused."""

import json
from typing import Any

import pytest

from llmrouter.calls import Call, Caller, Endpoint, Preferences
from llmrouter.endpoints import embeddings
from llmrouter.errors import InvalidRequest


def parsed(**members: Any) -> Call:
    body = json.dumps(members).encode()
    return embeddings.parse(body, "gpt-4o-mini", id="req-1", caller=Caller(), preferences=Preferences())


@pytest.mark.parametrize(
    ("given", "characters"),
    [("four", 4), (["four", "five!"], 9), ([1, 2, 3], 12), ([[1, 2], [3]], 12), (["a"] * 2048, 2048), ([""], 0)],
)
def test_what_is_read(given: Any, characters: int) -> None:
    call = parsed(model="m", input=given)
    assert (call.endpoint, call.model, call.input_characters) == (Endpoint.EMBEDDINGS, "m", characters)
    assert (call.stream, call.max_output_tokens, call.needs) == (False, 0, frozenset())


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"input": "a"}, "Missing required parameter: 'model'."),
        ({"model": 1, "input": "a"}, "Invalid type for 'model': expected a string, but got a number."),
        ({"model": "m"}, "Missing required parameter: 'input'."),
        ({"model": "m", "input": []}, "'input' must hold 1 to 2048 items, not 0."),
        ({"model": "m", "input": ["a"] * 2049}, "'input' must hold 1 to 2048 items, not 2049."),
        ({"model": "m", "input": {"a": 1}}, "Invalid type for 'input': expected a string, an array of strings"),
        ({"model": "m", "input": ["a", 1]}, "'input[1]' must be a string or an array of tokens."),
        ({"model": "m", "input": [[1], []]}, "'input[1]' must be a string or an array of tokens."),
        ({"model": "m", "input": "a", "encoding_format": "hex"}, "'encoding_format' must be float or base64."),
        ({"model": "m", "input": "a", "dimensions": "3"}, "Invalid type for 'dimensions': expected an integer"),
    ],
    ids=str,
)
def test_what_is_refused(members: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parsed(**members)
    assert told in str(refused.value)


def test_a_request_without_a_body_is_told_what_is_wanted() -> None:
    with pytest.raises(InvalidRequest, match="Send a JSON object with 'model' and 'input'"):
        embeddings.parse(b" ", "m", id="req-1", caller=Caller(), preferences=Preferences())
