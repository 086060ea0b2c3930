"""The ledger: written aside, safe from a crash, bounded, pruned, and never in the way."""

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llmrouter.calls import Caller
from llmrouter.sqlite_files import open_database
from llmrouter.storage.call_ledger import CallLedger
from llmrouter.storage.call_rows import CallRow
from tests.storage.ledger_rows import NOON, row

SOON_S = 0.01


def ledger_in(file: Path, **options: Any) -> CallLedger:
    wall, retain_s = options.pop("wall", NOON), options.pop("retain_s", 86_400.0)
    return CallLedger(file, lambda caller: None, lambda: wall, retain_s, pause_s=SOON_S, **options)


def ids_in(file: Path) -> list[str]:
    if not file.exists():
        return []
    with closing(sqlite3.connect(file)) as database:
        if database.execute("SELECT 1 FROM sqlite_master WHERE name = 'calls'").fetchone() is None:
            return []
        return [id for (id,) in database.execute("SELECT id FROM calls ORDER BY rowid")]


def soon(is_so: Callable[[], object]) -> bool:
    """Whether something comes true on another thread, within ten seconds."""
    tick = threading.Event()
    return any(is_so() or tick.wait(0.01) for _ in range(1000))


def test_what_is_added_is_in_the_file_after_the_end(tmp_path: Path) -> None:
    file = tmp_path / "new" / "folder" / "llmrouter.db"
    ledger = ledger_in(file)
    for number in range(50):
        ledger.add(row(id=f"req-{number}"), Caller())
    ledger.close()
    assert ids_in(file) == [f"req-{number}" for number in range(50)]
    assert file.stat().st_mode & 0o777 == 0o600
    assert ledger.dropped == 0


def test_it_is_written_without_a_close(tmp_path: Path) -> None:
    file = tmp_path / "llmrouter.db"
    ledger = ledger_in(file)
    for number in range(3):
        ledger.add(row(id=f"req-{number}"), Caller())
        assert soon(lambda wanted=number: len(ids_in(file)) == wanted + 1)  # type: ignore[misc]  # bound at once
    ledger.close()


def test_no_call_makes_no_file(tmp_path: Path) -> None:
    ledger_in(tmp_path / "llmrouter.db").close()
    assert list(tmp_path.iterdir()) == []


def test_what_nobody_knows_is_null(tmp_path: Path) -> None:
    file = tmp_path / "llmrouter.db"
    ledger = ledger_in(file)
    ledger.add(row(cost_usd=None, saved_usd=None, input_tokens=None, provider=None), Caller())
    ledger.close()
    with closing(sqlite3.connect(file)) as database:
        found = database.execute("SELECT cost_usd, saved_usd, input_tokens, provider FROM calls").fetchall()
    assert found == [(None, None, None, None)]


def test_prompts_are_kept_where_given_and_the_file_is_the_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "llmrouter.db"
    open_database(file, "CREATE TABLE older (x)").close()
    file.chmod(0o644)
    ledger = ledger_in(file)
    ledger.add(row(id="with"), Caller(), b'[{"role":"user","content":"\xc3\xa4')
    ledger.add(row(id="without"), Caller())
    ledger.close()
    with closing(sqlite3.connect(file)) as database:
        found = database.execute("SELECT id, at, prompt FROM call_prompts").fetchall()
    assert found == [("with", NOON, '[{"role":"user","content":"ä')]
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_is_old_goes(tmp_path: Path) -> None:
    file = tmp_path / "llmrouter.db"
    first = ledger_in(file, wall=NOON - 86_400)
    for number in range(6000):
        first.add(row(id=f"old-{number}", at=NOON - 2 * 86_400 + number), Caller(), b"x" if number < 3 else None)
    first.close()
    assert len(ids_in(file)) == 6000
    later = ledger_in(file)
    later.add(row(id="new"), Caller(), b"y")
    assert soon(lambda: ids_in(file) == ["new"])
    later.close()
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("SELECT id FROM call_prompts").fetchall() == [("new",)]


