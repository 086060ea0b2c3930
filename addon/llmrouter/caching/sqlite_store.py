"""Answers in one SQLite file, which outlasts a restart; bounded in bytes, the least recently used going first.

The database is used on a thread of its own, so that a slow disk never holds up a call.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path

from llmrouter.caching.stores import ALL, Kept, Selection, Stored, StoreStats
from llmrouter.sqlite_files import make_private, open_database, set_aside_if_damaged

_TABLE = """
CREATE TABLE IF NOT EXISTS kept_answers (
    grp BLOB NOT NULL, target TEXT NOT NULL, created REAL NOT NULL, expires REAL NOT NULL, used REAL NOT NULL,
    data BLOB NOT NULL, UNIQUE (grp, target)
)"""
_BY_USE = "CREATE INDEX IF NOT EXISTS kept_answers_by_use ON kept_answers (used)"
# With the targets, so that what is there is counted without reading answers.
_BY_EXPIRY = "CREATE INDEX IF NOT EXISTS kept_answers_by_expiry ON kept_answers (expires, target)"
_FIND = "SELECT target, data, created FROM kept_answers WHERE grp = ? AND expires > ?"
_USED = "UPDATE kept_answers SET used = ? WHERE grp = ?"
_KEEP = "INSERT OR REPLACE INTO kept_answers VALUES (?, ?, ?, ?, ?, ?)"
_PAGE_AFTER = """
SELECT rowid, grp, target, data, created, expires FROM kept_answers
WHERE rowid > ? AND expires > ? ORDER BY rowid LIMIT 500"""
_EXPIRED = "SELECT rowid FROM kept_answers WHERE expires <= ? ORDER BY expires LIMIT ?"
_LEAST_USED = "SELECT rowid FROM kept_answers ORDER BY used LIMIT ?"
_REMOVE = "DELETE FROM kept_answers WHERE rowid = ?"
_COUNT = "SELECT substr(target, 1, instr(target, '/') - 1), COUNT(*) FROM kept_answers WHERE expires > ? GROUP BY 1"
_SELECTED = """
WHERE (:provider IS NULL OR substr(target, 1, length(:provider) + 1) = :provider || '/')
  AND (:model IS NULL OR substr(target, instr(target, '/') + 1) = :model)
  AND (:before IS NULL OR created < :before)"""

# An answer of 2 kB wastes half of a page of 4 KiB, and a seventh of one of 16.
_PAGE_BYTES = 16_384
_PAGES_BEFORE_CHECKPOINT = 256
# What one answer that is kept may cost the thread on which others are found.
_USES_A_TURN = 200
_REMOVED_A_TURN = 500


class SqliteStore:
    """Keeps answers in at most so many bytes of a file, indexes included; `now` is the wall clock.

    Beside the file lies its log of what was written last, of some 4 MiB. A file that is no database is moved aside, and
    a new one begun.
    """

    def __init__(self, file: Path, most_bytes: int, now: Callable[[], float]) -> None:
        self._file = file
        self._most_bytes = most_bytes
        self._now = now
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="llmrouter cache")
        self._database: sqlite3.Connection | None = None
        self._used: dict[bytes, float] = {}

    async def find(self, group: bytes) -> Sequence[Kept]:
        """All answers of a group that have not expired."""
        return await self._run(self._find, group)

    async def keep(self, group: bytes, target: str, data: bytes, ttl_s: float) -> None:
        """Keeps an answer; one that is larger than half of all the room is not kept."""
        now = self._now()
        if len(data) <= self._most_bytes // 2:
            await self._run(self._keep, (group, target, now, now + ttl_s, now, data))

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
            make_private(self._file)
            self._database = open_database(self._file, _TABLE, _BY_USE, _BY_EXPIRY, page_bytes=_PAGE_BYTES)
            self._database.execute(f"PRAGMA wal_autocheckpoint = {_PAGES_BEFORE_CHECKPOINT}")
        return self._database

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _find(self, group: bytes) -> list[Kept]:
        now = self._now()
        rows = self._open().execute(_FIND, (group, now)).fetchall()
        if rows:
            self._used.pop(group, None)
            self._used[group] = now
        return [Kept(target, data, max(now - created, 0.0)) for target, data, created in rows]

    def _keep(self, row: tuple[bytes, str, float, float, float, bytes]) -> None:
        database = self._open()
        noted = list(islice(self._used, _USES_A_TURN))
        with database:
            database.executemany(_USED, [(self._used.pop(group), group) for group in noted])
            database.execute(_KEEP, row)
            self._make_room(database)

    def _make_room(self, database: sqlite3.Connection) -> None:
        """Expired answers go first, then those that were not used for the longest time.

        Where much has to go, as after `max_mebibytes` was made smaller, the rest goes with the next answers.
        """
        left = _REMOVED_A_TURN
        for query, arguments in ((_EXPIRED, (self._now(),)), (_LEAST_USED, ())):
            if _bytes_of(database) <= self._most_bytes:
                return
            for (rowid,) in database.execute(query, (*arguments, left)).fetchall():
                database.execute(_REMOVE, (rowid,))
                left -= 1
                if _bytes_of(database) <= self._most_bytes:
                    return

    def _clear(self, selection: Selection) -> int:
        with self._open() as database:
            return database.execute(f"DELETE FROM kept_answers {_SELECTED}", selection._asdict()).rowcount

    def _page(self, after: int) -> list[tuple[int, Stored]]:
        rows = self._open().execute(_PAGE_AFTER, (after, self._now()))
        return [(rowid, Stored(*columns)) for rowid, *columns in rows]

    def _stats(self) -> StoreStats:
        database = self._open()
        by_provider = dict(database.execute(_COUNT, (self._now(),)).fetchall())
        return StoreStats(sum(by_provider.values()), _bytes_of(database), by_provider)


def _bytes_of(database: sqlite3.Connection) -> int:
    """How much of the file is in use; pages that were freed are used again before the file grows."""
    names = ("page_size", "page_count", "freelist_count")
    (size,), (pages,), (free,) = (database.execute(f"PRAGMA {name}").fetchone() for name in names)
    return int(size * (pages - free))
