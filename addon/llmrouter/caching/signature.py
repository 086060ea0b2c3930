"""What a request asks for, whatever way it is written: requests of one signature may get the same answer.

These do not matter: the order of keys, white space outside strings, members that ask for what OpenAI does anyway, null
where it means absent, `1` or `1.0`, how characters are escaped, and members without influence on the answer. All else
does, members that nobody knows included. Where two spellings might mean the same and that is not certain, they are two
requests: that costs a miss, never a wrong answer.
"""

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from llmrouter.calls import Call
from llmrouter.chat_members import DEFAULTS, WITHOUT_INFLUENCE

SIGNATURE_BYTES = 16

# The model is not a part: an answer is kept by the target that gave it, and counts where the plan accepts that target.
_LEFT_OUT = WITHOUT_INFLUENCE | {"model"}


def signature(call: Call) -> bytes:
    """The digest of everything in a call that has influence on the answer; of the endpoint, too."""
    body = call.body
    asked: dict[str, Any] = {}
    for name in body:
        if name in _LEFT_OUT or body.is_null(name):
            continue
        value = _read(body.text_of(name))
        clean = _CLEANERS.get(name)
        value = value if clean is None else clean(value)
        if name not in DEFAULTS or value != DEFAULTS[name] or type(value) is not type(DEFAULTS[name]):
            asked[name] = value
    if "max_tokens" in asked and "max_completion_tokens" not in asked:
        asked["max_completion_tokens"] = asked.pop("max_tokens")
    return blake2b(_write([call.endpoint.value, asked]), digest_size=SIGNATURE_BYTES).digest()


def _number(text: str) -> Any:
    """A number by its value, and by its text where it is too large for a float."""
    value = float(text)
    if value in (float("inf"), float("-inf")):
        return msgspec.Raw(text.encode())
    return int(value) if value.is_integer() else value


_decode = msgspec.json.Decoder(float_hook=_number).decode
_write = msgspec.json.Encoder(order="sorted").encode


def _read(text: memoryview) -> Any:
    """A member's value; what cannot be read, such as half of a surrogate pair, counts by its text."""
    try:
        return _decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return msgspec.Raw(bytes(text))


def _without(value: Any, defaults: Mapping[str, Any]) -> Any:
    """An object of OpenAI's own without members that are null or what is done anyway; other values as they are."""
    if not isinstance(value, dict):
        return value
    return {
        name: inner
        for name, inner in value.items()
        if inner is not None and not (name in defaults and inner is defaults[name])
    }


_NO_DEFAULTS: Mapping[str, Any] = {}
_STRICT: Mapping[str, Any] = {"strict": False}


def _each(value: Any, clean: Callable[[Any], Any]) -> Any:
    return [clean(item) for item in value] if isinstance(value, list) else value


def _message(value: Any) -> Any:
    message = _without(value, _NO_DEFAULTS)
    if isinstance(message, dict):
        if "content" in message:
            message["content"] = _each(message["content"], _part)
        if "tool_calls" in message:
            message["tool_calls"] = _each(message["tool_calls"], _tool_call)
    return message


def _part(value: Any) -> Any:
    part = _without(value, _NO_DEFAULTS)
    if isinstance(part, dict) and isinstance(image := part.get("image_url"), dict):
        image = _without(image, _NO_DEFAULTS)
        part["image_url"] = image if image.get("detail") != "auto" else {k: image[k] for k in image if k != "detail"}
    return part


def _tool_call(value: Any) -> Any:
    return _with_inner(value, "function", _NO_DEFAULTS)


def _tool(value: Any) -> Any:
    """What stands in a schema counts as it is: null is a value there."""
    return _with_inner(value, "function", _STRICT)


def _response_format(value: Any) -> Any:
    return _with_inner(value, "json_schema", _STRICT)


def _with_inner(value: Any, name: str, defaults: Mapping[str, Any]) -> Any:
    outer = _without(value, _NO_DEFAULTS)
    if isinstance(outer, dict) and name in outer:
        outer[name] = _without(outer[name], defaults)
    return outer


def _stop(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


_CLEANERS: Mapping[str, Callable[[Any], Any]] = {
    "functions": lambda value: _each(value, lambda function: _without(function, _NO_DEFAULTS)),
    "messages": lambda value: _each(value, _message),
    "response_format": _response_format,
    "stop": _stop,
    "tools": lambda value: _each(value, _tool),
}
