"""The events of one response, whoever tells it: the router out of a chat's chunks, or its provider itself."""

from collections.abc import Callable
from typing import Any

import orjson

from llmrouter.endpoints.responses.events import Event, EventStream
from llmrouter.endpoints.responses.relayed import RelayedStream
from llmrouter.endpoints.responses.response import ResponseShape
from llmrouter.replies import Chunk


class ResponseStream:
    """The events of one response; `new_id` makes an id of a prefix such as `msg`."""

    def __init__(self, shape: ResponseShape, new_id: Callable[[str], str]) -> None:
        self._shape = shape
        self._new_id = new_id
        self._chat = EventStream(shape, new_id)
        self._relayed: RelayedStream | None = None

    @property
    def response(self) -> dict[str, Any]:
        """The response as it is now."""
        return self._teller.response

    def begin(self) -> list[Event]:
        """The events before the answer."""
        return self._chat.begin()

    def feed(self, chunk: Chunk) -> list[Event]:
        """The events for one chunk; the first that has its provider's event behind it makes that one the teller."""
        if chunk.native:
            if self._relayed is None:
                self._relayed = RelayedStream(self._shape, self._new_id, self._chat.next_number)
            return self._relayed.feed(chunk.native)
        if self._relayed is not None or not chunk.data:
            return []
        return self._chat.feed(orjson.loads(chunk.data))

    def end(self, completed_at: float) -> list[Event]:
        """The last events of an answer that ended; `completed_at` is Unix seconds."""
        return self._teller.end(completed_at)

    def fail(self, code: str, message: str) -> list[Event]:
        """The last event of an answer that broke off, or never came; `code` is one of `failures.error_code`."""
        return self._teller.fail(code, message)

    @property
    def _teller(self) -> EventStream | RelayedStream:
        return self._relayed or self._chat
