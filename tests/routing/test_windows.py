"""Counters of minutes, days, months and places, and the provider's own word."""

from datetime import UTC, datetime

import pytest

from llmrouter.routing.windows import Period, SlidingMinute, Slots, Statement


def wall_of(*moment: int) -> float:
    return datetime(*moment, tzinfo=UTC).timestamp()  # type: ignore[arg-type, misc]  # only numbers of a date are given


def test_a_minute_forgets_after_a_minute_and_the_time_to_travel() -> None:
    window = SlidingMinute()
    window.add(5, 100.0)
    assert window.used(160.9) == 5
    assert window.used(161.0) == 0


def test_what_comes_together_leaves_with_the_last_of_it() -> None:
    window = SlidingMinute()
    for at in (100.0, 100.4, 100.6):
        window.add(1, at)
    assert window.used(161.39) == 3
    assert window.used(161.4) == 1
    assert window.used(161.6) == 0


@pytest.mark.parametrize(("excess", "wait_s"), [(1, 41.0), (2, 41.0), (3, 51.0), (5, 112.0), (15, 173.0)])
def test_when_so_much_will_have_left(excess: int, wait_s: float) -> None:
    """Beyond what counts now, further minutes of the limit come and go."""
    window = SlidingMinute()
    window.add(2, 100.0)
    window.add(2, 110.0)
    assert window.frees_in_s(excess, 10, 120.0) == pytest.approx(wait_s)


def test_an_entry_is_corrected_only_while_it_counts() -> None:
    window = SlidingMinute()
    entry = window.add(5, 100.0)
    window.change(entry, -3)
    assert window.used(100.0) == 2
    assert window.used(200.0) == 0
    window.change(entry, 7)
    assert window.used(200.0) == 0


def test_a_clock_that_stands_still_or_steps_back_loses_nothing() -> None:
    window = SlidingMinute()
    window.add(1, 100.0)
    window.add(1, 99.0)
    assert window.used(99.0) == 2


@pytest.mark.parametrize(
    ("is_month", "before", "name", "after", "next_name"),
    [
        (False, (2026, 11, 23, 23, 59, 59), "2026-11-23", (2026, 11, 24), "2026-11-24"),
        (False, (2026, 12, 31, 23), "2026-12-31", (2027, 1, 1), "2027-01-01"),
        (True, (2026, 11, 30, 23, 59, 59), "2026-11", (2026, 12, 1), "2026-12"),
        (True, (2026, 12, 31, 23, 59, 59), "2026-12", (2027, 1, 1), "2027-01"),
        (True, (2028, 2, 29, 12), "2028-02", (2028, 3, 1), "2028-03"),
    ],
)
def test_days_and_months_end_at_midnight_utc(
    is_month: bool, before: tuple[int, ...], name: str, after: tuple[int, ...], next_name: str
) -> None:
    period = Period(is_month=is_month)
    period.roll(wall_of(*before))
    period.add((1, 2, 3))
    assert (period.name, period.used, period.ends) == (name, [1, 2, 3], wall_of(*after))

    period.roll(wall_of(*after))
    assert (period.name, period.used) == (next_name, [0, 0, 0])


@pytest.mark.parametrize(("back_to", "name"), [((2026, 11, 23, 23, 30), "2026-11-24"), ((2025, 1, 5), "2025-01-05")])
def test_a_clock_that_is_set_back_keeps_the_counts(back_to: tuple[int, ...], name: str) -> None:
    """By a little, the day stays; by much, the clock was wrong before, and the day must still end some time."""
    period = Period(is_month=False)
    period.roll(wall_of(2026, 11, 24))
    period.add((1, 0, 0))
    period.roll(wall_of(*back_to))
    assert (period.name, period.used) == (name, [1, 0, 0])


def test_a_clock_that_was_wrong_for_a_while_loses_no_counts() -> None:
    """Neither one that jumped ahead and came back, nor one that fell far behind."""
    for wrong in ((2027, 1, 2), (2026, 10, 20)):
        for is_month in (False, True):
            period = Period(is_month=is_month)
            period.roll(wall_of(2026, 11, 23, 12))
            period.add((5, 50, 500))
            name = period.name
            period.roll(wall_of(*wrong))
            period.add((1, 10, 100))
            period.roll(wall_of(2026, 11, 23, 12, 1))
            assert (period.name, period.used) == (name, [6, 60, 600])
            period.roll(wall_of(2026, 12, 24))
            assert period.used == [0, 0, 0]


def test_places_are_given_back_once_and_after_their_lease() -> None:
    slots = Slots(lease_s=100)
    slots.take(1, 0.0)
    slots.take(2, 50.0)
    slots.free(2)
    slots.free(2)
    assert slots.used(99.0) == 1
    assert slots.used(100.0) == 0
    slots.free(1)
    assert slots.used(100.0) == 0


def test_the_wait_for_a_place_is_learned() -> None:
    slots = Slots(lease_s=100)
    assert slots.frees_in_s(1, 2) == 0.5
    slots.learn(10.0)
    assert slots.frees_in_s(1, 2) == 5.0
    slots.learn(20.0)
    assert slots.frees_in_s(2, 2) == 12.0


def test_what_the_provider_said_holds_for_a_minute_less_what_was_sent_since() -> None:
    said = Statement()
    assert said.left(0, 0.0) is None
    said.learn(1, (5, None), None, 10.0)
    said.take((2, 100, 0))
    assert (said.left(0, 69.9), said.left(1, 69.9), said.left(0, 70.0)) == (3, None, None)


def test_a_limit_that_is_used_up_holds_until_it_returns() -> None:
    said = Statement()
    said.learn(1, (0, 7), 300.0, 10.0)
    assert (said.left(0, 309.0), said.left(0, 310.0), said.left(1, 71.0)) == (0, None, None)


@pytest.mark.parametrize(("number", "value", "left"), [(4, 9, 5), (4, 2, 2), (6, 9, 9), (6, 2, 2)])
def test_the_word_on_the_later_request_counts_and_the_lower_of_an_earlier_one(
    number: int, value: int, left: int
) -> None:
    said = Statement()
    said.learn(5, (5, None), None, 10.0)
    said.learn(number, (value, None), None, 11.0)
    assert said.left(0, 12.0) == left


def test_a_request_that_was_not_sent_after_the_word_is_left_again() -> None:
    said = Statement()
    said.learn(5, (5, 50), None, 10.0)
    said.take((1, 20, 0))
    said.take_back(6, (1, 20, 0))
    said.take_back(4, (1, 20, 0))
    assert (said.left(0, 11.0), said.left(1, 11.0)) == (5, 50)
