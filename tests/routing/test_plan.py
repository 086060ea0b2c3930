"""The plan of a call: gates, health and policy together."""

import json
import math
from collections.abc import Sequence
from typing import Any

import pytest

from llmrouter.calls import MediaTokens, Need, Preferences
from llmrouter.errors import InvalidRequest, Outcome
from llmrouter.routing.allowances import limits_of
from llmrouter.routing.claims import Claim
from llmrouter.routing.health import HealthBook
from llmrouter.routing.plan import Plan
from llmrouter.routing.policies import CallFacts, Candidate
from llmrouter.routing.quotas import Ask, QuotaBook
from llmrouter.routing.vitals import Answered
from llmrouter.targets import Target
from tests.routing.samples import call_of, echo, keys_of, reasons_of, router_of, settings_of, usage_of

WALL = 1_795_000_000.0

PRICED = (
    echo("dear", models=[{"id": "m", "serves": ["*"], "price": {"input": 5, "output": 5}}]),
    echo("unknown", models=[{"id": "m", "serves": ["*"]}]),
    echo("cheap", models=[{"id": "m", "serves": ["*"], "price": {"input": 1, "output": 1}}]),
)


def test_the_policy_orders_within_a_tier_and_lower_tiers_come_first() -> None:
    last_tier = echo("free", priority=20, models=[{"id": "m", "serves": ["*"], "price": {"input": 0, "output": 0}}])
    first_tier = echo("paid", priority=1)
    plan = router_of(last_tier, *PRICED, first_tier).plan(call_of(), 0, WALL)
    assert keys_of(plan) == ["paid/echo", "cheap/m", "dear/m", "unknown/m", "free/m"]


def test_a_model_that_nothing_serves_gives_an_empty_plan() -> None:
    plan = router_of(echo("e", models=[{"id": "m"}])).plan(call_of("gpt-4o"), 0, WALL)
    assert (plan.targets, plan.left_out) == ((), ())


def test_round_robin_turns_each_tier_by_itself() -> None:
    router = router_of(
        *(echo(name, priority=at) for at in (1, 2) for name in (f"a{at}", f"b{at}")), policy="round_robin"
    )
    assert [keys_of(router.plan(call_of(), 0, WALL))[::2] for _ in range(3)] == [
        ["a1/echo", "a2/echo"],
        ["b1/echo", "b2/echo"],
        ["a1/echo", "a2/echo"],
    ]


def test_learned_latency_decides_under_least_latency() -> None:
    health = HealthBook()
    router = router_of(echo("slow"), echo("fast"), health=health, policy="least_latency")
    for target, seconds in zip(router.catalogue.targets, (2.0, 0.5), strict=True):
        health.record(target, Outcome.SUCCESS, None, Answered(seconds, seconds, None, is_stream=False), 0)
    assert keys_of(router.plan(call_of(), 0, WALL)) == ["fast/echo", "slow/echo"]


@pytest.mark.parametrize(
    ("header", "route", "chosen"),
    [
        (None, None, "weighted"),
        (None, "least_latency", "least_latency"),
        ("round_robin", None, "round_robin"),
        ("round_robin", "least_latency", "round_robin"),
    ],
)
def test_the_header_chooses_the_policy_before_the_route_and_the_route_before_the_file(
    header: str | None, route: str | None, chosen: str
) -> None:
    router = router_of(echo("e"), policy="weighted", routes=[{"model": "gpt-*", "policy": route}])
    assert router.plan(call_of(preferences=Preferences(policy=header)), 0, WALL).policy == chosen


