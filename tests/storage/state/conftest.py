"""One PostgreSQL for all tests, and a store in every place."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from llmrouter.clock import Clock
from llmrouter.storage.state.opening import open_state
from llmrouter.storage.state.sql_store import SqlStore
from tests.fakes.postgres_server import PostgresServer

type Open = Callable[[], SqlStore]


class WallClock:
    """The time that a test sets."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall() -> WallClock:
    """The time, as the store sees it."""
    return WallClock()


@pytest.fixture(scope="session")
def shared_postgres() -> Iterator[PostgresServer]:
    """A server for tests that use a database of their own."""
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
async def open_store(request: pytest.FixtureRequest, tmp_path: Path, wall: WallClock) -> AsyncIterator[Open]:
    """Opens stores in the same place; each is another router."""
    url = "sqlite:///kept/state.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("shared_postgres").new_database()
    opened: list[SqlStore] = []

    def open_one() -> SqlStore:
        opened.append(open_state(url, tmp_path, Clock(time.monotonic, wall)))
        return opened[-1]

    yield open_one
    for store in opened:
        await store.close()
