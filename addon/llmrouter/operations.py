"""Requests to the surfaces that keep state, such as Responses and Assistants, and what clients get for any request."""

import math
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field

from llmrouter.call_record import Answer
from llmrouter.calls import Caller, Preferences


@dataclass(frozen=True, slots=True)
class Operation:
    """One request of a client; `path` is without its query, `id` is the request's own."""

    id: str
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    caller: Caller = field(default_factory=Caller)
    preferences: Preferences = field(default_factory=Preferences)


@dataclass(slots=True)
class Result:
    """What the client gets: a whole `body`, or the `frames` of a stream, which tells of its own failure and ends.

    `answer` is that of the call behind it, None where there is none. `ends_by` is when the frames have to be read where
    a provider waits for that, in monotonic seconds.
    """

    status: int
    headers: dict[str, str]
    body: bytes = b""
    frames: AsyncGenerator[bytes] | None = None
    answer: Answer | None = None
    ends_by: float = math.inf
