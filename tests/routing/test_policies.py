"""The order within a tier, the same for the same state."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from llmrouter.routing.policies import CallFacts, Candidate, Policy
from llmrouter.routing.policy_table import build_policies
from llmrouter.settings.policies import PoliciesSettings
from llmrouter.settings.values import POLICIES
from tests.routing.samples import target_of

MONDAY_NOON = datetime(2026, 11, 23, 12, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
ALWAYS: dict[str, Any] = {"schedule": {"windows": [{"prefer": ["b/*"]}]}}


def candidate(
    name: str, position: int = 0, quality: float | None = None, weight: float = 1.0, **known: Any
) -> Candidate:
    """A candidate `<name>/m`; what else is known of it may be given."""
    return Candidate(target_of(f"{name}/m", quality=quality, weight=weight), position, **known)


def tier(**rows: dict[str, Any]) -> list[Candidate]:
    """Candidates by name, in the order of declaration."""
    return [candidate(name, at, **known) for at, (name, known) in enumerate(rows.items())]


def policy(name: str, over: Sequence[Candidate] = (), **options: Any) -> Policy:
    """A policy under such options of the settings, for the targets of a tier."""
    settings = PoliciesSettings.model_validate(options)
    return build_policies(settings, [candidate.target for candidate in over])[name]


def facts(model: str = "gpt-4o", wall: float = MONDAY_NOON) -> CallFacts:
    return CallFacts(model, wall, 100, 500)


def order(policy: Policy, candidates: Sequence[Candidate], call: CallFacts | None = None) -> str:
    """The providers' names, in order."""
    return "".join(candidate.target.provider for candidate in policy.order(candidates, call or facts()))


def test_the_policies_are_those_that_the_settings_accept() -> None:
    settings = PoliciesSettings.model_validate(ALWAYS)
    assert tuple(build_policies(settings, [])) == POLICIES


def test_a_schedule_is_there_only_where_it_has_windows() -> None:
    assert "schedule" not in build_policies(PoliciesSettings(), [])


@pytest.mark.parametrize("name", POLICIES)
def test_an_empty_tier_gives_an_empty_order(name: str) -> None:
    assert list(policy(name, **ALWAYS).order([], facts())) == []


@pytest.mark.parametrize("name", POLICIES)
def test_two_policies_that_saw_the_same_give_the_same_order(name: str) -> None:
    rows = tier(a={"expected_usd": 0.2, "first_content_s": 1.0}, b={}, c={"expected_usd": 0.1, "quota_wait_s": 3.0})
    one, other = policy(name, rows, **ALWAYS), policy(name, rows, **ALWAYS)
    orders = [order(one, rows) for _ in range(5)]
    assert orders == [order(other, rows) for _ in range(5)]
    assert {"".join(sorted(each)) for each in orders} == {"abc"}


def usd(*amounts: float | None) -> list[dict[str, Any]]:
    return [{"expected_usd": amount} for amount in amounts]


LEAST_COST: dict[str, tuple[list[dict[str, Any]], str]] = {
    "cheapest first": (usd(0.3, 0.1, 0.2), "bca"),
    "unknown price last": (usd(None, 0.1, 0.0), "cba"),
    "a tie goes to the shorter wait": (
        [{"expected_usd": 0.0, "quota_wait_s": 2.0}, {"expected_usd": 0.0, "first_content_s": 9.0}],
        "ba",
    ),
    "a wait does not outweigh a price": (
        [{"expected_usd": 0.2}, {"expected_usd": 0.1, "quota_wait_s": 9.0}],
        "ba",
    ),
    "then to the faster": (
        [
            {"expected_usd": 0.0, "first_content_s": 2.0},
            {"expected_usd": 0.0, "first_content_s": 1.0},
            {"expected_usd": 0.0},
        ],
        "bac",
    ),
    "then as declared": (usd(0.1, 0.1, 0.1), "abc"),
}


@pytest.mark.parametrize(("rows", "expected"), LEAST_COST.values(), ids=LEAST_COST)
def test_least_cost(rows: list[dict[str, Any]], expected: str) -> None:
    assert order(policy("least_cost"), tier(**dict(zip("abc", rows, strict=False)))) == expected


