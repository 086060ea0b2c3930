"""Which calls may be answered from the cache, which may be kept for others, and which answers are good enough to be."""

import json
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

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


def admit(call: Call, when: When) -> Admission:
    """What the cache may do for a call under the settings; the client can ask for less, and for a kept answer only.

    Calls are deterministic that ask for it: with temperature 0, top_p 0 or a seed; embeddings always are.
    """
    wishes = call.preferences.cache
    if when == "never" or (when == "deterministic" and not _is_deterministic(call)):
        return Admission(only_if_cached=True) if wishes.only_if_cached else _NOTHING
    if wishes.only_if_cached:
        return Admission(look_up=True, only_if_cached=True, max_age_s=wishes.max_age_s)
    if wishes.no_store:
        return _NOTHING
    return Admission(not wishes.no_cache and wishes.max_age_s != 0, True, False, wishes.max_age_s)


def _is_deterministic(call: Call) -> bool:
    members, body = call.members, call.body
    return (
        call.endpoint is Endpoint.EMBEDDINGS
        or "seed" in members
        or ("temperature" in members and body["temperature"] == 0)
        or ("top_p" in members and body["top_p"] == 0)
    )


def why_not_kept(completion: Mapping[str, Any], usage: Usage | None, call: Call) -> str | None:
    """Why an answer is none that others should get, in words; None where it is whole and sound."""
    if call.endpoint is Endpoint.EMBEDDINGS:
        return None if completion.get("data") else "it is no answer"
    choices = completion.get("choices")
    if "error" in completion or not isinstance(choices, list) or not choices:
        return "it is no answer"
    wanted = _choices_of(call)
    if len(choices) != wanted:
        return f"it has {len(choices)} choices instead of {wanted}"
    wants_json = bool(call.needs & {Need.JSON_OBJECT, Need.JSON_SCHEMA})
    return next((why for choice in choices if (why := _flaw(choice, usage, call, wants_json)) is not None), None)


def _choices_of(call: Call) -> int:
    """How many choices an answer must have; a text completion has them for each of its prompts."""
    each: int = call.body["n"] if Need.SEVERAL_CHOICES in call.needs else 1
    return each * len(call.body["prompt"]) if SEVERAL_PROMPTS in call.members else each


def _flaw(choice: Any, usage: Usage | None, call: Call, wants_json: bool) -> str | None:
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        return "a choice has no message"
    if message.get("refusal"):
        return "the model refused"
    calls = message.get("tool_calls") or (
        [{"function": message["function_call"]}] if "function_call" in message else []
    )
    if not calls and not message.get("content") and not message.get("audio"):
        return "it is empty"
    if not all(map(_is_sound_call, calls)):
        return "the arguments of a tool call are not valid JSON"
    match choice.get("finish_reason"):
        case "length" if not _is_own_limit(usage, call):
            return "it was cut short, and not by the client's own limit"
        case "length":
            return None
        case "stop" | "tool_calls" | "function_call":
            broken = wants_json and not calls and not _is_json(message.get("content"))
            return "it is not the JSON that was asked for" if broken else None
        case other:
            return f"it ended with {other}"


def _is_sound_call(call: Any) -> bool:
    """Custom tools take any text; functions take JSON."""
    if not isinstance(call, dict):
        return False
    if (function := call.get("function")) is None:
        return isinstance(call.get("custom"), dict)
    return isinstance(function, dict) and bool(function.get("name")) and _is_json(function.get("arguments"))


def _is_json(text: Any) -> bool:
    if not isinstance(text, str):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_own_limit(usage: Usage | None, call: Call) -> bool:
    """Whether as much was made as the client allowed; a provider may not count the token that ends an answer."""
    limit = call.max_output_tokens
    return limit is not None and usage is not None and usage.output_tokens + 1 >= limit
