"""Quotas: never above a limit, waits in the order of arrival, and refunds that leave no trace."""

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrouter.errors import Outcome
from llmrouter.replies import Usage
from llmrouter.routing.allowances import limits_of
from llmrouter.routing.quotas import Ask, QuotaBook, QuotaState, QuotaVerdict, Reservation
from llmrouter.routing.waiting import LONGEST_LINE, Ticket
from llmrouter.settings.model import LimitSettings
from tests.routing.samples import echo, settings_of, target_of

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
MIDNIGHT = NOON + 12 * 3600
MODEL, OTHER = target_of("groq/llama"), target_of("groq/qwen")
ASK = Ask(tokens=100, usd=0.01)
FREE, WAIT, USED_UP, NEVER = QuotaState


class Desk:
    """A book over two models of one provider, and its clock: monotonic seconds from 0, noon on the wall."""

    def __init__(self, provider: dict[str, Any] | None = None, **model: Any) -> None:
        self.book = QuotaBook()
        self.reload(provider, **model)

    def reload(self, provider: dict[str, Any] | None = None, **model: Any) -> None:
        limits = {"groq": LimitSettings(**(provider or {})), "groq/llama": LimitSettings(**model)}
        self.book.reload([MODEL, OTHER], limits)

    def check(self, at: float = 0.0, ask: Ask = ASK, ticket: Ticket | None = None, target: Any = MODEL) -> QuotaVerdict:
        return self.book.check(target, ask, at, NOON + at, ticket)

    def reserve(
        self, at: float = 0.0, ask: Ask = ASK, ticket: Ticket | None = None, target: Any = MODEL
    ) -> Reservation:
        return self.book.reserve(target, ask, at, NOON + at, ticket)

    def join(self, at: float = 0.0, ask: Ask = ASK, target: Any = MODEL) -> Ticket:
        ticket = self.book.join(target, ask, at, NOON + at, self.book.arrive())
        assert ticket is not None
        return ticket

    def settle(self, at: float) -> None:
        """A request that is over at once, and used what it asked for."""
        self.book.settle(self.reserve(at), Usage(60, 40), 0.0, at)

    def room(self, at: float = 0.0) -> tuple[int, int, int] | None:
        return self.book.room(MODEL, at, NOON + at)


@pytest.mark.parametrize(
    ("limits", "taken", "ask", "verdict"),
    [
        ({"rpm": 1}, 1, ASK, (USED_UP, 51.0, "its 1 request a minute is used up for 51 s more")),
        ({"rpm": 2}, 2, ASK, (USED_UP, 51.0, "its 2 requests a minute are used up for 51 s more")),
        ({"rpm": 1, "max_wait_seconds": 60}, 1, ASK, (WAIT, 51.0, "its 1 request a minute is used up for 51 s more")),
        (
            {"tpm": 250},
            2,
            ASK,
            (USED_UP, 51.0, "its 250 tokens a minute leave no room for about 100 tokens more for 51 s more"),
        ),
        (
            {"tpm": 99},
            0,
            ASK,
            (NEVER, math.inf, "its 99 tokens a minute are less than the 100 tokens that it would take"),
        ),
        ({"rpd": 1}, 1, ASK, (USED_UP, 43190.0, "its 1 request a day is used up until the day ends at 00:00 UTC")),
        (
            {"tpd": 150},
            1,
            ASK,
            (
                USED_UP,
                43190.0,
                "its 150 tokens a day leave no room for about 100 tokens more until the day ends at 00:00 UTC",
            ),
        ),
        (
            {"usd_per_day": 0.015},
            1,
            ASK,
            (USED_UP, 43190.0, "its $0.015 a day leaves no room for about $0.01 more until the day ends at 00:00 UTC"),
        ),
        (
            {"usd_per_month": 0.015},
            1,
            ASK,
            (
                USED_UP,
                (7 * 24 + 12) * 3600 - 10.0,
                "its $0.015 a month leaves no room for about $0.01 more until the month ends at 00:00 UTC",
            ),
        ),
        (
            {"usd_per_day": 0.005},
            0,
            ASK,
            (NEVER, math.inf, "its $0.005 a day is less than the $0.01 that it would take"),
        ),
        (
            {"usd_per_day": 5.0},
            0,
            Ask(1, None),
            (NEVER, math.inf, "its price is not known, so that its $5 a day could not be kept"),
        ),
        ({"usd_per_day": 0.0}, 0, Ask(1, 0.0), (FREE, 0.0, "")),
        ({"rpm": 1}, 0, Ask(1, None), (FREE, 0.0, "")),
        ({"concurrency": 2}, 2, ASK, (USED_UP, 0.5, "its 2 requests at a time are under way, about 1 s more")),
        (
            {"concurrency": 2, "max_wait_seconds": 1},
            2,
            ASK,
            (WAIT, 0.5, "its 2 requests at a time are under way, about 1 s more"),
        ),
    ],
)
def test_verdicts(limits: dict[str, Any], taken: int, ask: Ask, verdict: tuple[QuotaState, float, str]) -> None:
    """Each limit, ten seconds after so many requests."""
    desk = Desk(**limits)
    for _ in range(taken):
        assert desk.check().state is FREE
        desk.reserve()
    told = desk.check(10.0, ask)
    assert (told.state, told.reason) == (verdict[0], verdict[2])
    assert told.wait_s == pytest.approx(verdict[1])