LEAST_LATENCY: dict[str, tuple[dict[str, dict[str, Any]], str]] = {
    "fastest first": (
        {"a": {"first_content_s": 2.0}, "b": {"first_content_s": 0.5}, "c": {"first_content_s": 1.0}},
        "bca",
    ),
    "unknown first, so that it becomes known": ({"a": {"first_content_s": 0.1}, "b": {}, "c": {}}, "bca"),
    "a wait counts": (
        {"a": {"first_content_s": 0.5, "quota_wait_s": 1.0}, "b": {"first_content_s": 1.0}},
        "ba",
    ),
    "unknown is not waited for": ({"a": {"quota_wait_s": 0.5}, "b": {"first_content_s": 9.0}}, "ba"),
    "then as declared": ({"a": {"first_content_s": 1.0}, "b": {"first_content_s": 1.0}}, "ab"),
}


@pytest.mark.parametrize(("rows", "expected"), LEAST_LATENCY.values(), ids=LEAST_LATENCY)
def test_least_latency(rows: dict[str, dict[str, Any]], expected: str) -> None:
    assert order(policy("least_latency"), tier(**rows)) == expected


@pytest.mark.parametrize("weight", [1.0, 0.1, 1e-9])
def test_round_robin_with_equal_weights_takes_plain_turns_for_each_requested_model(weight: float) -> None:
    turns, rows = policy("round_robin"), tier(a={"weight": weight}, b={"weight": weight}, c={"weight": weight})
    assert "".join(order(turns, rows)[0] for _ in range(300)) == "abc" * 100
    assert order(turns, rows, facts("gpt-4o-mini")) == "abc"


def test_round_robin_spreads_the_shares_evenly_as_nginx_does() -> None:
    turns, rows = policy("round_robin"), tier(a={"weight": 5.0}, b={}, c={})
    assert "".join(order(turns, rows)[0] for _ in range(7)) == "aabacaa"


def test_round_robin_gives_each_its_share_while_another_rests_for_a_time() -> None:
    turns, rows = policy("round_robin"), tier(a={"weight": 1.0}, b={"weight": 2.0}, c={"weight": 3.0})
    for _ in range(10):
        turns.order(rows[:2], facts())
    firsts = Counter(order(turns, rows)[0] for _ in range(600))
    assert all(abs(firsts[name] - share) <= 2 for name, share in {"a": 100, "b": 200, "c": 300}.items())


def test_round_robin_lets_those_that_must_be_waited_for_follow_and_does_not_count_them_as_served() -> None:
    turns = policy("round_robin")
    waiting = tier(a={"quota_wait_s": 5.0}, b={}, c={"quota_wait_s": 1.0})
    assert [order(turns, waiting) for _ in range(3)] == ["bca", "bca", "bca"]
    free = tier(a={}, b={}, c={})
    assert sorted(order(turns, free)[0] for _ in range(3)) == ["a", "b", "c"]
    assert order(turns, tier(a={"quota_wait_s": 5.0}, b={"quota_wait_s": 1.0})) == "ba"


