"""Chat completions' chunks, and what a client's SDK makes of the events that they become."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from llmrouter.endpoints.responses.events import Event, EventStream, render
from llmrouter.endpoints.responses.response import ResponseShape
from llmrouter.sse import SseDecoder
from tests.endpoints.responses.event_order import check_order

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
SHAPE = ResponseShape("resp_1", 1700000000.0, "fast")


class Ids:
    """Ids that tell their number, in place of random ones."""

    def __init__(self) -> None:
        self._given = 0

    def __call__(self, prefix: str) -> str:
        self._given += 1
        return f"{prefix}_{self._given}"


def delta(finish_reason: str | None = None, logprobs: Any = None, **members: Any) -> dict[str, Any]:
    """A chunk with these members in the delta of its only choice."""
    choice = {"index": 0, "delta": members, "logprobs": logprobs, "finish_reason": finish_reason}
    return {"object": "chat.completion.chunk", "choices": [choice]}


def call(index: int, id: str | None = None, name: str | None = None, arguments: str = "") -> dict[str, Any]:
    """A fragment of a call of a function; the first one has id and name."""
    first = {"id": id, "type": "function"} if id is not None else {}
    named = {"name": name} if name is not None else {}
    return {"index": index, **first, "function": {**named, "arguments": arguments}}


def token(text: str, *others: str) -> dict[str, Any]:
    """A token's log probability as chat completions tell it."""
    tops = [{"token": other, "logprob": -2.0, "bytes": list(other.encode())} for other in others]
    return {"token": text, "logprob": -0.5, "bytes": list(text.encode()), "top_logprobs": tops}


def citation(start: int, end: int, **members: Any) -> dict[str, Any]:
    """A citation of a web page as chat completions tell it."""
    inner = {"start_index": start, "end_index": end, "title": "Fish", "url": "https://fish.example/"} | members
    return {"type": "url_citation", "url_citation": inner}


def told(chunks: Iterable[Mapping[str, Any]], shape: ResponseShape = SHAPE) -> list[Event]:
    """All events of an answer in these chunks."""
    stream = EventStream(shape, Ids())
    events = stream.begin()
    for chunk in chunks:
        events += stream.feed(dict(chunk))
    return events + stream.end(1700000002.0)


def types(events: Iterable[Event]) -> list[str]:
    """The events' types without the prefix that they share."""
    return [event.type.removeprefix("response.") for event in events]


def final(events: list[Event]) -> dict[str, Any]:
    """The last response, once the events' order was checked, and each, and the whole, by the SDK."""
    events = read_back(events)
    check_order([(event.type, event.data) for event in events])
    parsed = [EVENT.validate_python(event.data) for event in events]
    state = ResponseStreamState[Any](input_tools=omit, text_format=omit)
    accumulated: list[Any] = [told for event in parsed for told in state.handle_event(event)]
    response: dict[str, Any] = events[-1].data["response"]
    assert Response.model_validate(response).to_dict() == response
    assert without_parsed(accumulated[-1].response.to_dict()) == response
    if response["status"] != "failed":
        assert _snapshots(accumulated) == _texts(response["output"])
    return response


def _snapshots(events: list[Any]) -> dict[tuple[int, int | None], str]:
    """Texts and arguments as the SDK joined them, by the places of item and part."""
    joined = [event for event in events if hasattr(event, "snapshot")]
    return {(event.output_index, getattr(event, "content_index", None)): event.snapshot for event in joined}


def _texts(output: list[dict[str, Any]]) -> dict[tuple[int, int | None], str]:
    """The same of the output items, those that are not empty."""
    texts: dict[tuple[int, int | None], str] = {
        (place, number): part["text"]
        for place, item in enumerate(output)
        for number, part in enumerate(item.get("content", ()))
        if part["type"] == "output_text"
    }
    calls = {(place, None): item["arguments"] for place, item in enumerate(output) if item.get("arguments")}
    return texts | calls


def read_back(events: list[Event]) -> list[Event]:
    """The events as a client reads them from the wire."""
    frames = SseDecoder().feed(b"".join(map(render, events)))
    return [Event(frame.event, orjson.loads(frame.data)) for frame in frames]


def without_parsed(value: Any) -> Any:
    """The SDK's own form of a response without the members that it adds for parsed content."""
    if isinstance(value, list):
        return [without_parsed(item) for item in value]
    if isinstance(value, dict):
        return {name: without_parsed(item) for name, item in value.items() if not name.startswith("parsed")}
    return value
