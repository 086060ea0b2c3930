"""The choices of one stream: each chunk's choice in, the same in OpenAI's shape out."""

from typing import Any

from llmrouter.providers.bodies import bad
from llmrouter.providers.openai_compatible.normal import (
    arguments_text,
    finish_reason,
    native_reason,
    with_plain_content,
)
from llmrouter.providers.wire import Job

_CONTENT = ("content", "tool_calls", "refusal", "reasoning_content", "function_call", "audio")


class ChoiceInStream:
    """What has come of one choice: the role goes first and once, so does the end, and tool calls are numbered anew.

    Clients add up the pieces they get, so that a role, id or name which a provider repeats would be doubled (openai
    3.54, `lib/streaming/_deltas.py`).
    """

    __slots__ = (
        *("_begun", "_has_custom", "_ids", "_job", "_last", "_numbers", "_reasoning", "_spare", "_told"),
        *("ended", "index"),
    )

    def __init__(self, index: int, job: Job) -> None:
        self.index = index
        self.ended = False
        self._job = job
        self._begun = False
        self._ids: list[str] = []
        self._numbers: dict[int, int] = {}
        self._last: int | None = None
        self._spare = f"call_{job.call.id}_{index}_" if index else f"call_{job.call.id}_"
        self._reasoning = ""
        self._told: set[int] = set()
        self._has_custom = False

    @property
    def goes_on(self) -> bool:
        """Whether the role was sent, and the end was not."""
        return self._begun and not self.ended

    def read(self, choice: dict[str, Any]) -> dict[str, Any] | None:
        """The choice as the client gets it, itself where nothing differs; None where nothing is left of it."""
        if self.ended:
            return None
        delta = choice.get("delta")
        fixed = self._delta(delta if isinstance(delta, dict) else {})
        reason = finish_reason(choice)
        if reason is not None:
            fixed = self._with_empty_arguments(fixed)
            self._end()
            if reason == "stop" and self._ids and not isinstance(self._job.call.body.get("tool_choice"), dict):
                reason = "tool_calls"
        elif not fixed and self._begun:
            return None
        if not self._begun:
            self._begun = True
            if fixed.get("role") != "assistant":
                fixed = {**fixed, "role": "assistant"}
        if fixed is delta and choice.get("finish_reason", "") == reason and choice.get("index") == self.index:
            return choice
        return {**choice, **native_reason(choice, reason), "index": self.index, "delta": fixed, "finish_reason": reason}

    @staticmethod
    def is_content(choice: dict[str, Any]) -> bool:
        """Whether a choice that `read` gave carries content or its end."""
        delta = choice["delta"]
        return choice.get("finish_reason") is not None or any(delta.get(name) for name in _CONTENT)

    def _delta(self, delta: dict[str, Any]) -> dict[str, Any]:
        fixed = with_plain_content(delta)
        if self._begun and "role" in fixed:
            fixed = {name: value for name, value in fixed.items() if name != "role"}
        if "tool_calls" in fixed:
            fixed = self._with_tool_calls(fixed)
        if self._job.dialect.wants_reasoning_back and isinstance(text := fixed.get("reasoning_content"), str):
            self._reasoning += text
        return fixed

    def _with_tool_calls(self, delta: dict[str, Any]) -> dict[str, Any]:
        pieces = delta["tool_calls"] or ()
        if not isinstance(pieces, list | tuple) or not all(isinstance(piece, dict) for piece in pieces):
            raise bad("the provider's stream has tool calls that are no list of objects")
        fixed = [self._piece(piece) for piece in pieces]
        if fixed and all(new is old for new, old in zip(fixed, pieces, strict=True)):
            return delta
        rest = {name: value for name, value in delta.items() if name != "tool_calls"}
        left = [piece for piece in fixed if piece is not None]
        return {**rest, "tool_calls": left} if left else rest

    def _piece(self, piece: dict[str, Any]) -> dict[str, Any] | None:
        """One fragment of a tool call; None where the client wants one call at a time and this is another."""
        function = piece.get("function")
        function = function if isinstance(function, dict) else {}
        number = self._number(piece, function)
        if number > 0 and self._job.call.body.get("parallel_tool_calls") is False:
            return None
        if number == len(self._ids):
            return self._first_piece(piece, function, number)
        if isinstance(piece.get("custom"), dict):
            return piece if piece.get("index") == number else {**piece, "index": number}
        self._told |= {number} if function.get("arguments") else set()
        is_plain = piece.keys() == {"index", "function"} and function.keys() == {"arguments"}
        if is_plain and piece["index"] == number and isinstance(function["arguments"], str):
            return piece
        return {"index": number, "function": {"arguments": _text_of(function)}}

    def _number(self, piece: dict[str, Any], function: dict[str, Any]) -> int:
        """Which tool call a fragment belongs to: by its index, but an id that is new begins a new one.

        Some servers give no index, and then a name begins one, too; Gemini's compatible route gives each the index 0.
        """
        index, id = piece.get("index"), piece.get("id")
        known = self._numbers.get(index) if isinstance(index, int) else self._last
        names = bool(function.get("name"))
        is_other = known is not None and names and (id != self._ids[known] if id else index is None)
        if known is None or is_other:
            known = len(self._ids)
        if isinstance(index, int):
            self._numbers[index] = known
        self._last = known
        return known

    def _first_piece(self, piece: dict[str, Any], function: dict[str, Any], number: int) -> dict[str, Any]:
        name, id = function.get("name"), piece.get("id")
        if piece.get("type") == "custom":
            self._ids.append(str(id))
            self._has_custom = True
            return piece
        if not isinstance(name, str) or not name:
            raise bad("the provider's stream has a tool call without a name")
        self._ids.append(id if isinstance(id, str) and id else f"{self._spare}{number}")
        self._told |= {number} if function.get("arguments") else set()
        is_sound = id == self._ids[-1] and piece.get("index") == number and piece.get("type") == "function"
        if is_sound and isinstance(function.get("arguments"), str):
            return piece
        whole = {**function, "name": name, "arguments": _text_of(function)}
        return {**piece, "index": number, "id": self._ids[-1], "type": "function", "function": whole}

    def _with_empty_arguments(self, delta: dict[str, Any]) -> dict[str, Any]:
        """The last delta with an empty object for each call of which no argument was told: apps parse them all."""
        silent = [number for number in range(len(self._ids)) if number not in self._told]
        if not silent or self._has_custom:
            return delta
        pieces = [{"index": number, "function": {"arguments": "{}"}} for number in silent]
        return {**delta, "tool_calls": [*delta.get("tool_calls", ()), *pieces]}

    def _end(self) -> None:
        self.ended = True
        if self._reasoning:
            for id in self._ids:
                self._job.memory.keep(self._job.call, self._job.target, id, self._reasoning)


def _text_of(function: dict[str, Any]) -> str:
    arguments = function.get("arguments")
    return arguments_text(arguments) if arguments else ""
