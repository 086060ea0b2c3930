"""A call and the quotas: one line at a time, one attempt at a time, and nothing left behind."""

import pytest

from llmrouter.errors import Outcome
from llmrouter.replies import Usage
from llmrouter.routing.claims import Claim, no_claim
from llmrouter.routing.quotas import Ask, QuotaBook, QuotaState
from llmrouter.settings.model import LimitSettings
from llmrouter.targets import Target
from tests.routing.samples import target_of

ONE, TWO, FREE = target_of("one/m"), target_of("two/m"), target_of("free/m")
WALL_AHEAD_S = 1_795_435_200.0


def book_of(**limits: int) -> QuotaBook:
    book = QuotaBook()
    book.reload([ONE, TWO, FREE], dict.fromkeys(("one", "two"), LimitSettings(**limits)))
    return book


def claim_on(book: QuotaBook, tokens: int = 100) -> Claim:
    return Claim(book, lambda target: Ask(tokens, None), WALL_AHEAD_S)


def test_a_claim_takes_what_it_asks_for_and_gives_back_what_was_not_used() -> None:
    book = book_of(tpm=150)
    claim, other = claim_on(book), claim_on(book)
    assert claim.check(ONE, 0.0).state is QuotaState.FREE
    claim.take(ONE, 0.0)
    assert other.check(ONE, 1.0).state is QuotaState.USED_UP
    claim.end(Outcome.SUCCESS, Usage(10, 10), None, 2.0)
    claim.end(Outcome.SUCCESS, Usage(150, 0), None, 2.0)
    assert other.check(ONE, 2.0).state is QuotaState.FREE


def test_a_target_without_limits_is_never_estimated() -> None:
    def refuse(target: Target) -> Ask:
        raise AssertionError(f"no estimate of {target.key} is needed")

    claim = Claim(book_of(rpm=1), refuse, WALL_AHEAD_S)
    assert claim.check(FREE, 0.0).state is QuotaState.FREE
    claim.take(FREE, 0.0)
    claim.hear(0, 0, 60.0, 1.0)
    claim.end(Outcome.SUCCESS, None, None, 1.0)
    assert no_claim().check(ONE, 0.0).state is QuotaState.FREE


def test_waiting_in_turn() -> None:
    book = book_of(concurrency=1, max_wait_seconds=10)
    running, first, second = claim_on(book), claim_on(book), claim_on(book)
    running.take(ONE, 0.0)
    assert first.wait_s(ONE, 0.0) == 1.0
    assert second.wait_s(ONE, 0.0) == 2.0
    woken: list[str] = []
    first.wake_by(lambda: woken.append("first"))
    second.wake_by(lambda: woken.append("second"))

    running.end(Outcome.SUCCESS, None, None, 0.5)
    assert woken == ["first"]
    assert second.check(ONE, 0.5).state is QuotaState.WAIT
    assert first.wait_s(ONE, 0.5) is None
    assert first.check(ONE, 0.5).state is QuotaState.FREE
    first.take(ONE, 0.5)
    assert woken == ["first", "second"]
    assert second.check(ONE, 0.5).state is QuotaState.WAIT


@pytest.mark.parametrize("moves_on", ["other target", "leaves", "patience ends"])
def test_who_moves_on_leaves_the_line(moves_on: str) -> None:
    book = book_of(concurrency=1, max_wait_seconds=10)
    running, waiting, next_one = claim_on(book), claim_on(book), claim_on(book)
    running.take(ONE, 0.0)
    running_too = claim_on(book)
    running_too.take(TWO, 0.0)
    assert waiting.wait_s(ONE, 0.0) == 1.0
    now = 1.0
    match moves_on:
        case "other target":
            assert waiting.wait_s(TWO, now) == 1.0
        case "leaves":
            waiting.leave_line()
            waiting.leave_line()
        case _:
            now = 9.5
            assert waiting.wait_s(ONE, now) is None
    assert "behind" not in next_one.check(ONE, now).reason


def test_what_the_provider_says_counts_for_the_attempt_under_way() -> None:
    book = book_of(rpm=10)
    claim = claim_on(book)
    claim.hear(0, 0, None, 0.0)
    assert claim.check(ONE, 0.0).state is QuotaState.FREE
    claim.take(ONE, 0.0)
    claim.hear(0, None, 30.0, 1.0)
    assert claim.check(ONE, 1.0).wait_s == 30.0


def test_days_are_those_of_the_wall_clock() -> None:
    book = book_of(rpd=1)
    claim_on(book).take(ONE, 100.0)
    assert book.snapshot()[0].period == "2026-11-23"
    assert claim_on(book).check(ONE, 12 * 3600 - 1.0).state is QuotaState.USED_UP
    assert claim_on(book).check(ONE, 12 * 3600.0).state is QuotaState.FREE
