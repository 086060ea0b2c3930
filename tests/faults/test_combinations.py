"""Faults of several providers together, in every order that Hypothesis finds."""

import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faults.harness import Run, harness
from tests.faults.wires import FAULTS, STALLS, Ending, Fault, Framing, Wire

_LONGEST = 1200


class Combined:
    """One fault after another, told by its name in what Hypothesis prints."""

    def __init__(self, *faults: Fault) -> None:
        self._faults = faults

    def __call__(self, wire: Wire) -> Wire:
        for fault in self._faults:
            wire = fault(wire)
        return wire

    def __repr__(self) -> str:
        return "+".join(getattr(fault, "__name__", repr(fault)) for fault in self._faults)


class Changed:
    """A reply with other values in its wire, but only where the value fits."""

    def __init__(self, **values: object) -> None:
        self._values = values

    def __call__(self, wire: Wire) -> Wire:
        return replace(wire, **self._values)  # type: ignore[arg-type]  # the strategies below give the right types

    def __repr__(self) -> str:
        return f"Changed({self._values})"


bits = st.sampled_from([1 << bit for bit in range(8)])
places = st.integers(0, _LONGEST)
framings = st.sampled_from(Framing).map(lambda framing: Changed(framing=framing))
cuts = st.builds(
    lambda at, ending: Changed(cut_at=at, ending=ending), places, st.sampled_from([Ending.CLOSE, Ending.RESET])
)
flips = st.builds(lambda at, by: Changed(flipped_at=at, flipped_by=by, ending=Ending.CLOSE), places, bits)
scripted = st.builds(Combined, framings, st.sampled_from(FAULTS))
ended = st.one_of(
    scripted,
    st.builds(Combined, framings, cuts),
    st.builds(Combined, framings, flips),
    st.builds(Combined, st.sampled_from(FAULTS), flips),
)
faults = st.one_of(ended, ended, st.sampled_from(STALLS))
runs = st.builds(
    Run,
    # The last of the three is waited for as long as the call has time.
    st.one_of(st.tuples(faults), st.tuples(faults, faults), st.tuples(faults, faults, ended)),
    stream=st.booleans(),
    alone=st.booleans(),
    include_usage=st.booleans(),
)


@settings(max_examples=15, deadline=None)
@given(batch=st.lists(runs, min_size=1, max_size=24), goes_on=st.booleans(), hedges=st.booleans())
async def test_whatever_goes_wrong_together(batch: list[Run], goes_on: bool, hedges: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with harness(Path(folder), hedges=hedges, retry={"continue_streams": goes_on}) as under_test:
            await under_test.all(batch)
