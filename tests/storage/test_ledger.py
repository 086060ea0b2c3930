"""The ledger: written aside, read at the start, and never in the way."""

import logging
import os
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from llmrouter.routing.quotas import Ask, QuotaBook
from llmrouter.settings.model import LimitSettings
from llmrouter.sqlite_files import path_of
from llmrouter.storage.ledger import Ledger, Row
from tests.routing.samples import target_of

NOON = 1795435200.0  # 2026-11-23
ROW = Row("groq", "day", "2026-11-23", 3, 400, 5_000_000)
OTHER = Row("groq/llama", "month", "2026-11", 1, 2, 3)
_NOBODY = 65534


def rows_in(file: Path) -> list[Row]:
    return Ledger(file).load()


def soon(is_so: Callable[[], object]) -> bool:
    """Whether something comes true on the ledger's thread, within five seconds."""
    tick = threading.Event()
    return any(is_so() or tick.wait(0.01) for _ in range(500))


def test_what_is_saved_is_there_after_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "new" / "folder" / "llmrouter.db"
    ledger = Ledger(file)
    ledger.save([ROW, OTHER])
    ledger.save([ROW._replace(requests=4)])
    ledger.close()
    assert sorted(rows_in(file)) == [ROW._replace(requests=4), OTHER]


def test_the_counts_of_a_book_survive_a_restart(tmp_path: Path) -> None:
    file, target = tmp_path / "llmrouter.db", target_of("groq/llama")
    limits = {"groq/llama": LimitSettings(rpd=3, usd_per_day=1.0)}
    for left in (3, 2, 1, 0):
        book, ledger = QuotaBook(), Ledger(file)
        book.restore(ledger.load(), NOON, 0.0)
        book.reload([target], limits)
        room = book.room(target, 0.0, NOON)
        assert room is not None
        assert room[0] == left
        book.reserve(target, Ask(10, 0.1), 0.0, NOON)
        ledger.save(book.changes())
        ledger.close()


def test_nothing_to_keep_makes_no_file(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "new" / "llmrouter.db")
    assert ledger.load() == []
    ledger.save([])
    ledger.close()
    assert list(tmp_path.iterdir()) == []


def test_rows_are_written_while_the_router_runs(tmp_path: Path) -> None:
    file = tmp_path / "llmrouter.db"
    ledger = Ledger(file, pause_s=0.01)
    ledger.save([ROW])
    assert soon(lambda: rows_in(file) == [ROW])
    ledger.save([ROW._replace(tokens=500)])
    assert soon(lambda: rows_in(file) == [ROW._replace(tokens=500)])
    ledger.close()


def test_within_a_pause_only_the_last_counts(tmp_path: Path) -> None:
    """After the first write the thread pauses, and what comes meanwhile is one write at the end."""
    file = tmp_path / "llmrouter.db"
    ledger = Ledger(file, pause_s=3600)
    ledger.save([ROW])
    assert soon(lambda: rows_in(file))
    for tokens in range(100):
        ledger.save([ROW._replace(tokens=tokens)])
    assert rows_in(file) == [ROW]
    ledger.close()
    assert rows_in(file) == [ROW._replace(tokens=99)]


