"""What is remembered between calls: rests, breakers, and the time to the first content."""

import logging
import math

import pytest

from llmrouter.errors import Outcome
from llmrouter.routing.breaker import BreakerState
from llmrouter.routing.health import HealthBook, Resting
from llmrouter.settings.model import BreakerSettings
from llmrouter.targets import Target
from tests.routing.samples import target_of

TARGET = target_of("one/m", breaker=BreakerSettings(failure_threshold=2, recovery_seconds=30))
SIBLING = target_of("one/other")
STRANGER = target_of("two/m")


def rest_s(book: HealthBook, target: Target, now: float) -> float:
    """Seconds that the target still rests; 0 where it does not."""
    rest = book.resting(target, now)
    return 0.0 if rest is None else rest.until - now


def record(
    book: HealthBook, outcome: Outcome, wait_s: float | None = None, now: float = 0, target: Target = TARGET
) -> None:
    """Records an attempt that ended before any content."""
    book.record(target, outcome, wait_s, None, now)


def test_a_target_nobody_asked_yet_may_be_asked_at_once() -> None:
    book = HealthBook()
    assert book.resting(TARGET, 5) is None
    assert (book.available_at(TARGET, 5), book.first_content_s(TARGET)) == (5, None)


@pytest.mark.parametrize(
    "outcome",
    [Outcome.UNREACHABLE, Outcome.TIMED_OUT, Outcome.SERVER_ERROR, Outcome.BAD_REPLY, Outcome.BROKEN_STREAM],
)
def test_a_failure_counts_against_the_breaker(outcome: Outcome) -> None:
    book = HealthBook()
    record(book, outcome)
    record(book, outcome)
    assert book.breaker(TARGET).state(0) is BreakerState.OPEN
    assert book.available_at(TARGET, 10) == 30


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome.RATE_LIMITED,
        Outcome.OUT_OF_CREDIT,
        Outcome.UNAUTHORIZED,
        Outcome.MODEL_GONE,
        Outcome.CONTEXT_EXCEEDED,
        Outcome.REFUSED,
        Outcome.CLIENT_GONE,
    ],
)
def test_what_is_no_failure_leaves_the_breaker_closed_and_gives_a_probe_back(outcome: Outcome) -> None:
    book = HealthBook()
    for _ in range(2):
        record(book, outcome)
    assert book.breaker(TARGET).state(0) is BreakerState.CLOSED
    record(book, Outcome.SERVER_ERROR)
    record(book, Outcome.SERVER_ERROR)
    assert book.breaker(TARGET).try_acquire(30)
    record(book, outcome, now=31)
    assert book.breaker(TARGET).try_acquire(31)


def test_a_client_that_leaves_an_earlier_request_does_not_give_the_probes_place_away() -> None:
    book = HealthBook()
    for _ in range(2):
        record(book, Outcome.SERVER_ERROR, now=1)
    assert book.breaker(TARGET).try_acquire(31)
    book.record(TARGET, Outcome.CLIENT_GONE, None, None, 32, began=0)
    assert not book.breaker(TARGET).try_acquire(32)
    book.record(TARGET, Outcome.CLIENT_GONE, None, None, 33, began=31)
    assert book.breaker(TARGET).try_acquire(33)


@pytest.mark.parametrize(
    ("outcome", "own_s", "siblings_s"),
    [
        (Outcome.RATE_LIMITED, 20, 0),
        (Outcome.MODEL_GONE, 600, 0),
        (Outcome.OUT_OF_CREDIT, 3600, 3600),
        (Outcome.UNAUTHORIZED, math.inf, math.inf),
        (Outcome.SERVER_ERROR, 0, 0),
        (Outcome.REFUSED, 0, 0),
        (Outcome.CONTEXT_EXCEEDED, 0, 0),
        (Outcome.CLIENT_GONE, 0, 0),
    ],
)
def test_how_long_the_target_and_its_providers_other_models_rest(
    outcome: Outcome, own_s: float, siblings_s: float
) -> None:
    book = HealthBook()
    record(book, outcome)
    assert (rest_s(book, TARGET, 0), rest_s(book, SIBLING, 0)) == (own_s, siblings_s)
    assert book.resting(STRANGER, 0) is None


def test_a_rest_has_a_reason_and_ends_by_itself() -> None:
    book = HealthBook()
    record(book, Outcome.MODEL_GONE)
    assert book.resting(TARGET, 599) == Resting(600, "model gone")
    assert (book.resting(TARGET, 600), book.available_at(TARGET, 600)) == (None, 600)


def test_a_limited_target_rests_as_long_as_it_asks() -> None:
    book = HealthBook()
    record(book, Outcome.RATE_LIMITED, 7.5)
    assert rest_s(book, TARGET, 0) == 7.5


def test_without_a_hint_the_rest_doubles_up_to_ten_minutes_and_a_success_resets_it() -> None:
    book, now, rests = HealthBook(), 0.0, []
    for _ in range(7):
        record(book, Outcome.RATE_LIMITED, now=now)
        rests.append(rest_s(book, TARGET, now))
        now += rests[-1]
    assert rests == [20, 40, 80, 160, 320, 600, 600]
    record(book, Outcome.SUCCESS, now=now)
    record(book, Outcome.RATE_LIMITED, now=now)
    assert rest_s(book, TARGET, now) == 20


