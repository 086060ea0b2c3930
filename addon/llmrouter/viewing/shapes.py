"""Looks into JSON whose shape nobody vouches for: what is not as expected is empty, and never an error."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

type Json = Mapping[str, Any]
"""A JSON object from outside."""


def object_of(value: Any) -> Json:
    """The object, empty where it is none."""
    return value if isinstance(value, dict) else {}


def items_of(value: Any) -> list[Any]:
    """The list, empty where it is none."""
    return value if isinstance(value, list) else []


def objects_of(value: Any) -> Iterator[Json]:
    """The objects in a list."""
    return (item for item in items_of(value) if isinstance(item, dict))


def text_of(value: Any) -> str:
    """A string as it is, nothing for nothing, and anything else as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else as_json(value)


def as_json(value: Any, *, indent: bool = False) -> str:
    """The value as JSON text, or as Python writes it where JSON has no word for it."""
    try:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2 if indent else 0).decode()
    except (TypeError, ValueError):
        return repr(value)


def number_of(value: Any) -> int:
    """A place in a list, 0 where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
