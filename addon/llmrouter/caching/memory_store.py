"""Answers in the memory of the process, bounded in bytes; what was not used for the longest time goes first."""

from collections.abc import AsyncIterator, Callable, Sequence
from sys import getsizeof
from typing import NamedTuple

from cachetools import Cache, LRUCache

from llmrouter.caching.stores import ALL, Kept, Selection, Stored, StoreStats, count_providers

# What a group and an answer take beside the answer's bytes: places in three dictionaries of cachetools, which have room
# for three times as many while keys come and go, the key, tuples and times. A process that was given a million answers
# of 10 bytes grew by up to 690 bytes for each that it held (tests/caching/test_memory_store.py measures less of it).
_GROUP_BYTES = 600
_ITEM_BYTES = 128


class _Item(NamedTuple):
    target: str
    data: bytes
    created: float
    expires: float


type _Items = tuple[_Item, ...]


def _size_of(items: _Items) -> int:
    return _GROUP_BYTES + sum(_ITEM_BYTES + getsizeof(item.data) for item in items)


class MemoryStore:
    """Keeps at most so many bytes, its own bookkeeping included; `now` is the wall clock."""

    def __init__(self, most_bytes: int, now: Callable[[], float]) -> None:
        self._groups: LRUCache[bytes, _Items] = LRUCache(most_bytes, getsizeof=_size_of)
        self._now = now
        # One string for each target, however many answers it gave.
        self._targets: dict[str, str] = {}

    async def find(self, group: bytes) -> Sequence[Kept]:
        """All answers of a group that have not expired."""
        items = self._groups.get(group)
        if items is None:
            return ()
        now = self._now()
        return [Kept(item.target, item.data, max(now - item.created, 0.0)) for item in items if item.expires > now]

    async def keep(self, group: bytes, target: str, data: bytes, ttl_s: float) -> None:
        """Keeps an answer; one that is larger than all the room there is, is not kept."""
        now = self._now()
        others = (item for item in self._groups.get(group, ()) if item.target != target and item.expires > now)
        items = (*others, _Item(self._targets.setdefault(target, target), data, now, now + ttl_s))
        if _size_of(items) <= self._groups.maxsize:
            self._groups[group] = items

    async def clear(self, selection: Selection = ALL) -> int:
        """Forgets answers, and says how many."""
        gone = 0
        for group, items in self._all():
            left = tuple(item for item in items if not selection.has(item.target, item.created))
            gone += len(items) - len(left)
            if not left:
                del self._groups[group]
            elif len(left) < len(items):
                self._groups[group] = left
        return gone

    async def every(self) -> AsyncIterator[Stored]:
        """All answers that have not expired."""
        now = self._now()
        for group, items in self._all():
            for item in items:
                if item.expires > now:
                    yield Stored(group, *item)

    async def stats(self) -> StoreStats:
        """How much there is, what has expired and was not yet pushed out included."""
        targets = [item.target for _, items in self._all() for item in items]
        return StoreStats(len(targets), int(self._groups.currsize), count_providers(targets))

    async def close(self) -> None:
        """Forgets all."""
        self._groups.clear()

    def _all(self) -> list[tuple[bytes, _Items]]:
        """All groups, without making them recently used."""
        return [(group, Cache.__getitem__(self._groups, group)) for group in self._groups]