@pytest.mark.parametrize(
    ("preferences", "message"),
    [
        (
            Preferences(policy="cheapest"),
            "'cheapest'. There are: least_cost, least_latency, round_robin, weighted, quality.",
        ),
        (
            Preferences(policy="schedule"),
            "'schedule'. There are: least_cost, least_latency, round_robin, weighted, quality.",
        ),
        (
            Preferences(policy="any.py:Class"),
            "'any.py:Class'. There are: least_cost, least_latency, round_robin, weighted, quality.",
        ),
        (Preferences(provider="gorq"), "'gorq'. There are: one, two."),
    ],
)
def test_a_header_that_names_nothing_known_is_refused_with_what_would_be_right(
    preferences: Preferences, message: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        router_of(echo("two"), echo("one")).plan(call_of(preferences=preferences), 0, WALL)
    assert caught.value.message.endswith(message)


SEVERAL = (
    echo("good", models=[{"id": "m", "serves": ["*"], "quality": 0.9, "price": {"input": 5, "output": 5}}]),
    echo("free", models=[{"id": "m", "serves": ["*"], "quality": 0.2, "price": {"input": 0, "output": 0}}], weight=5),
    echo("gpu", models=[{"id": "m", "serves": ["*"], "quality": 0.5, "price": {"input": 1, "output": 1}}]),
)
OPTIONS = {
    "weighted": {"quality": 1},
    "quality": {"at_least": 0.5},
    "schedule": {"windows": [{"prefer": ["gpu/*"], "policy": "quality"}]},
}


@pytest.mark.parametrize(
    ("policy", "order"),
    [
        ("least_cost", ["free", "gpu", "good"]),
        ("least_latency", ["gpu", "good", "free"]),
        ("round_robin", ["free", "good", "gpu"]),
        ("weighted", ["good", "gpu", "free"]),
        ("quality", ["gpu", "good", "free"]),
        ("schedule", ["gpu", "good", "free"]),
    ],
)
@pytest.mark.parametrize("place", ["file", "route", "header"])
def test_every_policy_by_file_route_and_header(policy: str, order: list[str], place: str) -> None:
    health = HealthBook()
    route = {"model": "*", "policy": policy if place == "route" else None}
    file = policy if place == "file" else "least_cost"
    router = router_of(*SEVERAL, health=health, policy=file, policies=OPTIONS, routes=[route])
    for target, seconds in zip(router.catalogue.targets, (2.0, 3.0, 1.0), strict=True):
        health.record(target, Outcome.SUCCESS, None, Answered(seconds, seconds, None, is_stream=False), 0)
    plan = router.plan(call_of(preferences=Preferences(policy=policy if place == "header" else None)), 0, WALL)
    assert ([target.provider for target in plan.targets], plan.policy) == (order, policy)
    assert plan.to_record()["policy"] == policy


def test_a_policy_is_told_what_health_knows_of_a_target() -> None:
    health, told = HealthBook(), list[Candidate]()

    class Listener:
        def order(self, candidates: Sequence[Candidate], facts: CallFacts) -> Sequence[Candidate]:
            told.extend(candidates)
            return candidates

    custom = {"l.py:Listener": Listener()}
    router = router_of(echo("tried"), echo("new"), health=health, policy="l.py:Listener", custom=custom)
    tried, _ = router.catalogue.targets
    health.record(tried, Outcome.SUCCESS, None, Answered(0.5, 2.5, 100, is_stream=True), 0)
    health.record(tried, Outcome.SERVER_ERROR, None, None, 0)
    router.plan(call_of(stream=True), 0, WALL)
    figures = [(c.first_content_s, c.tokens_per_s, c.error_rate) for c in told]
    assert figures == [(0.5, pytest.approx(50), pytest.approx(0.5)), (None, None, None)]


def test_a_policy_of_ones_own_is_told_what_is_left_of_the_quotas() -> None:
    told: list[Candidate] = []

    class Listener:
        def order(self, candidates: Sequence[Candidate], facts: CallFacts) -> Sequence[Candidate]:
            told.extend(candidates)
            return candidates

    providers = echo("limited", limits={"rpm": 10, "tpm": 5000}), echo("counted", limits={"rpm": 5}), echo("free")
    router = router_of(*providers, policy="l.py:Listener", custom={"l.py:Listener": Listener()})
    book = QuotaBook()
    book.reload(router.catalogue.targets, limits_of(settings_of(*providers)))
    limited, counted, _ = router.catalogue.targets
    book.reserve(limited, Ask(1200, None), 0, WALL)
    router.plan(call_of(), 0, WALL, Claim(book, lambda target: Ask(1, None), WALL))
    assert [(c.requests_left, c.tokens_left) for c in told] == [(9, 3800), (5, None), (None, None)]
    assert [c.target for c in told][:2] == [limited, counted]


def test_a_policy_is_told_what_the_call_is_but_nothing_of_its_text() -> None:
    told: list[CallFacts] = []

    class Listener:
        def order(self, candidates: Sequence[Candidate], facts: CallFacts) -> Sequence[Candidate]:
            told.append(facts)
            return candidates

    router = router_of(echo("e"), policy="l.py:Listener", custom={"l.py:Listener": Listener()})
    call = call_of("m" * 1000, input_characters=4000, max_output_tokens=50, needs=frozenset({Need.TOOLS}), stream=True)
    router.plan(call, 7, WALL)
    assert told == [CallFacts("m" * 256, WALL, 1000, 50, 50, frozenset({Need.TOOLS}), stream=True)]
    router.plan(call_of(), 7, WALL)
    assert told[1] == CallFacts("gpt-4o", WALL, 0, 500)


def test_a_pinned_provider_alone_is_planned_and_the_others_say_why() -> None:
    plan = router_of(echo("one"), echo("two")).plan(call_of(preferences=Preferences(provider="two")), 0, WALL)
    assert keys_of(plan) == ["two/echo"]
    assert reasons_of(plan) == {"one/echo": "the client asked for provider two"}


def test_a_target_that_only_rests_says_when_it_returns() -> None:
    health = HealthBook()
    router = router_of(*(echo(name) for name in ("limited", "denied", "broken", "fine")), health=health)
    limited, denied, broken, _ = router.catalogue.targets
    health.record(limited, Outcome.RATE_LIMITED, 40.0, None, 100)
    health.record(denied, Outcome.UNAUTHORIZED, None, None, 100)
    for _ in range(5):
        health.record(broken, Outcome.SERVER_ERROR, None, None, 100)
    plan = router.plan(call_of(), 110, WALL)
    assert keys_of(plan) == ["fine/echo"]
    assert {left.target.key: (left.reason, left.returns_at) for left in plan.left_out} == {
        "limited/echo": ("it rests (rate limited) for 30 s more", 140),
        "denied/echo": ("it rests (unauthorized) until the settings change", math.inf),
        "broken/echo": ("its breaker is open for 20 s more", 130),
    }


def test_a_target_that_must_not_serve_does_not_return_even_if_it_rests_too() -> None:
    health = HealthBook()
    router = router_of(echo("e", models=[{"id": "m", "serves": ["*"], "capabilities": []}]), health=health)
    health.record(router.catalogue.targets[0], Outcome.RATE_LIMITED, 40.0, None, 0)
    (left,) = router.plan(call_of(needs=frozenset({Need.TOOLS})), 0, WALL).left_out
    assert (left.reason, left.returns_at) == ("it cannot do: tools", None)


def test_while_a_probe_is_under_way_the_target_is_left_out_and_looked_at_again_soon() -> None:
    health = HealthBook()
    router = router_of(echo("e"), health=health)
    (target,) = router.catalogue.targets
    for _ in range(5):
        health.record(target, Outcome.SERVER_ERROR, None, None, 0)
    assert keys_of(router.plan(call_of(), 30, WALL)) == ["e/echo"], "planning takes no probe's place"
    assert health.breaker(target).try_acquire(30)
    (left,) = router.plan(call_of(), 31, WALL).left_out
    assert (left.reason, left.returns_at) == ("its breaker is half-open and a probe is under way", 32)


NOTHING_KNOWN = {
    "tier": 10,
    "expected_usd": None,
    "input_tokens": 0,
    "cached_tokens": 0,
    "first_content_s": None,
    "tokens_per_s": None,
    "error_rate": None,
    "limited_rate": None,
    "quota_wait_s": 0.0,
}


def test_the_record_keeps_what_was_known_when_the_plan_was_made() -> None:
    """Health, tokens and waits, whatever is learned before the record is read."""
    health = HealthBook()
    router = router_of(PRICED[2], health=health)
    (target,) = router.catalogue.targets
    health.record(target, Outcome.SUCCESS, None, Answered(0.25, 2.25, 100, is_stream=True), 0)
    health.record(target, Outcome.RATE_LIMITED, 1.0, None, 0)
    plan = router.plan(call_of(input_characters=4000, stream=True), 5, WALL)
    for _ in range(9):
        health.record(target, Outcome.SERVER_ERROR, None, None, 5)
        router.estimates.learn(target, call_of(input_characters=4000), usage_of(4000, 10), 5)
    (known,) = plan.to_record()["candidates"]
    told = {"target": "cheap/m", "expected_usd": 0.0015, "input_tokens": 1000, "limited_rate": 0.5}
    assert known == NOTHING_KNOWN | told | {"first_content_s": 0.25, "tokens_per_s": 50.0, "error_rate": 0.0}


def test_the_record_is_plain_json_even_for_a_rest_without_end() -> None:
    health = HealthBook()
    router = router_of(*PRICED, health=health)
    health.record(router.catalogue.targets[0], Outcome.UNAUTHORIZED, None, None, 0)
    record = router.plan(call_of(), 0, WALL).to_record()
    assert json.loads(json.dumps(record, allow_nan=False)) == {
        "policy": "least_cost",
        "output_tokens": 500,
        "targets": ["cheap/m", "unknown/m"],
        "candidates": [
            NOTHING_KNOWN | {"target": "cheap/m", "expected_usd": 0.0005},
            NOTHING_KNOWN | {"target": "unknown/m"},
        ],
        "unpriced": ["unknown/m"],
        "left_out": [{"target": "dear/m", "reason": "it rests (unauthorized) until the settings change"}],
    }


def test_media_count_for_the_window_and_the_price() -> None:
    """By their guess: what certainly does not fit is not sent, and what would be too dear is not, either."""
    model = {"id": "m", "serves": ["*"], "price": {"input": 100, "output": 0}, "context_window": 1000}
    router = router_of(echo("one", models=[model]))

    def planned(guess: int, least: int, **preferences: Any) -> Plan:
        call = call_of(input_characters=40, media=MediaTokens(guess, least), preferences=Preferences(**preferences))
        return router.plan(call, 0, 0)

    assert "has at least 1506 tokens" in reasons_of(planned(4500, 1500))["one/m"]
    fits = planned(2700, 900)
    assert fits.candidates[0].expected_usd == pytest.approx(0.271)
    assert fits.to_record()["guessed_media_tokens"] == 2700
    assert "it would cost about $0.271" in reasons_of(planned(2700, 900, max_cost_usd=0.2))["one/m"]


FREE = {"models": [{"id": "m", "serves": ["*"], "price": {"input": 0, "output": 0}}]}


def answered(health: HealthBook, target: Target, times: int = 1) -> None:
    for _ in range(times):
        health.record(target, Outcome.SUCCESS, None, Answered(1.0, 1.0, None, is_stream=False), 0)


def test_least_cost_explores_what_is_as_cheap_and_was_hardly_tried_until_it_was() -> None:
    health = HealthBook()
    router = router_of(echo("known", **FREE), echo("new", **FREE), *PRICED, health=health)
    known, new, *_ = router.catalogue.targets
    answered(health, known, 3)
    first = [keys_of(router.plan(call_of(), 0, WALL))[0] for _ in range(30)]
    assert [number for number, key in enumerate(first, 1) if key == "new/m"] == [10, 20, 30]
    for _ in range(9):
        noted = router.plan(call_of(), 0, WALL).to_record()["notes"]
        assert noted == {
            "new/m": "hardly tried yet and as cheap as the first; every 10th call goes to such a one first"
        }
    assert router.plan(call_of(), 0, WALL).to_record()["notes"]["new/m"].startswith("explored now: hardly tried yet")
    answered(health, new, 3)
    records = [router.plan(call_of(), 0, WALL).to_record() for _ in range(10)]
    assert {record["targets"][0] for record in records} == {"known/m"}
    assert not any("notes" in record for record in records)


def test_least_cost_explores_neither_what_is_dearer_nor_before_the_cheapest_was_tried() -> None:
    health = HealthBook()
    router = router_of(*PRICED, health=health)
    assert {keys_of(router.plan(call_of(), 0, WALL))[0] for _ in range(20)} == {"cheap/m"}
    answered(health, router.catalogue.targets[2], 3)
    assert {keys_of(router.plan(call_of(), 0, WALL))[0] for _ in range(20)} == {"cheap/m"}


def test_each_tier_is_explored_at_its_own_turn() -> None:
    health = HealthBook()
    tiers = [echo(f"{name}{tier}", priority=tier, **FREE) for tier in (1, 2) for name in ("known", "new")]
    router = router_of(*tiers, health=health)
    for target in router.catalogue.targets[::2]:
        answered(health, target, 3)
    last = [keys_of(router.plan(call_of(), 0, WALL)) for _ in range(10)][-1]
    assert last == ["new1/m", "known1/m", "new2/m", "known2/m"]


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.SERVER_ERROR, Outcome.UNSUPPORTED])
def test_least_latency_explores_what_only_fails_no_more_than_three_times_in_an_hour(outcome: Outcome) -> None:
    health = HealthBook()
    router = router_of(echo("slow"), echo("never"), health=health, policy="least_latency")
    slow, never = router.catalogue.targets
    answered(health, slow)
    for number in range(3):
        assert keys_of(router.plan(call_of(), 0, WALL))[0] == "never/echo", number
        health.record(never, outcome, None, None, 0)
    assert keys_of(router.plan(call_of(), 0, WALL)) == ["slow/echo", "never/echo"]
    assert keys_of(router.plan(call_of(), 3601, WALL))[0] == "slow/echo", "nothing is known of either: by declaration"


