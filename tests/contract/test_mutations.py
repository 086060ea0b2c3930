"""Answers of every contract case with some members made wrong: a failed attempt or JSON, never a defect of ours."""

import json
import random
from typing import Any

import pytest

from llmrouter.errors import AttemptFailed
from tests.contract.cases import Case, cases, decoded, events_of

CASES = {case.name: case for case in cases()}
WHOLE = {name: case for name, case in CASES.items() if case.has("upstream_reply.json") and "status" not in case.about}
STREAMS = {name: case for name, case in CASES.items() if case.has("upstream_reply.sse")}
ROUNDS = 20
JUNK: list[Any] = [None, True, 0, -1, 1.5, 10**18, "", "x", [], [1], [None], {}, {"type": "x"}, [{"type": "text"}]]


def mutated(value: Any, chance: random.Random) -> Any:
    """The value with about one in twelve of its members replaced, and fewer left out."""
    if chance.random() < 0.08:
        return chance.choice(JUNK)
    if isinstance(value, dict):
        return {name: mutated(inner, chance) for name, inner in value.items() if chance.random() > 0.03}
    if isinstance(value, list):
        return [mutated(inner, chance) for inner in value if chance.random() > 0.03]
    return value


def mutated_line(line: str, chance: random.Random) -> str:
    if not line.startswith("data: {"):
        return line
    return "data: " + json.dumps(mutated(json.loads(line.removeprefix("data: ")), chance))


@pytest.mark.parametrize("case", WHOLE.values(), ids=WHOLE)
def test_whole_answers(case: Case) -> None:
    chance = random.Random(case.name)
    for _ in range(ROUNDS):
        try:
            reply = case.translate().read_reply(json.dumps(mutated(case.json("upstream_reply.json"), chance)).encode())
        except AttemptFailed:
            continue
        assert json.loads(reply.data)["choices"]


@pytest.mark.parametrize("case", STREAMS.values(), ids=STREAMS)
def test_streams(case: Case) -> None:
    chance = random.Random(case.name)
    text = (case.folder / "upstream_reply.sse").read_text().replace("\r\n", "\n")
    for _ in range(ROUNDS):
        stream = "\n".join(mutated_line(line, chance) for line in text.split("\n"))
        try:
            _, told = decoded(case.translate(), [stream.encode()])
        except AttemptFailed:
            continue
        ends = [choice["finish_reason"] for event in events_of(told)[:-1] for choice in event["choices"]]
        assert any(ends)
