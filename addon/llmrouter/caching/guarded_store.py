"""A store that never fails and never takes long: what goes wrong within it is a miss, and told once.

It has a breaker of its own, simpler than a provider's: after some failures in a row the store is left alone for a
while, and then asked again.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from llmrouter.caching.stores import ALL, Kept, Selection, Store, Stored, StoreStats

logger = logging.getLogger(__name__)

_FAILURES_IN_A_ROW = 3
_REST_S = 10.0


class GuardedStore:
    """Asks another store for at most `timeout_s` seconds; `name` stands for it in the log, `now` is monotonic.

    Finding and keeping never raise; what an owner asks for by hand does. Each of the two that fails is left alone for
    `rest_s`: a full disk is read all the same.
    """

    def __init__(
        self, store: Store, name: str, timeout_s: float, now: Callable[[], float], *, rest_s: float = _REST_S
    ) -> None:
        self._store = store
        self._name = name
        self._timeout_s = timeout_s
        self._finding = _Guard(f"Answers cannot be read from the cache in {name}", timeout_s, now, rest_s)
        self._keeping = _Guard(f"Answers cannot be kept in the cache in {name}", timeout_s, now, rest_s)

    async def find(self, group: bytes) -> Sequence[Kept]:
        """All answers of a group that have not expired; none where the store fails or is slow."""
        found = await self._finding.ask(self._store.find, group)
        return () if found is None else found

    async def keep(self, group: bytes, target: str, data: bytes, ttl_s: float) -> None:
        """Keeps an answer, if the store can."""
        await self._keeping.ask(self._store.keep, group, target, data, ttl_s)

    async def clear(self, selection: Selection = ALL) -> int:
        """Forgets answers, and says how many."""
        return await self._store.clear(selection)

    def every(self) -> AsyncIterator[Stored]:
        """All answers that have not expired."""
        return self._store.every()

    async def stats(self) -> StoreStats:
        """How much there is."""
        return await self._store.stats()

    async def close(self) -> None:
        """Lets go of connections and files, in the time that there is."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._store.close()
        except Exception as error:  # noqa: BLE001 - whatever its library raises, the router ends
            logger.warning("The cache in %s did not end well: %s.", self._name, _words(error))


class _Guard:
    """The breaker of one kind of question; `what_fails` begins the line that is logged, once until it is well again."""

    def __init__(self, what_fails: str, timeout_s: float, now: Callable[[], float], rest_s: float) -> None:
        self._what_fails = what_fails
        self._timeout_s = timeout_s
        self._now = now
        self._rest_s = rest_s
        self._failures = 0
        self._rests_until = 0.0

    async def ask[*Ts, R](self, work: Callable[[*Ts], Awaitable[R]], *arguments: *Ts) -> R | None:
        """The answer, None where there is none in time."""
        if self._now() < self._rests_until:
            return None
        if self._failures >= _FAILURES_IN_A_ROW:
            # This one finds out whether it is there again; the others go on without it meanwhile.
            self._rests_until = self._now() + min(max(self._timeout_s, 1.0), self._rest_s)
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await work(*arguments)
        except Exception as error:  # noqa: BLE001 - whatever its library raises is a miss
            self._failed(error)
            return None
        if self._failures:
            logger.info("%s no longer holds.", self._what_fails)
        self._failures, self._rests_until = 0, 0.0
        return answer

    def _failed(self, error: Exception) -> None:
        if self._failures == 0:
            logger.warning("%s, and calls go on without it: %s.", self._what_fails, _words(error))
        self._failures += 1
        if self._failures >= _FAILURES_IN_A_ROW:
            self._rests_until = self._now() + self._rest_s


def _words(error: Exception) -> str:
    """An error by its kind: what it says may hold an address with a password."""
    return "it takes too long" if isinstance(error, TimeoutError) else type(error).__name__
