"""A reply that ends after every one of its bytes, in each framing: nothing cut is taken for whole."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.harness import Outcome, Run, harness
from tests.faults.scripted import words_of
from tests.faults.wires import Ending, Fault, Framing, Wire, stream_events, whole_reply

_NUMBER = 1


def cut(at: int, framing: Framing, ending: Ending) -> Fault:
    """The reply ends after so many bytes."""
    return lambda wire: replace(wire, framing=framing, cut_at=at, ending=ending)


def length_of(framing: Framing, *, stream: bool) -> int:
    """The bytes of a reply; all replies of the first provider are of one length."""
    words = words_of("one", _NUMBER)
    if stream:
        wire = Wire(tuple(stream_events(words, with_usage=True)), framing)
    else:
        wire = Wire((whole_reply(words),), framing, kind="application/json")
    return len(b"".join(wire.sent()))


def runs(framing: Framing, *, stream: bool) -> Iterator[Run]:
    """Every byte without another target, and many with one."""
    for at in range(length_of(framing, stream=stream)):
        ending = Ending.RESET if at % 5 == 4 else Ending.CLOSE
        yield Run((cut(at, framing, ending),), stream=stream, alone=True)
        if at % (2 if framing is Framing.CHUNKED else 7) == 0:
            yield Run((cut(at, framing, ending),), stream=stream)


def is_whole(outcome: Outcome) -> bool:
    """Whether the client was told all that the first provider, or another one, wanted to say."""
    return outcome.decisions[0].result == "answered"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("framing", Framing)
async def test_a_reply_cut_after_any_byte(tmp_path: Path, framing: Framing, stream: bool) -> None:
    async with harness(tmp_path, patient=True) as faults:
        outcomes = await faults.all(list(runs(framing, stream=stream)))

    with_another = [outcome for outcome in outcomes if not outcome.run.alone]
    assert all(map(is_whole, with_another)), [o.told.body for o in with_another if not is_whole(o)][:3]
    alone = [is_whole(outcome) for outcome in outcomes if outcome.run.alone]
    assert not any(alone[: len(alone) * 2 // 3]), "most of the answer is not all of it"
