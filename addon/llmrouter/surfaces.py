"""The APIs that keep state: opened when they are first needed, cleared of what is old, and closed at the end."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from llmrouter.assisting.assistants import Assistants
from llmrouter.call_record import Answer
from llmrouter.calls import Call, Caller
from llmrouter.clock import Clock
from llmrouter.errors import StateUnavailable
from llmrouter.operations import Operation, Result
from llmrouter.responding.refusals import not_served
from llmrouter.responding.responses import Asking, Responses
from llmrouter.storage.state.store import StateStore

logger = logging.getLogger(__name__)

RESPONSES = "/v1/responses"
_OF_RESPONSES = (RESPONSES, "/v1/conversations")
_OF_ASSISTANTS = ("/v1/assistants", "/v1/threads")
# Others take a router for dead that has not told of itself for three times as long.
_TIDY_S = 10.0
_PRUNE_S = 3600.0


def has(path: str) -> bool:
    """Whether a path belongs to an API that keeps state."""
    return _is_below(path, _OF_RESPONSES) or _is_below(path, _OF_ASSISTANTS)


def makes_calls(method: str, path: str) -> bool:
    """Whether an operation asks a model, at once or in the background."""
    return method == "POST" and (path == RESPONSES or path.endswith(("/runs", "/submit_tool_outputs")))


def name_of(path: str) -> str:
    """The word for the API of a path in decisions; empty where that keeps no state."""
    if _is_below(path, _OF_RESPONSES):
        return "responses"
    return "assistants" if _is_below(path, _OF_ASSISTANTS) else ""


@dataclass(frozen=True, slots=True)
class Means:
    """What the surfaces act with.

    `ask` is the gateway's `answer`, `input_tokens` the estimate of a call's prompt, `can_serve` tells whether any
    target may answer it, `caller_key` tells callers apart, `open_store` may take long and raises `StateUnavailable`;
    `retain_s` is how long what nobody changes stays, and `is_kept` tells whether there may be anything to keep tidy.
    """

    ask: Callable[[Call], Awaitable[Answer]]
    default_model: Callable[[], str]
    input_tokens: Callable[[Call], int]
    can_serve: Callable[[Call], bool]
    caller_key: Callable[[Caller], str]
    open_store: Callable[[], StateStore]
    clock: Clock
    retain_s: float
    is_kept: Callable[[], bool] = lambda: True


class Surfaces:
    """Answers operations on what is kept for clients."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._opening = asyncio.Lock()
        self._opened: _Opened | None = None

    async def answer(self, operation: Operation, *, may_pass: bool) -> Result | None:
        """What the client gets; None where OpenAI has to say it, which `may_pass` allows. Raises `RouterError`."""
        opened = await self._open()
        if _is_below(operation.path, _OF_ASSISTANTS):
            result = await opened.assistants.answer(operation)
            if result is None:
                raise not_served(operation.path)
            return result
        result = await opened.responses.answer(operation)
        if result is None and not may_pass:
            raise opened.responses.refusal(operation)
        return result

    @property
    def under_way(self) -> int:
        """How many responses and runs go on in the background."""
        return 0 if self._opened is None else self._opened.responses.under_way + self._opened.assistants.under_way

    async def keep_tidy(self) -> None:
        """Tells other routers that this one lives, ends what dead ones left half done, and removes what is old.

        Goes on without end, and begins when the router has started: whoever asks before that does not wait for it.
        """
        pruned = -math.inf
        while True:
            await asyncio.sleep(_TIDY_S)
            if self._opened is None and not self._means.is_kept():
                continue
            # Where the store cannot be reached it has said so, and the next one who asks tries again.
            with suppress(StateUnavailable):
                opened = await self._open()
                await opened.store.beat()
                await opened.recover()
                if self._means.clock.monotonic() - pruned >= _PRUNE_S:
                    pruned = self._means.clock.monotonic()
                    await self._prune(opened)

    async def _prune(self, opened: "_Opened") -> None:
        if gone := await opened.store.prune(self._means.clock.wall() - self._means.retain_s):
            logger.info("%d documents that nobody changed for long were removed.", gone)

    async def close(self) -> None:
        """Ends what is under way; nothing may be asked after that."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.responses.close()
            await opened.assistants.close()
            await opened.store.close()

    async def _open(self) -> "_Opened":
        """What is open already; else nobody begins anything before what a dead process left is ended."""
        if self._opened is not None:
            return self._opened
        async with self._opening:
            if self._opened is not None:
                return self._opened
            means = self._means
            store = await asyncio.to_thread(means.open_store)
            asking = Asking(means.ask, means.default_model, means.input_tokens, means.can_serve)
            responses = Responses(asking, store, means.clock, means.caller_key)
            assistants = Assistants(means.ask, store, means.clock, means.default_model, means.caller_key)
            opened = _Opened(store, responses, assistants)
            try:
                await opened.recover()
            except BaseException:
                await store.close()
                raise
            self._opened = opened
            return opened


@dataclass(frozen=True, slots=True)
class _Opened:
    store: StateStore
    responses: Responses
    assistants: Assistants

    async def recover(self) -> None:
        await self.responses.recover()
        await self.assistants.recover()


def _is_below(path: str, prefixes: tuple[str, ...]) -> bool:
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in prefixes)