def test_what_comes_beyond_the_bound_is_dropped_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The disk is stuck: another process has the file locked."""
    file = tmp_path / "llmrouter.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("BEGIN EXCLUSIVE")
        ledger = ledger_in(file, most_waiting=10)
        with caplog.at_level(logging.WARNING):
            for number in range(100):
                ledger.add(row(id=f"req-{number}"), Caller())
        assert ledger.dropped >= 80
        other.execute("ROLLBACK")
    ledger.close()
    assert "cannot keep up" in caplog.text
    assert len(ids_in(file)) + ledger.dropped == 100


def test_a_failed_write_is_tried_again_and_nothing_stands_twice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmrouter.storage.call_ledger._RETRY_S", SOON_S)
    folder = tmp_path / "state"
    folder.write_text("in the way")
    ledger = ledger_in(folder / "llmrouter.db")
    ledger.add(row(id="req-1"), Caller())
    assert soon(lambda: "is tried again" in caplog.text)
    folder.unlink()
    assert soon(lambda: ids_in(folder / "llmrouter.db") == ["req-1"])
    ledger.add(row(id="req-2"), Caller())
    ledger.close()
    assert ids_in(folder / "llmrouter.db") == ["req-1", "req-2"]
    assert ledger.dropped == 0


def test_a_row_that_no_table_takes_is_in_nobodys_way(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """SQLite makes null of what is no number, cannot write half of a character, and counts to 64 bits."""
    file = tmp_path / "llmrouter.db"
    ledger = ledger_in(file)
    unfit = [row(known_cost_usd=float("nan")), row(requested="\ud800"), row(input_tokens=2**64)]
    for number, one in enumerate([row(id="first"), *unfit, row(id="last")]):
        ledger.add(one, Caller(), b"x" if number % 2 else None)
    ledger.close()
    assert ids_in(file) == ["first", "last"]
    assert ledger.dropped == 3
    assert caplog.text.count("cannot be written to the ledger") == 3


def test_a_damaged_file_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmrouter.storage.call_ledger._RETRY_S", SOON_S)
    file = tmp_path / "llmrouter.db"
    file.write_bytes(b"no database at all, and long enough to be looked at as one" * 100)
    ledger = ledger_in(file)
    ledger.add(row(id="req-1"), Caller())
    assert soon(lambda: (tmp_path / "llmrouter.db.damaged").exists() and file.exists() and ids_in(file) == ["req-1"])
    ledger.close()


def test_a_newer_ledger_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "llmrouter.db"
    first = ledger_in(file)
    first.add(row(id="req-1"), Caller())
    first.close()
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("INSERT INTO calls_version VALUES (99)")
    ledger = ledger_in(file)
    ledger.add(row(id="req-2"), Caller())
    assert soon(lambda: "its version is 99" in caplog.text)
    ledger.add(row(id="req-3"), Caller())
    ledger.close()
    assert ledger.dropped == 2
    assert ids_in(file) == ["req-1"]


def test_several_routers_share_a_file(tmp_path: Path) -> None:
    file = tmp_path / "llmrouter.db"
    ledgers = [ledger_in(file) for _ in range(4)]
    for number in range(400):
        ledgers[number % 4].add(row(id=f"req-{number:03}"), Caller())
    for ledger in ledgers:
        ledger.close()
    assert sorted(ids_in(file)) == [f"req-{number:03}" for number in range(400)]


_WRITER = """
import itertools, sys
from pathlib import Path
from llmrouter.calls import Caller
from llmrouter.storage.call_ledger import CallLedger
from tests.storage.ledger_rows import NOON, row
import time
ledger = CallLedger(Path(sys.argv[1]), lambda caller: None, lambda: NOON, 1e9, pause_s=0.02)
for number in itertools.count():
    ledger.add(row(id=f"req-{number}"), Caller())
    if number % 100 == 0:
        print(number, flush=True)
        time.sleep(0.005)
"""


def test_kill_9_loses_no_more_than_the_last_moment(tmp_path: Path) -> None:
    """What was committed before is there, in order and without a gap, and the file is sound."""
    file = tmp_path / "llmrouter.db"
    root = Path(__file__).parents[2]
    environ = {**os.environ, "PYTHONPATH": f"{root / 'addon'}{os.pathsep}{root}"}
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(file)], stdout=subprocess.PIPE, env=environ) as writer:
        try:
            assert writer.stdout is not None
            assert soon(lambda: len(ids_in(file)) > 500)
            before = len(ids_in(file))
        finally:
            writer.send_signal(signal.SIGKILL)
        writer.stdout.read()
    kept = ids_in(file)
    assert len(kept) >= before
    assert kept == [f"req-{number}" for number in range(len(kept))]
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    again = ledger_in(file, retain_s=1e9)
    again.add(CallRow._replace(row(), id="after"), Caller())
    again.close()
    assert ids_in(file)[-1] == "after"
