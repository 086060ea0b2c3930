"""The messages of a call as Gemini's `systemInstruction` and `contents`.

The mapping is that of the provider reference, section 3.8; what it leaves open is said where it is decided.
"""

from dataclasses import dataclass, field
from typing import Any

import orjson

from llmrouter.brands.dialect import Thinking
from llmrouter.providers.gemini.media import file_part, picture_part, sound_part, untold
from llmrouter.providers.wire import Job

_NO_SIGNATURE = "skip_thought_signature_validator"
"""What stands in for the thought signature of a tool call that another model made, or whose signature is forgotten:
Gemini 3 answers 400 where the first call of a step has none (Google's documentation of thought signatures)."""

_SIGNED = frozenset({Thinking.LEVEL, Thinking.ALWAYS})
_PLACEHOLDER = "."


@dataclass(slots=True)
class Prompt:
    """What a model is told: parts of the system instruction, contents by turns, and what was told in another way."""

    system: list[dict[str, Any]] = field(default_factory=list)
    contents: list[dict[str, Any]] = field(default_factory=list)
    changes: dict[str, None] = field(default_factory=dict)


def prompt_of(job: Job, instruction: str | None = None) -> Prompt:
    """The call's messages; `instruction` is told after the system messages.

    Raises `AttemptFailed` with NOT_TRANSLATABLE for content that Gemini has no part for.
    """
    writer = _Writer(job)
    for message in job.call.body["messages"]:
        writer.add(message)
    return writer.finished(instruction)


class _Writer:
    """Writes turn after turn; neighbours of the same role become one turn."""

    __slots__ = ("_functions", "_job", "_prompt")

    def __init__(self, job: Job) -> None:
        self._job = job
        self._prompt = Prompt()
        self._functions: dict[str, str] = {}

    def add(self, message: dict[str, Any]) -> None:
        """One message of the call."""
        if message.get("name") and message["role"] != "tool":
            self._note("without messages[].name")
        match message["role"]:
            case "system" | "developer":
                self._add_system(message)
            case "user":
                self._add_parts("user", self._content(message))
            case "assistant":
                self._add_assistant(message)
            case "tool":
                self._add_parts("user", [self._result(message)])
            case role:
                raise untold(f"it knows no messages of the role '{role}'")

    def finished(self, instruction: str | None) -> Prompt:
        """The whole prompt, whose contents are never empty and never begin with a tool call, as Gemini demands."""
        prompt = self._prompt
        if not prompt.contents and prompt.system:
            prompt.contents = [{"role": "user", "parts": prompt.system}]
            prompt.system = []
            self._note("system message as user text")
        if not prompt.contents:
            raise untold("it takes no conversation without any content")
        if instruction is not None:
            prompt.system = [*prompt.system, {"text": instruction}]
        first, last = prompt.contents[0], prompt.contents[-1]
        if any("functionCall" in part for part in first["parts"]):
            prompt.contents.insert(0, {"role": "user", "parts": [{"text": _PLACEHOLDER}]})
            self._note("a user turn before the first tool call")
        if last["role"] == "model" and not self._job.dialect.takes_prefill:
            raise untold("it does not go on with a message of the assistant")
        return prompt

    def _note(self, change: str) -> None:
        self._prompt.changes[change] = None

    def _add_parts(self, role: str, parts: list[dict[str, Any]]) -> None:
        contents = self._prompt.contents
        if not parts:
            return
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"] += parts
        else:
            contents.append({"role": role, "parts": parts})

    def _add_system(self, message: dict[str, Any]) -> None:
        """There is one system instruction, before all else: what comes later keeps its place, and becomes user text."""
        parts = self._content(message)
        if not self._prompt.contents:
            self._prompt.system += parts
        elif parts:
            self._note("later system message as user text")
            self._add_parts("user", parts)

    def _add_assistant(self, message: dict[str, Any]) -> None:
        if message.get("audio"):
            raise untold("the sound of an earlier answer is kept at OpenAI only")
        parts = self._content(message)
        if isinstance(refusal := message.get("refusal"), str) and refusal:
            parts.append({"text": refusal})
        calls = message.get("tool_calls") or []
        if not isinstance(calls, list):
            raise untold("'tool_calls' of a message must be an array")
        self._add_parts("model", [*parts, *self._calls(calls)])

    def _calls(self, calls: list[Any]) -> list[dict[str, Any]]:
        parts = [self._call(call) for call in calls]
        is_signed = any("thoughtSignature" in part for part in parts)
        if parts and not is_signed and self._job.dialect.thinking in _SIGNED:
            parts[0]["thoughtSignature"] = _NO_SIGNATURE
            self._note("a stand-in for a thought signature")
        return parts

    def _call(self, call: Any) -> dict[str, Any]:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(name := function.get("name"), str):
            raise untold("it knows no tool calls but those of functions")
        told: dict[str, Any] = {"name": name, "args": _arguments(function.get("arguments"))}
        part: dict[str, Any] = {"functionCall": told}
        if isinstance(id := call.get("id"), str) and id:
            self._functions[id] = name
            part["functionCall"] = {"id": id, **told}
            if signature := self._signature(call, id):
                part["thoughtSignature"] = signature
        return part

    def _signature(self, call: dict[str, Any], id: str) -> str | None:
        """The one that came with the call; clients of Gemini's compatible route keep it in `extra_content`."""
        value = self._job.memory.recall(self._job.call, self._job.target, id)
        if not isinstance(value, str):
            value = call.get("extra_content")
            for name in ("google", "thought_signature"):
                value = value.get(name) if isinstance(value, dict) else None
        return value if isinstance(value, str) and value else None

    def _result(self, message: dict[str, Any]) -> dict[str, Any]:
        id = message.get("tool_call_id")
        name = self._functions.get(id) if isinstance(id, str) else None
        if name is None:
            raise untold("a tool message answers no tool call that stands before it")
        texts = [part.get("text") for part in self._content(message)]
        if not all(isinstance(text, str) for text in texts):
            raise untold("it takes nothing but text as the result of a tool")
        return {"functionResponse": {"id": id, "name": name, "response": _response("\n".join(map(str, texts)))}}

    def _content(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        """The parts of a message's content, without empty text, which Gemini does not take."""
        content = message.get("content")
        if content is None or isinstance(content, str):
            return [{"text": content}] if content else []
        parts = [self._part(part) for part in content]
        return [part for part in parts if part.get("text") != ""]

    def _part(self, part: Any) -> dict[str, Any]:
        kind = part.get("type") if isinstance(part, dict) else None
        match kind:
            case "text" | "refusal":
                if not isinstance(text := part.get(kind), str):
                    raise untold(f"a content part of the type '{kind}' has no text")
                return {"text": text}
            case "image_url":
                picture = part.get("image_url")
                if isinstance(picture, dict) and picture.get("detail") not in (None, "auto"):
                    self._note("without image detail")
                return picture_part(picture)
            case "input_audio":
                return sound_part(part.get("input_audio"))
            case "file":
                return file_part(part.get("file"))
            case _:
                raise untold(f"it knows no content of the type '{kind}'")


def _arguments(text: Any) -> dict[str, Any]:
    """The arguments of an earlier tool call, of which Gemini wants the object."""
    try:
        value = orjson.loads(text or "{}") if isinstance(text, str | None) else None
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise untold("the arguments of a tool call are no JSON object")
    return value


def _response(text: str) -> dict[str, Any]:
    """A tool's result as the object that Gemini wants: itself where it is one."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = None
    return value if isinstance(value, dict) else {"result": text}
