"""What each provider and model used of its day and month, kept in SQLite so that a restart does not forget it.

One file, written on a thread of its own: a call never waits for the disk and never fails with it. Rows hold whole
counts and not differences, so that writing one again after a failure changes nothing.
"""

import logging
import sqlite3
import threading
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

logger = logging.getLogger(__name__)

_PAUSE_S = 1.0
_RETRY_S = 10.0
_CLOSE_S = 2.0
# Another router may be writing to the same file.
_BUSY_S = 1.0
_LARGEST = 2**63 - 1
_TABLE = """CREATE TABLE IF NOT EXISTS quota_counts (
    name TEXT NOT NULL, kind TEXT NOT NULL, period TEXT NOT NULL,
    requests INTEGER NOT NULL, tokens INTEGER NOT NULL, nanodollars INTEGER NOT NULL,
    PRIMARY KEY (name, kind)
) WITHOUT ROWID"""
_HAS_TABLE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'quota_counts'"
_WRITE = "INSERT OR REPLACE INTO quota_counts VALUES (?, ?, ?, ?, ?, ?)"
_READ = "SELECT name, kind, period, requests, tokens, nanodollars FROM quota_counts"
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


class Row(NamedTuple):
    """The counts of one provider or model: `kind` is `day` or `month`, `period` which one; money in billionths of a
    dollar."""

    name: str
    kind: str
    period: str
    requests: int
    tokens: int
    nanodollars: int


def path_of(url: str, folder: Path) -> Path:
    """The file of a `storage.url`: `sqlite:///state/x.db` lies in `folder`, `sqlite:////var/x.db` is absolute."""
    return folder / url.removeprefix("sqlite:///")


class Ledger:
    """The counts in one file, which is made with its folder when there is something to write."""

    def __init__(self, file: Path, *, pause_s: float = _PAUSE_S, retry_s: float = _RETRY_S) -> None:
        """Writes at most every `pause_s` seconds, and after a failure again in `retry_s`."""
        self._file = file
        self._pause_s, self._retry_s = pause_s, retry_s
        self._waiting: dict[tuple[str, str], Row] = {}
        self._lock = threading.Lock()
        self._woken, self._closing = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._is_failing = False

    def load(self) -> list[Row]:
        """All rows, for the start of the router; none where there is no file, or none that can be read."""
        try:
            if not self._file.exists():
                return []
            with closing(sqlite3.connect(self._file, timeout=_BUSY_S)) as database:
                if database.execute(_HAS_TABLE).fetchone() is None:
                    return []
                return [Row(*row) for row in database.execute(_READ) if _is_sound(row)]
        except (sqlite3.Error, OSError) as error:
            logger.warning("Quota counts of earlier runs cannot be read from %s: %s.", self._file, error)
            self._set_aside_if_damaged(error)
            return []

    def save(self, rows: Iterable[tuple[str, str, str, int, int, int]]) -> None:
        """Takes rows to be written soon; a later row of the same name and kind replaces an earlier one."""
        with self._lock:
            self._waiting.update({(row[0], row[1]): Row(*row) for row in rows})
        if not self._waiting or self._closing.is_set():
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="quota ledger", daemon=True)
            self._thread.start()
        self._woken.set()

    def close(self) -> None:
        """Writes what still waits, for at most two seconds; what is saved later is lost."""
        self._closing.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join(timeout=_CLOSE_S)

    def _work(self) -> None:
        while not self._closing.is_set():
            self._woken.wait()
            self._woken.clear()
            self._closing.wait(self._pause_s if self._write_waiting() else self._retry_s)
            if self._waiting:
                self._woken.set()
        self._write_waiting()

    def _write_waiting(self) -> bool:
        """Whether all that waited is written; what is not waits on, unless something newer has come."""
        with self._lock:
            rows, self._waiting = self._waiting, {}
        if not rows:
            return True
        try:
            self._write(rows.values())
        except (sqlite3.Error, OSError, OverflowError) as error:
            with self._lock:
                self._waiting = rows | self._waiting
            if not self._is_failing:
                logger.warning("Quota counts cannot be written to %s, and are tried again: %s.", self._file, error)
            self._is_failing = True
            self._set_aside_if_damaged(error)
            return False
        if self._is_failing:
            logger.info("Quota counts are written to %s again.", self._file)
        self._is_failing = False
        return True

    def _write(self, rows: Iterable[Row]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with closing(self._open()) as database, database:
            database.executemany(_WRITE, rows)

    def _open(self) -> sqlite3.Connection:
        # Opened anew for each write: a file that somebody moved away or replaced is noticed, once a second at most.
        database = sqlite3.connect(self._file, timeout=_BUSY_S)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute(_TABLE)
        except BaseException:
            database.close()
            raise
        return database

    def _set_aside_if_damaged(self, error: Exception) -> None:
        """Moves a file that is no database out of the way, so that the next write begins a new one."""
        if not str(getattr(error, "sqlite_errorname", "")).startswith(_DAMAGED):
            return
        aside = self._file.with_name(self._file.name + ".damaged")
        with suppress(OSError):
            self._file.replace(aside)
            for suffix in ("-wal", "-shm"):
                self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)
            logger.warning("The damaged file is kept as %s; counting begins anew.", aside)


def _is_sound(row: tuple[object, ...]) -> bool:
    return all(isinstance(value, str) for value in row[:3]) and all(
        isinstance(value, int) and 0 <= value <= _LARGEST for value in row[3:]
    )
