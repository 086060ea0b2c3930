"""The messages of a call as Anthropic's `system` and `messages` (provider reference, section 9.1)."""

from dataclasses import dataclass, field
from typing import Any

import orjson

from llmrouter.providers.anthropic.content import blocks_of, text_block
from llmrouter.providers.anthropic.notes import Notes, ToolNames, allowed, untold
from llmrouter.providers.anthropic.turns import with_thinking
from llmrouter.providers.wire import Job

_PLACEHOLDER = "."
_UNREADABLE = "arguments"
"""The member that holds the arguments of an earlier tool call that are no JSON object."""

_REASONING = ("reasoning_content", "reasoning", "reasoning_details")


@dataclass(slots=True)
class Prompt:
    """What a model is told: blocks of the system prompt, and messages with roles by turns."""

    system: list[dict[str, Any]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)


def is_prefilled(job: Job) -> bool:
    """Whether the answer has to go on with what the assistant said already."""
    last = job.call.body["messages"][-1]
    return bool(last["role"] == "assistant" and (last.get("content") or last.get("tool_calls")))


def prompt_of(job: Job, names: ToolNames, notes: Notes, *, brings_thinking: bool) -> Prompt:
    """The call's messages; `brings_thinking` tells whether what was thought in earlier turns may be brought back.

    Raises `AttemptFailed` with NOT_TRANSLATABLE for messages that Anthropic has no form for.
    """
    writer = _Writer(job, names, notes, brings_thinking)
    for message in job.call.body["messages"]:
        writer.add(message)
    return writer.finished()


