"""Messages of a chat completion as the input items of Responses (provider reference, section 10.2, read backwards)."""

from typing import Any

from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.wire import Job

_PROMPT_ROLES = ("developer", "system", "user")


def untold(why: str) -> AttemptFailed:
    """The failure for a call that cannot be said in Responses."""
    return AttemptFailed(Outcome.NOT_TRANSLATABLE, f"OpenAI's Responses cannot be told this call: {why}")


def items_of(job: Job, instruction: str | None) -> list[dict[str, Any]]:
    """The input items for the call's messages, `instruction` told in the first of them.

    Reasoning that was kept from a turn with tool calls stands before that turn again. Raises `AttemptFailed` with
    NOT_TRANSLATABLE.
    """
    writer = _Items(job)
    for number, message in enumerate(job.call.body["messages"]):
        writer.add(message, number)
    return writer.items if instruction is None else _with_instruction(writer.items, instruction)


class _Items:
    """Input items while they are written; a result must be of the same kind as the call that it answers."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._custom_calls: set[str] = set()
        self.items: list[dict[str, Any]] = []

    def add(self, message: dict[str, Any], number: int) -> None:
        role, where = message["role"], f"messages[{number}]"
        if role in _PROMPT_ROLES:
            if role == "developer" and not self._job.dialect.knows_developer:
                role = "system"
            self.items.append({"role": role, "content": _prompt(message.get("content"), where)})
        elif role == "assistant":
            self._add_assistant(message, number)
        elif role == "tool":
            self._add_result(message, where)
        else:
            raise untold(f"'{where}' has an unknown role")

    def _add_assistant(self, message: dict[str, Any], number: int) -> None:
        """Reasoning, text, tool calls: the order in which a response has them (section 10.3)."""
        where = f"messages[{number}]"
        if message.get("audio"):
            raise untold(f"'{where}.audio' is sound")
        calls = self._calls(message.get("tool_calls"), where)
        for position, call in enumerate(calls):
            kept = self._job.memory.recall(self._job.call, self._job.target, call["call_id"])
            self.items += kept if isinstance(kept, list) else []
            if position == 0:
                self.items += _assistant_text(message, number, has_calls=True)
            self.items.append(call)
        if not calls:
            self.items += _assistant_text(message, number, has_calls=False)

    def _calls(self, calls: Any, where: str) -> list[dict[str, Any]]:
        if not calls:
            return []
        if not isinstance(calls, list):
            raise untold(f"'{where}.tool_calls' is no list")
        return [self._call(call, f"{where}.tool_calls[{number}]") for number, call in enumerate(calls)]

    def _call(self, call: Any, where: str) -> dict[str, Any]:
        if isinstance(call, dict) and isinstance(id := call.get("id"), str):
            function, custom = call.get("function"), call.get("custom")
            if isinstance(function, dict):
                told = {"type": "function_call", "call_id": id, "arguments": _text(function, "arguments", where)}
                return {**told, "name": _text(function, "name", where)}
            if isinstance(custom, dict):
                self._custom_calls.add(id)
                told = {"type": "custom_tool_call", "call_id": id, "input": _text(custom, "input", where)}
                return {**told, "name": _text(custom, "name", where)}
        raise untold(f"'{where}' is no call of a function or a custom tool with an id")

    def _add_result(self, message: dict[str, Any], where: str) -> None:
        id = message.get("tool_call_id")
        if not isinstance(id, str):
            raise untold(f"'{where}' has no 'tool_call_id'")
        kind = "custom_tool_call_output" if id in self._custom_calls else "function_call_output"
        self.items.append({"type": kind, "call_id": id, "output": _prompt(message.get("content"), where)})


def _assistant_text(message: dict[str, Any], number: int, *, has_calls: bool) -> list[dict[str, Any]]:
    """The item for what an assistant said, if it did.

    Plain text needs no id. Other text is told as the output message that it was, whose id only has to begin with
    `msg`, for nothing is stored.
    """
    content, where = message.get("content"), f"messages[{number}]"
    if isinstance(content, str) and not message.get("refusal"):
        return [{"role": "assistant", "content": content}] if content or not has_calls else []
    parts = _spoken(content, where)
    if message.get("refusal"):
        parts.append({"type": "refusal", "refusal": _text(message, "refusal", where)})
    if not parts:
        return []
    told = {"type": "message", "id": f"msg_{number}", "role": "assistant", "status": "completed"}
    return [{**told, "content": parts}]


def _spoken(content: Any, where: str) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [_output_text(content)] if content else []
    parts = []
    for number, part in enumerate(content or ()):
        kind, place = part.get("type") if isinstance(part, dict) else None, f"{where}.content[{number}]"
        if kind == "text":
            parts.append(_output_text(_text(part, "text", place)))
        elif kind == "refusal":
            parts.append({"type": "refusal", "refusal": _text(part, "refusal", place)})
        else:
            raise untold(f"'{place}' is neither text nor a refusal")
    return parts


def _output_text(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}


def _prompt(content: Any, where: str) -> str | list[dict[str, Any]]:
    """Content of a message that is not the model's own."""
    if content is None or isinstance(content, str):
        return content or ""
    return [_part(part, f"{where}.content[{number}]") for number, part in enumerate(content)]


def _part(part: Any, where: str) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text":
        told: dict[str, Any] = {"type": "input_text", "text": _text(part, "text", where)}
    elif kind == "image_url":
        told = _image(part.get("image_url"), where)
    elif kind == "file":
        told = _file(part.get("file"), where)
    else:
        raise untold(f"'{where}' is neither text, image nor file")
    if isinstance(mark := part.get("prompt_cache_breakpoint"), dict):
        told["prompt_cache_breakpoint"] = mark
    return told


def _image(image: Any, where: str) -> dict[str, Any]:
    image = {"url": image} if isinstance(image, str) else image
    if not isinstance(image, dict):
        raise untold(f"'{where}.image_url' is no object")
    url, detail = _text(image, "url", where), image.get("detail") or "auto"
    return {"type": "input_image", "image_url": url, "detail": detail}


def _file(file: Any, where: str) -> dict[str, Any]:
    if not isinstance(file, dict):
        raise untold(f"'{where}.file' is no object")
    known = {name: file[name] for name in ("file_data", "file_id", "filename") if file.get(name)}
    return {"type": "input_file", **known}


def _text(source: dict[str, Any], name: str, where: str) -> str:
    value = source.get(name)
    if not isinstance(value, str):
        raise untold(f"'{where}' has a '{name}' that is no text")
    return value


def _with_instruction(items: list[dict[str, Any]], instruction: str) -> list[dict[str, Any]]:
    """The instruction at the end of a system message that stands first, or as one.

    It is part of the input, for only there JSON mode looks for the word JSON.
    """
    first = items[0] if items else {}
    if first.get("role") in ("developer", "system") and isinstance(first["content"], str):
        return [{**first, "content": f"{first['content']}\n\n{instruction}"}, *items[1:]]
    return [{"role": "system", "content": instruction}, *items]
