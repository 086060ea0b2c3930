"""Which calls may be answered from the cache, which may be kept for others, and which answers are good enough to be."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import orjson

from llmrouter.calls import Call, Endpoint, Need
from llmrouter.chat_members import SEVERAL_PROMPTS
from llmrouter.replies import Usage

type When = Literal["deterministic", "always", "never"]
"""The words of `cache.when` in the settings."""


class Admission(NamedTuple):
    """What the cache may do for a call: look it up, up to an age in seconds; keep the answer; or nothing else."""

    look_up: bool = False
    store: bool = False
    only_if_cached: bool = False
    max_age_s: float | None = None


_NOTHING = Admission()
# Where a provider's own word for the end of an answer stands, and those that are known to be sound ends.
_NATIVE, _SOUND = "native_finish_reason", object()
_KNOWN_ENDS = frozenset(
    {
        *("stop", "length", "tool_calls", "function_call", "eos", "eos_token", "end_turn", "stop_sequence"),
        *("complete", "completed", "max_tokens", "max_output_tokens", "model_length", "tool_use", "tool_call"),
    }
)


def admit(call: Call, when: When) -> Admission:
    """What the cache may do for a call under the settings; the client can ask for less, and for a kept answer only.

    What one wish forbids no other one allows: with `no-cache` and `only-if-cached` there is no answer at all.
    Calls are deterministic that ask for it: with temperature 0, top_p 0 or a seed; embeddings always are.
    """
    wishes = call.preferences.cache
    # What OpenAI's own tools find or do is never the same twice.
    if call.responses is not None and call.responses.hosted:
        when = "never"
    if when == "never" or (when == "deterministic" and not _is_deterministic(call)):
        return Admission(only_if_cached=True) if wishes.only_if_cached else _NOTHING
    look_up = not wishes.no_cache and wishes.max_age_s != 0
    if wishes.only_if_cached:
        return Admission(look_up, only_if_cached=True, max_age_s=wishes.max_age_s)
    if wishes.no_store:
        return _NOTHING
    return Admission(look_up, True, False, wishes.max_age_s)


def _is_deterministic(call: Call) -> bool:
    return call.endpoint is Endpoint.EMBEDDINGS or "seed" in call.members or _is_zero(call, "temperature", "top_p")


def _is_zero(call: Call, *names: str) -> bool:
    values = [call.body[name] for name in names if name in call.members]
    return any(value == 0 and value is not False for value in values)


def why_not_kept(completion: Mapping[str, Any], usage: Usage | None, call: Call) -> str | None:
    """Why an answer is none that others should get, in words; None where it is whole and sound."""
    if call.endpoint is Endpoint.EMBEDDINGS:
        return None if completion.get("data") else "it is no answer"
    choices = completion.get("choices")
    if completion.get("error") or not isinstance(choices, list) or not choices:
        return "it is no answer"
    wanted = _choices_of(call)
    if len(choices) != wanted:
        return f"it has {len(choices)} choices instead of {wanted}"
    return next((why for choice in choices if (why := _flaw(choice, usage, call)) is not None), None)


def _choices_of(call: Call) -> int:
    """How many choices an answer must have; a text completion has them for each of its prompts."""
    each: int = call.body["n"] if Need.SEVERAL_CHOICES in call.needs else 1
    return each * len(call.body["prompt"]) if SEVERAL_PROMPTS in call.members else each


def _flaw(choice: Any, usage: Usage | None, call: Call) -> str | None:
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        return "a choice has no message"
    if message.get("refusal"):
        return "the model refused"
    if choice.get("error") or _is_filtered(choice.get("content_filter_results")):
        return "a choice has an error"
    calls = _calls_of(message)
    if (why := _flaw_of_calls(calls, call)) is not None:
        return why
    if not calls and not message.get("audio") and not (message.get("content") or "").strip():
        return "it is empty"
    if (why := _flaw_of_end(choice, usage, call)) is not None:
        return why
    is_wanted = bool(calls) or _is_wanted_json(message.get("content"), call)
    return None if is_wanted else "it is not the JSON that was asked for"


def _calls_of(message: Mapping[str, Any]) -> Any:
    """The tool calls, those of before there were tools included; many servers name both members, and give null."""
    calls, function = message.get("tool_calls") or [], message.get("function_call")
    return calls if calls or function is None else [{"function": function}]


def _flaw_of_calls(calls: Any, call: Call) -> str | None:
    if not isinstance(calls, list) or not all(map(_is_sound_call, calls)):
        return "the arguments of a tool call are no JSON object"
    if not calls:
        return "it calls no tool, and must" if "tool_choice:forced" in call.members else None
    names = {_name_of(tool) for tool in (*(call.body.get("tools") or ()), *(call.body.get("functions") or ()))}
    return None if all(_name_of(one) in names for one in calls) else "it calls a tool that there is not"


def _flaw_of_end(choice: dict[str, Any], usage: Usage | None, call: Call) -> str | None:
    if (native := choice.get(_NATIVE, _SOUND)) is not _SOUND and str(native).lower() not in _KNOWN_ENDS:
        return f"it ended with {native}"
    match choice.get("finish_reason"):
        case "length" if not _is_own_limit(usage, call):
            return "it was cut short, and not by the client's own limit"
        case "length" | "stop" | "tool_calls" | "function_call":
            return None
        case other:
            return f"it ended with {other}"


def _name_of(tool: Any) -> Any:
    """The name of a tool, a function, or a call of either."""
    inner = (tool.get("function") or tool.get("custom") or tool) if isinstance(tool, dict) else None
    return inner.get("name") if isinstance(inner, dict) else None


def _is_filtered(results: Any) -> bool:
    """Whether Azure's content filter took something out."""
    return isinstance(results, dict) and any(isinstance(one, dict) and one.get("filtered") for one in results.values())


def _is_sound_call(call: Any) -> bool:
    """Custom tools take any text; functions take a JSON object."""
    if not isinstance(call, dict):
        return False
    if (function := call.get("function")) is None:
        return isinstance(call.get("custom"), dict)
    return (
        isinstance(function, dict)
        and bool(function.get("name"))
        and isinstance(_value_of(function.get("arguments")), dict)
    )


def _is_wanted_json(content: Any, call: Call) -> bool:
    """Whether text is what `response_format` asks for; a schema may be one of any value."""
    if Need.JSON_OBJECT in call.needs:
        return isinstance(_value_of(content), dict)
    return Need.JSON_SCHEMA not in call.needs or _value_of(content) is not _NO_JSON


_NO_JSON = object()


def _value_of(text: Any) -> Any:
    """What JSON text says, as strictly as clients in all languages read it: NaN and half a surrogate pair are none."""
    try:
        return orjson.loads(text) if isinstance(text, str) else _NO_JSON
    except orjson.JSONDecodeError:
        return _NO_JSON


def _is_own_limit(usage: Usage | None, call: Call) -> bool:
    """Whether as much was made as the client allowed; a provider may not count the token that ends an answer.

    The limit holds for each choice, and usage counts all of them: where some ended early, nobody knows why one was cut.
    """
    limit, choices = call.max_output_tokens, _choices_of(call)
    return limit is not None and usage is not None and usage.output_tokens + choices >= limit * choices
