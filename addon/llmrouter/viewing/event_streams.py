"""Streams of named events as the answer that they became: of Responses, of Anthropic and of Assistants."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from llmrouter.viewing.shapes import Json, number_of, object_of, objects_of, text_of

_RESPONSE_ENDS = ("completed", "incomplete", "failed", "cancelled")


class ResponseStream:
    """Events of a response; its last one tells all of it again."""

    def __init__(self) -> None:
        self.is_ended = False
        self._response: Json = {}
        self._items: dict[int, dict[str, Any]] = {}
        self._texts: dict[tuple[int, str], list[str]] = defaultdict(list)

    def add(self, name: str, event: Json) -> None:
        """Takes the next event."""
        kind, at = text_of(event.get("type")) or name, number_of(event.get("output_index"))
        if isinstance(response := event.get("response"), dict):
            self._response = response
            self.is_ended = kind.rpartition(".")[2] in _RESPONSE_ENDS
        elif kind.startswith("response.output_item."):
            self._items[at] = dict(object_of(event.get("item")))
            if kind.endswith("done"):
                self._texts = defaultdict(list, {key: text for key, text in self._texts.items() if key[0] != at})
        elif kind.endswith(".delta") and isinstance(delta := event.get("delta"), str):
            self._texts[at, kind.split(".")[1]].append(delta)
        elif kind == "error":
            self._response = {**self._response, "error": event.get("error") or event}

    def body(self) -> dict[str, Any]:
        """The response as far as it came."""
        if self.is_ended:
            return dict(self._response)
        for (at, kind), parts in self._texts.items():
            self._items[at] = _with_delta(self._items.get(at, {}), kind, "".join(parts))
        return {**self._response, "object": "response", "output": [self._items[at] for at in sorted(self._items)]}


def _with_delta(item: Mapping[str, Any], kind: str, text: str) -> dict[str, Any]:
    """An item that has not ended, with the text that came for it by now."""
    if kind == "function_call_arguments":
        return {"type": "function_call", **item, "arguments": text}
    if kind == "custom_tool_call_input":
        return {"type": "custom_tool_call", **item, "input": text}
    if kind.startswith("reasoning"):
        return {"type": "reasoning", **item, "summary": [{"type": "summary_text", "text": text}]}
    part = {"type": "refusal", "refusal": text} if kind == "refusal" else {"type": "output_text", "text": text}
    return {"type": "message", "role": "assistant", **item, "content": [part]}


class MessageStream:
    """Events of Anthropic's Messages."""

    def __init__(self) -> None:
        self.is_ended = False
        self._message: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = defaultdict(lambda: {"type": "text"})
        self._texts: dict[tuple[int, str], list[str]] = defaultdict(list)

    def add(self, name: str, event: Json) -> None:
        """Takes the next event."""
        kind, at = text_of(event.get("type")) or name, number_of(event.get("index"))
        match kind:
            case "message_start":
                self._message |= object_of(event.get("message"))
            case "content_block_start":
                self._blocks[at] = dict(object_of(event.get("content_block")))
            case "content_block_delta":
                self._add_delta(at, object_of(event.get("delta")))
            case "message_delta":
                usage = {**object_of(self._message.get("usage")), **object_of(event.get("usage"))}
                self._message |= {**object_of(event.get("delta")), "usage": usage}
            case "message_stop":
                self.is_ended = True
            case "error":
                self._message["error"] = event.get("error")
            case _:
                pass

    def _add_delta(self, at: int, delta: Json) -> None:
        for told, member in (("text", "text"), ("thinking", "thinking"), ("partial_json", "input")):
            if isinstance(text := delta.get(told), str):
                self._texts[at, member].append(text)

    def body(self) -> dict[str, Any]:
        """The message as far as it came."""
        for (at, member), parts in self._texts.items():
            self._blocks[at][member] = "".join(parts)
        return {"type": "message", **self._message, "content": [self._blocks[at] for at in sorted(self._blocks)]}


class RunStream:
    """Events of a run of the Assistants API."""

    def __init__(self) -> None:
        self.is_ended = False
        self._run: Json = {}
        self._messages: dict[str, Json] = {}
        self._texts: dict[str, list[str]] = defaultdict(list)

    def add(self, name: str, event: Json) -> None:
        """Takes the next event."""
        id = text_of(event.get("id"))
        if name == "thread.message.delta":
            for part in objects_of(object_of(event.get("delta")).get("content")):
                self._texts[id].append(text_of(object_of(part.get("text")).get("value")))
        elif name.startswith("thread.message."):
            self._messages[id] = event
        elif name.startswith("thread.run.") and not name.startswith("thread.run.step."):
            self._run = event
        elif name == "error":
            self._run = {**self._run, "error": event.get("error") or event}

    def body(self) -> dict[str, Any]:
        """The run as far as it came, and what was said in it."""
        told: dict[str, Json] = {id: {"content": "".join(parts)} for id, parts in self._texts.items()}
        told |= {id: message for id, message in self._messages.items() if message.get("content")}
        return {**self._run, "object": "thread.run", "messages": list(told.values())}
