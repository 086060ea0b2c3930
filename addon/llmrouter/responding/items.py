"""Items as they are kept: each with an id of its own, and in the full form in which OpenAI lists them."""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

Item = dict[str, Any]

_PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
}
_WITH_STATUS = frozenset(_PREFIXES) - {"reasoning"}
_CALLS = frozenset({"function_call", "custom_tool_call"})


def new_id(prefix: str) -> str:
    """An id that nobody guesses: the prefix and 128 random bits."""
    return f"{prefix}_{secrets.token_hex(16)}"


async def kept_items(given: str | Sequence[Item], is_taken: Callable[[str], Awaitable[bool]]) -> list[Item]:
    """The items of a request as they are kept.

    A client's own id stays, unless `is_taken` says that another item has it or two items of the request share it.
    """
    kept, ids = [], set[str]()
    for item in [{"role": "user", "content": given}] if isinstance(given, str) else given:
        full = _full(item)
        id = item.get("id")
        if not isinstance(id, str) or not id or id in ids or await is_taken(id):
            id = new_id(_PREFIXES.get(full["type"], "item"))
        ids.add(id)
        kept.append(full | {"id": id})
    return kept


def _full(item: Item) -> Item:
    kind = item.get("type") or "message"
    full = {**item, "type": kind}
    if kind == "message" and isinstance(content := item.get("content"), str):
        is_answer = item.get("role") == "assistant"
        text = {"type": "output_text" if is_answer else "input_text", "text": content}
        full["content"] = [text | {"annotations": []} if is_answer else text]
    if kind in _WITH_STATUS and full.get("status") is None:
        full["status"] = "completed"
    return full


def finished(output: Sequence[Item]) -> list[Item]:
    """What of a response's output the next turn builds on: no calls that were cut short, nothing half begun."""
    return [
        item
        for item in output
        if item.get("status") != "in_progress" and not (item.get("type") in _CALLS and _is_cut_short(item))
    ]


def _is_cut_short(call: Item) -> bool:
    return call.get("status") == "incomplete"
