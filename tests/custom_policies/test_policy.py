"""The owner's policy orders; whatever else it does, least_cost orders in its place, and it is counted and told."""

import logging
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from llmrouter.custom_policies.own_class import make_policy
from llmrouter.custom_policies.policy import CustomPolicy, Failures, ask_own
from llmrouter.custom_policies.worker import Worker
from llmrouter.routing.policies import CallFacts, Candidate, PolicyFailed
from tests.routing.samples import call_of, echo, keys_of, router_of, target_of

FACTS = CallFacts("gpt-4o", 0.0, 100, 500, stream=True)
LONG_S = 30.0
TIER = [
    Candidate(target_of(f"{name}/m"), at, usd) for at, (name, usd) in enumerate((("a", 0.3), ("b", 0.2), ("c", 0.1)))
]

type Answers = Callable[[CallFacts, tuple[Candidate, ...]], Any]


class Own:
    """A class of an owner's, as a test wants it."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def order(self, call: CallFacts, candidates: Sequence[Candidate]) -> Any:
        return self._answers(call, tuple(candidates))


class UnderTest:
    """A policy, and what it counts; its clock stands until a test sets it."""

    def __init__(self, answers: Answers, patience_s: float = LONG_S) -> None:
        self.failures: Failures = Counter()
        self.now = 0.0
        self.worker = Worker("policy under test")
        self.policy = self.named("mine.py:Mine", answers, patience_s)

    def named(self, name: str, answers: Answers, patience_s: float) -> CustomPolicy:
        def ask(facts: CallFacts, candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...] | str:
            return ask_own(Own(answers), Path(__file__), facts, candidates)

        return CustomPolicy(name, ask, self.worker, patience_s, self.failures, lambda: self.now)

    def order(self) -> str:
        return "".join(candidate.target.provider for candidate in self.policy.order(TIER, FACTS))

    def failure(self) -> str:
        with pytest.raises(PolicyFailed) as caught:
            self.order()
        return str(caught.value)

    def wait_until_idle(self) -> None:
        assert self.worker._last is not None
        self.worker._last.exception(LONG_S)


ORDERS: dict[str, tuple[Answers, str]] = {
    "its order": (lambda _, given: [given[1], given[2], given[0]], "bca"),
    "what it leaves out follows in the order of cost": (lambda _, given: [given[1]], "bca"),
    "it may leave out all": (lambda *_: (), "cba"),
    "any collection will do": (lambda _, given: {candidate: 0 for candidate in given}, "abc"),
    "a generator will do": (lambda _, given: (candidate for candidate in given), "abc"),
}


@pytest.mark.parametrize(("answers", "expected"), ORDERS.values(), ids=ORDERS)
def test_its_order_counts(answers: Answers, expected: str) -> None:
    under_test = UnderTest(answers)
    assert (under_test.order(), dict(under_test.failures)) == (expected, {})


def test_it_is_told_the_facts_of_the_call_and_what_is_known_of_the_candidates() -> None:
    seen: list[Any] = []

    def notes(call: CallFacts, given: tuple[Candidate, ...]) -> Sequence[Candidate]:
        seen.append((call, given))
        return given

    UnderTest(notes).order()
    assert seen == [(FACTS, tuple(TIER))]


def fails(*_: Any) -> Any:
    raise LookupError("no\nprice")


def leaves(*_: Any) -> Any:
    raise SystemExit(3)


class Nameless(Exception):
    def __str__(self) -> str:
        raise ValueError


def fails_without_words(*_: Any) -> Any:
    raise Nameless


def endless(_: CallFacts, given: tuple[Candidate, ...]) -> Iterable[Candidate]:
    while True:
        yield given[0]


WRONG = "it returned something other than the candidates"
FAILURES: dict[str, tuple[Answers, str, str]] = {
    "an exception": (fails, "exception", "LookupError: no price (test_policy.py, line "),
    "an exit": (leaves, "exception", "SystemExit: 3 (test_policy.py, line "),
    "an exception that cannot say what it is": (fails_without_words, "exception", "Nameless (test_policy.py"),
    "none": (lambda *_: None, "exception", "TypeError: "),
    "a word": (lambda *_: "abc", "wrong_result", WRONG),
    "keys": (lambda _, given: [candidate.target.key for candidate in given], "wrong_result", WRONG),
    "a changed copy": (lambda _, given: [given[0]._replace(expected_usd=0.0)], "wrong_result", WRONG),
    "one twice": (lambda _, given: [given[0], given[0]], "wrong_result", WRONG),
    "without end": (endless, "wrong_result", WRONG),
}


@pytest.mark.parametrize(("answers", "kind", "reason"), FAILURES.values(), ids=FAILURES)
def test_what_goes_wrong_is_counted_and_told(answers: Answers, kind: str, reason: str) -> None:
    under_test = UnderTest(answers)
    assert under_test.failure().startswith(reason)
    assert dict(under_test.failures) == {("mine.py:Mine", kind): 1}


def test_what_an_exception_says_of_a_candidate_holds_no_key() -> None:
    secret = target_of("a/m", extra_headers={"x-team": "key-of-team-a"}, base_url="https://one.test/key-of-team-b")
    prices: dict[Candidate, float] = {}
    under_test = UnderTest(lambda _, given: prices[given[0]])
    with pytest.raises(PolicyFailed, match="KeyError") as caught:
        under_test.policy.order([Candidate(secret, 0)], FACTS)
    assert "key-of-team" not in str(caught.value)
    assert "Target('a/m')" in str(caught.value)


def test_one_that_hangs_is_not_waited_for_again_until_it_returns() -> None:
    release, begun = threading.Event(), Counter[str]()

    def hangs(_: CallFacts, given: tuple[Candidate, ...]) -> Sequence[Candidate]:
        begun["calls"] += 1
        release.wait(LONG_S)
        return given

    under_test = UnderTest(hangs, patience_s=0.01)
    try:
        assert under_test.failure() == "it took longer than 0.01 s"
        under_test.policy = under_test.named("mine.py:Mine", hangs, LONG_S)
        assert [under_test.failure() for _ in range(3)] == ["an earlier call of it has not returned"] * 3
        assert begun["calls"] == 1
    finally:
        release.set()
    under_test.wait_until_idle()
    assert under_test.order() == "abc"
    assert under_test.failures == {("mine.py:Mine", "timeout"): 1, ("mine.py:Mine", "occupied"): 3}


def test_a_flood_of_failures_is_one_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    under_test = UnderTest(fails)
    with caplog.at_level(logging.WARNING):
        for under_test.now in (0.0, 1.0, 59.9, 60.0, 119.9):
            under_test.failure()
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith("The policy mine.py:Mine failed, and least_cost ordered: LookupError: no price (")
    assert second.endswith("(2 more times since the last such line)")
    assert under_test.failures.total() == 5


def test_the_thread_ends_with_the_policy() -> None:
    worker = Worker("thread that ends")
    policy = CustomPolicy("mine.py:Mine", lambda _, given: given, worker, LONG_S, Counter(), lambda: 0.0)
    assert policy.order(TIER, FACTS) == TIER
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "thread that ends"]
    del worker, policy
    thread.join(LONG_S)
    assert not thread.is_alive()


PROVIDERS = (
    echo("dear", models=[{"id": "m", "serves": ["*"], "price": {"input": 5, "output": 5}}]),
    echo("cheap", models=[{"id": "m", "serves": ["*"], "price": {"input": 1, "output": 1}}]),
    echo("last", priority=90),
)


def test_the_plan_has_its_order_tier_by_tier() -> None:
    policy = UnderTest(lambda _, given: given).policy
    router = router_of(*PROVIDERS, policy="mine.py:Mine", custom={"mine.py:Mine": policy})
    plan = router.plan(call_of(), 0, 0)
    assert (keys_of(plan), plan.policy, plan.policy_failure) == (
        ["dear/m", "cheap/m", "last/echo"],
        "mine.py:Mine",
        None,
    )
    assert "policy_failure" not in plan.to_record()


def test_where_it_fails_the_plan_has_the_order_of_cost_and_says_why() -> None:
    policy = UnderTest(lambda *_: "nonsense").policy
    router = router_of(*PROVIDERS, policy="mine.py:Mine", custom={"mine.py:Mine": policy})
    record = router.plan(call_of(), 0, 0).to_record()
    assert record["targets"] == ["cheap/m", "dear/m", "last/echo"]
    assert (record["policy"], record["policy_failure"]) == ("mine.py:Mine", f"{WRONG}, each once at most")


def test_the_example_that_ships_works() -> None:
    file = Path(__file__).resolve().parents[2] / "config" / "policy_example.py"
    own = make_policy(file, "CheapestInTime")
    small, slow = target_of("small/m", quality=0.3), target_of("slow/m", quality=0.9)
    given = [
        Candidate(slow, 0, 0.1, first_content_s=3.0),
        Candidate(small, 1, 0.0, first_content_s=0.1),
        Candidate(target_of("unpriced/m"), 2),
        Candidate(target_of("dear/m", quality=0.9), 3, 0.5, first_content_s=1.0),
    ]
    ordered = [candidate.target.provider for candidate in own.order(FACTS, given)]
    assert ordered == ["dear", "unpriced"]
    short = FACTS._replace(output_tokens=100, stream=False)
    assert [c.target.provider for c in own.order(short, given)] == ["small", "slow", "dear", "unpriced"]


def test_the_docs_name_all_that_a_policy_is_told() -> None:
    docs = (Path(__file__).resolve().parents[2] / "docs" / "policies.md").read_text()
    told = {name for row in re.findall(r"^\| (`.+?) \|", docs, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    # A note is the router's own word: a candidate that an owner's class changes is a wrong answer.
    assert {*CallFacts._fields, *Candidate._fields, "is_hardly_tried"} - {"note"} <= told


def test_all_tiers_of_a_call_share_one_patience() -> None:
    asked: list[int] = []

    def takes_four_seconds(_: CallFacts, given: tuple[Candidate, ...]) -> Sequence[Candidate]:
        asked.append(given[0].target.priority)
        under_test.now += 4.0
        return given

    under_test = UnderTest(takes_four_seconds, patience_s=10.0)
    tiers = [echo(f"tier{number}", priority=number) for number in range(6)]
    router = router_of(*tiers, policy="mine.py:Mine", custom={"mine.py:Mine": under_test.policy})
    plan = router.plan(call_of(), 0, 0)
    assert (asked, under_test.now) == ([0, 1, 2], 12.0), "the rest is not begun"
    assert plan.policy_failure == "it took longer than 10 s"
    assert len(plan.targets) == 6
    router.plan(call_of(), 0, 0)
    assert asked == [0, 1, 2, 0, 1, 2], "the next call has a patience of its own"
