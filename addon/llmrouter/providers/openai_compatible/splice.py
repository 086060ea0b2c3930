"""Changes a member in a JSON text without writing the rest anew."""

from collections.abc import Mapping
from typing import Any

import orjson

from llmrouter.calls import JsonObject


def with_model(data: bytes, fields: Mapping[str, Any], model: str, encoded: bytes | None = None) -> bytes:
    """The object's text with `model` replaced, all else as it was.

    `fields` is the parsed text. The value is cut out of the bytes where it is plain to see which one it is: one
    `"model"` in the whole text, whose value is the one that was parsed. Elsewhere the members are joined anew.
    """
    old = fields.get("model")
    if old == model:
        return data
    start = data.find(b'"model":')
    if isinstance(old, str) and start >= 0 and data.count(b'"model"') == 1 and not data[:start].endswith(b"\\"):
        start += data[start + 8 : start + 9] == b" "
        literal = b'"' + old.encode() + b'"'
        if data.startswith(literal, start + 8):
            return data[: start + 8] + (encoded or orjson.dumps(model)) + data[start + 8 + len(literal) :]
    return JsonObject(data).encode({"model": model})
