"""One chat call of a run: its chunks become the run's steps, its message, its tool calls, and the events of these.

text        step created, in progress; message created, in progress; deltas; at the end message and step completed
tool calls  a message that is open is completed first; step created, in progress; deltas
text that comes after tool calls is a message of its own, at the end, unless it is blank
"""

from collections.abc import Callable
from typing import Any

from llmrouter.endpoints.assistants import events, objects
from llmrouter.endpoints.assistants.events import Event
from llmrouter.endpoints.assistants.objects import Object

_INCOMPLETE = {"length": "max_tokens", "content_filter": "content_filter"}
"""Why a message is incomplete, by the finish reason of a chat completion."""


class Turn:
    """Takes a chat call's chunks, one after another; `new_id` makes an id of a prefix.

    `message` and the steps are as they are now, None before there are any; `led_by` is the message that stood before
    the tool calls.
    """

    def __init__(self, run: Object, new_id: Callable[[str], str]) -> None:
        self.message: Object | None = None
        self.text_step: Object | None = None
        self.tool_step: Object | None = None
        self.led_by: str | None = None
        self.calls: list[Object] = []
        self.finish_reason: str | None = None
        self._run = run
        self._new_id = new_id
        self._blank = ""
        self._late = ""
        self._indexes: dict[int, int] = {}
        self._pieces: list[list[str]] = []
        self._arguments: list[list[str]] = []
        self._characters = 0

    @property
    def output_characters(self) -> int:
        """How much the model wrote."""
        return self._characters

    def feed(self, chunk: Object, now: float) -> list[Event]:
        """What a `chat.completion.chunk` makes happen."""
        found: list[Event] = []
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            for kind, name in (("text", "content"), ("refusal", "refusal")):
                if isinstance(piece := delta.get(name), str) and piece:
                    found += self._write(kind, piece, now)
            for call in delta.get("tool_calls") or ():
                found += self._call(call, now)
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
        return found

    def _write(self, kind: str, piece: str, now: float) -> list[Event]:
        self._characters += len(piece)
        if self.tool_step is not None:
            self._late += piece
            return []
        if self.message is None and not (self._blank + piece).strip():
            # Some models write line breaks before they call a tool: no message of its own.
            self._blank += piece
            return []
        opening = self._open_message(now) if self.message is None else []
        piece, self._blank = self._blank + piece, ""
        return [*opening, self._grow(kind, piece)]

    def _open_message(self, now: float) -> list[Event]:
        self._pieces = []
        self.message = objects.answer(self._new_id("msg_"), now, self._run)
        creation = {"type": "message_creation", "message_creation": {"message_id": self.message["id"]}}
        self.text_step = objects.step(self._new_id("step_"), now, self._run, creation)
        return [
            events.of_step(self.text_step, "created"),
            events.of_step(self.text_step),
            events.of_message(self.message, "created"),
            events.of_message(self.message),
        ]

    def _grow(self, kind: str, piece: str) -> Event:
        assert self.message is not None
        content: list[Object] = self.message["content"]
        index = next((index for index, part in enumerate(content) if part["type"] == kind), len(content))
        is_new = index == len(content)
        if is_new:
            empty: Any = {"value": "", "annotations": []} if kind == "text" else ""
            self.message = self.message | {"content": [*content, {"type": kind, kind: empty}]}
            self._pieces.append([])
        self._pieces[index].append(piece)
        if kind == "refusal":
            return events.message_delta(self.message["id"], {"index": index, "type": kind, kind: piece})
        grown = {"value": piece, "annotations": []} if is_new else {"value": piece}
        return events.message_delta(self.message["id"], {"index": index, "type": kind, kind: grown})

    def _call(self, fragment: Object, now: float) -> list[Event]:
        found: list[Event] = []
        if self.tool_step is None:
            found = [*self._close_message(None, now), *self._open_tools(now)]
        assert self.tool_step is not None
        function = fragment.get("function") or {}
        arguments = function.get("arguments") or ""
        number = fragment.get("index") or 0
        index = self._indexes.setdefault(number, len(self.calls))
        told: Object = {"index": index, "type": "function", "function": {"arguments": arguments}}
        if index == len(self.calls):
            id, name = fragment.get("id") or self._new_id("call_"), function.get("name") or ""
            self.calls.append({"id": id, "name": name, "arguments": ""})
            self._arguments.append([])
            told = {"index": index, "id": id, "type": "function"}
            told["function"] = {"name": name, "arguments": arguments, "output": None}
        self._characters += len(arguments)
        self._arguments[index].append(arguments)
        return [*found, events.step_delta(self.tool_step["id"], told)]

    def _open_tools(self, now: float) -> list[Event]:
        self._blank = ""
        self.led_by = None if self.message is None else self.message["id"]
        details = {"type": "tool_calls", "tool_calls": []}
        self.tool_step = objects.step(self._new_id("step_"), now, self._run, details)
        return [events.of_step(self.tool_step, "created"), events.of_step(self.tool_step)]

    def _settle(self) -> None:
        """Puts the pieces together."""
        if self.message is not None:
            self.message = self.message | {"content": self._content(self.message["content"])}
        for call, arguments in zip(self.calls, self._arguments, strict=True):
            call["arguments"] = "".join(arguments)
        if self.tool_step is not None:
            self.tool_step = self.tool_step | {"step_details": tool_details(self.calls)}

    def _content(self, parts: list[Object]) -> list[Object]:
        whole = []
        for part, pieces in zip(parts, self._pieces, strict=True):
            value = "".join(pieces)
            inner: Any = {"value": value, "annotations": []} if part["type"] == "text" else value
            whole.append({"type": part["type"], part["type"]: inner})
        return whole

    def _close_message(self, reason: str | None, now: float, usage: Object | None = None) -> list[Event]:
        """Ends the message that is open, if there is one, and its step."""
        self._settle()
        if self.message is None or self.message["status"] != "in_progress" or self.text_step is None:
            return []
        self.message = objects.ended_message(self.message, reason, now)
        self.text_step = objects.ended_step(self.text_step, "completed", now) | {"usage": usage}
        return [events.of_message(self.message), events.of_step(self.text_step)]

    def finish(self, now: float, usage: Object | None) -> list[Event]:
        """The call came to its end; a step of tool calls stays in progress until their outputs are there.

        `usage` is what the call used: it goes to the last step that began.
        """
        self._settle()
        if self.tool_step is None:
            opening = [] if self.message is not None else self._open_message(now)
            if self._blank:
                opening.append(self._grow("text", self._blank))
            return [*opening, *self._close_message(_INCOMPLETE.get(self.finish_reason or ""), now, usage)]
        self.tool_step = self.tool_step | {"usage": usage}
        if not self._late.strip():
            return []
        late, self._late = self._late, ""
        return [*self._open_message(now), self._grow("text", late), *self._close_message(None, now)]

    def cut(self, status: str, reason: str, now: float, error: Object | None = None) -> list[Event]:
        """The run ends before the call does: steps get `status`, a message is incomplete for `reason`."""
        self._settle()
        found: list[Event] = []
        if self.message is not None and self.message["status"] == "in_progress":
            self.message = objects.ended_message(self.message, reason, now)
            found.append(events.of_message(self.message))
        if self.text_step is not None and self.text_step["status"] == "in_progress":
            self.text_step = objects.ended_step(self.text_step, status, now, error)
            found.append(events.of_step(self.text_step))
        if self.tool_step is not None and self.tool_step["status"] == "in_progress":
            self.tool_step = objects.ended_step(self.tool_step, status, now, error)
            found.append(events.of_step(self.tool_step))
        return found


def tool_details(calls: list[Object]) -> Object:
    """`step_details` of tool calls; an output that is not there yet is null."""
    return {
        "type": "tool_calls",
        "tool_calls": [
            {
                "id": call["id"],
                "type": "function",
                "function": {"name": call["name"], "arguments": call["arguments"], "output": call.get("output")},
            }
            for call in calls
        ],
    }
