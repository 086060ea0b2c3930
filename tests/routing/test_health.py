"""What is remembered between calls: rests, breakers, and the time to the first content."""

import json
import logging
import math
from typing import Any

import pytest

from llmrouter.errors import Outcome
from llmrouter.routing.breaker import BreakerState
from llmrouter.routing.health import HealthBook, Resting
from llmrouter.routing.vitals import UNKNOWN, Answered, Figures
from llmrouter.settings.model import BreakerSettings
from llmrouter.targets import Target
from tests.routing.samples import BRANDS, target_of

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
    assert (book.available_at(TARGET, 5), book.figures(TARGET, 5)) == (5, UNKNOWN)


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


def test_who_is_reset_may_be_asked_at_once() -> None:
    book = HealthBook()
    for _ in range(2):
        record(book, Outcome.SERVER_ERROR)
    record(book, Outcome.RATE_LIMITED, wait_s=60)
    book.record(SIBLING, Outcome.UNAUTHORIZED, None, None, 0.0)
    book.record(STRANGER, Outcome.RATE_LIMITED, 60, None, 0.0)

    book.reset([TARGET])

    assert book.available_at(TARGET, 0.0) == 0.0
    assert book.breaker(TARGET).state(0.0) is BreakerState.CLOSED
    assert book.resting(STRANGER, 0.0) is not None


def test_a_disabled_provider_rests_until_it_is_enabled_whatever_happens_meanwhile() -> None:
    book = HealthBook()
    book.disable("one")

    book.reset([TARGET])
    book.reload([TARGET, STRANGER])
    book.record(TARGET, Outcome.SUCCESS, None, None, 0.0)

    assert book.resting(SIBLING, 1e9) == Resting(math.inf, "disabled by the owner")
    assert book.has_resting_providers(1e9)
    assert book.resting(STRANGER, 0.0) is None
    book.enable("one")
    assert book.resting(TARGET, 0.0) is None


def test_how_fast_and_how_often_is_known_by_observations_that_lose_half_their_weight_in_ten_minutes() -> None:
    book = HealthBook()
    book.record(TARGET, Outcome.SUCCESS, None, Answered(1.0, 3.0, 100, is_stream=True), 0)
    assert book.figures(TARGET, 0) == Figures(1.0, None, 50.0, 0.0, 0.0, 1.0)
    book.record(TARGET, Outcome.SUCCESS, None, Answered(4.0, 5.0, 100, is_stream=True), 600)
    record(book, Outcome.TIMED_OUT, now=600)
    figures = book.figures(TARGET, 600)
    assert figures.first_content_s == pytest.approx((1.0 / 2 + 4.0) / 1.5)
    assert figures.tokens_per_s == pytest.approx((50 / 2 + 100) / 1.5)
    assert figures.error_rate == pytest.approx(1 / 2.5)


def test_whole_answers_and_streams_are_timed_apart() -> None:
    """A whole answer has no first content before its end; what is known of the other kind is better than nothing."""
    book = HealthBook()
    book.record(TARGET, Outcome.SUCCESS, None, Answered(9.0, 9.0, 500, is_stream=False), 0)
    assert book.figures(TARGET, 0).latency_s(is_stream=True) == 9.0
    book.record(TARGET, Outcome.SUCCESS, None, Answered(0.5, 9.0, 500, is_stream=True), 0)
    figures = book.figures(TARGET, 0)
    assert [figures.latency_s(is_stream=kind) for kind in (True, False)] == [0.5, 9.0]
    assert figures.tokens_per_s == pytest.approx(500 / 8.5)


def test_a_few_tokens_tell_no_speed() -> None:
    book = HealthBook()
    book.record(TARGET, Outcome.SUCCESS, None, Answered(0.5, 0.6, 19, is_stream=True), 0)
    book.record(TARGET, Outcome.SUCCESS, None, Answered(0.5, 0.51, 500, is_stream=True), 0)
    assert book.figures(TARGET, 0).tokens_per_s is None


def test_limits_are_counted_apart_from_failures() -> None:
    book = HealthBook()
    record(book, Outcome.RATE_LIMITED)
    book.record(TARGET, Outcome.SUCCESS, None, None, 0)
    assert (book.figures(TARGET, 0).error_rate, book.figures(TARGET, 0).limited_rate) == (0.0, 0.5)


def test_after_an_hour_without_a_call_nothing_is_known() -> None:
    book = HealthBook()
    book.record(TARGET, Outcome.SUCCESS, None, Answered(1.0, 3.0, 100, is_stream=True), 0)
    assert book.figures(TARGET, 3600).first_content_s == 1.0
    assert book.figures(TARGET, 3601) == UNKNOWN


