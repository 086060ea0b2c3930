"""Answers in the memory of the process, bounded in bytes; what was not used for the longest time goes first.

One dictionary in the order of use holds them, each group as one string of bytes. cachetools' LRUCache has three, and an
object for each time and answer: a million answers of 10 bytes took 520 MB of it, and every collection of garbage went
through them, for a quarter of a second; here they take 180 MB, and no collection goes through them.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from itertools import islice
from struct import Struct
from sys import getsizeof
from typing import NamedTuple

from llmrouter.caching.stores import ALL, Kept, Selection, Stored, StoreStats

# What stands before each answer of a group: the number of its target, its length, when it was kept and when it expires.
_HEAD = Struct("<IIdd")
# What the heap loses between places of many lengths: measured, 7 % with answers of 10 to 600 bytes, 2 % with larger.
_LOST_SHARE = 12
# Finding the oldest goes past the places of all that went before it, so that room is made for many answers at once.
_SPARE_SHARE = 256
_GROUPS_A_TURN = 1000


class _Place(NamedTuple):
    """Where an answer lies in the bytes of its group, and what its head says."""

    begin: int
    end: int
    target: int
    created: float
    expires: float


def _places_in(value: bytes) -> Iterator[_Place]:
    end, size = 0, len(value)
    while end < size:
        target, length, created, expires = _HEAD.unpack_from(value, end)
        begin = end + _HEAD.size
        end = begin + length
        yield _Place(begin, end, target, created, expires)


def _without(value: bytes, gone: Callable[[_Place], bool]) -> bytes:
    """The bytes of a group without some of its answers."""
    return b"".join([value[one.begin - _HEAD.size : one.end] for one in _places_in(value) if not gone(one)])


def _taken_by(group: bytes, value: bytes) -> int:
    """What two strings of bytes take of the heap: places of it are multiples of 16, larger ones with 8 bytes before."""
    return (getsizeof(group) + 23 & ~15) + (getsizeof(value) + 23 & ~15)


def _index_bytes(keys: int) -> int:
    """What a dictionary takes when it has no place left, and finds room for three times its keys (dictobject.c)."""
    return 20 << (3 * keys).bit_length()


class MemoryStore:
    """Keeps at most so many bytes, its own bookkeeping included; `now` is the wall clock."""

    def __init__(self, most_bytes: int, now: Callable[[], float]) -> None:
        self._groups: dict[bytes, bytes] = {}
        self._taken_bytes = 0
        self._most_bytes = most_bytes
        self._now = now
        # Targets have numbers, and how many answers each of them has here.
        self._numbers: dict[str, int] = {}
        self._targets: list[str] = []
        self._counts: list[int] = []

    async def find(self, group: bytes) -> Sequence[Kept]:
        """All answers of a group that have not expired."""
        value = self._groups.get(group)
        if value is None:
            return ()
        now, targets = self._now(), self._targets
        found = [
            Kept(targets[one.target], value[one.begin : one.end], max(now - one.created, 0.0))
            for one in _places_in(value)
            if one.expires > now
        ]
        if found:
            # Behind all others: it was used last.
            self._groups[group] = self._groups.pop(group)
            self._make_room()
        else:
            self._put(group, b"")
        return found

    async def keep(self, group: bytes, target: str, data: bytes, ttl_s: float) -> None:
        """Keeps an answer; one that is larger than half of all the room is not kept."""
        now, number = self._now(), self._number_of(target)
        others = _without(self._groups.get(group, b""), lambda one: one.target == number or one.expires <= now)
        value = others + _HEAD.pack(number, len(data), now, now + ttl_s) + data
        if _taken_by(group, value) <= self._most_bytes // 2:
            self._put(group, value)
            self._make_room()

    async def clear(self, selection: Selection = ALL) -> int:
        """Forgets answers, and says how many."""
        gone = 0
        async for group, value in self._all():
            before = sum(self._counts)
            self._put(group, _without(value, lambda one: selection.has(self._targets[one.target], one.created)))
            gone += before - sum(self._counts)
        return gone

    async def every(self) -> AsyncIterator[Stored]:
        """All answers that have not expired."""
        async for group, value in self._all():
            for one in _places_in(value):
                if one.expires > self._now():
                    data = value[one.begin : one.end]
                    yield Stored(group, self._targets[one.target], data, one.created, one.expires)

    async def stats(self) -> StoreStats:
        """How much there is, what has expired and was not yet pushed out included."""
        by_provider: Counter[str] = Counter()
        for target, count in zip(self._targets, self._counts, strict=True):
            by_provider[target.partition("/")[0]] += count
        return StoreStats(sum(self._counts), self._bytes, dict(+by_provider))

    async def close(self) -> None:
        """Forgets all."""
        self._groups = {}
        self._taken_bytes = 0
        self._counts = [0] * len(self._targets)

    @property
    def _bytes(self) -> int:
        index = max(getsizeof(self._groups), _index_bytes(len(self._groups)))
        return self._taken_bytes + self._taken_bytes // _LOST_SHARE + index

    async def _all(self) -> AsyncIterator[tuple[bytes, bytes]]:
        """All groups, without making them recently used; calls go on meanwhile."""
        for place, group in enumerate(list(self._groups)):
            if place % _GROUPS_A_TURN == _GROUPS_A_TURN - 1:
                await asyncio.sleep(0)
            if (value := self._groups.get(group)) is not None:
                yield group, value

    def _number_of(self, target: str) -> int:
        number = self._numbers.get(target)
        if number is None:
            number = self._numbers[target] = len(self._targets)
            self._targets.append(target)
            self._counts.append(0)
        return number

    def _put(self, group: bytes, value: bytes) -> None:
        """Takes a group's bytes in place of what it had; where there are none, the group goes."""
        earlier = self._groups.get(group)
        if earlier is not None:
            self._taken_bytes -= _taken_by(group, earlier)
            self._count(earlier, -1)
        if not value:
            self._groups.pop(group, None)
            return
        self._groups[group] = value
        self._taken_bytes += _taken_by(group, value)
        self._count(value, 1)

    def _count(self, value: bytes, by: int) -> None:
        for one in _places_in(value):
            self._counts[one.target] += by

    def _make_room(self) -> None:
        if self._bytes <= self._most_bytes:
            return
        most_bytes = self._most_bytes - self._most_bytes // _SPARE_SHARE
        while self._groups and self._bytes > most_bytes:
            if getsizeof(self._groups) > 2 * _index_bytes(len(self._groups)):
                # It does not shrink while keys only go.
                self._groups = dict(self._groups.items())
            for group in list(islice(self._groups, _GROUPS_A_TURN)):
                self._put(group, b"")
                if self._bytes <= most_bytes:
                    return