def test_a_client_that_hangs_up_says_nothing_of_the_target() -> None:
    health = HealthBook()
    router = router_of(echo("slow"), echo("new"), health=health, policy="least_latency")
    slow, new = router.catalogue.targets
    answered(health, slow)
    for _ in range(9):
        health.record(new, Outcome.CLIENT_GONE, None, None, 0)
    assert keys_of(router.plan(call_of(), 0, WALL))[0] == "new/echo"


def test_refusals_for_limits_count_under_weighted() -> None:
    health = HealthBook()
    weights = {"weighted": {"error_rate": 1}}
    router = router_of(echo("limited"), echo("failing"), health=health, policy="weighted", policies=weights)
    limited, failing = router.catalogue.targets
    for target, outcomes in (
        (limited, [Outcome.RATE_LIMITED] * 3 + [Outcome.SUCCESS]),
        (failing, [Outcome.SERVER_ERROR] * 2 + [Outcome.SUCCESS] * 2),
    ):
        for outcome in outcomes:
            health.record(target, outcome, 1.0, None, 0)
    plan = router.plan(call_of(), 10, WALL)
    assert [(c.target.provider, c.error_rate, c.limited_rate) for c in plan.candidates] == [
        ("failing", 0.5, 0.0),
        ("limited", 0.0, 0.75),
    ]
