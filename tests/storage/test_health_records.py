"""Records of health: what was saved comes back with its age, and nothing bad comes of what cannot be read."""

import sqlite3
from contextlib import closing
from pathlib import Path

from llmrouter.errors import Outcome
from llmrouter.routing.health import HealthBook
from llmrouter.storage.health_records import HealthRecords
from tests.routing.samples import target_of

NOON = 1795435200.0
TARGET = target_of("groq/m")


def test_a_rest_goes_on_after_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "state" / "llmrouter.db"
    book, records = HealthBook(), HealthRecords(file)
    book.record(TARGET, Outcome.RATE_LIMITED, 3600, None, 50)
    records.save(book.snapshot(60), NOON)
    records.close()

    fresh = HealthBook()
    fresh.restore(HealthRecords(file).load(NOON + 90), [TARGET], 5)
    rest = fresh.resting(TARGET, 5)
    assert rest is not None
    assert (rest.until, rest.reason) == (5 + 3600 - 10 - 90, "rate limited")


def test_a_clock_that_was_set_back_makes_nothing_last_longer_than_it_was_meant_to(tmp_path: Path) -> None:
    records = HealthRecords(tmp_path / "llmrouter.db")
    records.save([("groq", {"rests_s": 100.0, "reason": "r"})], NOON)
    records.close()
    assert HealthRecords(tmp_path / "llmrouter.db").load(NOON - 5000) == [
        ("groq", 0.0, {"rests_s": 100.0, "reason": "r"})
    ]


def test_rows_that_are_no_json_are_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "llmrouter.db"
    records = HealthRecords(file)
    records.save([("good", {"rests_s": 1.0})], NOON)
    records.close()
    with closing(sqlite3.connect(file)) as database, database:
        rows = [("a", NOON, "{"), ("b", NOON, "[]"), ("c", NOON, b"\x00"), ("d", "soon", "{}")]
        database.executemany("INSERT INTO target_health VALUES (?, ?, ?)", rows)
    assert [name for name, _, _ in HealthRecords(file).load(NOON)] == ["good"]


def test_nothing_known_makes_no_file(tmp_path: Path) -> None:
    records = HealthRecords(tmp_path / "llmrouter.db")
    records.save(HealthBook().snapshot(0), NOON)
    records.close()
    assert not (tmp_path / "llmrouter.db").exists()