def test_the_longest_wait_is_told() -> None:
    desk = Desk(rpm=1, rpd=1, concurrency=1)
    desk.reserve()
    assert "a day" in desk.check(1.0).reason


def test_no_limits_no_quota() -> None:
    desk = Desk(max_wait_seconds=5)
    reservation = desk.reserve()
    desk.book.settle(reservation, Usage(1, 1), 0.1, 1.0)
    assert desk.check() == (FREE, 0.0, "")
    assert desk.room() is None
    assert desk.book.join(MODEL, ASK, 0.0, NOON, 1) is None
    assert desk.book.snapshot() == []


def test_a_providers_limit_holds_for_all_its_models_together_and_a_models_for_itself() -> None:
    desk = Desk({"rpm": 2}, rpm=1)
    desk.reserve()
    assert desk.check().reason.startswith("its 1 request a minute")
    assert desk.check(target=OTHER).state is FREE
    desk.reserve(target=OTHER)
    assert desk.check(target=OTHER).reason == "groq's 2 requests a minute are used up for 61 s more"


def test_a_models_own_patience_comes_before_its_providers() -> None:
    desk = Desk({"rpm": 1, "max_wait_seconds": 100}, max_wait_seconds=1)
    desk.reserve()
    assert desk.check().state is USED_UP
    assert desk.check(target=OTHER).state is WAIT


def test_days_and_months_end_while_minutes_go_on() -> None:
    desk = Desk(rpd=1, usd_per_month=0.015)
    desk.reserve()
    assert "a month" in desk.check(MIDNIGHT - NOON).reason
    assert desk.check(7.5 * 24 * 3600).state is FREE


def test_settling_counts_what_was_used() -> None:
    desk = Desk(tpm=1000, tpd=1000, usd_per_day=1.0, rpm=10, rpd=10)
    reservation = desk.reserve(ask=Ask(500, 0.5))
    assert desk.room() == (9, 500, 500_000_000)
    desk.book.settle(reservation, Usage(100, 20), 0.1, 3.0)
    assert desk.room(3.0) == (9, 880, 900_000_000)


def test_more_than_was_reserved_is_counted_too() -> None:
    desk = Desk(tpm=1000)
    desk.book.settle(desk.reserve(), Usage(1000, 200), None, 3.0)
    assert desk.room(3.0) == (2**62, -200, 2**62)
    assert desk.check(3.0, Ask(0, None)).state is USED_UP


