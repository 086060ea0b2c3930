"""POST /v1/embeddings: a request's JSON becomes a Call."""

from typing import Any

from llmrouter.calls import Call, Caller, Endpoint, JsonObject, Preferences
from llmrouter.endpoints.request_members import expect, kind_of, read_object
from llmrouter.errors import InvalidRequest

PATH = "/v1/embeddings"
MOST_INPUTS = 2048
"""What OpenAI takes in one request (its API reference, embeddings, 2026-11)."""

_FORMATS = ("float", "base64")
# What a token array stands for, in characters of English.
_CHARACTERS_PER_TOKEN = 4


def parse(body: bytes, default_model: str, *, id: str, caller: Caller, preferences: Preferences) -> Call:
    """Checks a request's body; raises `InvalidRequest` where OpenAI would answer 400.

    There is no default model: whose vectors they are must be the app's own word.
    """
    fields = read_object(body, "'model' and 'input'")
    model = expect(fields, "model", str, "a string")
    if not model:
        raise InvalidRequest("Missing required parameter: 'model'.", param="model")
    form = expect(fields, "encoding_format", str, "a string")
    if form is not None and form not in _FORMATS:
        raise InvalidRequest("'encoding_format' must be float or base64.", param="encoding_format")
    expect(fields, "dimensions", int, "an integer")
    return Call(
        id=id,
        endpoint=Endpoint.EMBEDDINGS,
        body=fields,
        model=model,
        input_characters=sum(map(_characters, inputs_of(fields))),
        max_output_tokens=0,
        caller=caller,
        preferences=preferences,
    )


def inputs_of(fields: JsonObject) -> list[Any]:
    """The texts or token arrays that vectors are wanted for; raises `InvalidRequest`."""
    try:
        value = fields.get("input")
    except ValueError as error:
        raise InvalidRequest(f"'input' is not valid JSON: {error}.", param="input") from None
    if value is None:
        raise InvalidRequest("Missing required parameter: 'input'.", param="input")
    if isinstance(value, str) or (isinstance(value, list) and value and all(map(_is_token, value))):
        return [value]
    if not isinstance(value, list):
        wanted = "a string, an array of strings, or an array of tokens"
        raise InvalidRequest(f"Invalid type for 'input': expected {wanted}, but got {kind_of(value)}.", param="input")
    if not value or len(value) > MOST_INPUTS:
        raise InvalidRequest(f"'input' must hold 1 to {MOST_INPUTS} items, not {len(value)}.", param="input")
    for number, item in enumerate(value):
        if not isinstance(item, str) and not (isinstance(item, list) and item and all(map(_is_token, item))):
            raise InvalidRequest(f"'input[{number}]' must be a string or an array of tokens.", param="input")
    return value


def _is_token(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _characters(item: Any) -> int:
    return len(item) if isinstance(item, str) else len(item) * _CHARACTERS_PER_TOKEN
