"""One request and its answer, as somebody recorded them."""

from dataclasses import dataclass

from llmrouter.calls import Caller


@dataclass(frozen=True, slots=True)
class RecordedExchange:
    """A request to OpenAI and what came back; bodies are decoded.

    `at` is when it began (Unix seconds); `status` is None where no answer was recorded. `answer` is empty where it was
    not recorded, such as for streams in some HAR files. `is_ours` tells that a router like this one answered.
    """

    at: float
    host: str
    method: str
    path: str
    caller: Caller
    body: bytes
    status: int | None
    content_type: str
    answer: bytes
    is_ours: bool = False

    @property
    def is_answered(self) -> bool:
        """Whether the answer was no error."""
        return self.status is not None and 200 <= self.status < 300