def test_what_an_end_changes_counts_at_once() -> None:
    desk = Desk(tpm=1000, concurrency=2)
    more, less = desk.reserve(), desk.reserve()
    assert desk.check().state is USED_UP
    desk.book.settle(less, Usage(0, 0), None, 0.0)
    assert desk.check().state is FREE
    desk.book.settle(more, Usage(950, 0), None, 0.0)
    assert desk.check().state is USED_UP


def test_what_is_not_known_stays_as_it_was_reserved() -> None:
    desk = Desk(tpm=1000, usd_per_day=1.0, rpm=10)
    desk.book.settle(desk.reserve(ask=Ask(500, 0.5)), None, None, 3.0)
    assert desk.room(3.0) == (9, 500, 500_000_000)


def test_a_request_belongs_to_the_day_and_minute_in_which_it_began() -> None:
    desk = Desk(tpm=1000, tpd=1000)
    night = MIDNIGHT - NOON
    reservation = desk.reserve(night - 100)
    assert desk.check(night).state is FREE
    desk.book.settle(reservation, Usage(400, 400), None, night + 1)
    assert desk.room(night + 1) == (2**62, 1000, 2**62)


@pytest.mark.parametrize("times", [1, 2])
def test_a_place_is_given_back_exactly_once(times: int) -> None:
    desk = Desk(concurrency=2)
    first, _ = desk.reserve(), desk.reserve()
    for _ in range(times):
        desk.book.settle(first, None, None, 1.0)
        desk.book.refund(first)
    desk.reserve(2.0)
    assert desk.check(2.0).state is USED_UP


def test_a_place_is_waited_for_however_fast_they_return() -> None:
    desk = Desk(concurrency=1)
    desk.book.settle(desk.reserve(), None, None, 0.0)
    desk.reserve()
    assert (desk.check().state, desk.check().wait_s) == (USED_UP, 0.05)


def test_a_place_whose_end_is_never_told_returns_after_the_time_limit() -> None:
    desk = Desk(concurrency=1)
    desk.reserve()
    assert desk.check(359.0).state is USED_UP
    assert desk.check(360.0).state is FREE


def test_an_attempt_ends_once() -> None:
    desk = Desk(rpm=10, tpm=1000)
    settled, refunded = desk.reserve(), desk.reserve()
    desk.book.settle(settled, Usage(5, 5), None, 1.0)
    desk.book.refund(settled)
    desk.book.refund(refunded)
    desk.book.settle(refunded, Usage(5, 5), None, 1.0)
    assert desk.room(1.0) == (9, 990, 2**62)


NOTHING, REQUEST, RESERVED = (10, 1000, 10**9), (9, 1000, 10**9), (9, 900, 990_000_000)


@pytest.mark.parametrize(
    ("outcome", "room"),
    [
        (Outcome.NOT_TRANSLATABLE, NOTHING),
        (Outcome.UNREACHABLE, NOTHING),
        (Outcome.SERVER_ERROR, REQUEST),
        (Outcome.RATE_LIMITED, REQUEST),
        (Outcome.OUT_OF_CREDIT, REQUEST),
        (Outcome.UNAUTHORIZED, REQUEST),
        (Outcome.MODEL_GONE, REQUEST),
        (Outcome.CONTEXT_EXCEEDED, REQUEST),
        (Outcome.UNSUPPORTED, REQUEST),
        (Outcome.REFUSED, REQUEST),
        (Outcome.SUCCESS, RESERVED),
        (Outcome.TIMED_OUT, RESERVED),
        (Outcome.BAD_REPLY, RESERVED),
        (Outcome.BROKEN_STREAM, RESERVED),
        (Outcome.CLIENT_GONE, RESERVED),
    ],
)
def test_what_an_attempt_counts_without_a_usage(outcome: Outcome, room: tuple[int, int, int]) -> None:
    desk = Desk(rpm=10, tpm=1000, usd_per_day=1.0, concurrency=10)
    desk.book.conclude(desk.reserve(), outcome, None, None, 1.0)
    assert desk.room(1.0) == room


