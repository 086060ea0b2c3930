"""A run, its listener, a cancel and the process's end, in every order that a slow store makes possible."""

import asyncio
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrouter.endpoints.assistants.run_state import ENDED
from llmrouter.errors import RouterError
from tests.assisting.world import WEATHER, World, call, says
from tests.fakes.state_store import FakeStateStore

# The SDK still has the API that OpenAI shut down, and says so at each use.
pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")


async def _wait(chance: random.Random) -> None:
    for _ in range(chance.randint(0, 4)):
        await asyncio.sleep(0)


def _slow(name: str) -> Any:
    async def operation(self: "_SlowStore", *args: Any, **options: Any) -> Any:
        await _wait(self.chance)
        result = await getattr(self.inner, name)(*args, **options)
        await _wait(self.chance)
        return result

    return operation


class _SlowStore(FakeStateStore):
    """Takes a while before and after each operation, which is still one step."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.inner = FakeStateStore()
        self.documents, self.locks = self.inner.documents, self.inner.locks
        self.chance = random.Random(seed)

    add, get, replace, change = _slow("add"), _slow("get"), _slow("replace"), _slow("change")
    delete, page, every = _slow("delete"), _slow("page"), _slow("every")
    claim, release = _slow("claim"), _slow("release")


async def _try(world: World, path: str, body: Any = None) -> str:
    try:
        return str((await world.raw("POST", path, body))["status"])
    except RouterError as error:
        return str(error.status)


def _check_order(names: list[str]) -> None:
    """What is told of an object begins with its creation, and nothing follows the run's end."""
    assert names[-1] == "done"
    for kind in ("message", "run.step"):
        told = [name for name in names if name.startswith(f"thread.{kind}.")]
        told = [name for name in told if kind != "message" or not name.startswith("thread.run")]
        assert not told or told[0] == f"thread.{kind}.created", names
        assert sum(name.endswith(".created") for name in told) == sum(
            name.rsplit(".", 1)[1] in (*ENDED, "incomplete") for name in told
        ), names
    final = [name.removeprefix("thread.run.") in ENDED for name in names]
    assert final.count(True) == 1 and final[-2], names


@pytest.mark.parametrize("action", ["cancel", "close", "delete"])
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), delay=st.integers(0, 60))
async def test_however_it_ends_it_ends_once_and_wholly(action: str, seed: int, delay: int) -> None:
    store = _SlowStore(seed)
    world = World(store)
    assistant, thread = await world.assistant(), await world.thread("ping")
    world.model.script.append(says("po", "ng"))
    listening = asyncio.ensure_future(
        world.raw("POST", f"/v1/threads/{thread}/runs", {"assistant_id": assistant, "stream": True})
    )
    for _ in range(delay):
        await asyncio.sleep(0)
    runs = [id for _, kind, id in store.documents if kind == "run"]
    if action == "cancel" and runs:
        await _try(world, f"/v1/threads/{thread}/runs/{runs[0]}/cancel")
    if action == "delete" and runs:
        await world.client.beta.threads.delete(thread)
    if action == "close":
        await world.assistants.close()
    _check_order([name for name, _ in await listening])
    for run in runs if action != "delete" else []:
        assert (await world.at_rest(thread, run)).status in ENDED
    kept = [document.data for document in store.documents.values()]
    assert [one for one in kept if one.get("status") == "in_progress"] == []
    assert store.locks == {}


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), delay=st.integers(0, 200))
async def test_whenever_the_process_dies_nothing_stays_in_progress(seed: int, delay: int) -> None:
    store = _SlowStore(seed)
    world = World(store)
    assistant, thread = await world.assistant(tools=[WEATHER]), await world.thread("ping")
    world.model.script.append(says("let me look", call(0, "call_a", "weather", "{}")))
    path = f"/v1/threads/{thread}/runs"
    run = (await world.raw("POST", path, {"assistant_id": assistant}))["id"]
    for number in range(delay):
        await asyncio.sleep(0)
        if number == 100:
            await _try(world, f"{path}/{run}/submit_tool_outputs", {"tool_outputs": [{"tool_call_id": "call_a"}]})
    after = world.kill()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)
    await after.assistants.recover()
    found = await after.client.beta.threads.runs.retrieve(run, thread_id=thread)
    assert found.status in (*ENDED, "requires_action")
    kept = [document.data for document in store.documents.values()]
    if found.status in ENDED:
        assert [one for one in kept if one.get("status") == "in_progress"] == []
        assert store.locks == {}
    else:
        assert list(store.locks.values()) == [run]
    await after.assistants.close()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), delay=st.integers(0, 40))
async def test_a_client_that_leaves_stops_no_change_half_way(seed: int, delay: int) -> None:
    store = _SlowStore(seed)
    world = World(store)
    assistant, thread = await world.assistant(), await world.thread("ping")
    asking = asyncio.ensure_future(world.raw("POST", f"/v1/threads/{thread}/runs", {"assistant_id": assistant}))
    for _ in range(delay):
        await asyncio.sleep(0)
    asking.cancel()
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.gather(*others, return_exceptions=True)
    runs = [document.data["run"]["status"] for (_, kind, _), document in store.documents.items() if kind == "run"]
    assert runs == (["completed"] if delay else []), "what was begun is done, and what runs goes on"
    assert store.locks == {}
