"""The circuit breaker: what opens it, who may probe, and what closes it again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrouter.routing.breaker import Breaker, BreakerState, Event, transition
from llmrouter.settings.model import BreakerSettings

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
THREE_IN_A_ROW = BreakerSettings(failure_threshold=3, recovery_seconds=30, min_requests=1000)
BY_RATE = BreakerSettings(
    failure_threshold=1000, recovery_seconds=30, failure_rate=0.5, window_seconds=60, min_requests=10
)


def opened(settings: BreakerSettings = THREE_IN_A_ROW) -> Breaker:
    """A breaker that opened at the moment 0."""
    breaker = Breaker(settings)
    for _ in range(settings.failure_threshold):
        breaker.record_failure(0)
    assert breaker.state(0) is OPEN
    return breaker


@pytest.mark.parametrize(
    ("state", "event", "after"),
    [
        (CLOSED, Event.TRIPPED, OPEN),
        (OPEN, Event.RECOVERY_ELAPSED, HALF_OPEN),
        (HALF_OPEN, Event.PROBE_SUCCEEDED, CLOSED),
        (HALF_OPEN, Event.PROBE_FAILED, OPEN),
    ],
)
def test_each_legal_event_moves_the_state(state: BreakerState, event: Event, after: BreakerState) -> None:
    assert transition(state, event) is after


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (CLOSED, Event.RECOVERY_ELAPSED),
        (CLOSED, Event.PROBE_SUCCEEDED),
        (CLOSED, Event.PROBE_FAILED),
        (OPEN, Event.TRIPPED),
        (OPEN, Event.PROBE_SUCCEEDED),
        (OPEN, Event.PROBE_FAILED),
        (HALF_OPEN, Event.TRIPPED),
        (HALF_OPEN, Event.RECOVERY_ELAPSED),
    ],
)
def test_an_event_that_cannot_happen_in_a_state_is_refused(state: BreakerState, event: Event) -> None:
    with pytest.raises(ValueError, match=f"{state} cannot take '{event}'"):
        transition(state, event)


def test_a_new_breaker_lets_every_request_through() -> None:
    breaker = Breaker(THREE_IN_A_ROW)
    assert [breaker.try_acquire(0) for _ in range(5)] == [True] * 5
    assert (breaker.state(0), breaker.opens_again_in(0)) == (CLOSED, 0)


def test_failures_in_a_row_open_it_and_requests_are_turned_away() -> None:
    breaker = Breaker(THREE_IN_A_ROW)
    breaker.record_failure(1)
    breaker.record_failure(2)
    assert breaker.state(2) is CLOSED
    breaker.record_failure(3)
    assert (breaker.state(3), breaker.try_acquire(3), breaker.opens_again_in(13)) == (OPEN, False, 20)


def test_a_success_ends_the_row() -> None:
    breaker = Breaker(THREE_IN_A_ROW)
    for failed in (True, True, False, True, True):
        (breaker.record_failure if failed else breaker.record_success)(0)
    assert breaker.state(0) is CLOSED


def test_successes_in_the_middle_of_a_burst_do_not_hide_the_rate() -> None:
    breaker = Breaker(BY_RATE)
    for at in range(9):
        (breaker.record_success if at % 3 == 2 else breaker.record_failure)(at)
    assert breaker.state(9) is CLOSED, "below min_requests"
    breaker.record_failure(9)
    assert breaker.state(9) is OPEN


def test_a_success_that_completes_the_window_opens_it_too() -> None:
    breaker = Breaker(BY_RATE)
    for _ in range(9):
        breaker.record_failure(0)
    breaker.record_success(0)
    assert breaker.state(0) is OPEN


def test_failures_older_than_the_window_do_not_count() -> None:
    breaker = Breaker(BY_RATE)
    for _ in range(9):
        breaker.record_failure(0)
    for _ in range(9):
        breaker.record_failure(61)
    assert breaker.state(61) is CLOSED


def test_a_rate_below_the_limit_leaves_it_closed() -> None:
    breaker = Breaker(BY_RATE)
    for at in range(100):
        (breaker.record_failure if at % 5 in (2, 3) else breaker.record_success)(at / 10)
    assert breaker.state(10) is CLOSED


def test_after_the_recovery_time_one_request_probes_and_the_others_wait() -> None:
    breaker = opened()
    assert (breaker.state(30), breaker.opens_again_in(30)) == (HALF_OPEN, 0)
    assert [breaker.try_acquire(30) for _ in range(3)] == [True, False, False]
    assert breaker.opens_again_in(31) == 1, "the verdict may come at any moment, so whoever waits looks again soon"


def test_a_probe_that_succeeds_closes_it_and_forgets_the_burst() -> None:
    breaker = opened()
    breaker.try_acquire(30)
    breaker.record_success(31)
    assert breaker.state(31) is CLOSED
    breaker.record_failure(32)
    assert breaker.state(32) is CLOSED


def test_each_probe_that_fails_doubles_the_recovery_time_up_to_sixteen_times() -> None:
    breaker, now, waits = opened(), 0.0, []
    for _ in range(6):
        now += breaker.opens_again_in(now)
        assert breaker.try_acquire(now)
        breaker.record_failure(now)
        waits.append(breaker.opens_again_in(now))
    assert waits == [60, 120, 240, 480, 480, 480]
    now += 480
    breaker.try_acquire(now)
    breaker.record_success(now)
    for _ in range(3):
        breaker.record_failure(now)
    assert breaker.opens_again_in(now) == 30, "a success resets it"


def test_a_probe_without_a_verdict_gives_its_place_back() -> None:
    breaker = opened()
    breaker.try_acquire(30)
    breaker.release(31)
    assert (breaker.state(31), breaker.opens_again_in(31), breaker.try_acquire(31)) == (HALF_OPEN, 0, True)


def test_a_probe_whose_end_is_never_told_does_not_shut_the_target_out_for_good() -> None:
    breaker = opened()
    breaker.try_acquire(30)
    assert (breaker.try_acquire(629), breaker.opens_again_in(629.5)) == (False, 0.5)
    assert breaker.try_acquire(630)


def test_verdicts_of_requests_that_began_earlier_do_not_move_an_open_breaker() -> None:
    breaker = opened()
    breaker.record_success(5)
    breaker.record_failure(6)
    assert (breaker.state(6), breaker.opens_again_in(6)) == (OPEN, 24)


@pytest.mark.parametrize("verdict", ["record_success", "record_failure", "release"])
def test_a_request_from_before_the_probe_neither_takes_its_place_nor_speaks_for_it(verdict: str) -> None:
    """Many requests are under way when a breaker opens; their ends come in long after it has opened."""
    breaker = opened()
    assert breaker.try_acquire(30)
    getattr(breaker, verdict)(31, began=-1)
    assert (breaker.state(31), breaker.try_acquire(31)) == (HALF_OPEN, False)
    breaker.record_success(32, began=30)
    assert breaker.state(32) is CLOSED


def test_late_failures_from_before_the_probe_do_not_open_it_again() -> None:
    breaker = opened()
    breaker.try_acquire(30)
    breaker.record_success(31, began=30)
    for _ in range(10):
        breaker.record_failure(32, began=-1)
    assert breaker.state(32) is CLOSED
    for _ in range(3):
        breaker.record_failure(33, began=31)
    assert breaker.state(33) is OPEN


def test_a_probe_given_up_as_lost_does_not_speak_for_the_next_one() -> None:
    breaker = opened()
    assert breaker.try_acquire(30)
    assert breaker.try_acquire(630)
    breaker.record_failure(640, began=30)
    breaker.record_success(641, began=630)
    assert breaker.state(641) is CLOSED


def test_reset_closes_it_and_forgets_everything() -> None:
    breaker = opened()
    breaker.reset()
    breaker.record_failure(1)
    assert (breaker.state(1), breaker.try_acquire(1)) == (CLOSED, True)


def test_other_settings_keep_the_memory() -> None:
    breaker = Breaker(THREE_IN_A_ROW)
    breaker.record_failure(0)
    breaker.adopt(THREE_IN_A_ROW.model_copy(update={"failure_threshold": 2}))
    breaker.record_failure(1)
    assert breaker.state(1) is OPEN
    breaker.adopt(THREE_IN_A_ROW.model_copy(update={"recovery_seconds": 5}))
    assert breaker.opens_again_in(1) == 5


def test_memory_is_bounded_however_many_requests_there_are() -> None:
    breaker = Breaker(BY_RATE)
    for at in range(10_000):
        breaker.record_success(at / 10)
    assert len(breaker._window._buckets) <= 11


steps = st.lists(
    st.tuples(st.sampled_from(["acquire", "success", "failure", "release"]), st.floats(0, 40)), max_size=120
)


@given(steps)
def test_at_most_one_probe_is_under_way_and_the_announced_wait_is_the_truth(steps: list[tuple[str, float]]) -> None:
    """A request is admitted just when the announced wait is 0; in half-open only while no other probe runs."""
    breaker = Breaker(BreakerSettings(failure_threshold=2, recovery_seconds=10, window_seconds=30, min_requests=4))
    now, probes = 0.0, 0
    for action, later in steps:
        # All steps together stay below the ten minutes after which a lost probe is given up.
        now += min(later, 4.9)
        before, wait = breaker.state(now), breaker.opens_again_in(now)
        assert (wait == 0) == ((before is CLOSED) or (before is HALF_OPEN and probes == 0))
        if action == "acquire":
            admitted = breaker.try_acquire(now)
            assert admitted == (wait == 0)
            probes += admitted and before is HALF_OPEN
        else:
            {"success": breaker.record_success, "failure": breaker.record_failure, "release": breaker.release}[action](
                now
            )
            probes = 0
        assert probes <= 1


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 12), st.floats(0.05, 1))
def test_it_is_never_closed_with_a_rate_over_the_limit(verdicts: list[bool], least: int, rate: float) -> None:
    """Once the window has enough requests, whatever their order."""
    breaker = Breaker(BreakerSettings(failure_threshold=1000, failure_rate=rate, min_requests=least))
    failures = 0
    for requests, failed in enumerate(verdicts, start=1):
        (breaker.record_failure if failed else breaker.record_success)(requests / 100)
        failures += failed
        is_over = requests >= least and failures / requests >= rate
        assert (breaker.state(requests / 100) is OPEN) == is_over
        if is_over:
            return


@given(
    st.integers(3, 8),
    st.lists(
        st.tuples(st.sampled_from(["begin", "begin", "success", "failure", "release"]), st.integers(0, 3)), max_size=40
    ),
)
def test_at_most_one_probe_is_under_way_among_requests_that_end_in_any_order(
    crowd: int, steps: list[tuple[str, int]]
) -> None:
    """A crowd of requests is under way when two of them open the breaker; each ends once, however late."""
    breaker = Breaker(BreakerSettings(failure_threshold=2, recovery_seconds=1, window_seconds=30, min_requests=100))
    running = [(0, False)] * crowd
    for now, (action, which) in enumerate([("failure", 0), ("failure", 0), *steps], start=1):
        if action == "begin":
            is_probe = breaker.state(now) is not CLOSED
            if breaker.try_acquire(now):
                running.append((now, is_probe))
        elif running:
            began, _ = running.pop(which % len(running))
            verdicts = {"success": breaker.record_success, "failure": breaker.record_failure}
            verdicts.get(action, breaker.release)(now, began)
        assert sum(is_probe for _, is_probe in running) <= 1


def restarted(breaker: Breaker, now: float, away_s: float, row: dict[str, float] | None = None) -> Breaker:
    """The breaker of the next run, whose clock begins at 1000."""
    fresh = Breaker(THREE_IN_A_ROW)
    fresh.restore(breaker.to_row(now) if row is None else row, away_s, 1000)
    return fresh


def test_a_restart_forgets_neither_that_it_is_half_open_nor_how_long_it_rests_by_now() -> None:
    breaker = opened()
    for probed_at in (30, 90):
        assert breaker.try_acquire(probed_at)
        breaker.record_failure(probed_at)
    fresh = restarted(breaker, 100, 10)
    assert (fresh.state(1000), fresh.opens_again_in(1000)) == (OPEN, 100)
    assert fresh.state(1100) is HALF_OPEN
    assert fresh.try_acquire(1100)
    assert not fresh.try_acquire(1100), "one probe at a time"
    fresh.record_failure(1100)
    assert fresh.opens_again_in(1100) == 240, "it went on growing"


@pytest.mark.parametrize("is_probed", [False, True])
def test_one_that_was_half_open_lets_one_probe_through_after_a_restart(is_probed: bool) -> None:
    breaker = opened()
    if is_probed:
        assert breaker.try_acquire(40)
    fresh = restarted(breaker, 41, 5)
    assert fresh.state(1000) is HALF_OPEN
    assert [fresh.try_acquire(1000), fresh.try_acquire(1000)] == [True, False]
    fresh.record_failure(1001)
    assert fresh.opens_again_in(1001) == 60


def test_a_closed_one_has_nothing_to_keep_and_an_old_one_is_forgotten() -> None:
    assert Breaker(THREE_IN_A_ROW).to_row(0) == {}
    assert restarted(opened(), 0, 3629).state(1000) is HALF_OPEN
    assert restarted(opened(), 0, 3631).state(1000) is CLOSED


@pytest.mark.parametrize(
    "row", [{"opens_again_in_s": float("nan")}, {"opens_again_in_s": 1, "recovery_s": float("inf")}]
)
def test_a_row_that_makes_no_sense_is_refused(row: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="no breaker opens so"):
        restarted(opened(), 0, 0, row)


@pytest.mark.parametrize(("told_s", "rests_s"), [(1.0, 30), (1e9, 480)])
def test_a_rest_is_never_shorter_or_longer_than_the_settings_allow(told_s: float, rests_s: float) -> None:
    fresh = restarted(opened(), 0, 0, {"opens_again_in_s": 0.0, "recovery_s": told_s})
    assert fresh.try_acquire(1000)
    fresh.record_failure(1000)
    assert fresh.opens_again_in(1000) == min(rests_s * 2, 480)