def test_a_broken_stream_with_a_usage_counts_that() -> None:
    desk = Desk(rpm=10, tpm=1000, usd_per_day=1.0)
    desk.book.conclude(desk.reserve(), Outcome.BROKEN_STREAM, Usage(10, 5), 0.25, 1.0)
    assert desk.room(1.0) == (9, 985, 750_000_000)


def test_the_provider_can_only_lower_what_is_left() -> None:
    desk = Desk(rpm=10, tpm=1000)
    desk.book.correct(desk.reserve(), 4, 5000, None, 1.0)
    assert desk.room(1.0) == (4, 900, 2**62)
    desk.reserve(2.0)
    assert desk.room(2.0) == (3, 800, 2**62)
    assert desk.room(61.5) == (9, 900, 2**62)


def test_the_provider_may_not_know_yet_of_what_was_sent_later() -> None:
    desk = Desk(rpm=10)
    first = desk.reserve()
    desk.reserve()
    desk.book.correct(first, 4, None, None, 1.0)
    assert desk.room(1.0) == (3, 2**62, 2**62)


def test_nothing_left_until_the_provider_says() -> None:
    desk = Desk({"rpm": 100})
    desk.book.correct(desk.reserve(), 0, None, 90.0, 10.0)
    told = desk.check(70.0)
    assert (told.state, told.wait_s) == (USED_UP, 30.0)
    assert told.reason == "its provider says that too few requests are left for 30 s more"
    assert desk.check(70.0, target=OTHER).state is FREE
    assert desk.check(100.0).state is FREE


def test_new_limits_are_held_against_old_counts() -> None:
    desk = Desk(rpm=10)
    for _ in range(3):
        desk.reserve()
    desk.reload(rpm=4, rpd=3)
    assert "a day" in desk.check(1.0).reason
    desk.reload()
    assert desk.check(1.0).state is FREE
    desk.reload(rpm=3)
    assert desk.check(1.0).state is USED_UP


def test_limits_are_found_by_provider_and_model() -> None:
    found = limits_of(settings_of(echo("one", limits={"rpm": 3}), echo("two")))
    assert found["one"].rpm == 3
    assert found["two"].rpm is None


def test_the_first_to_come_is_the_first_to_go() -> None:
    """Who comes later waits behind all who wait, even where there would be room for it alone."""
    woken: list[str] = []
    desk = Desk(tpm=1000, max_wait_seconds=100)
    desk.reserve(ask=Ask(900, None))
    first = desk.join(1.0, Ask(500, None))
    first.wake = lambda: woken.append("first")
    late = desk.check(2.0)
    assert (late.state, late.reason.endswith(", behind 1 that came before")) == (WAIT, True)
    second = desk.join(2.0)
    second.wake = lambda: woken.append("second")

    assert desk.check(3.0, ticket=second).state is WAIT
    assert desk.check(61.0, ticket=second).state is FREE
    assert desk.check(61.0, Ask(500, None), first).state is FREE
    desk.reserve(61.0, Ask(500, None), first)
    assert woken == ["second"]
    desk.reserve(61.0, ASK, second)
    assert desk.room(61.0) == (2**62, 400, 2**62)


def test_a_place_given_back_wakes_the_first() -> None:
    woken: list[int] = []
    desk = Desk(concurrency=1, max_wait_seconds=10)
    held = desk.reserve()
    tickets = [desk.join(float(number)) for number in range(3)]
    for number, ticket in enumerate(tickets):
        ticket.wake = lambda number=number: woken.append(number)  # type: ignore[misc]  # a lambda's default has no type
    desk.book.settle(held, None, None, 4.0)
    assert woken == [0]
    assert [desk.check(4.0, ticket=ticket).state for ticket in tickets] == [FREE, WAIT, WAIT]
    desk.book.leave(tickets[0])
    desk.book.leave(tickets[0])
    assert woken == [0, 1]
    assert desk.check(4.0, ticket=tickets[1]).state is FREE


