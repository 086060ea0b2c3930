"""What a request asks for, whatever way it is written: requests of one signature may get the same answer.

These do not matter:

- the order of keys, white space outside strings, and how characters are escaped; of a name that stands twice the last
  one counts;
- how a number is written: 1, 1.0 and 10e-1 are one number, so are 0 and -0.0. Numbers are compared by their digits,
  exactly, whatever their size; `true` and `"1"` are none;
- members that are null or ask for what OpenAI does anyway: those of the request, and of those deeper inside what
  `_NULLABLE`, `_OPTIONAL` and `_part` name;
- `max_tokens` or `max_completion_tokens`, and one text or a list of one for `stop`;
- members without influence on the answer (`chat_members.WITHOUT_INFLUENCE`).

All else does, members that nobody knows included: the order of messages and tools, a null in a schema, Unicode that
only looks the same. Where two spellings might mean the same and that is not certain, they are two requests: that costs
a miss, never a wrong answer.
"""

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from llmrouter.calls import Call, JsonObject
from llmrouter.chat_members import DEFAULTS, WITHOUT_INFLUENCE

SIGNATURE_BYTES = 16

# The model is not a part: an answer is kept by the target that gave it, and counts where the plan accepts that target.
_LEFT_OUT = WITHOUT_INFLUENCE | {"model"}
_NULLABLE = frozenset({"annotations", "audio", "content", "function_call", "name", "refusal", "tool_calls"})
"""Members of messages that OpenAI has, and that its SDK sends back as null where an answer came without them."""
_OPTIONAL = frozenset({"description", "parameters", "schema", "strict"})
"""Members of functions and named schemas that may be left out; `strict` is false then."""


def signature(call: Call) -> bytes:
    """The digest of everything in a call that has influence on the answer; of the endpoint, too."""
    body = call.body
    asked: dict[str, Any] = {}
    for name in body:
        if name in _LEFT_OUT or body.is_null(name):
            continue
        value = _read(body, name)
        clean = _CLEANERS.get(name)
        value = value if clean is None else clean(value)
        if name not in DEFAULTS or value != DEFAULTS[name] or type(value) is not type(DEFAULTS[name]):
            asked[name] = value
    if "max_tokens" in asked and "max_completion_tokens" not in asked:
        asked["max_completion_tokens"] = asked.pop("max_tokens")
    if call.responses is not None:
        # Beside its text an answer may tell more or less.
        told = call.responses.fields
        asked["responses"] = {name: told[name] for name in ("include", "reasoning") if told.get(name)}
    return blake2b(_write([call.endpoint.value, asked]), digest_size=SIGNATURE_BYTES).digest()


def _read(body: JsonObject, name: str) -> Any:
    """A member's value with exact numbers; what cannot be read, such as half of a surrogate pair, counts by its text.

    Nobody may change it: others read the same objects.
    """
    try:
        value = body[name]
        return _read_exactly(body.text_of(name)) if _holds_float(value) else value
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return msgspec.Raw(bytes(body.text_of(name)))


def _holds_float(value: Any) -> bool:
    """Whether there is a number that was not read as an integer: a float may stand for several numbers."""
    holders: list[Any] = [(value,)]
    for holder in holders:
        for item in holder.values() if isinstance(holder, dict) else holder:
            kind = type(item)
            if kind is str:
                continue
            if kind is dict or kind is list:
                holders.append(item)
            elif kind is float:
                return True
    return False


def _number(text: str) -> Any:
    """A number by its digits: an integer where it is one, else one text for all ways to write it.

    Only what a float can hold comes here, so that no integer has more than 309 digits.
    """
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    written = (whole + fraction).lstrip("0")
    digits = written.rstrip("0")
    if not digits:
        return 0
    sign = "-" if mantissa.startswith("-") else ""
    power = int(exponent or "0") - len(fraction) + len(written) - len(digits)
    if power >= 0:
        return int(f"{sign}{digits}{'0' * power}")
    return msgspec.Raw(f"{sign}{digits}e{power}".encode())


_read_exactly = msgspec.json.Decoder(float_hook=_number).decode
_write = msgspec.json.Encoder(order="sorted").encode


def _each(value: Any, clean: Callable[[Any], Any]) -> Any:
    return [clean(item) for item in value] if isinstance(value, list) else value


def _message(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if None in value.values():
        value = {name: inner for name, inner in value.items() if inner is not None or name not in _NULLABLE}
    if isinstance(content := value.get("content"), list):
        return {**value, "content": _each(content, _part)}
    return value


def _part(value: Any) -> Any:
    """A part of a message's content; a picture's `detail` is `auto` where it is left out."""
    image = value.get("image_url") if isinstance(value, dict) else None
    if not isinstance(image, dict) or image.get("detail", "") not in (None, "auto"):
        return value
    return {**value, "image_url": {name: inner for name, inner in image.items() if name != "detail"}}


def _definition(value: Any) -> Any:
    """A function or a named schema; what stands in its schema counts as it is, for null is a value there."""
    if not isinstance(value, dict):
        return value
    return {
        name: inner
        for name, inner in value.items()
        if name not in _OPTIONAL or not (inner is None or (name == "strict" and inner is False))
    }


def _tool(value: Any) -> Any:
    return _with_definition(value, "function")


def _with_definition(value: Any, name: str) -> Any:
    if not isinstance(value, dict) or name not in value:
        return value
    return {**value, name: _definition(value[name])}


_CLEANERS: Mapping[str, Callable[[Any], Any]] = {
    "functions": lambda value: _each(value, _definition),
    "messages": lambda value: _each(value, _message),
    "response_format": lambda value: _with_definition(value, "json_schema"),
    "stop": lambda value: [value] if isinstance(value, str) else value,
    "tools": lambda value: _each(value, _tool),
}