def test_readers_do_not_wait_for_writers(tmp_path: Path) -> None:
    file = tmp_path / "llmrouter.db"
    ledger = Ledger(file)
    ledger.save([ROW])
    ledger.close()
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("content", [b"this is no database", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_set_aside(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "llmrouter.db"
    file.write_bytes(content)
    ledger = Ledger(file)
    assert ledger.load() == []
    assert "cannot be read" in caplog.text
    assert (tmp_path / "llmrouter.db.damaged").read_bytes() == content

    ledger.save([ROW])
    ledger.close()
    assert rows_in(file) == [ROW]


def test_a_file_that_is_damaged_later_is_begun_anew(tmp_path: Path) -> None:
    file = tmp_path / "llmrouter.db"
    file.write_bytes(b"this is no database")
    ledger = Ledger(file, retry_s=0.01)
    ledger.save([ROW])
    assert soon((tmp_path / "llmrouter.db.damaged").exists)
    assert soon(lambda: rows_in(file) == [ROW])
    ledger.close()


def test_rows_that_make_no_sense_are_dropped(tmp_path: Path) -> None:
    file = tmp_path / "llmrouter.db"
    ledger = Ledger(file)
    ledger.save([ROW])
    ledger.close()
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("INSERT INTO quota_counts VALUES ('a', 'day', '2026-11-23', 'many', 0, 0)")
        database.execute("INSERT INTO quota_counts VALUES ('b', 'day', '2026-11-23', -1, 0, 0)")
        database.execute("INSERT INTO quota_counts VALUES ('c', 'day', x'00', 1, 0, 0)")
    assert rows_in(file) == [ROW]


def test_another_programs_database_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "llmrouter.db"
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TABLE health (x)")
    assert rows_in(file) == []
    assert caplog.text == ""


@contextmanager
def read_only_folder() -> Iterator[Path]:
    """A folder that may be read but not written; where the tests run as root, they are nobody meanwhile."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        was = os.geteuid()
        try:
            if was == 0:
                os.seteuid(_NOBODY)
            yield folder
        finally:
            os.seteuid(was)
            folder.chmod(0o755)


def test_a_read_only_folder_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with read_only_folder() as folder:
        ledger = Ledger(folder / "state" / "llmrouter.db", retry_s=0.01)
        assert ledger.load() == []
        ledger.save([ROW])
        assert soon(lambda: caplog.text)
        ledger.close()
        assert list(folder.iterdir()) == []
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "are tried again" in caplog.text


def test_what_could_not_be_written_is_written_later(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The folder's name is taken by a file at first; what comes meanwhile replaces what waits, and is told once."""
    blocking, file = tmp_path / "state", tmp_path / "state" / "llmrouter.db"
    blocking.touch()
    ledger = Ledger(file, pause_s=0.01, retry_s=0.01)
    ledger.save([ROW, OTHER])
    assert soon(lambda: caplog.text)
    ledger.save([ROW._replace(requests=9)])
    blocking.unlink()
    assert soon(lambda: sorted(rows_in(file)) == [ROW._replace(requests=9), OTHER])
    ledger.close()
    assert [record.levelno for record in caplog.records if record.levelno >= logging.WARNING] == [logging.WARNING]


def test_what_comes_while_a_write_fails_is_newer(tmp_path: Path) -> None:
    class Interrupted(Ledger):
        fails = True

        def _write(self, rows: Iterable[Row]) -> None:
            if self.fails:
                self.fails = False
                self.save([ROW._replace(requests=9)])
                raise OSError("the disk is full")
            super()._write(rows)

    file = tmp_path / "llmrouter.db"
    ledger = Interrupted(file, retry_s=0.01)
    ledger.save([ROW, OTHER])
    assert soon(lambda: sorted(rows_in(file)) == [ROW._replace(requests=9), OTHER])
    ledger.close()


def test_a_file_that_another_process_holds_is_written_later(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Rows wait, and are there once it lets go."""
    file = tmp_path / "llmrouter.db"
    ledger = Ledger(file, retry_s=0.01)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        ledger.save([ROW])
        assert soon(lambda: "locked" in caplog.text)
        other.execute("ROLLBACK")
    assert soon(lambda: rows_in(file) == [ROW])
    ledger.close()


def test_closing_twice_and_saving_afterwards_is_no_error(tmp_path: Path) -> None:
    file = tmp_path / "llmrouter.db"
    ledger = Ledger(file)
    ledger.save([ROW])
    ledger.close()
    ledger.close()
    ledger.save([OTHER])
    assert rows_in(file) == [ROW]


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///state/llmrouter.db", "/home/of/router/state/llmrouter.db"),
        ("sqlite:///llmrouter.db", "/home/of/router/llmrouter.db"),
        ("sqlite:////var/lib/llmrouter.db", "/var/lib/llmrouter.db"),
    ],
)
def test_addresses(url: str, path: str) -> None:
    assert path_of(url, Path("/home/of/router")) == Path(path)