def test_patience_ends() -> None:
    desk = Desk(rpm=1, max_wait_seconds=30)
    desk.reserve()
    assert desk.book.join(MODEL, ASK, 30.0, NOON, 1) is None
    ticket = desk.join(40.0)
    assert desk.check(50.0, ticket=ticket).state is WAIT
    desk.reserve(50.0)
    assert desk.check(50.0, ticket=ticket).state is USED_UP


def test_a_full_line_takes_no_more() -> None:
    desk = Desk(rpm=1000, concurrency=1, max_wait_seconds=10_000)
    desk.reserve()
    tickets = [desk.join() for _ in range(LONGEST_LINE)]
    assert desk.check().state is USED_UP
    assert desk.book.join(MODEL, ASK, 0.0, NOON, 1) is None
    assert desk.check(ticket=tickets[-1]).state is WAIT
    desk.book.leave(tickets[0])
    assert desk.check().state is WAIT


def test_who_waits_for_a_model_does_not_hold_up_its_provider() -> None:
    """A ticket stands where the longest wait is, and moves to the other line by its arrival."""
    desk = Desk({"concurrency": 1, "max_wait_seconds": 100}, rpm=1)
    held = desk.reserve()
    own = desk.join(1.0)
    assert desk.check(1.0, target=OTHER).reason == "groq's 1 request at a time is under way, about 1 s more"
    shared = desk.join(2.0, target=OTHER)
    assert desk.check(61.0, ticket=own).reason.startswith("groq's 1 request at a time")
    desk.book.settle(held, None, None, 61.0)
    assert desk.check(61.0, ticket=own).state is FREE
    assert desk.check(61.0, ticket=shared, target=OTHER).reason.endswith("behind 1 that came before")


def test_limits_that_are_lifted_let_all_go() -> None:
    woken: list[bool] = []
    desk = Desk(rpm=1, max_wait_seconds=100)
    desk.reserve()
    ticket = desk.join()
    ticket.wake = lambda: woken.append(True)
    desk.reload()
    assert woken == [True]
    assert desk.check(ticket=ticket).state is FREE
    desk.reserve(ticket=ticket)
    assert ticket.line is None


def test_a_target_that_is_gone_keeps_its_line() -> None:
    """Else all that wait for it would go there at once."""
    woken: list[int] = []
    desk = Desk(rpm=1, max_wait_seconds=400)
    desk.reserve()
    tickets = [desk.join() for _ in range(3)]
    for number, ticket in enumerate(tickets):
        ticket.wake = lambda number=number: woken.append(number)  # type: ignore[misc]  # bound at once
    desk.book.reload([OTHER], {})
    assert desk.check(ticket=tickets[0]).state is WAIT
    assert desk.check(62.0, ticket=tickets[0]).state is FREE
    desk.reserve(62.0, ticket=tickets[0])
    assert desk.check(62.0, ticket=tickets[1]).state is WAIT
    for ticket in tickets:
        desk.book.leave(ticket)
    desk.book.reload([OTHER], {})
    assert not desk.book.has_limits


def test_who_takes_another_ticket_keeps_its_place() -> None:
    desk = Desk(rpm=2, max_wait_seconds=200)
    desk.reserve()
    desk.reserve()
    first, second = desk.book.arrive(), desk.book.arrive()
    later = desk.book.join(MODEL, ASK, 0.0, NOON, second)
    assert later is not None
    again = desk.book.join(MODEL, ASK, 0.0, NOON, first)
    assert again is not None
    desk.reserve(61.5, ticket=again)
    desk.reserve(61.5)
    assert desk.check(61.6, ticket=later).state is WAIT


def test_a_new_ticket_is_judged_by_its_own_place() -> None:
    """One who came first does not have to wait for those who came after it."""
    desk = Desk(rpm=1, max_wait_seconds=70)
    desk.reserve()
    early = desk.book.arrive()
    assert desk.book.join(MODEL, ASK, 0.0, NOON, desk.book.arrive()) is not None
    assert desk.book.join(MODEL, ASK, 0.0, NOON, desk.book.arrive()) is None
    assert desk.book.join(MODEL, ASK, 0.0, NOON, early) is not None


