"""A whole chat completion as a response."""

from collections.abc import Callable, Mapping
from typing import Any

from llmrouter.endpoints.responses.events import EventStream
from llmrouter.endpoints.responses.response import ResponseShape
from llmrouter.endpoints.responses.text_marks import objects


def response_of(
    completion: Mapping[str, Any], shape: ResponseShape, new_id: Callable[[str], str], completed_at: float
) -> dict[str, Any]:
    """The response that this completion is; the same that its chunks come to, for it is told as one of them.

    `new_id` makes an id of a prefix; `completed_at` is Unix seconds.
    """
    stream = EventStream(shape, new_id)
    stream.begin()
    stream.feed({**completion, "choices": [_as_chunk(choice) for choice in objects(completion.get("choices"))]})
    stream.end(completed_at)
    return stream.response


def _as_chunk(choice: Mapping[str, Any]) -> dict[str, Any]:
    message = choice.get("message")
    delta = dict(message) if isinstance(message, dict) else {}
    calls = enumerate(objects(delta.get("tool_calls")))
    return {**choice, "delta": {**delta, "tool_calls": [{**call, "index": number} for number, call in calls]}}
