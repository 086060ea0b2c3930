"""A table in SQLite that a router reads at its start and writes while it runs.

One file, written on a thread of its own: a call never waits for the disk and never fails with it. Rows are whole values
and not differences, so that writing one again after a failure changes nothing.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmrouter.sqlite_files import BUSY_S, open_database, set_aside_if_damaged

logger = logging.getLogger(__name__)

_PAUSE_S = 1.0
_RETRY_S = 10.0
_CLOSE_S = 2.0
_HAS_TABLE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"


@dataclass(frozen=True, slots=True)
class Table[R: tuple[Any, ...]]:
    """A table: its name, its columns with their SQL types, how many of the first ones are the key, and its rows.

    `words` say in a warning what stands in it. A row that is not sound is passed over.
    """

    name: str
    words: str
    columns: tuple[str, ...]
    keys: int
    make_row: Callable[..., R]
    is_sound: Callable[[tuple[Any, ...]], bool]

    @property
    def create(self) -> str:
        """Makes it where it is not there."""
        key = ", ".join(self._names[: self.keys])
        return f"CREATE TABLE IF NOT EXISTS {self.name} ({', '.join(self.columns)}, PRIMARY KEY ({key})) WITHOUT ROWID"

    @property
    def write(self) -> str:
        """Writes a row in place of that of the same key."""
        return f"INSERT OR REPLACE INTO {self.name} VALUES ({', '.join('?' * len(self.columns))})"

    @property
    def read(self) -> str:
        """Reads all rows."""
        return f"SELECT {', '.join(self._names)} FROM {self.name}"

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(column.split()[0] for column in self.columns)


class KeptTable[R: tuple[Any, ...]]:
    """A table in one file, which is made with its folder when there is something to write."""

    def __init__(self, file: Path, table: Table[R], *, pause_s: float = _PAUSE_S, retry_s: float = _RETRY_S) -> None:
        """Writes at most every `pause_s` seconds, and after a failure again in `retry_s`."""
        self._file = file
        self._table = table
        self._pause_s, self._retry_s = pause_s, retry_s
        self._waiting: dict[tuple[Any, ...], R] = {}
        self._lock = threading.Lock()
        self._woken, self._closing = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._is_failing = False

    def load(self) -> list[R]:
        """All rows, for the start of the router; none where there is no file, or none that can be read."""
        table = self._table
        try:
            if not self._file.exists():
                return []
            with closing(sqlite3.connect(self._file, timeout=BUSY_S)) as database:
                if database.execute(_HAS_TABLE, (table.name,)).fetchone() is None:
                    return []
                return [table.make_row(*row) for row in database.execute(table.read) if table.is_sound(row)]
        except (sqlite3.Error, OSError) as error:
            logger.warning("%s of earlier runs cannot be read from %s: %s.", table.words, self._file, error)
            set_aside_if_damaged(self._file, error)
            return []

    def save(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Takes rows to be written soon; a later row of the same key replaces an earlier one."""
        keys = self._table.keys
        with self._lock:
            self._waiting.update({row[:keys]: self._table.make_row(*row) for row in rows})
        if not self._waiting or self._closing.is_set():
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"writing {self._table.name}", daemon=True)
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
        words = self._table.words
        try:
            self._write(rows.values())
        except (sqlite3.Error, OSError, OverflowError) as error:
            with self._lock:
                self._waiting = rows | self._waiting
            if not self._is_failing:
                logger.warning("%s cannot be written to %s, and are tried again: %s.", words, self._file, error)
            self._is_failing = True
            set_aside_if_damaged(self._file, error)
            return False
        if self._is_failing:
            logger.info("%s are written to %s again.", words, self._file)
        self._is_failing = False
        return True

    def _write(self, rows: Iterable[R]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with closing(self._open()) as database, database:
            database.executemany(self._table.write, rows)

    def _open(self) -> sqlite3.Connection:
        # Opened anew for each write: a file that somebody moved away or replaced is noticed, once a second at most.
        return open_database(self._file, self._table.create)
