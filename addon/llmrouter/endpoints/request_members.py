"""Reads the members of a request, and says what is wrong with them in OpenAI's words."""

from typing import Any

import orjson

from llmrouter.calls import JsonObject
from llmrouter.errors import InvalidRequest


def read_object(body: bytes, wanted: str) -> JsonObject:
    """The request's JSON object; raises `InvalidRequest`, which names the members that are `wanted`."""
    if not body.strip():
        raise InvalidRequest(f"The request has no body. Send a JSON object with {wanted}.")
    try:
        return JsonObject(body)
    except ValueError:
        pass
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The request's body is not valid JSON: {error}.") from None
    raise InvalidRequest(f"The request's body must be a JSON object, not {kind_of(value)}.")


def expect(fields: JsonObject, name: str, kind: type, wanted: str) -> Any:
    """A member of the right type, or None where it is absent or null."""
    value = read(fields, name)
    if value is None or (isinstance(value, kind) and (kind is bool or not isinstance(value, bool))):
        return value
    raise InvalidRequest(f"Invalid type for '{name}': expected {wanted}, but got {kind_of(value)}.", param=name)


def read(fields: JsonObject, name: str) -> Any:
    """A member, None where it is absent or null; raises `InvalidRequest` where it is no valid JSON."""
    try:
        return fields.get(name)
    except ValueError as error:
        raise InvalidRequest(f"'{name}' is not valid JSON: {error}.", param=name) from None


def kind_of(value: Any) -> str:
    """A JSON value's type, as OpenAI's errors call it."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case int() | float():
            return "a number"
        case list():
            return "an array"
        case _:
            return "an object"


# More than any model makes: what is counted with must stay a sensible number.
_MOST_TOKENS = 10_000_000


def expect_limit(fields: JsonObject, name: str, least: int = 1) -> int | None:
    """A limit of tokens, None where there is none; raises `InvalidRequest` below what OpenAI takes."""
    value: int | None = expect(fields, name, int, "an integer")
    if value is None:
        return None
    if value < least:
        raise InvalidRequest(f"'{name}' must be at least {least}, not {max(value, -_MOST_TOKENS)}.", param=name)
    return min(value, _MOST_TOKENS)
