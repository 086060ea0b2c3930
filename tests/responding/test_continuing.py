"""A response whose stream breaks off at one provider, and that the next one goes on with."""

from pathlib import Path

from openai.types.responses import Response

from tests.fakes.provider import CUT, FakeProvider, StreamSteps, sse_chunk
from tests.gateways import provider
from tests.responding.world import world
from tests.test_continuing import ROLE, WHOLE, GoesOn


async def test_a_response_is_one_whole_and_is_kept_as_such(tmp_path: Path) -> None:
    broken = StreamSteps([ROLE, sse_chunk("The cat "), sse_chunk("sat"), CUT])
    async with (
        FakeProvider(broken) as bad,
        FakeProvider(default=GoesOn(WHOLE)) as good,
        world(tmp_path, provider("bad", bad), provider("good", good)) as w,
    ):
        told = await w.create(stream=True)
        last = told.events[-1]

        assert last["type"] == "response.completed"
        assert Response.model_validate(last["response"]).output_text == WHOLE
        deltas = [event["delta"] for event in told.events if event["type"] == "response.output_text.delta"]
        assert "".join(deltas) == WHOLE