def restarted(book: HealthBook, now: float, age_s: float) -> HealthBook:
    """The book of a router that starts `age_s` seconds later, when its own clock shows 1000."""
    rows = json.loads(json.dumps(book.snapshot(now), allow_nan=False))
    fresh = HealthBook()
    fresh.restore(((name, age_s, row) for name, row in rows), [TARGET, SIBLING], 1000)
    return fresh


def test_what_is_known_outlasts_a_restart_and_goes_on_ageing() -> None:
    book = HealthBook()
    book.record(TARGET, Outcome.SUCCESS, None, Answered(1.0, 3.0, 100, is_stream=True), 0)
    record(book, Outcome.RATE_LIMITED, 100)
    book.learn_unsupported(SIBLING, "logprobs", 0)
    for _ in range(2):
        record(book, Outcome.SERVER_ERROR, target=SIBLING)

    fresh = restarted(book, 10, 20)
    assert fresh.figures(TARGET, 1000).first_content_s == 1.0
    assert fresh.figures(TARGET, 1000 + 3571) == UNKNOWN
    assert rest_s(fresh, TARGET, 1000) == 70, "of its rest ten seconds were over, and twenty went by"
    assert fresh.unsupported(SIBLING, 1000) == {"logprobs"}
    assert fresh.unsupported(SIBLING, 1000 + 24 * 3600) == frozenset()


def test_an_open_breaker_stays_open_over_a_restart() -> None:
    book = HealthBook()
    for _ in range(2):
        record(book, Outcome.SERVER_ERROR)
    fresh = restarted(book, 10, 5)
    assert fresh.breaker(TARGET).state(1000) is BreakerState.OPEN
    assert fresh.available_at(TARGET, 1000) == 1015
    assert fresh.breaker(TARGET).try_acquire(1015)


@pytest.mark.parametrize("outcome", [Outcome.UNAUTHORIZED, Outcome.OUT_OF_CREDIT])
def test_who_corrects_a_key_or_pays_may_start_the_router_again(outcome: Outcome) -> None:
    book = HealthBook()
    record(book, outcome)
    assert restarted(book, 0, 1).resting(TARGET, 1000) is None


@pytest.mark.parametrize(
    "row",
    [
        {"vitals": {"error_rate": [1, "x", 2]}},
        {"vitals": {"error_rate": [1]}},
        {"vitals": {"error_rate": [-1, 0, 0]}},
        {"vitals": 3},
        {"rests_s": "soon"},
        {"unsupported": ["logprobs"]},
        {"opens_again_in_s": {}},
    ],
)
def test_rows_that_make_no_sense_are_left_out_and_told(row: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    book = HealthBook()
    book.restore([("one/m", 0, row), ("gone/m", 0, row)], [TARGET], 1000)
    assert book.resting(TARGET, 1000) is None
    assert [record.message[:30] for record in caplog.records] == ["What was known of one/m is not"]


def test_what_mocks_do_is_not_kept() -> None:
    book, mock = HealthBook(), target_of("mock/echo", brand=BRANDS["echo"])
    book.reload([mock])
    record(book, Outcome.SERVER_ERROR, target=mock)
    assert book.snapshot(0) == []


def test_a_good_sign_from_elsewhere_lets_a_probe_through() -> None:
    """A list of models that can be had again shortens the wait; the call that follows has the last word."""
    book = HealthBook()
    for _ in range(2):
        record(book, Outcome.UNREACHABLE)
    book.let_probe(TARGET, 1)
    assert book.breaker(TARGET).state(1) is BreakerState.HALF_OPEN
    assert book.breaker(TARGET).try_acquire(1)
    assert not book.breaker(TARGET).try_acquire(1)
    record(book, Outcome.UNREACHABLE, now=1)
    book.let_probe(TARGET, 2)
    assert book.breaker(TARGET).state(2) is BreakerState.OPEN, "the sign was wrong once"


def test_a_reload_keeps_what_is_known_of_targets_that_stay_and_drops_the_others() -> None:
    book, kept = HealthBook(), target_of("one/m", breaker=BreakerSettings(failure_threshold=3))
    for target in (TARGET, STRANGER):
        book.record(target, Outcome.SERVER_ERROR, None, None, 0)
        record(book, Outcome.RATE_LIMITED, 100, target=target)
    book.reload([kept])
    assert (book.figures(kept, 0).error_rate, rest_s(book, kept, 0)) == (1.0, 100)
    assert (book.figures(STRANGER, 0), book.resting(STRANGER, 0)) == (UNKNOWN, None)
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


def test_names_that_clients_make_up_are_not_remembered_without_end() -> None:
    book, target = HealthBook(), target_of("one/m")
    for number in range(300):
        book.learn_unsupported(target, f"made_up_{number}", 0)
    book.learn_unsupported(target, "x" * 1000, 0)
    assert len(book.unsupported(target, 1)) == 64
