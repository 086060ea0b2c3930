"""A router on each kind of store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from llmrouter.clock import Clock
from llmrouter.storage.state.opening import open_state
from tests.assisting.world import World
from tests.fakes.state_store import FakeStateStore


@pytest.fixture(params=["memory", "sqlite"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """The Assistants API, with an empty store; runs are stopped at the end."""
    if request.param == "memory":
        made = World(FakeStateStore())
    else:
        made = World(open_state("sqlite:///state.db", tmp_path, Clock()))
    yield made
    await made.assistants.close()
    await made.store.close()
