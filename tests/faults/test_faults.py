"""Each fault, with and without another target, as JSON and as a stream."""

from pathlib import Path

import pytest

from tests.faults.harness import Run, harness
from tests.faults.scripted import words_of
from tests.faults.wires import FAULTS, STALLS


@pytest.mark.parametrize("hedges", [False, True])
@pytest.mark.parametrize("goes_on", [True, False])
async def test_what_a_provider_does_wrong(tmp_path: Path, goes_on: bool, hedges: bool) -> None:
    runs = [
        Run((fault,), stream=stream, alone=alone)
        for fault in (*FAULTS, *STALLS)
        for stream in (False, True)
        for alone in (False, True)
    ]
    async with harness(tmp_path, hedges=hedges, retry={"continue_streams": goes_on}) as faults:
        outcomes = await faults.all(runs)
        attempts = [str(attempt.outcome) for outcome in outcomes for attempt in outcome.decisions[0].attempts]
        assert ("hedged_off" in attempts) == hedges
        for outcome in outcomes:
            if outcome.run.alone:
                continue
            # Somebody else is well: whoever has been told nothing yet gets all that they say.
            status = outcome.told.answer.status
            assert status == 200, (outcome.run, outcome.told.body)
            if goes_on or not outcome.run.stream:
                assert outcome.decisions[0].result == "answered", (outcome.run, outcome.told.body)
            elif outcome.decisions[0].result == "answered" and outcome.decisions[0].answered_by == "two/model-of-two":
                assert "".join(words_of("two", outcome.number)) in outcome.told.text
