"""Two routers on one PostgreSQL: one run at a time on a thread, whoever is asked."""

import asyncio
from pathlib import Path

import openai
import pytest

from llmrouter.clock import Clock
from llmrouter.storage.state.opening import open_state
from tests.assisting.world import WEATHER, Hold, World, call, says
from tests.fakes.postgres_server import PostgresServer

# The SDK still has the API that OpenAI shut down, and says so at each use.
pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")


async def test_two_routers_share_threads_and_runs(tmp_path: Path) -> None:
    server = PostgresServer()
    server.start()
    worlds = [World(open_state(server.url, tmp_path, Clock())) for _ in range(2)]
    try:
        assistant, thread = await worlds[0].assistant(tools=[WEATHER]), await worlds[0].thread("ping")
        holds = [Hold(), Hold()]
        for world, hold in zip(worlds, holds, strict=True):
            world.model.script.append(says(hold, call(0, "call_a", "weather", "{}")))
        asked = [world.client.beta.threads.runs.create(thread, assistant_id=assistant) for world in worlds * 4]
        told = await asyncio.gather(*asked, return_exceptions=True)
        [run] = [one for one in told if not isinstance(one, BaseException)]
        assert [type(one) for one in told if one is not run] == [openai.ConflictError] * 7
        assert all(f"already has an active run {run.id}" in str(one) for one in told if one is not run)
        for hold in holds:
            hold.go_on.set()
        for world in worlds:
            await world.at_rest(thread, run.id)
            world.model.script.clear()

        outputs = [{"tool_call_id": "call_a", "output": "sun"}]
        path = f"/v1/threads/{thread}/runs/{run.id}/submit_tool_outputs"
        sent = [world.raw("POST", path, {"tool_outputs": outputs}) for world in worlds * 4]
        told = await asyncio.gather(*sent, return_exceptions=True)
        assert len([one for one in told if isinstance(one, dict)]) == 1
        found = [(await world.at_rest(thread, run.id)).status for world in worlds]
        assert found == ["completed", "completed"]
        assert await worlds[1].store.claims() == []
    finally:
        for world in worlds:
            await world.assistants.close()
            await world.store.close()
        server.remove()