def test_a_hint_of_zero_seconds_counts_as_none() -> None:
    """Else the same target would be asked again at once, until the attempts are used up."""
    book = HealthBook()
    record(book, Outcome.RATE_LIMITED, 0.0)
    assert rest_s(book, TARGET, 0) == 20


def test_many_requests_limited_at_once_count_as_one() -> None:
    book = HealthBook()
    for _ in range(2000):
        record(book, Outcome.RATE_LIMITED)
    assert rest_s(book, TARGET, 0) == 20


def test_a_shorter_rest_does_not_cut_a_longer_one() -> None:
    book = HealthBook()
    record(book, Outcome.MODEL_GONE)
    record(book, Outcome.RATE_LIMITED, 5)
    assert rest_s(book, TARGET, 0) == 600
    record(book, Outcome.UNAUTHORIZED)
    record(book, Outcome.OUT_OF_CREDIT)
    assert rest_s(book, TARGET, 0) == math.inf


def test_one_callers_bad_key_does_not_shut_the_provider_for_all_others() -> None:
    book, target = HealthBook(), target_of("openai/m", uses_caller_key=True)
    for outcome in (Outcome.UNAUTHORIZED, Outcome.OUT_OF_CREDIT):
        record(book, outcome, target=target)
    assert book.available_at(target, 0) == 0


def test_what_needs_the_owner_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    book = HealthBook()
    with caplog.at_level(logging.WARNING):
        record(book, Outcome.OUT_OF_CREDIT)
        record(book, Outcome.UNAUTHORIZED, target=STRANGER)
    assert caplog.messages == [
        "Provider one is out of credit and rests for 60 minutes.",
        "Provider two is unauthorized and rests until its settings change.",
    ]


def test_a_target_is_available_when_both_its_rest_and_its_breaker_allow() -> None:
    book = HealthBook()
    record(book, Outcome.RATE_LIMITED, 10)
    record(book, Outcome.SERVER_ERROR)
    record(book, Outcome.SERVER_ERROR)
    assert book.available_at(TARGET, 0) == 30
    record(book, Outcome.RATE_LIMITED, 50)
    assert book.available_at(TARGET, 0) == 50


def test_the_time_to_first_content_is_averaged_with_the_newest_counting_a_fifth() -> None:
    book = HealthBook()
    book.record(TARGET, Outcome.SUCCESS, None, 1.0, 0)
    assert book.first_content_s(TARGET) == 1.0
    book.record(TARGET, Outcome.SUCCESS, None, 2.0, 1)
    assert book.first_content_s(TARGET) == pytest.approx(1.2)
    record(book, Outcome.TIMED_OUT)
    assert book.first_content_s(TARGET) == pytest.approx(1.2)


def test_a_reload_keeps_what_is_known_of_targets_that_stay_and_drops_the_others() -> None:
    book, kept = HealthBook(), target_of("one/m", breaker=BreakerSettings(failure_threshold=3))
    for target in (TARGET, STRANGER):
        book.record(target, Outcome.SERVER_ERROR, None, 0.5, 0)
        record(book, Outcome.RATE_LIMITED, 100, target=target)
    book.reload([kept])
    assert (book.first_content_s(kept), rest_s(book, kept, 0)) == (0.5, 100)
    assert (book.first_content_s(STRANGER), book.resting(STRANGER, 0)) == (None, None)
    record(book, Outcome.SERVER_ERROR, target=kept)
    assert book.breaker(kept).state(0) is BreakerState.CLOSED, "the new threshold is 3"
    record(book, Outcome.SERVER_ERROR, target=kept)
    assert book.breaker(kept).state(0) is BreakerState.OPEN


def test_a_reload_ends_the_rest_for_a_wrong_key_but_not_the_one_for_lack_of_credit() -> None:
    book = HealthBook()
    record(book, Outcome.UNAUTHORIZED)
    record(book, Outcome.OUT_OF_CREDIT, target=STRANGER)
    book.reload([TARGET, STRANGER])
    assert (rest_s(book, TARGET, 0), rest_s(book, STRANGER, 0)) == (0, 3600)


def test_a_call_still_under_way_with_the_earlier_key_does_not_shut_the_provider_again() -> None:
    book, renewed = HealthBook(), target_of("one/m")
    book.reload([renewed])
    record(book, Outcome.UNAUTHORIZED, target=TARGET)
    assert book.resting(renewed, 0) is None
    record(book, Outcome.UNAUTHORIZED, target=renewed)
    assert rest_s(book, renewed, 0) == math.inf


def test_what_a_target_does_not_take_is_remembered_for_a_day() -> None:
    book, target = HealthBook(), target_of()
    assert book.unsupported(target, 0) == frozenset()
    book.learn_unsupported(target, "logprobs", 0)
    book.learn_unsupported(target, "seed", 3600)
    assert book.unsupported(target, 3600) == {"logprobs", "seed"}
    assert book.unsupported(target, 24 * 3600) == {"seed"}
    assert book.unsupported(target_of("two/m"), 3600) == frozenset()


def test_a_target_whose_limit_is_used_up_rests_until_it_returns() -> None:
    book, target = HealthBook(), target_of()
    book.note_headroom(target, None, 0)
    assert book.resting(target, 0) is None
    book.note_headroom(target, 30, 0)
    assert book.available_at(target, 0) == 30
    book.note_headroom(target, 3600, 0)
    assert book.available_at(target, 0) == 60
