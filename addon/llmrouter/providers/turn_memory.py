"""What a provider wants back in the next turn and OpenAI's clients do not keep: signatures and hidden reasoning.

Gemini's thought signatures, Anthropic's signed thinking, the encrypted reasoning of OpenAI's Responses and DeepSeek's
reasoning belong to the turn that called a tool, and must stand before the tool's result (provider reference, sections
3.8, 3.10, 9.1 and 10.6). The id of the tool call is what the client does bring back, so it is the key.
"""

from typing import Any

import orjson
from cachetools import LRUCache

from llmrouter.calls import Call
from llmrouter.targets import Target

_LONGEST = 1024 * 1024


class TurnMemory:
    """Remembers JSON values by caller, conversation, target and tool call id; of `max_bytes` the oldest go first."""

    def __init__(self, max_bytes: int = 16 * 1024 * 1024) -> None:
        self._kept: LRUCache[tuple[int, int, str, str], bytes] = LRUCache(max_bytes, getsizeof=len)

    def keep(self, call: Call, target: Target, tool_call_id: str, value: Any) -> None:
        """Remembers what belongs to a tool call; what is larger than a MiB is forgotten at once."""
        text = orjson.dumps(value)
        if len(text) <= min(_LONGEST, self._kept.maxsize):
            self._kept[_key(call, target, tool_call_id)] = text

    def recall(self, call: Call, target: Target, tool_call_id: str) -> Any:
        """What was kept for this tool call of this caller at this target; None where nothing was."""
        text = self._kept.get(_key(call, target, tool_call_id))
        return None if text is None else orjson.loads(text)


def _key(call: Call, target: Target, tool_call_id: str) -> tuple[int, int, str, str]:
    # One caller must not reach what another one's turn left behind; the hash is salted anew in every process.
    authorization = call.caller.authorization
    caller = hash("" if authorization is None else authorization.get_secret_value())
    return caller, _conversation(call), target.key, tool_call_id


def _conversation(call: Call) -> int:
    """What a conversation begins with, up to its first question: some servers' ids are the same in all of them."""
    begun = []
    for message in call.body["messages"]:
        begun.append(message)
        if message["role"] == "user":
            break
    return hash(orjson.dumps(begun))
