"""What becomes of a place that fails, is damaged, or was written by another version."""

import asyncio
import gc
import sqlite3
import stat
import subprocess
import sys
import threading
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from llmrouter.clock import Clock
from llmrouter.errors import StateUnavailable
from llmrouter.storage.state import sql_store
from llmrouter.storage.state.opening import open_state
from llmrouter.storage.state.tables import METADATA
from tests.fakes.postgres_server import PostgresServer
from tests.storage.state.conftest import Open


async def test_a_file_that_cannot_be_is_told_and_tried_again(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("no folder")
    store = open_state("sqlite:///kept/state.db", tmp_path, Clock())
    with pytest.raises(StateUnavailable, match="cannot be reached"):
        await store.get("me", "run", "r1")
    (tmp_path / "kept").unlink()
    assert await store.get("me", "run", "r1") is None
    await store.close()


async def test_a_damaged_file_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "kept-state.db"
    file.write_bytes(b"no database at all" * 100)
    store = open_state("sqlite:///kept.db", tmp_path, Clock())
    with pytest.raises(StateUnavailable, match="not a database"):
        await store.get("me", "run", "r1")
    assert file.read_bytes().startswith(b"no database")
    await store.close()


async def test_a_file_of_a_later_version_is_refused(tmp_path: Path) -> None:
    store = open_state("sqlite:///kept.db", tmp_path, Clock())
    await store.add("me", "run", [("r1", {})])
    await store.close()
    with closing(sqlite3.connect(tmp_path / "kept-state.db")) as database, database:
        database.execute("UPDATE state_version SET version_num = '999'")
    later = open_state("sqlite:///kept.db", tmp_path, Clock())
    with pytest.raises(StateUnavailable, match="later version of llmrouter"):
        await later.get("me", "run", "r1")
    await later.close()


async def test_migrations_lead_to_the_tables(open_store: Open) -> None:
    store = open_store()
    await store.claims()
    inspector = sa.inspect(store._engine)
    for table in METADATA.tables.values():
        columns = {column["name"]: column["nullable"] for column in inspector.get_columns(table.name)}
        assert columns == {column.name: column.nullable for column in table.columns}
        assert inspector.get_pk_constraint(table.name)["constrained_columns"] == [c.name for c in table.primary_key]


async def test_two_that_open_at_once_make_it_once(open_store: Open) -> None:
    stores = [open_store() for _ in range(4)]
    await asyncio.gather(*(store.claim("me", f"run:{n}", "r") for n, store in enumerate(stores)))
    assert len(await stores[0].claims()) == 4


async def test_a_server_that_returns_is_used_again(tmp_path: Path) -> None:
    postgres = PostgresServer()
    postgres.start()
    store = open_state(postgres.url, tmp_path, Clock())
    await store.add("me", "run", [("r1", {})])
    postgres.stop()
    with pytest.raises(StateUnavailable) as caught:
        await store.get("me", "run", "r1")
    assert caught.value.status == 503
    postgres.start()
    assert await store.get("me", "run", "r1") is not None
    await store.close()
    postgres.remove()


async def test_errors_hold_no_password(tmp_path: Path) -> None:
    store = open_state("postgresql://me:password-of-mine@127.0.0.1:1/x", tmp_path, Clock())
    with pytest.raises(StateUnavailable) as caught:
        await store.get("me", "run", "r1")
    assert "password-of-mine" not in str(caught.value)
    await store.close()


async def test_a_file_that_is_moved_away_is_begun_anew(tmp_path: Path) -> None:
    store = open_state("sqlite:///kept.db", tmp_path, Clock())
    await store.add("me", "run", [("r1", {})])
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / f"kept-state.db{suffix}").unlink(missing_ok=True)
    store._engine.dispose()
    with pytest.raises(StateUnavailable):
        await store.get("me", "run", "r1")
    assert await store.get("me", "run", "r1") is None
    await store.close()


async def test_nobody_else_can_read_what_was_said(tmp_path: Path) -> None:
    store = open_state("sqlite:///kept.db", tmp_path / "state", Clock())
    await store.add("me", "run", [("r1", {})])
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in await asyncio.to_thread(files_in, tmp_path)}
    assert set(modes) == {"kept-state.db", "kept-state.db-wal", "kept-state.db-shm"}
    assert set(modes.values()) == {0o600}
    await store.close()


def files_in(folder: Path) -> list[Path]:
    return list((folder / "state").iterdir())


async def test_documents_lie_apart_from_what_is_set_aside(tmp_path: Path) -> None:
    store = open_state("sqlite:///kept.db", tmp_path, Clock())
    await store.add("me", "run", [("r1", {})])
    await store.close()
    assert (tmp_path / "kept-state.db").exists()
    assert not (tmp_path / "kept.db").exists()


async def test_a_server_that_says_nothing_any_more_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither later requests nor the end of the router wait for it."""
    monkeypatch.setattr(sql_store, "_PATIENCE_S", 0.2)
    postgres = PostgresServer()
    postgres.start()
    store = open_state(postgres.url, tmp_path, Clock())
    await store.add("me", "run", [("r1", {})])
    postgres.pause()
    answers = await asyncio.gather(*(store.get("me", "run", "r1") for _ in range(6)), return_exceptions=True)
    assert all(isinstance(answer, StateUnavailable) for answer in answers)
    postgres.resume()
    async with asyncio.timeout(10):
        while True:
            try:
                assert await store.get("me", "run", "r1") is not None
                break
            except StateUnavailable:
                continue
    postgres.pause()
    with pytest.raises(StateUnavailable):
        await store.get("me", "run", "r1")
    async with asyncio.timeout(10):
        await store.close()
    postgres.resume()
    postgres.remove()


async def test_connections_that_outlive_a_failure_are_closed(shared_postgres: PostgresServer, tmp_path: Path) -> None:
    """What is under way while another request fails ends on a connection that nobody would use again."""
    store = open_state(shared_postgres.new_database(), tmp_path, Clock())
    await store.add("me", "run", [("r1", {}), ("r2", {})])
    is_under_way, may_end = threading.Event(), threading.Event()

    def wait(data: dict[str, Any]) -> dict[str, Any]:
        is_under_way.set()
        may_end.wait(10)
        return data

    def fail(data: dict[str, Any]) -> dict[str, Any]:
        raise OSError("no way to the server")

    slow = asyncio.create_task(store.change("me", "run", "r1", wait))
    await asyncio.to_thread(is_under_way.wait, 10)
    with pytest.raises(StateUnavailable):
        await store.change("me", "run", "r2", fail)
    assert await store.get("me", "run", "r2") is not None
    may_end.set()
    assert await slow is not None
    await store.close()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        gc.collect()
    assert [str(one.message) for one in warned] == []


def test_a_router_that_keeps_nothing_does_not_wait_for_the_toolkit() -> None:
    code = "import sys, llmrouter.proxy.addon, llmrouter.storage.state.opening; print('sqlalchemy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
