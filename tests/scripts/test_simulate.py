"""A simulated day: the router finds out what an oracle knows, and loses next to nothing by it."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.simulate import POLICIES
from scripts.simulation.day import make_day, run_day

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Thousands of warnings of opening breakers would be kept by pytest."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("seed", [1, 2])
def test_least_cost_is_within_a_twentieth_of_what_an_oracle_pays(seed: int) -> None:
    day = make_day(20_000, seed)
    result = run_day(day, "least_cost", seed)
    assert result.cost_usd <= 1.05 * day.oracle().cost_usd
    assert (result.preventable, result.over_limit) == (0, 0), result.failures


@pytest.mark.parametrize("policy", POLICIES)
def test_under_each_policy_no_call_fails_that_somebody_could_answer_and_limits_are_kept(policy: str) -> None:
    result = run_day(make_day(3_000, 5), policy, 5)
    assert (result.preventable, result.over_limit) == (0, 0), result.failures
    assert len(result.latencies_s) + result.failed == 3_000
    # Nobody is asked more often than the day's troubles explain.
    assert result.attempts < 1.2 * 3_000


def test_the_day_has_outages_and_limits_that_a_router_notices() -> None:
    result = run_day(make_day(3_000, 5), "least_cost", 5)
    assert result.attempts > 3_000


def test_the_same_seed_gives_the_same_table() -> None:
    command = [sys.executable, "scripts/simulate.py", "--calls", "800", "--seed", "3", "--json"]
    first, second = (subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True) for _ in range(2))
    assert first.stdout == second.stdout
    table = json.loads(first.stdout)
    assert [row["policy"] for row in table["policies"]] == list(POLICIES)
    assert all(row["to_oracle"] >= 1 for row in table["policies"])