CHEAP_SLOW = {"expected_usd": 0.1, "first_content_s": 4.0, "quality": 0.4, "error_rate": 0.0}
DEAR_FAST = {"expected_usd": 0.4, "first_content_s": 1.0, "quality": 0.8, "error_rate": 0.2}
WEIGHTED: dict[str, tuple[dict[str, float], dict[str, dict[str, Any]], str]] = {
    "cost alone": ({"cost": 1}, {"a": DEAR_FAST, "b": CHEAP_SLOW}, "ba"),
    "latency alone": ({"latency": 1}, {"a": CHEAP_SLOW, "b": DEAR_FAST}, "ba"),
    "quality alone": ({"quality": 1}, {"a": CHEAP_SLOW, "b": DEAR_FAST}, "ba"),
    "error rate alone": ({"error_rate": 1}, {"a": DEAR_FAST, "b": CHEAP_SLOW}, "ba"),
    # a: 2 * 1 + 1 * 0.25 = 2.25; b: 2 * 0.25 + 1 * 1 = 1.5
    "ratios decide: cost twice": ({"cost": 2, "latency": 1}, {"a": DEAR_FAST, "b": CHEAP_SLOW}, "ba"),
    # b: 1 * 0.25 + 2 * 1 = 2.25; a: 1 * 1 + 2 * 0.25 = 1.5
    "ratios decide: latency twice": ({"cost": 1, "latency": 2}, {"b": CHEAP_SLOW, "a": DEAR_FAST}, "ab"),
    "a percent dearer is hardly worse": (
        {"cost": 0.5, "latency": 0.3},
        {"a": {"expected_usd": 1.0, "first_content_s": 5.0}, "b": {"expected_usd": 1.01, "first_content_s": 0.5}},
        "ba",
    ),
    "an unknown price counts as the dearest": ({"cost": 1}, dict(zip("abc", usd(None, 0.1, 0.3), strict=True)), "bac"),
    "an unknown price loses to a known free one": ({"cost": 1}, dict(zip("ab", usd(None, 0.0), strict=True)), "ba"),
    "unknown latency is the average": (
        {"latency": 1},
        {"a": {"first_content_s": 3.0}, "b": {}, "c": {"first_content_s": 1.0}},
        "cba",
    ),
    "unknown quality is the average": ({"quality": 1}, {"a": {"quality": 0.2}, "b": {}, "c": {"quality": 0.8}}, "cba"),
    "an unknown error rate is the average": (
        {"error_rate": 1},
        {"a": {"error_rate": 0.5}, "b": {}, "c": {"error_rate": 0.1}},
        "cba",
    ),
    "a wait is latency": ({"latency": 1}, {"a": {"first_content_s": 1.0, "quota_wait_s": 2.0}, "b": {}}, "ba"),
    "small differences between errors count little": (
        {"error_rate": 1, "cost": 0.1},
        {"a": {"error_rate": 0.0, "expected_usd": 1.0}, "b": {"error_rate": 0.001, "expected_usd": 0.5}},
        "ba",
    ),
    "all equal": ({"cost": 1, "latency": 1, "quality": 1, "error_rate": 1}, {"b": CHEAP_SLOW, "a": CHEAP_SLOW}, "ba"),
    "nothing known": ({"cost": 1, "latency": 1, "quality": 1, "error_rate": 1}, {"b": {}, "a": {}}, "ba"),
    "all free and at once": ({"cost": 1, "latency": 1}, {"b": {"expected_usd": 0.0, "first_content_s": 0.0}}, "b"),
    "no quality at all": ({"quality": 1}, {"a": {"quality": 0.0}, "b": {"quality": 0.0}}, "ab"),
}


@pytest.mark.parametrize(("weights", "rows", "expected"), WEIGHTED.values(), ids=WEIGHTED)
def test_weighted(weights: dict[str, float], rows: dict[str, dict[str, Any]], expected: str) -> None:
    assert order(policy("weighted", weighted=weights), tier(**rows)) == expected


def test_weighted_without_options_weighs_cost_most_and_everything_a_little() -> None:
    assert PoliciesSettings().weighted.model_dump() == {"cost": 0.5, "latency": 0.3, "quality": 0.1, "error_rate": 0.1}


QUALITY: dict[str, tuple[dict[str, dict[str, Any]], str]] = {
    "the cheapest that is good enough": (
        {
            "a": {"quality": 0.9, "expected_usd": 0.3},
            "b": {"quality": 0.6, "expected_usd": 0.1},
            "c": {"quality": 0.5, "expected_usd": 0.0},
        },
        "bac",
    ),
    "below it the better first": (
        {"a": {"quality": 0.1, "expected_usd": 0.0}, "b": {"quality": 0.5, "expected_usd": 9.0}},
        "ba",
    ),
    "equally bad: the cheaper": (
        {"a": {"quality": 0.1, "expected_usd": 2.0}, "b": {"quality": 0.1, "expected_usd": 1.0}},
        "ba",
    ),
    "unknown last": ({"a": {"expected_usd": 0.0}, "b": {"quality": 0.0}, "c": {"quality": 0.6}}, "cba"),
}


