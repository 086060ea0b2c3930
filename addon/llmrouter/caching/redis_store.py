"""Answers in Redis, shared by several routers; bounded by how long they are kept, and by Redis' own `maxmemory`.

A group is a hash of Redis whose fields are the targets, so that one round trip finds all of it. Redis before 7.4 knows
no expiry of a single field: each value begins with its own times, and the hash lasts as long as the newest of them. It
holds its group, too: a reply that a connection has mixed up is nobody's answer.
"""

import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from struct import Struct
from typing import cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from llmrouter.caching.stores import ALL, Kept, Selection, Stored, StoreStats, count_providers

_PREFIX = b"llmrouter:cache:"
_TIMES = Struct(">dd")
_SCAN_COUNT = 500
# A thousand calls at once take 0.1 s through them, half of the default time-out.
_CONNECTIONS = 32


class RedisStore:
    """Keeps answers at a URL such as `redis://127.0.0.1:6379/0`; `now` is the wall clock.

    A call that fails is not repeated: the cache is asked again with the next request. Where more come at once than
    there are connections, they wait for each other. Raises `ValueError`, which tells no part of the URL, where that has
    options that the client does not take.
    """

    def __init__(self, url: str, now: Callable[[], float], *, timeout_s: float) -> None:
        try:
            pool = BlockingConnectionPool.from_url(
                url,
                max_connections=_CONNECTIONS,
                timeout=timeout_s,
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                retry=Retry(NoBackoff(), 0),
                decode_responses=False,
                client_name="llmrouter",
            )
            # Made, but not opened: names of options that it does not know are otherwise found when it connects.
            pool.make_connection()  # type: ignore[no-untyped-call] # its library does not say that it takes nothing
        except (ValueError, TypeError):
            raise ValueError("the options of the address are not understood") from None
        self._redis = Redis.from_pool(pool)
        self._now = now

    async def find(self, group: bytes) -> Sequence[Kept]:
        """All answers of a group that have not expired."""
        now = self._now()
        return [
            Kept(one.target, one.data, max(now - one.created, 0.0))
            for one in await self._read(group)
            if one.expires > now
        ]

    async def keep(self, group: bytes, target: str, data: bytes, ttl_s: float) -> None:
        """Keeps an answer for so many seconds, in place of an earlier one."""
        now = self._now()
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(_PREFIX + group, target.encode(), _TIMES.pack(now, now + ttl_s) + group + data)
            pipe.expire(_PREFIX + group, max(math.ceil(ttl_s), 1))
            await pipe.execute()

    async def clear(self, selection: Selection = ALL) -> int:
        """Forgets answers, and says how many."""
        gone = 0
        async for key in self._redis.scan_iter(match=_PREFIX + b"*", count=_SCAN_COUNT):
            for one in await self._read(key.removeprefix(_PREFIX)):
                if selection.has(one.target, one.created):
                    gone += await self._redis.hdel(key, one.target.encode())
        return gone

    async def every(self) -> AsyncIterator[Stored]:
        """All answers that have not expired."""
        async for key in self._redis.scan_iter(match=_PREFIX + b"*", count=_SCAN_COUNT):
            for one in await self._read(key.removeprefix(_PREFIX)):
                if one.expires > self._now():
                    yield one

    async def stats(self) -> StoreStats:
        """How much there is; all of it is read for that."""
        targets, size = [], 0
        async for one in self.every():
            targets.append(one.target)
            size += len(one.data)
        return StoreStats(len(targets), size, count_providers(targets))

    async def close(self) -> None:
        """Closes the connections."""
        await self._redis.aclose()

    async def _read(self, group: bytes) -> list[Stored]:
        fields = cast(Mapping[bytes, bytes], await self._redis.hgetall(_PREFIX + group))
        start = _TIMES.size + len(group)
        return [
            Stored(group, target.decode(), value[start:], *_TIMES.unpack_from(value))
            for target, value in fields.items()
            if len(value) >= start and value[_TIMES.size : start] == group
        ]
