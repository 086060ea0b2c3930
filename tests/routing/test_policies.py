"""The order within a tier, the same for the same state."""

from collections import Counter
from collections.abc import Sequence

import pytest

from llmrouter.routing.policies import POLICIES, Candidate, Policy
from llmrouter.settings.values import POLICIES as KNOWN_TO_SETTINGS
from tests.routing.samples import target_of


def candidates(*rows: tuple[str, float | None, float | None]) -> list[Candidate]:
    """Candidates by key, expected cost and time to first content."""
    return [Candidate(target_of(key), usd, seconds, at) for at, (key, usd, seconds) in enumerate(rows)]


def weighted(**weights: float) -> list[Candidate]:
    """Candidates by name and weight."""
    return [
        Candidate(target_of(f"{name}/m", weight=weight), None, None, at)
        for at, (name, weight) in enumerate(weights.items())
    ]


def order(policy: Policy, tier: Sequence[Candidate], model: str = "gpt-4o") -> str:
    """The providers' names, in order."""
    return "".join(candidate.target.provider for candidate in policy.order(tier, model))


def test_the_policies_are_those_that_the_settings_accept() -> None:
    assert tuple(POLICIES) == KNOWN_TO_SETTINGS


@pytest.mark.parametrize("name", POLICIES)
def test_an_empty_tier_gives_an_empty_order(name: str) -> None:
    assert POLICIES[name]().order([], "gpt-4o") == []


@pytest.mark.parametrize("name", POLICIES)
def test_two_policies_that_saw_the_same_give_the_same_order(name: str) -> None:
    tier = candidates(("a/m", 0.2, 1.0), ("b/m", None, None), ("c/m", 0.1, 3.0))
    one, other = POLICIES[name](), POLICIES[name]()
    assert [order(one, tier) for _ in range(5)] == [order(other, tier) for _ in range(5)]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("a/m", 0.3, None), ("b/m", 0.1, None), ("c/m", 0.2, None)], "bca"),
        ([("a/m", None, 0.1), ("b/m", 0.1, None), ("c/m", 0.0, None)], "cba"),
        ([("a/m", 0.0, 2.0), ("b/m", 0.0, 1.0), ("c/m", 0.0, None)], "bac"),
        ([("b/m", 0.0, None), ("a/m", 0.0, None)], "ba"),
    ],
    ids=["cheapest first", "unknown price last", "ties to the faster", "then as declared"],
)
def test_least_cost(rows: list[tuple[str, float | None, float | None]], expected: str) -> None:
    assert order(POLICIES["least_cost"](), candidates(*rows)) == expected


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("a/m", None, 2.0), ("b/m", None, 0.5), ("c/m", None, 1.0)], "bca"),
        ([("a/m", None, 0.1), ("b/m", None, None), ("c/m", None, None)], "bca"),
    ],
    ids=["fastest first", "unknown first, so that it becomes known"],
)
def test_least_latency(rows: list[tuple[str, float | None, float | None]], expected: str) -> None:
    assert order(POLICIES["least_latency"](), candidates(*rows)) == expected


def test_round_robin_takes_turns_for_each_requested_model() -> None:
    policy, tier = POLICIES["round_robin"](), candidates(("a/m", None, None), ("b/m", None, None), ("c/m", None, None))
    assert [order(policy, tier) for _ in range(4)] == ["abc", "bca", "cab", "abc"]
    assert order(policy, tier, "gpt-4o-mini") == "abc"


def test_weighted_spreads_the_shares_evenly_as_nginx_does() -> None:
    policy, tier = POLICIES["weighted"](), weighted(a=5, b=1, c=1)
    assert "".join(order(policy, tier)[0] for _ in range(7)) == "aabacaa"


def test_weighted_gives_each_its_share_while_another_rests_for_a_time() -> None:
    policy, tier = POLICIES["weighted"](), weighted(a=1, b=2, c=3)
    for _ in range(10):
        policy.order(tier[:2], "gpt-4o")
    firsts = Counter(order(policy, tier)[0] for _ in range(600))
    assert all(abs(firsts[name] - share) <= 2 for name, share in {"a": 100, "b": 200, "c": 300}.items())
