"""However an answer is cut into chunks, it is the same response, told in order."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from llmrouter.endpoints.responses.whole import response_of
from tests.endpoints.responses.answers import SHAPE, Ids, call, delta, final, told

Piece = dict[str, Any]
BRIDGED = replace(SHAPE, custom_tools=frozenset({"shell"}))
TEXT = st.text(st.sampled_from('aß🐟\n"\\{} '), max_size=12)
ARGUMENTS = st.one_of(TEXT, st.sampled_from(['{"input":"ls -la"}', '{"city":"Köln","days":[1,2]}', "{}"]))


@dataclass(frozen=True)
class Said:
    """An answer: what it says, and how it ends."""

    reasoning: str
    text: str
    refusal: str
    calls: Sequence[tuple[str, str]]
    reason: str


ANSWERS = st.builds(
    Said,
    reasoning=TEXT,
    text=TEXT,
    refusal=TEXT,
    calls=st.lists(st.tuples(st.sampled_from(["weather", "shell"]), ARGUMENTS), max_size=4),
    reason=st.sampled_from(["stop", "tool_calls", "length", "content_filter"]),
)


def cut(draw: st.DrawFn, text: str) -> list[str]:
    """The text in pieces, of which some may be empty."""
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


def interleaved(draw: st.DrawFn, rows: list[list[Piece]]) -> list[Piece]:
    """The pieces of all rows, each row in its order, and no row before the one above it has begun."""
    rows, pieces, begun = [list(row) for row in rows], [], 0
    while any(rows):
        going = [number for number, row in enumerate(rows[:begun]) if row]
        if begun < len(rows):
            going.append(begun)
        number = draw(st.sampled_from(going))
        begun = max(begun, number + 1)
        pieces.append(rows[number].pop(0))
    return pieces


def joined(draw: st.DrawFn, pieces: list[Piece], reason: str) -> list[Piece]:
    """Chunks with these pieces; neighbours of different kinds may share one, and the last may have the end."""
    deltas: list[Piece] = []
    for piece in pieces:
        shares = draw(st.booleans())
        if shares and deltas and not deltas[-1].keys() & piece.keys():
            deltas[-1] = deltas[-1] | piece
        else:
            deltas.append(piece)
    chunks = [delta(**members) for members in deltas]
    has_end = draw(st.booleans())
    if chunks and has_end:
        return [*chunks[:-1], delta(reason, **deltas[-1])]
    return [*chunks, delta(reason)]


@st.composite
def chunkings(draw: st.DrawFn) -> tuple[Said, list[Piece]]:
    """An answer, and chunks that it may come in."""
    said = draw(ANSWERS)
    pieces: list[Piece] = []
    for name, text in (("reasoning", said.reasoning), ("content", said.text), ("refusal", said.refusal)):
        pieces += [{name: piece} for piece in cut(draw, text)]
    rows = [
        [
            {"tool_calls": [call(number, f"call_{number}", name, "")]},
            *({"tool_calls": [call(number, arguments=piece)]} for piece in cut(draw, arguments)),
        ]
        for number, (name, arguments) in enumerate(said.calls)
    ]
    return said, joined(draw, pieces + interleaved(draw, rows), said.reason)


def whole(said: Said) -> dict[str, Any]:
    calls = [
        {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for number, (name, arguments) in enumerate(said.calls)
    ]
    message = {"reasoning": said.reasoning, "content": said.text, "refusal": said.refusal, "tool_calls": calls}
    return {"choices": [{"index": 0, "message": message, "finish_reason": said.reason}]}


def without_status(response: dict[str, Any]) -> dict[str, Any]:
    """The response without its items' status: which call was cut short depends on whose fragment came last."""
    return response | {"output": [{**item, "status": None} for item in response["output"]]}


@settings(deadline=None)
@given(chunkings())
def test_any_chunking_comes_to_the_same_response(case: tuple[Said, list[Piece]]) -> None:
    said, chunks = case
    streamed = final(told(chunks, BRIDGED))
    assert without_status(streamed) == without_status(response_of(whole(said), BRIDGED, Ids(), 1700000002.0))
    cut_short = [item for item in streamed["output"] if item["status"] == "incomplete"]
    is_cut = said.reason in ("length", "content_filter") and streamed["output"]
    assert len(cut_short) == (1 if is_cut else 0)