@pytest.mark.parametrize(("rows", "expected"), QUALITY.values(), ids=QUALITY)
def test_quality(rows: dict[str, dict[str, Any]], expected: str) -> None:
    assert order(policy("quality", quality={"at_least": 0.6}), tier(**rows)) == expected


OFFICE = {"days": ["mon", "tue", "wed", "thu", "fri"], "hours": "08:00-18:00", "prefer": ["gpu/*"]}
NIGHT = {"days": ["fri"], "hours": "22:00-06:00", "prefer": ["night/*"]}


@pytest.mark.parametrize(
    ("local", "first"),
    [
        ("2026-11-23 08:00", "gpu"),
        ("2026-11-23 07:59", "cheap"),
        ("2026-11-23 17:59", "gpu"),
        ("2026-11-23 18:00", "cheap"),
        ("2026-11-28 12:00", "cheap"),
        ("2026-11-27 22:00", "night"),
        ("2026-11-28 05:59", "night"),
        ("2026-11-28 06:00", "cheap"),
        ("2026-11-27 05:00", "cheap"),
        # The offset is another in summer, and changed in the night before.
        ("2026-07-20 08:00", "gpu"),
        ("2026-07-20 07:59", "cheap"),
        ("2026-03-30 08:00", "gpu"),
        ("2026-03-30 07:59", "cheap"),
        ("2026-10-26 08:00", "gpu"),
        ("2026-10-26 07:59", "cheap"),
    ],
)
def test_a_schedule_asks_the_clock_on_the_wall_of_its_time_zone(local: str, first: str) -> None:
    wall = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    rows = tier(cheap={"expected_usd": 0.0}, gpu={"expected_usd": 0.2}, night={"expected_usd": 0.3})
    schedule = policy("schedule", rows, schedule={"timezone": "Europe/Berlin", "windows": [OFFICE, NIGHT]})
    assert schedule.order(rows, facts(wall=wall))[0].target.provider == first


def test_an_hour_that_is_there_twice_is_in_the_window_twice() -> None:
    """On 25 October 2026 Berlin's clocks go from 03:00 back to 02:00, at 01:00 UTC."""
    window = {"hours": "02:30-02:45", "prefer": ["b/*"]}
    rows = tier(a={"expected_usd": 0.0}, b={})
    schedule = policy("schedule", rows, schedule={"timezone": "Europe/Berlin", "windows": [window]})
    begins = datetime(2026, 10, 25, 0, 30, tzinfo=ZoneInfo("UTC")).timestamp()
    orders = [order(schedule, rows, facts(wall=begins + minutes * 60)) for minutes in (-1, 0, 14, 15, 60, 74, 75)]
    assert orders == ["ab", "ba", "ba", "ab", "ba", "ba", "ab"]


def test_the_first_open_window_counts_and_each_part_is_ordered_by_its_policy() -> None:
    rows = tier(
        a={"expected_usd": 0.1, "first_content_s": 3.0},
        b={"expected_usd": 0.2, "first_content_s": 2.0},
        c={"expected_usd": 0.3, "first_content_s": 1.0},
        d={"expected_usd": 0.0, "first_content_s": 9.0},
    )
    windows = [
        {"hours": "00:00-01:00", "prefer": ["d/*"]},
        {"prefer": ["a/*", "[bx]/m"], "policy": "least_latency"},
        {"prefer": ["d/*"]},
    ]
    assert order(policy("schedule", rows, schedule={"windows": windows}), rows) == "bacd"
    without = [{"prefer": ["b/*"]}]
    assert order(policy("schedule", rows, schedule={"windows": without, "otherwise": "least_latency"}), rows) == "bcad"
    closed = {"windows": windows[:1], "otherwise": "least_latency"}
    assert order(policy("schedule", rows, schedule=closed), rows) == "cbad"
