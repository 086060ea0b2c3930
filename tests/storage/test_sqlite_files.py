"""How files of SQLite are opened while others open them, too."""

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from llmrouter.sqlite_files import open_database, set_up


class Watched(sqlite3.Connection):
    """A connection that tells after a statement that failed."""

    after_failure: Callable[[], object]

    def execute(self, *statement: object) -> sqlite3.Cursor:
        """As always."""
        try:
            return super().execute(*statement)  # type: ignore[arg-type]  # handed on as they are
        except sqlite3.OperationalError:
            self.after_failure()
            raise


def test_who_opens_a_new_file_at_the_same_time_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "new.db"
    with closing(sqlite3.connect(file)) as other, closing(sqlite3.connect(file, factory=Watched)) as database:
        other.execute("BEGIN EXCLUSIVE")
        failures: list[str] = []

        def let_go() -> None:
            failures.append("locked")
            other.rollback()

        database.after_failure = let_go
        set_up(database)

        assert failures == ["locked"]
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_who_holds_a_file_for_too_long_is_not_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "new.db"
    with closing(sqlite3.connect(file)) as other, closing(sqlite3.connect(file)) as database:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            set_up(database, 0.05)


def test_many_open_one_new_file_at_once(tmp_path: Path) -> None:
    def open_one(number: int) -> None:
        with closing(open_database(tmp_path / f"{number // 8}.db", "CREATE TABLE IF NOT EXISTS t (a)")):
            pass

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(open_one, range(80)))
