"""What a plan over 200 targets costs, in function calls: they are the same on each machine, and most of its time."""

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH: dict[str, Any] = runpy.run_path(str(Path(__file__).resolve().parents[2] / "scripts" / "bench_plan.py"))
TARGETS = 200
MOST_CALLS_FOR_EACH = {
    "nothing special": 13.5,
    "a prompt of 45 kB": 14.5,
    "a prompt of 450 kB": 15.5,
    "limits on all providers": 15.5,
    "all limits used up": 19,
    "all breakers open": 19.5,
    "policy least_latency": 14.5,
    "policy round_robin": 15.5,
    "policy weighted": 14,
    "policy quality": 14.5,
}


def calls_of(scene: Any) -> int:
    """How many functions one plan calls, Python's own and C's, for a call that nobody has looked at yet."""
    call, counted = scene.next_call(), 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        scene.plan(call, 1)
    finally:
        sys.setprofile(before)
    return counted


def test_each_row_of_the_bench_has_a_limit() -> None:
    assert set(MOST_CALLS_FOR_EACH) == set(BENCH["ROWS"])


@pytest.mark.parametrize("row", MOST_CALLS_FOR_EACH)
def test_a_plan_looks_at_each_target_with_few_calls(row: str) -> None:
    scene = BENCH["ROWS"][row](TARGETS)
    scene.plan(scene.next_call())
    assert calls_of(scene) / TARGETS < MOST_CALLS_FOR_EACH[row]
