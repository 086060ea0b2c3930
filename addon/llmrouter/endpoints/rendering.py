"""How an answer is told to the client, by the endpoint that it asked; inside it is always a chat completion."""

from collections.abc import Mapping
from typing import Protocol

from llmrouter.calls import Endpoint
from llmrouter.endpoints import chat, completions
from llmrouter.replies import Chunk


class Rendering(Protocol):
    """An endpoint's module: a whole answer, and one event of a stream, in the client's words."""

    def render_body(self, data: bytes) -> bytes:
        """The whole answer."""
        ...

    def render_chunk(self, chunk: Chunk) -> bytes:
        """One event; empty for a chunk that the client must not see."""
        ...


RENDERINGS: Mapping[Endpoint, Rendering] = {
    Endpoint.CHAT_COMPLETIONS: chat,
    Endpoint.COMPLETIONS: completions,
    Endpoint.EMBEDDINGS: chat,
}