def test_counts_survive_a_restart_and_other_days_are_dropped() -> None:
    desk = Desk({"rpd": 100}, rpd=10, usd_per_month=1.0)
    desk.reserve()
    desk.book.settle(desk.reserve(), Usage(30, 20), 0.5, 1.0)
    rows = desk.book.snapshot()
    assert ("groq/llama", "day", "2026-11-23", 2, 150, 510_000_000) in rows
    assert ("groq", "month", "2026-11", 2, 150, 510_000_000) in rows

    for wait_s, room in ((60.0, (8, 2**62, 490_000_000)), (24 * 3600.0, (10, 2**62, 490_000_000))):
        again = Desk()
        again.book.restore(rows, NOON + wait_s, wait_s)
        again.reload({"rpd": 100}, rpd=10, usd_per_month=1.0)
        assert again.room(wait_s) == room
        assert sorted(again.book.snapshot())[1] == sorted(rows)[1]


def test_a_restart_forgets_no_minute() -> None:
    """Else a router that starts anew in the middle of a minute sends twice the limit."""
    desk = Desk(rpm=2, tpm=1000)
    desk.settle(0.0)
    desk.settle(20.0)
    rows = desk.book.minutes(30.0, NOON + 30.0)
    assert ("groq/llama", "minute", str(int(NOON) + 30), 2, 200, 0) in rows
    for later_s, state in ((5.0, USED_UP), (60.0, USED_UP), (61.5, FREE)):
        again = Desk(rpm=2, tpm=1000)
        again.book.restore(rows, NOON + 30.0 + later_s, 7.0)
        assert again.book.check(MODEL, ASK, 7.0, NOON + 30.0 + later_s).state is state
    assert desk.book.minutes(200.0, NOON + 200.0) == []


def test_restoring_comes_before_or_after_the_limits() -> None:
    desk = Desk(rpd=3)
    desk.check()
    desk.book.restore([("groq/llama", "day", "2026-11-23", 3, 0, 0)], NOON, 0.0)
    assert desk.check().state is USED_UP


def test_only_what_changed_is_written() -> None:
    desk = Desk({"rpd": 100}, rpd=10)
    assert desk.book.changes() == []
    reservation = desk.reserve(target=OTHER)
    assert {row.name for row in desk.book.changes()} == {"groq", "groq/qwen"}
    assert desk.book.changes() == []
    desk.book.refund(reservation)
    assert [(row.name, row.requests) for row in desk.book.changes() if row.kind == "day"] == [
        ("groq", 0),
        ("groq/qwen", 0),
    ]


LIMITS = LimitSettings(rpm=5, tpm=1000, concurrency=3, rpd=40, tpd=9000, usd_per_day=0.3, usd_per_month=0.5)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "ask", "settle", "refund", "fail", "correct"]),
        st.one_of(st.floats(0, 3), st.floats(0, 100), st.just(0.0), st.just(20_000.0)),
        st.integers(0, 600),
        st.integers(0, 10**8),
    ),
    max_size=120,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_no_limit_is_ever_exceeded(steps: list[tuple[str, float, int, int]]) -> None:
    """Whatever comes, settles and fails: counted here by a plain list, in every minute, day, month and moment."""
    book, now = QuotaBook(), 0.0
    book.reload([MODEL], {"groq/llama": LIMITS})
    sent: list[list[float]] = []  # when it was sent, tokens, billionths of a dollar
    under_way: list[tuple[Reservation, list[float]]] = []
    for kind, pause_s, tokens, nanodollars in steps:
        now += pause_s
        wall = NOON + now
        if kind == "ask":
            ask = Ask(tokens, nanodollars / 1e9)
            if book.check(MODEL, ask, now, wall).state is FREE:
                sent.append([now, tokens, nanodollars])
                under_way.append((book.reserve(MODEL, ask, now, wall), sent[-1]))
                recent = [r for r in under_way if r[1][0] > now - 360]
                assert len(recent) <= 3
            continue
        if not under_way:
            continue
        reservation, request = under_way[0]
        if kind == "correct":
            book.correct(reservation, tokens % 7, tokens, None, now)
            assert (book.room(MODEL, now, wall) or (math.inf,))[0] <= tokens % 7
            continue
        del under_way[0]
        if kind == "refund":
            book.refund(reservation)
            sent = [other for other in sent if other is not request]
        elif kind == "fail":
            book.conclude(reservation, Outcome.SERVER_ERROR, None, None, now)
            request[1:] = 0, 0
        else:
            request[1:] = min(tokens, request[1]), min(nanodollars, request[2])
            book.settle(reservation, Usage(int(request[1]), 0), request[2] / 1e9, now)
    _stays_within(sent)


