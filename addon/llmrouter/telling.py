"""An answer in its client's words, for the endpoints that keep no state: a body, or the frames of a stream."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from llmrouter.call_record import Answer
from llmrouter.calls import Call
from llmrouter.endpoints import chat
from llmrouter.endpoints.rendering import RENDERINGS, Rendering
from llmrouter.errors import StreamBroken
from llmrouter.operations import Result
from llmrouter.replies import Chunk


def tell(call: Call, answer: Answer) -> Result:
    """What the client of a call gets."""
    rendering = RENDERINGS[call.endpoint]
    result = Result(answer.status, answer.headers, answer=answer, ends_by=answer.ends_by)
    if answer.chunks is not None:
        result.frames = _frames(answer.chunks, rendering)
    elif answer.reply is not None:
        result.body = rendering.render_body(answer.reply.data)
    elif answer.error is not None:
        result.body = answer.error.to_json()
    return result


async def _frames(chunks: AsyncGenerator[list[Chunk]], rendering: Rendering) -> AsyncGenerator[bytes]:
    """Each chunk as it comes; `[DONE]` only after a real end."""
    try:
        async with aclosing(chunks) as source:
            async for some in source:
                try:
                    frames = b"".join(map(rendering.render_chunk, some))
                except Exception as error:
                    await source.athrow(error)
                    raise
                if frames:
                    yield frames
    except StreamBroken as error:
        yield chat.render_error(error.to_json())
    else:
        yield chat.DONE
