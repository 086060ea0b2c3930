"""Puts right what copies of OpenAI's API say in other words: ends, tool calls, contents and reasoning."""

from typing import Any

import orjson

from llmrouter.providers.bodies import bad

_FAILED = frozenset({"error", "abort", "insufficient_system_resource", "network_error"})
"""Finish reasons by which OpenRouter, Mistral, vLLM and DeepSeek say that a failure cut the answer off (provider
reference, sections 3.4, 3.9, 3.10 and 3.21)."""

_OPENAI_ENDS = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
_ENDS = {
    **dict.fromkeys(("model_length", "max_tokens", "max_output_tokens"), "length"),
    **dict.fromkeys(("tool_use", "tool_call", "function_calls"), "tool_calls"),
    **dict.fromkeys(("eos", "eos_token", "end_turn", "stop_sequence", "complete", "completed", "end", "done"), "stop"),
}
"""Other words for OpenAI's (sections 3.7, 3.9 and 15), such as Together's `eos`."""

_FILTERS = ("filter", "safety", "sensitive", "block", "guardrail", "recitation", "moderation", "prohibited")
_CUTS = ("truncat", "length", "limit", "max_")
"""Parts of words by which still others say that an answer was withheld or cut; any other word is taken for `stop`."""

NATIVE = "native_finish_reason"
"""Where the provider's own word stands if it is none that is known, as in OpenRouter's answers: it may be no end."""

_REASONING = "reasoning_content"


def finish_reason(choice: dict[str, Any]) -> str | None:
    """Why the choice ended, in OpenAI's word; None where it has not, which some servers tell as "".

    Raises `AttemptFailed` where the provider says that it failed.
    """
    reason = choice.get("finish_reason")
    if not isinstance(reason, str) or not reason:
        return None
    if reason in _OPENAI_ENDS:
        return reason
    if reason in _FAILED:
        raise bad("the provider ended its answer with a failure")
    word = reason.lower()
    if any(part in word for part in _FILTERS):
        return "content_filter"
    return _ENDS.get(word) or ("length" if any(part in word for part in _CUTS) else "stop")


def native_reason(choice: dict[str, Any], told: str | None) -> dict[str, Any]:
    """What goes beside an end that is `told` to the client, where the provider's own word for it is not known."""
    reason = choice.get("finish_reason")
    word = reason.lower() if isinstance(reason, str) else None
    # xAI ends with "" (section 3.15).
    is_known = told is None or word == "" or word in _OPENAI_ENDS or word in _ENDS
    return {} if is_known or NATIVE in choice else {NATIVE: reason if isinstance(reason, str) else None}


def with_plain_content(message: dict[str, Any]) -> dict[str, Any]:
    """A message or delta whose content is text, and whose reasoning stands in `reasoning_content`; itself where it is
    so already.

    Mistral gives lists of parts, of which those of the type `thinking` are reasoning (section 3.9); Groq, Cerebras,
    OpenRouter, vLLM and Ollama say `reasoning` (section 15). Raises `AttemptFailed` for content of any other kind.
    """
    content, reasoning = message.get("content"), message.get("reasoning")
    if not isinstance(content, str | list | None) or not isinstance(message.get("tool_calls"), list | None):
        raise bad("the provider's answer has content or tool calls of a kind that there is not")
    if not isinstance(content, list) and "reasoning" not in message:
        return message
    plain = {name: value for name, value in message.items() if name != "reasoning"}
    thought = reasoning if isinstance(reasoning, str) else ""
    if isinstance(content, list):
        plain["content"] = _texts(content, "text") or None
        thought += _texts(content, "thinking")
    if thought and not plain.get(_REASONING):
        plain[_REASONING] = thought
    return plain


def _texts(parts: list[Any], kind: str) -> str:
    found = ""
    for part in parts:
        if isinstance(part, dict) and part.get("type") == kind:
            inner = part.get(kind)
            found += _texts(inner, "text") if isinstance(inner, list) else inner if isinstance(inner, str) else ""
    return found


def whole_tool_calls(calls: list[Any], call_id: str, only_first: bool) -> list[Any]:
    """Tool calls with ids, a type, and arguments as text; the list itself where they are so already."""
    wanted = calls[:1] if only_first else calls
    fixed = [_whole(call, f"call_{call_id}_{number}") for number, call in enumerate(wanted)]
    same = len(fixed) == len(calls) and all(new is old for new, old in zip(fixed, calls, strict=True))
    return calls if same else fixed


def _whole(call: Any, spare_id: str) -> Any:
    if not isinstance(call, dict):
        raise bad("the provider's answer has a tool call that is no object")
    if call.get("type") == "custom":
        return call
    function = call.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise bad("the provider's answer has a tool call without a name")
    changes: dict[str, Any] = {}
    if not call.get("id"):
        changes["id"] = spare_id
    if call.get("type") != "function":
        changes["type"] = "function"
    if not isinstance(function.get("arguments"), str):
        changes["function"] = {**function, "arguments": arguments_text(function.get("arguments"))}
    return {**call, **changes} if changes else call


def arguments_text(arguments: Any) -> str:
    """A tool call's arguments as the JSON text that OpenAI gives; some servers give the object itself."""
    if isinstance(arguments, str):
        return arguments
    return "{}" if arguments is None else orjson.dumps(arguments).decode()
