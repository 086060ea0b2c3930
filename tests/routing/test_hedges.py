"""What is late for a target, and how often a call may be hedged."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrouter.calls import JsonObject, ResponsesRequest
from llmrouter.hedging import Hedging
from llmrouter.routing.health import HealthBook
from llmrouter.routing.hedges import HedgeBook
from llmrouter.settings.model import HedgeSettings
from llmrouter.transports import Attempt
from tests.routing.samples import call_of, target_of


def test_nothing_is_late_before_enough_is_known() -> None:
    book = HedgeBook()
    for number in range(19):
        book.note_content("a/m", number, is_stream=True)
    assert book.late_after_s("a/m", 0.95, is_stream=True) is None
    book.note_content("a/m", 19, is_stream=True)
    assert book.late_after_s("a/m", 0.95, is_stream=True) == 18
    assert book.late_after_s("a/m", 0.95, is_stream=False) is None
    assert book.late_after_s("b/m", 0.95, is_stream=True) is None


def test_what_was_long_ago_is_forgotten() -> None:
    book = HedgeBook()
    for seconds in [9.0] * 100 + [1.0] * 200:
        book.note_content("a/m", seconds, is_stream=False)
    assert book.late_after_s("a/m", 0.99, is_stream=False) == 1.0


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5, 1.0])
def test_all_of_the_share_can_be_used(share: float) -> None:
    book, chance = HedgeBook(), random.Random(1)
    calls = hedged = 0
    for _ in range(5000):
        book.note_call()
        calls += 1
        if chance.random() < 0.7 and book.has_room(share):
            book.note_hedged()
            hedged += 1
        assert hedged <= share * calls
    assert hedged >= min(0.65, share * 0.9) * calls


@given(
    share=st.floats(0.001, 1.0),
    spells=st.lists(st.tuples(st.integers(1, 1500), st.integers(0, 3)), min_size=1, max_size=4),
)
@settings(deadline=None, max_examples=40)
def test_never_more_than_the_share(share: float, spells: list[tuple[int, int]]) -> None:
    """Whatever is late and when, also several times in a call: of all calls, and of the last thousand beside what was
    left of the share by then."""
    book = HedgeBook()
    hedged_by = [0]
    for calls, tries in spells:
        for _ in range(calls):
            book.note_call()
            hedged = 0
            for _ in range(tries):
                if book.has_room(share):
                    book.note_hedged()
                    hedged += 1
            hedged_by.append(hedged_by[-1] + hedged)
            count = len(hedged_by) - 1
            assert hedged_by[-1] <= share * count + 1e-6
            assert hedged_by[-1] - hedged_by[max(count - 1000, 0)] <= 2 * share * 1000 + 1e-6


@pytest.mark.parametrize("share", [0.9, 0.95])
def test_what_is_lost_stays_in_the_measure(share: float) -> None:
    """However many are ended when they are late, what is late stays as late as it was, but for chance."""
    book, chance = HedgeBook(), random.Random(2)
    hedging = Hedging(HedgeSettings(max_share=1.0, after="p90" if share == 0.9 else "p95"), book, is_stream=True)
    true_s = sorted(chance.expovariate(1.0) for _ in range(10_000))[int(share * 10_000)]
    found = []
    for number in range(4000):
        seconds, late_s = chance.expovariate(1.0), book.late_after_s("one/m", share, is_stream=True)
        attempt = Attempt(target_of("one/m"), 0.0, 60.0)
        if late_s is not None and seconds > late_s:
            hedging.note_lost(attempt, late_s + 0.05)
        else:
            attempt.first_content_s = seconds
            hedging.note_content(attempt)
        if number > 1000 and late_s is not None:
            found.append(late_s)
    assert 0.5 * true_s < sum(found) / len(found) < 1.5 * true_s


def test_a_rival_that_lost_early_says_nothing() -> None:
    book = HedgeBook()
    hedging = Hedging(HedgeSettings(), book, is_stream=False)
    for _ in range(20):
        book.note_content("one/m", 1.0, is_stream=False)
    for _ in range(200):
        hedging.note_lost(Attempt(target_of("one/m"), 0.0, 60.0), 0.01)
    assert book.late_after_s("one/m", 0.95, is_stream=False) == 1.0


def test_targets_that_are_gone_are_forgotten_and_the_others_are_not() -> None:
    health = HealthBook()
    for key in ("one/m", "two/m"):
        for _ in range(20):
            health.hedges.note_content(key, 1.0, is_stream=True)
    health.reload([target_of("one/m")])
    assert health.hedges.late_after_s("one/m", 0.95, is_stream=True) == 1.0
    assert health.hedges.late_after_s("two/m", 0.95, is_stream=True) is None


def test_calls_for_which_openais_tools_act_are_not_hedged() -> None:
    wanted, book = HedgeSettings(), HedgeBook()
    asked = ResponsesRequest(JsonObject(b"{}"), [], frozenset({"code_interpreter"}))
    assert Hedging.of(call_of(responses=asked), wanted, book) is None
    assert Hedging.of(call_of(responses=ResponsesRequest(JsonObject(b"{}"), [])), wanted, book) is not None
    assert Hedging.of(call_of(), wanted, book) is not None
    assert Hedging.of(call_of(), None, book) is None