def _stays_within(sent: list[list[float]]) -> None:
    for start, _, _ in sent:
        minute = [request for request in sent if start <= request[0] < start + 60]
        assert len(minute) <= 5
        assert sum(request[1] for request in minute) <= 1000
    days: dict[str, list[list[float]]] = {}
    months: dict[str, float] = {}
    for request in sent:
        moment = datetime.fromtimestamp(NOON + request[0], UTC)
        days.setdefault(moment.strftime("%Y-%m-%d"), []).append(request)
        months[moment.strftime("%Y-%m")] = months.get(moment.strftime("%Y-%m"), 0) + request[2]
    for day in days.values():
        assert len(day) <= 40
        assert sum(request[1] for request in day) <= 9000
        assert sum(request[2] for request in day) <= 300_000_000
    assert all(used <= 500_000_000 for used in months.values())


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 10_000), st.floats(0, 1)), max_size=10),
    st.lists(st.tuples(st.integers(0, 10_000), st.floats(0, 1)), min_size=1, max_size=10),
)
def test_refunds_leave_no_trace(kept: list[tuple[int, float]], given_back: list[tuple[int, float]]) -> None:
    desk = Desk({"rpm": 100}, tpm=100_000, usd_per_day=100.0, concurrency=50, rpd=100, tpd=10**6)
    for tokens, usd in kept:
        desk.reserve(0.0, Ask(tokens, usd))
    before, rows = desk.room(1.0), desk.book.snapshot()
    for reservation in [desk.reserve(1.0, Ask(tokens, usd)) for tokens, usd in given_back]:
        desk.book.refund(reservation)
    assert desk.room(1.0) == before
    if kept:
        assert desk.book.snapshot() == rows


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 20), st.integers(1, 100), st.booleans()), min_size=1, max_size=40),
    st.sampled_from([{"rpm": 4}, {"tpm": 120}, {"concurrency": 2}, {"rpm": 3, "tpm": 150, "concurrency": 2}]),
)
def test_arrival_order_is_kept(arrivals: list[tuple[float, int, bool]], limits: dict[str, Any]) -> None:
    """Requests come, wait, go and give up; whoever goes, nobody that came before still waits."""
    desk, now = Desk(**limits, max_wait_seconds=10_000), 0.0
    waiting: list[tuple[int, Ticket, Ask]] = []
    under_way: list[Reservation] = []
    for number, (pause_s, tokens, ends_one) in enumerate(arrivals):
        now += pause_s
        if ends_one and under_way:
            desk.book.settle(under_way.pop(0), None, None, now)
        for waiter in reversed(list(waiting)):
            if desk.check(now, waiter[2], waiter[1]).state is FREE and waiter is waiting[0]:
                under_way.append(desk.reserve(now, waiter[2], waiter[1]))
                del waiting[0]
        ask = Ask(tokens, None)
        if desk.check(now, ask).state is FREE:
            assert all(desk.check(now, asked, ticket).state is FREE for _, ticket, asked in waiting)
            under_way.append(desk.reserve(now, ask))
        else:
            waiting.append((number, desk.join(now, ask), ask))
        free = [desk.check(now, asked, ticket).state is FREE for _, ticket, asked in waiting]
        assert free == sorted(free, reverse=True)