class _Writer:
    """Writes turn after turn; neighbours of the same role become one turn, as Anthropic itself would join them."""

    __slots__ = ("_brings_thinking", "_ids", "_job", "_names", "_notes", "_prompt", "_taken")

    def __init__(self, job: Job, names: ToolNames, notes: Notes, brings_thinking: bool) -> None:
        self._job = job
        self._names = names
        self._notes = notes
        self._brings_thinking = brings_thinking
        self._prompt = Prompt()
        self._ids: dict[str, str] = {}
        self._taken: set[str] = set()

    def add(self, message: dict[str, Any]) -> None:
        """One message of the call."""
        if message.get("name") and message["role"] != "tool":
            self._notes.add("without messages[].name")
        match message["role"]:
            case "system" | "developer":
                self._add_system(message)
            case "user":
                self._add_blocks("user", blocks_of(message.get("content"), self._notes))
            case "assistant":
                self._add_assistant(message)
            case "tool":
                self._add_result(message)
            case role:
                raise untold(f"it knows no messages of the role '{role[:100]}'")

    def finished(self) -> Prompt:
        """The whole prompt, which begins with the user, and ends with the assistant only where the call does."""
        prompt = self._prompt
        messages = prompt.messages
        if not messages and prompt.system:
            self._add_blocks("user", prompt.system)
            prompt.system = []
            self._notes.add("system message as user text")
        if not messages or messages[0]["role"] != "user":
            messages.insert(0, _placeholder())
            self._notes.add("a user message before the first")
        if messages[-1]["role"] == "assistant":
            self._end(messages)
        return prompt

    def _end(self, messages: list[dict[str, Any]]) -> None:
        if not is_prefilled(self._job):
            messages.append(_placeholder())
            self._notes.add("a user message after the last")
        elif not self._job.dialect.takes_prefill:
            raise untold("it does not go on with a message of the assistant")
        elif messages[-1]["content"][-1]["type"] == "text":
            last = messages[-1]["content"][-1]
            last["text"] = last["text"].rstrip()

    def _add_blocks(self, role: str, blocks: list[dict[str, Any]]) -> None:
        messages = self._prompt.messages
        if not blocks:
            return
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += blocks
        else:
            messages.append({"role": role, "content": [*blocks]})

    def _add_system(self, message: dict[str, Any]) -> None:
        """There is one system prompt, before all else: what comes later keeps its place, as user text in a tag."""
        blocks = blocks_of(message.get("content"), self._notes)
        if any(block["type"] != "text" for block in blocks):
            raise untold("it takes nothing but text in a system message")
        if not self._prompt.messages:
            self._prompt.system += blocks
            return
        for block in blocks:
            block["text"] = f"<system>\n{block['text']}\n</system>"
            self._notes.add("later system message as user text")
        self._add_blocks("user", blocks)

    def _add_assistant(self, message: dict[str, Any]) -> None:
        if message.get("audio"):
            raise untold("the sound of an earlier answer is kept at OpenAI only")
        texts = blocks_of(message.get("content"), self._notes)
        if any(block["type"] != "text" for block in texts):
            raise untold("it takes nothing but text and tool calls in a message of the assistant")
        if isinstance(refusal := message.get("refusal"), str) and refusal.strip():
            texts.append(text_block(refusal))
        calls = message.get("tool_calls") or []
        if not isinstance(calls, list):
            raise untold("'tool_calls' of a message must be an array")
        uses = [self._use(call) for call in calls]
        blocks = with_thinking(self._job, texts, uses) if self._brings_thinking else None
        if blocks is None:
            blocks = [*texts, *(use for _, use in uses)]
            if any(message.get(name) for name in _REASONING):
                self._notes.add("without messages[].reasoning_content")
        self._add_blocks("assistant", blocks)

    def _use(self, call: Any) -> tuple[str, dict[str, Any]]:
        """The client's id of a tool call, and Anthropic's block for it."""
        kind = call.get("type") or "function" if isinstance(call, dict) else None
        inner = call.get(kind) if isinstance(kind, str) else None
        id = call.get("id") if isinstance(call, dict) else None
        if not isinstance(inner, dict) or not isinstance(name := inner.get("name"), str) or not isinstance(id, str):
            raise untold("a tool call has no id, or is none of a function or custom tool with a name")
        given = {"input": inner.get("input") or ""} if kind == "custom" else self._arguments(inner.get("arguments"))
        return id, {"type": "tool_use", "id": self._new_id(id), "name": self._names.told(name), "input": given}

    def _new_id(self, id: str) -> str:
        """The id in letters that Anthropic takes, and another one for each call, which some providers forget."""
        told = allowed(id)
        if told in self._taken:
            told = allowed(f"{id}.{len(self._taken)}")
        while told in self._taken:
            told = allowed(told + ".")
        self._taken.add(told)
        self._ids[id] = told
        return told

    def _arguments(self, text: Any) -> Any:
        """The arguments as an object: their own text where it is one, so that nothing is written anew."""
        if text is None or (isinstance(text, str) and not text.strip()):
            return {}
        if isinstance(text, str):
            try:
                if isinstance(orjson.loads(text), dict):
                    return orjson.Fragment(text)
            except orjson.JSONDecodeError:
                pass
        self._notes.add("arguments that are no JSON object as text")
        return {_UNREADABLE: text}

    def _add_result(self, message: dict[str, Any]) -> None:
        """Results stand before all else that follows the tool calls, in one message with it."""
        id = message.get("tool_call_id")
        if not isinstance(id, str):
            raise untold("a tool message has no 'tool_call_id'")
        block: dict[str, Any] = {"type": "tool_result", "tool_use_id": self._ids.get(id, allowed(id))}
        content = message.get("content")
        inner = content if isinstance(content, str) else blocks_of(content, self._notes)
        if inner if isinstance(inner, list) else inner.strip():
            block["content"] = inner
        for other in inner if isinstance(inner, list) else ():
            self._notes.move_mark(other, block)
        messages = self._prompt.messages
        if not messages or messages[-1]["role"] != "user":
            self._add_blocks("user", [block])
            return
        told = messages[-1]["content"]
        place = next((place for place, other in enumerate(told) if other["type"] != "tool_result"), len(told))
        told.insert(place, block)


def _placeholder() -> dict[str, Any]:
    return {"role": "user", "content": [text_block(_PLACEHOLDER)]}
