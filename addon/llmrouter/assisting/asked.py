"""One operation of a client, as the handlers of the Assistants API see it, and how they answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from llmrouter.assisting.listening import Listener
from llmrouter.assisting.records import Records
from llmrouter.endpoints.assistants import requests
from llmrouter.endpoints.assistants.objects import Object
from llmrouter.operations import Operation, Result

_JSON = {"content-type": "application/json"}
_STREAM = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}


@dataclass(frozen=True, slots=True)
class Asked:
    """An operation, the caller's records, and the ids in its path."""

    operation: Operation
    records: Records
    ids: tuple[str, ...]

    def fields(self) -> dict[str, Any]:
        """The body's members; raises `InvalidRequest`."""
        return requests.read_body(self.operation.body)

    def json(self, data: Object, headers: Mapping[str, str] | None = None) -> Result:
        """A whole answer."""
        return Result(200, self._headers(_JSON) | dict(headers or {}), orjson.dumps(data))

    def stream(self, listener: Listener) -> Result:
        """An answer as it comes."""
        return Result(200, self._headers(_STREAM), frames=listener.frames())

    def _headers(self, kind: Mapping[str, str]) -> dict[str, str]:
        return {**kind, "x-request-id": self.operation.id}
