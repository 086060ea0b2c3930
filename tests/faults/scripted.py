"""A provider that does with each request what its fault says, and remembers what it truly sent.

The words of an answer name the provider and the request, so that a wrong one is seen. Who is asked to go on with what
another one said repeats the last words of it first, as it is told to.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

from tests.fakes.behaviours import Exchange, Seen
from tests.faults.truth import Truth, truths_of
from tests.faults.wires import Ending, Fault, Wire, stream_events, whole_reply


@dataclass(slots=True)
class Served:
    """One request that arrived, and what was sent for it."""

    target: str
    seen: Seen
    said: str
    wire: Wire
    truths: list[Truth] = field(default_factory=list)
    is_unanswered_again: bool = False


@dataclass(eq=False)
class Scripted:
    """A behaviour for all requests of one provider; `answer` gives the words and the fault for a request's number.

    `served` are told of each request before it is answered.
    """

    name: str
    answer: Callable[[int], tuple[list[str], Fault]]
    served: Callable[[int, Served], object]
    _known: WeakSet[asyncio.StreamWriter] = field(default_factory=WeakSet)

    async def perform(self, exchange: Exchange) -> None:
        """Answers one request."""
        request = exchange.seen.json()
        is_stream = bool(request.get("stream"))
        number = int(_text_of(request["messages"][0]))
        said, anchor = _asked_to_go_on(request["messages"])
        wire = self._wire(number, anchor, is_stream=is_stream)
        portions = wire.sent()
        one = Served(self.name, exchange.seen, said, wire)
        one.truths = truths_of(b"".join(portions), is_stream=is_stream)
        is_again = exchange._writer in self._known
        self._known.add(exchange._writer)
        # A reset overtakes what was sent before it: to who is asked, nothing came.
        one.is_unanswered_again = is_again and (not any(portions) or wire.last is Ending.RESET)
        self.served(number, one)
        await _send(exchange, wire, portions)

    def _wire(self, number: int, anchor: str, *, is_stream: bool) -> Wire:
        words, fault = self.answer(number)
        if anchor:
            words = [anchor, *(f" {word.strip()}" for word in words)]
        if is_stream:
            return fault(Wire(tuple(stream_events(words, with_usage=True))))
        return fault(Wire((whole_reply(words),), kind="application/json"))


async def _send(exchange: Exchange, wire: Wire, portions: Sequence[bytes]) -> None:
    # What comes behind comes at once: once the connection is used again nobody could tell it from an answer.
    *most, last = portions or [b""]
    for portion in most:
        await exchange.send(portion)
    await exchange.send(last + wire.late)
    match wire.last:
        case Ending.CLOSE:
            exchange.close()
        case Ending.RESET:
            exchange.reset()
        case Ending.STALL:
            await asyncio.Event().wait()
        case Ending.KEEP:
            pass


def words_of(name: str, number: int, count: int = 3) -> list[str]:
    """What a provider says to a request."""
    return [f"{' ' if place else ''}{name}.{number:05d}.{place}" for place in range(count)]


def _text_of(message: dict[str, Any]) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def _asked_to_go_on(messages: list[dict[str, Any]]) -> tuple[str, str]:
    """What was said before, by the request, and the words that are to be repeated."""
    order = _text_of(messages[-1])
    if len(messages) < 3 or "<last_words>" not in order:
        return "", ""
    return _text_of(messages[-2]), order.split("<last_words>")[1].rsplit("</last_words>", 1)[0]
