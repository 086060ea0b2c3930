"""Items as messages of a chat (provider reference, section 10.2)."""

from collections.abc import Sequence
from typing import Any

import orjson

Item = dict[str, Any]
Message = dict[str, Any]

_CALLS = ("function_call", "custom_tool_call")
_OUTPUTS = ("function_call_output", "custom_tool_call_output")


def messages_of(instructions: str | None, items: Sequence[Item]) -> list[Message]:
    """The messages that say what instructions and items say."""
    messages: list[Message] = []
    if instructions:
        messages.append({"role": "developer", "content": instructions})
    writer = _Writer(messages)
    for item in items:
        writer.add(item)
    writer.close()
    return messages


class _Writer:
    """Puts items together: an answer and the calls after it are one message of the assistant."""

    def __init__(self, messages: list[Message]) -> None:
        self._messages = messages
        self._answer: Message | None = None
        self._reasoning: list[str] = []
        self._pictures: list[Message] = []

    def add(self, item: Item) -> None:
        """The next item; what OpenAI's own tools did is told in the answer after it."""
        kind = item.get("type") or "message"
        if kind not in _OUTPUTS:
            self._show_pictures()
        if kind == "reasoning":
            self._add_thought(item)
        elif kind in _CALLS:
            self._add_call(item, kind)
        elif kind in _OUTPUTS:
            self._end_answer()
            self._add_output(item)
        elif kind == "message":
            self._add_message(item)

    def close(self) -> None:
        """No more items come."""
        self._end_answer()
        self._show_pictures()

    def _add_thought(self, item: Item) -> None:
        """What was thought before an answer goes with it; in the middle of one with calls, it goes with that."""
        thought = _thought(item)
        if not self._waits_for_outputs():
            self._end_answer()
            self._reasoning.append(thought)
        elif thought and self._answer is not None:
            before = self._answer.get("reasoning_content")
            self._answer["reasoning_content"] = thought if before is None else f"{before}\n{thought}"

    def _add_message(self, item: Item) -> None:
        role, content = item["role"], item["content"]
        if role != "assistant":
            self._end_answer()
            # A thought without an answer was given up.
            self._reasoning.clear()
            self._messages.append({"role": role, "content": _content(content)})
            return
        parts = [{"type": "output_text", "text": content}] if isinstance(content, str) else content
        text = "".join(part["text"] for part in parts if isinstance(part.get("text"), str))
        refusal = "".join(part["refusal"] for part in parts if part.get("type") == "refusal")
        if self._answer is not None and self._waits_for_outputs():
            # Nothing may stand between calls and their outputs, whatever the model said after them.
            self._answer["content"] = (self._answer["content"] or "") + text + refusal or None
            return
        self._end_answer()
        self._answer = self._new_answer()
        self._answer["content"] = text or None if refusal else text
        if refusal:
            self._answer["refusal"] = refusal

    def _waits_for_outputs(self) -> bool:
        return self._answer is not None and "tool_calls" in self._answer

    def _add_call(self, item: Item, kind: str) -> None:
        if self._answer is None:
            self._answer = self._new_answer()
        is_custom = kind == "custom_tool_call"
        arguments = orjson.dumps({"input": item["input"]}).decode() if is_custom else item["arguments"]
        call = {"id": item["call_id"], "type": "function", "function": {"name": item["name"], "arguments": arguments}}
        self._answer.setdefault("tool_calls", []).append(call)

    def _add_output(self, item: Item) -> None:
        output = item["output"]
        told = {"role": "tool", "tool_call_id": item["call_id"]}
        if isinstance(output, str):
            self._messages.append({**told, "content": output})
            return
        texts = [part for part in output if isinstance(part.get("text"), str)]
        others = [part for part in output if not isinstance(part.get("text"), str)]
        text = "\n".join(part["text"] for part in texts)
        self._messages.append({**told, "content": text or "The output follows." if others else text})
        if others:
            self._pictures.append({"role": "user", "content": _content(others)})

    def _new_answer(self) -> Message:
        answer: Message = {"role": "assistant", "content": None}
        if thought := "\n".join(filter(None, self._reasoning)):
            answer["reasoning_content"] = thought
        self._reasoning.clear()
        return answer

    def _end_answer(self) -> None:
        if self._answer is not None:
            self._messages.append(self._answer)
            self._answer = None

    def _show_pictures(self) -> None:
        """What a tool's message cannot hold follows when all outputs are told: nothing may stand between them."""
        self._messages += self._pictures
        self._pictures.clear()


def _thought(item: Item) -> str:
    """What a reasoning item says in words; what is encrypted only OpenAI can read."""
    parts = item.get("content") or item.get("summary") or ()
    return "\n".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


def _content(content: Any) -> Any:
    if isinstance(content, str):
        return content
    parts = [_part(part) for part in content]
    if len(parts) <= 1 and all(part["type"] == "text" for part in parts):
        return parts[0]["text"] if parts else ""
    return parts


def _part(part: Item) -> dict[str, Any]:
    match part["type"]:
        case "input_image":
            image = {"url": part.get("image_url") or ""}
            if isinstance(part.get("detail"), str):
                image["detail"] = part["detail"]
            return {"type": "image_url", "image_url": image}
        case "input_file":
            names = ("filename", "file_data")
            return {"type": "file", "file": {name: part[name] for name in names if part.get(name) is not None}}
        case "input_audio":
            return {"type": "input_audio", "input_audio": part["input_audio"]}
        case _:
            return {"type": "text", "text": part.get("text") or part.get("refusal") or ""}
