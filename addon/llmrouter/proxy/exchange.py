"""One client request on its way through the router: a task that answers it, and the body that streams back."""

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING

from llmrouter.capacity import Share
from llmrouter.errors import InternalError, RouterError
from llmrouter.operations import Result
from llmrouter.tasks import spawn

if TYPE_CHECKING:
    from mitmproxy.http import Request

# What may wait for a slow client before the provider is no longer read; asyncio's own writers use the same size.
_HIGH_WATER_BYTES = 64 * 1024


class StreamBody:
    """A bounded pipe between the task that reads the provider and the layer that writes to the client.

    `drain` waits until the client has taken what was written. After `advance` the next bytes stand in `chunk`: None at
    the end, and `is_aborted` tells an end that was none.
    """

    def __init__(self, keep_bytes: int) -> None:
        self.chunk: bytes | None = b""
        self.is_aborted = False
        self.drain: Callable[[], Awaitable[None]] | None = None
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._is_closed = False
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._kept: list[bytes] = []
        self._keep_bytes = keep_bytes

    async def put(self, data: bytes, ends_by: float = math.inf) -> None:
        """Adds bytes; waits while the client is too far behind.

        Raises `TimeoutError` where it still is at `ends_by`, in seconds of the event loop's clock.
        """
        self._pending.append(data)
        self._pending_bytes += len(data)
        self._changed.set()
        while self._pending_bytes > _HIGH_WATER_BYTES:
            self._room.clear()
            async with asyncio.timeout_at(ends_by):
                await self._room.wait()

    def close(self, *, aborted: bool = False) -> None:
        """Marks the end; an aborted one is never taken for a real end."""
        self._is_closed = True
        self.is_aborted = self.is_aborted or aborted
        self._changed.set()

    async def advance(self) -> None:
        """Waits for the client to keep up, then for bytes, and puts all that are there into `chunk`."""
        if self.drain is not None:
            await self.drain()
        while not self._pending and not self._is_closed:
            self._changed.clear()
            await self._changed.wait()
        if self.is_aborted or not self._pending:
            self.chunk = None
            return
        self.chunk = self._pending[0] if len(self._pending) == 1 else b"".join(self._pending)
        self._pending.clear()
        self._pending_bytes = 0
        self._room.set()
        self._keep(self.chunk)

    @property
    def kept(self) -> bytes:
        """The beginning of what was sent, for inspection."""
        return b"".join(self._kept)

    def _keep(self, data: bytes) -> None:
        if self._keep_bytes > 0:
            self._kept.append(data[: self._keep_bytes])
            self._keep_bytes -= len(data)


class Exchange:
    """A request that the router has seen: passed through, or answered by a task that ends when the client leaves.

    `original` is a passed-through request with its credentials, which the recorded flow does not hold; `credentials`
    are those of a routed one. `share` is what its body takes of the router's capacity, `refusal` why it is not taken
    on. `can_stream` is set by the layer that knows how to; `when_done` is called at the end of the flow.
    """

    def __init__(self, client_id: str, *, is_routed: bool, max_body_bytes: int = 0) -> None:
        self.client_id = client_id
        self.is_routed = is_routed
        self.max_body_bytes = max_body_bytes
        self.share: Share | None = None
        self.refusal: RouterError | None = None
        self.can_stream = False
        self.body: StreamBody | None = None
        self.original: Request | None = None
        self.credentials: dict[str, list[str]] = {}
        self.when_done: Callable[[], None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_abandoned = False

    @property
    def is_abandoned(self) -> bool:
        """Whether the client left."""
        return self._is_abandoned

    def hold(self, size: int) -> None:
        """So many bytes more of it are kept; what is refused for that keeps none."""
        if self.share is None:
            return
        try:
            self.share.grow(size)
        except RouterError as error:
            self.refusal = error
            self.share.give_back()

    async def answer(self, name: str, answer: Callable[[], Awaitable[Result | None]], keep_bytes: int) -> Result | None:
        """The result, None also where the client left; the frames of a stream follow through `body`.

        Raises `RouterError` as `answer` does.
        """
        if self._is_abandoned:
            return None
        answered: asyncio.Future[Result | None] = asyncio.get_running_loop().create_future()
        body = StreamBody(keep_bytes)
        self._task = spawn(_run(answer, answered, body), name)
        # A task that is cancelled before its first step never runs, and would leave the client's stream waiting.
        self._task.add_done_callback(lambda _: None if answered.done() else answered.set_result(None))
        result = await answered
        if result is not None and result.frames is not None:
            self.body = body
        return result

    def abandon(self) -> None:
        """The client left, or has it all: ends the task, which closes the provider's stream at once."""
        self._is_abandoned = True
        if self.share is not None:
            self.share.give_back()
        if self._task is not None:
            self._task.cancel()


async def _run(
    answer: Callable[[], Awaitable[Result | None]], answered: asyncio.Future[Result | None], body: StreamBody
) -> None:
    try:
        result = await answer()
        answered.set_result(result)
        if result is not None and result.frames is not None:
            await _pass_on(result.frames, body, result.ends_by)
        body.close()
    except asyncio.CancelledError:
        body.close(aborted=True)
        if not answered.done():
            answered.set_result(None)
        raise
    except Exception as error:
        body.close(aborted=True)
        if answered.done():
            raise
        is_told = isinstance(error, RouterError)
        answered.set_exception(error if is_told else InternalError(f"The router failed: {type(error).__name__}."))
        if not is_told:
            raise


async def _pass_on(frames: AsyncGenerator[bytes], body: StreamBody, ends_by: float) -> None:
    """Puts the frames into the body, to their end or until `ends_by`."""
    async with aclosing(frames) as source:
        async for frame in source:
            try:
                await body.put(frame, ends_by)
            except TimeoutError:
                # A provider waits, and nobody reads: its stream is closed, and the client finds no real end.
                return body.close(aborted=True)
