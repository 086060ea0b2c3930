"""Answers in one SQLite file, which outlasts a restart; bounded in bytes, the least recently used going first.

The database is used on a thread of its own, so that a slow disk never holds up a call.
"""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from llmrouter.caching.stores import ALL, Kept, Selection, Stored, StoreStats
from llmrouter.sqlite_files import open_database, set_aside_if_damaged

# The bytes stand last, since whatever stands behind them costs a walk through all of their pages.
_CREATE = """
CREATE TABLE IF NOT EXISTS cached_answers (
    id INTEGER PRIMARY KEY, grp BLOB NOT NULL, target TEXT NOT NULL, size INTEGER NOT NULL,
    created REAL NOT NULL, expires REAL NOT NULL, used REAL NOT NULL, data BLOB NOT NULL, UNIQUE (grp, target)
);
CREATE INDEX IF NOT EXISTS cached_answers_expires ON cached_answers (expires, size);
CREATE INDEX IF NOT EXISTS cached_answers_used ON cached_answers (used, size)
"""
_FIND = "SELECT target, data, created FROM cached_answers WHERE grp = ? AND expires > ?"
_USED = "UPDATE cached_answers SET used = ? WHERE grp = ?"
_KNOWN_SIZE = "SELECT size FROM cached_answers WHERE grp = ? AND target = ?"
_KEEP = """
INSERT OR REPLACE INTO cached_answers (grp, target, size, created, expires, used, data) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_PAGE_AFTER = """
SELECT id, grp, target, data, created, expires FROM cached_answers
WHERE id > ? AND expires > ? ORDER BY id LIMIT 500"""
_EXPIRED = "SELECT id, size FROM cached_answers WHERE expires <= ? ORDER BY expires LIMIT 500"
_OLDEST = "SELECT id, size FROM cached_answers ORDER BY used LIMIT 500"
_FORGET = "DELETE FROM cached_answers WHERE id = ?"
_TOTAL = "SELECT COALESCE(SUM(size), 0) FROM cached_answers"
_SELECTED = """
WHERE (:provider IS NULL OR substr(target, 1, length(:provider) + 1) = :provider || '/')
  AND (:model IS NULL OR substr(target, instr(target, '/') + 1) = :model)
  AND (:before IS NULL OR created < :before)"""

# What a row takes beside its bytes: the other columns, its places in three indices, and what pages have left over.
_ROW_BYTES = 500
_PAGES_SHARE = 1.2
# Room is made for more than one answer, so that the next ones need none.
_ROOM_LEFT = 0.95
# Other routers may write to the same file, so that what is counted here is counted anew from time to time.
_COUNT_AGAIN_AFTER = 500
_MOST_USED = 10_000


class SqliteStore:
    """Keeps answers in a file of at most about so many bytes; `now` is the wall clock.

    A file that is no database is moved aside, and a new one begun.
    """

    def __init__(self, file: Path, most_bytes: int, now: Callable[[], float]) -> None:
        self._file = file
        self._most_bytes = most_bytes
        self._now = now
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="llmrouter cache")
        self._database: sqlite3.Connection | None = None
        self._total_bytes = 0
        self._kept = 0
        self._used: dict[bytes, float] = {}

    async def find(self, group: bytes) -> Sequence[Kept]:
        """All answers of a group that have not expired."""
        return await self._run(self._find, group)

    async def keep(self, group: bytes, target: str, data: bytes, ttl_s: float) -> None:
        """Keeps an answer; one that is larger than all the room there is, is not kept."""
        now = self._now()
        row = (group, target, round(len(data) * _PAGES_SHARE) + _ROW_BYTES, now, now + ttl_s, now, data)
        if row[2] <= self._most_bytes:
            await self._run(self._keep, row)

    async def clear(self, selection: Selection = ALL) -> int:
        """Forgets answers, and says how many."""
        return await self._run(self._clear, selection)

    async def every(self) -> AsyncIterator[Stored]:
        """All answers that have not expired."""
        last = -1
        while rows := await self._run(self._page, last):
            for last, stored in rows:  # noqa: B007 - the next page begins after it
                yield stored

    async def stats(self) -> StoreStats:
        """How much there is that has not expired."""
        return await self._run(self._stats)

    async def close(self) -> None:
        """Closes the file; other calls end with an error from then on."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    async def _run[*Ts, R](self, work: Callable[[*Ts], R], *arguments: *Ts) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(self._try, work, *arguments))

    # On the thread

    def _try[*Ts, R](self, work: Callable[[*Ts], R], *arguments: *Ts) -> R:
        try:
            return work(*arguments)
        except (sqlite3.Error, OSError) as error:
            # What is wrong with the file may be mended by whoever opens it anew.
            self._close()
            set_aside_if_damaged(self._file, error)
            raise

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            # Answers are for their owner alone; SQLite gives its other files the same mode.
            os.close(os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600))
            self._database = open_database(self._file, _CREATE)
            self._count()
        return self._database

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _count(self) -> None:
        (self._total_bytes,) = self._open().execute(_TOTAL).fetchone()

    def _find(self, group: bytes) -> list[Kept]:
        now = self._now()
        rows = self._open().execute(_FIND, (group, now)).fetchall()
        if rows and len(self._used) < _MOST_USED:
            self._used[group] = now
        return [Kept(target, data, max(now - created, 0.0)) for target, data, created in rows]

    def _keep(self, row: tuple[bytes, str, int, float, float, float, bytes]) -> None:
        database, used, self._used = self._open(), self._used, {}
        with database:
            database.executemany(_USED, [(now, group) for group, now in used.items()])
            replaced = database.execute(_KNOWN_SIZE, row[:2]).fetchone()
            database.execute(_KEEP, row)
            self._total_bytes += row[2] - (replaced[0] if replaced else 0)
            self._kept += 1
            if self._kept % _COUNT_AGAIN_AFTER == 0:
                self._count()
            if self._total_bytes > self._most_bytes:
                self._make_room(database)

    def _make_room(self, database: sqlite3.Connection) -> None:
        """Expired answers go first, then those that were not used for the longest time."""
        for query, values in ((_EXPIRED, (self._now(),)), (_OLDEST, ())):
            while self._total_bytes > self._most_bytes * _ROOM_LEFT:
                gone = []
                for id, size in database.execute(query, values).fetchall():
                    gone.append((id,))
                    self._total_bytes -= size
                    if self._total_bytes <= self._most_bytes * _ROOM_LEFT:
                        break
                if not gone:
                    break
                database.executemany(_FORGET, gone)

    def _clear(self, selection: Selection) -> int:
        database = self._open()
        with database:
            gone = database.execute(f"DELETE FROM cached_answers {_SELECTED}", selection._asdict()).rowcount
        self._count()
        return gone

    def _page(self, after: int) -> list[tuple[int, Stored]]:
        rows = self._open().execute(_PAGE_AFTER, (after, self._now()))
        return [(id, Stored(*columns)) for id, *columns in rows]

    def _stats(self) -> StoreStats:
        rows = self._open().execute(
            "SELECT substr(target, 1, instr(target, '/') - 1), COUNT(*), SUM(size) FROM cached_answers"
            " WHERE expires > ? GROUP BY 1",
            (self._now(),),
        )
        by_provider = {provider: (entries, size) for provider, entries, size in rows}
        return StoreStats(
            sum(entries for entries, _ in by_provider.values()),
            sum(size for _, size in by_provider.values()),
            {provider: entries for provider, (entries, _) in by_provider.items()},
        )
