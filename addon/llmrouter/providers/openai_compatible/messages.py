"""Messages of a chat completion, with what a target does not take told in another way."""

import hashlib
import re
import string
from typing import Any

from llmrouter.brands.dialect import Dialect
from llmrouter.providers.wire import Job

_LETTERS = string.digits + string.ascii_letters
_NO_REASONING = " "
"""The shortest text that DeepSeek takes for reasoning that is gone (provider reference, section 3.10)."""


def messages_for(job: Job, instruction: str | None) -> list[Any] | None:
    """The messages as the target takes them, `instruction` told before them; None where nothing differs."""
    messages = job.call.body["messages"]
    written = [_message(message, job) for message in messages]
    if instruction is not None:
        return _with_instruction(written, instruction)
    return None if all(new is old for new, old in zip(written, messages, strict=True)) else written


def _message(message: dict[str, Any], job: Job) -> dict[str, Any]:
    """The message itself where nothing differs."""
    dialect, changes = job.dialect, {}
    role = message["role"]
    if role == "developer" and not dialect.knows_developer:
        changes["role"] = "system"
    if dialect.flattens and isinstance(message.get("content"), list):
        text = _joined(message["content"])
        if text is not None:
            changes["content"] = text
    if dialect.tool_id_length is not None:
        changes |= _with_short_ids(message, dialect.tool_id_length)
    if "refusal" in dialect.message_drops and message.get("refusal") and not message.get("content"):
        changes["content"] = message["refusal"]
    calls = message.get("tool_calls")
    if dialect.wants_reasoning_back and role == "assistant" and isinstance(calls, list) and calls:
        changes |= _with_reasoning(message, job)
    unwanted = _unwanted(message, dialect)
    if not changes and not unwanted:
        return message
    return {name: value for name, value in {**message, **changes}.items() if name not in unwanted}


def _unwanted(message: dict[str, Any], dialect: Dialect) -> set[str]:
    """Members that the target refuses, and null ones, which Groq refuses (provider reference, section 3.3)."""
    if not dialect.message_drops:
        return set()
    unwanted = message.keys() & dialect.message_drops
    return unwanted | {name for name, value in message.items() if value is None and name != "content"}


def _joined(content: list[Any]) -> str | None:
    """The text of a content list; None where it holds anything else."""
    texts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
    if len(texts) < len(content) or not all(isinstance(text, str) for text in texts):
        return None
    return "\n".join(text for text in texts if isinstance(text, str))


def _with_short_ids(message: dict[str, Any], length: int) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if isinstance(id := message.get("tool_call_id"), str):
        changes["tool_call_id"] = short_id(id, length)
    if isinstance(calls := message.get("tool_calls"), list):
        changes["tool_calls"] = [
            {**call, "id": short_id(call["id"], length)} if isinstance(call, dict) and "id" in call else call
            for call in calls
        ]
    return {name: value for name, value in changes.items() if value != message[name]}


def short_id(id: Any, length: int) -> Any:
    """An id of letters and digits of exactly this length: the id itself where it is one, else always the same other."""
    if not isinstance(id, str) or re.fullmatch(f"[A-Za-z0-9]{{{length}}}", id):
        return id
    digest = hashlib.sha256(id.encode("utf-8", "surrogatepass")).digest()
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[:length])


def _with_reasoning(message: dict[str, Any], job: Job) -> dict[str, Any]:
    if message.get("reasoning_content"):
        return {}
    ids = (call.get("id") for call in message["tool_calls"] if isinstance(call, dict))
    kept = (job.memory.recall(job.call, job.target, id) for id in ids if isinstance(id, str))
    return {"reasoning_content": next((text for text in kept if text), _NO_REASONING)}


def _with_instruction(messages: list[Any], instruction: str) -> list[Any]:
    """The instruction at the end of a system message that stands first, or as one."""
    first = messages[0]
    if first["role"] == "system" and isinstance(first.get("content"), str):
        return [{**first, "content": f"{first['content']}\n\n{instruction}"}, *messages[1:]]
    return [{"role": "system", "content": instruction}, *messages]
