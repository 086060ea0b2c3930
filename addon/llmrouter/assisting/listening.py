"""A client that listens to a run; the run never waits for it.

Events wait until the client takes them. Where more than a few wait, deltas of one text are put together, so that what
waits is never more than the answer itself in a bounded number of events.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator

from llmrouter.endpoints.assistants.events import DONE, Event, render_error
from llmrouter.endpoints.assistants.objects import Object
from llmrouter.errors import RouterError

_MOST_WAITING = 64


class _Waiting:
    """An event that waits, and what was added to its text meanwhile."""

    __slots__ = ("event", "pieces")

    def __init__(self, event: Event) -> None:
        self.event = event
        self.pieces: list[str] = []

    def takes(self, event: Event) -> bool:
        """Adds a delta of the same text to this one, where it is one."""
        if event.name != self.event.name or event.data["id"] != self.event.data["id"]:
            return False
        old, new = _grown(self.event.data), _grown(event.data)
        if old["index"] != new["index"] or old["type"] != new["type"] or "id" in new:
            return False
        self.pieces.append(_text_of(new))
        return True

    def render(self) -> bytes:
        """The event's bytes, with all its text."""
        if not self.pieces:
            return self.event.render()
        whole = _grown(self.event.data)
        text = _text_of(whole) + "".join(self.pieces)
        match whole["type"]:
            case "text":
                whole = whole | {"text": whole["text"] | {"value": text}}
            case "function":
                whole = whole | {"function": whole["function"] | {"arguments": text}}
            case _:
                whole = whole | {"refusal": text}
        delta = self.event.data["delta"]
        if "content" in delta:
            delta = {"content": [whole]}
        else:
            delta = {"step_details": delta["step_details"] | {"tool_calls": [whole]}}
        return Event(self.event.name, self.event.data | {"delta": delta}).render()


def _grown(data: Object) -> Object:
    """The one part that a delta adds to."""
    delta = data["delta"]
    part: Object = delta["content"][0] if "content" in delta else delta["step_details"]["tool_calls"][0]
    return part


def _text_of(part: Object) -> str:
    match part["type"]:
        case "text":
            text = part["text"]["value"]
        case "function":
            text = part["function"]["arguments"]
        case _:
            text = part["refusal"]
    return str(text)


class Listener:
    """One client's stream of a run's events."""

    def __init__(self) -> None:
        self._waiting: deque[_Waiting | bytes] = deque()
        self._news = asyncio.Event()
        self._has_ended = False
        self._is_gone = False

    @property
    def waiting(self) -> int:
        """How many events wait for the client."""
        return len(self._waiting)

    def put(self, event: Event) -> None:
        """The next event; at once, whatever the client does."""
        if self._is_gone or self._has_ended:
            return
        last = self._waiting[-1] if len(self._waiting) >= _MOST_WAITING else None
        if event.is_delta and isinstance(last, _Waiting) and last.event.is_delta and last.takes(event):
            return
        self._waiting.append(_Waiting(event))
        self._news.set()

    def end(self, error: RouterError | None = None) -> None:
        """No event follows: the stream is done, or failed."""
        if not self._has_ended:
            self._has_ended = True
            self._waiting.append(DONE if error is None else render_error(error))
            self._news.set()

    async def frames(self) -> AsyncGenerator[bytes]:
        """The events as bytes, until the end; closed where the client leaves."""
        try:
            while True:
                while self._waiting:
                    first = self._waiting.popleft()
                    yield first if isinstance(first, bytes) else first.render()
                if self._has_ended:
                    return
                self._news.clear()
                await self._news.wait()
        finally:
            self._is_gone = True
            self._waiting.clear()
