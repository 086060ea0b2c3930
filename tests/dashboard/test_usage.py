"""The ledger's figures for the dashboard: whose they are, in which buckets, and how soon they are there."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from llmrouter.calls import Caller
from llmrouter.clock import Clock
from llmrouter.dashboard.files import FILES
from llmrouter.dashboard.pages import Pages
from llmrouter.dashboard.sources import LiveSources
from llmrouter.dashboard.usage import RANGES, no_usage, usage_record
from llmrouter.proxy.usage_history import UsageHistory
from llmrouter.storage.call_ledger import CallLedger
from llmrouter.storage.call_rows import CallRow
from llmrouter.storage.usage_queries import UsageRecords
from llmrouter.telemetry.recent_decisions import RecentDecisions
from llmrouter.telemetry.totals import Totals
from tests.storage.ledger_rows import NOON, row

DAY = 86_400.0


def written(folder: Path, rows: list[CallRow]) -> Path:
    """A ledger with these calls, beside those that it has."""
    file = folder / "llmrouter.db"
    ledger = CallLedger(file, lambda caller: None, lambda: NOON, 1e9, pause_s=0.0)
    for one in rows:
        ledger.add(one, Caller())
    ledger.close()
    return file


def test_a_range_ends_with_the_bucket_of_now_and_leaves_out_what_was_before(tmp_path: Path) -> None:
    rows = [row(at=NOON), row(at=NOON - 3600, provider="groq"), row(at=NOON - 2 * DAY)]
    records = UsageRecords.open(written(tmp_path, rows))
    told = usage_record(records, "day", NOON)
    records.close()
    seconds, bucket_s = RANGES["day"]
    assert told["until"] - told["since"] == seconds
    assert told["until"] - bucket_s <= NOON < told["until"]
    assert told["total"]["calls"] == 2
    assert sum(one["calls"] for one in told["over_time"]) == 2
    assert all((one["at"] - told["since"]) % bucket_s == 0 for one in told["over_time"])


@pytest.mark.parametrize("name", RANGES)
def test_an_empty_ledger_has_the_shape_of_a_full_one(tmp_path: Path, name: str) -> None:
    records = UsageRecords.open(written(tmp_path, [row(at=NOON)]))
    full = usage_record(records, name, NOON)
    records.close()
    nothing = no_usage(name, NOON)
    assert nothing.keys() == full.keys()
    assert nothing["total"].keys() == full["total"].keys()
    assert nothing["total"]["calls"] == 0
    assert nothing["total"]["cost_usd"] is None
    assert (len(full["over_time"]), nothing["over_time"]) == (1, [])


def test_nobody_waits_for_the_ledger(tmp_path: Path) -> None:
    """The first look begins to read; a later one has the figures, and begins anew when these are old."""
    now = [0.0]
    history = UsageHistory(written(tmp_path, [row(at=NOON)]), Clock(monotonic=lambda: now[0], wall=lambda: NOON))
    assert history.look("day") == {"state": "reading", "range": "day"}
    ended()
    assert history.look("day")["total"]["calls"] == 1
    written(tmp_path, [row(at=NOON - 1)])
    assert history.look("day")["total"]["calls"] == 1
    now[0] = 4.9
    history.look("day")
    ended()
    assert history.look("day")["total"]["calls"] == 1
    now[0] = 5.0
    history.look("day")
    ended()
    assert history.look("day")["total"]["calls"] == 2


def test_a_ledger_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    history = UsageHistory(tmp_path / "none.db", Clock())
    history.look("hour")
    ended()
    assert history.look("hour")["state"] == "ready"
    assert history.look("hour")["total"]["calls"] == 0


def test_a_ledger_that_takes_long_to_read_is_read_for_a_tenth_of_the_time(tmp_path: Path) -> None:
    """A reading that takes ten seconds is not begun anew before ninety more have passed."""
    now = [0.0]

    def wall() -> float:
        now[0] += 10.0
        return NOON

    history = UsageHistory(written(tmp_path, [row(at=NOON)]), Clock(monotonic=lambda: now[0], wall=wall))
    history.look("day")
    ended()
    for now[0], times_read in ((99.9, 0), (100.0, 1)):
        began = now[0]
        history.look("day")
        ended()
        assert now[0] - began == pytest.approx(10.0 * times_read)


def _damage(file: Path) -> None:
    file.write_bytes(b"this is no database" * 100)


def _make_newer(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("INSERT INTO calls_version VALUES (99)")


@pytest.mark.parametrize(("harm", "reason"), [(_damage, "cannot be read"), (_make_newer, "A later version")])
def test_a_ledger_that_cannot_be_read_is_not_an_empty_one(
    harm: Callable[[Path], None], reason: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The page tells why, and the log does once, however long somebody looks; it recovers when the ledger does."""
    now = [0.0]
    file = written(tmp_path, [row(at=NOON)])
    harm(file)
    history = UsageHistory(file, Clock(monotonic=lambda: now[0], wall=lambda: NOON))
    for now[0] in (0.0, 5.0, 10.0):
        history.look("day")
        ended()
    told = history.look("day")
    assert (told["state"], told["range"]) == ("failed", "day")
    assert reason in told["reason"]
    assert "total" not in told
    assert len([one for one in caplog.messages if reason in one]) == 1
    file.unlink()
    written(tmp_path, [row(at=NOON)])
    now[0] = 15.0
    history.look("day")
    ended()
    assert history.look("day")["state"] == "ready"


def ended() -> None:
    for thread in threading.enumerate():
        if thread.name == "reading the ledger":
            thread.join()


def pages() -> Pages:
    return Pages(LiveSources(RecentDecisions(), Totals(), None, lambda: NOON, lambda: 1.0, list))


def test_pages_of_a_router_without_a_ledger() -> None:
    page = pages().answer("GET", "/api/usage", "range=week")
    assert (page.status, page.body) == (200, b'{"state":"off","range":"week"}\n')
    refused = pages().answer("GET", "/api/usage", "range=year")
    assert refused.status == 400
    assert b"'hour', 'day', 'week', 'month'" in refused.body


def test_the_files_are_whole_and_name_nobody_else() -> None:
    assert pages().answer("GET", "/", "").body == FILES["/index.html"].body
    for path, page in FILES.items():
        text = page.body.decode()
        assert "innerHTML" not in text
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", ""), path
        assert "https://" not in text
    named = FILES["/index.html"].body.decode()
    assert all(path.removeprefix("/") in named for path in ("/dashboard.js", "/dashboard.css", "/icon.svg"))
