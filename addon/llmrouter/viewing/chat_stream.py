"""Streams of chat chunks, of legacy completions and of Gemini as the answer that they became."""

from collections import defaultdict
from typing import Any

from llmrouter.viewing.shapes import Json, number_of, object_of, objects_of

_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")


class ChatStream:
    """Chunks of chat completions and of legacy completions."""

    def __init__(self) -> None:
        self.is_ended = False
        self._frame: dict[str, Any] = {}
        self._choices: dict[int, _Choice] = defaultdict(_Choice)

    def add(self, _: str, chunk: Json) -> None:
        """Takes the next chunk."""
        self._frame |= {name: value for name, value in chunk.items() if name != "choices" and value is not None}
        for choice in objects_of(chunk.get("choices")):
            self._choices[number_of(choice.get("index"))].add(choice)

    def body(self) -> dict[str, Any]:
        """The answer as far as it came."""
        return {**self._frame, "choices": [self._choices[at].whole() for at in sorted(self._choices)]}


class _Choice:
    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = defaultdict(list)
        self._calls: dict[int, _Call] = defaultdict(_Call)
        self._reason: Any = None

    def add(self, choice: Json) -> None:
        delta = object_of(choice.get("delta"))
        for source, names in ((delta, _TEXTS), (choice, ("text",))):
            for name in names:
                if isinstance(text := source.get(name), str):
                    self._texts[name].append(text)
        for call in objects_of(delta.get("tool_calls")):
            self._calls[number_of(call.get("index"))].add(call)
        if called := object_of(delta.get("function_call")):
            self._calls[0].add({"function": called})
        self._reason = choice.get("finish_reason") or self._reason

    def whole(self) -> dict[str, Any]:
        texts = {name: "".join(parts) for name, parts in self._texts.items()}
        whole = {"finish_reason": self._reason}
        if "text" in texts:
            return whole | {"text": texts["text"]}
        calls = [self._calls[at].whole() for at in sorted(self._calls)]
        return whole | {"message": {"role": "assistant", **texts, "tool_calls": calls}}


class _Call:
    def __init__(self) -> None:
        self._id: Any = None
        self._kind = "function"
        self._name: Any = None
        self._arguments: list[str] = []

    def add(self, call: Json) -> None:
        self._id = call.get("id") or self._id
        self._kind = "custom" if "custom" in call else self._kind
        called = object_of(call.get(self._kind))
        self._name = called.get("name") or self._name
        self._arguments += [text for name in ("arguments", "input") if isinstance(text := called.get(name), str)]

    def whole(self) -> dict[str, Any]:
        called = {"name": self._name, "arguments": "".join(self._arguments)}
        return {"id": self._id, "type": self._kind, self._kind: called}


class GeminiStream:
    """Chunks of Gemini's streamGenerateContent, each a whole answer with the next parts."""

    def __init__(self) -> None:
        self.is_ended = False
        self._frame: dict[str, Any] = {}
        self._texts: list[str] = []
        self._others: list[Json] = []

    def add(self, _: str, chunk: Json) -> None:
        """Takes the next chunk."""
        self._frame |= {name: value for name, value in chunk.items() if name != "candidates"}
        for candidate in objects_of(chunk.get("candidates")):
            for part in objects_of(object_of(candidate.get("content")).get("parts")):
                if isinstance(text := part.get("text"), str):
                    self._texts.append(text)
                else:
                    self._others.append(part)
            if reason := candidate.get("finishReason"):
                self._frame["_reason"], self.is_ended = reason, True

    def body(self) -> dict[str, Any]:
        """The answer as far as it came."""
        frame = dict(self._frame)
        parts = [{"text": "".join(self._texts)}, *self._others]
        return frame | {"candidates": [{"content": {"parts": parts}, "finishReason": frame.pop("_reason", None)}]}
