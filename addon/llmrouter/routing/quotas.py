"""The quotas of providers and models: reserve before an attempt, settle after it, and wait in line for room.

A provider's `limits` hold for all its models together, a model's for that model alone; a request must fit both. Money
and tokens are reserved by estimate, so that a limit is exceeded only by what an answer uses beyond its estimate.
"""

import math
from collections.abc import Iterable, Mapping
from enum import StrEnum
from itertools import count
from typing import NamedTuple

from llmrouter.errors import Outcome
from llmrouter.replies import Usage
from llmrouter.routing.accounts import Account, has_room_and_no_line
from llmrouter.routing.allowances import (
    NANODOLLARS_PER_USD,
    Allowance,
    Booking,
    Shortage,
    Spent,
    is_limited,
    minute_of,
    most_of,
    nanodollars_of,
    restore,
    spent_of,
)
from llmrouter.routing.gates import Reason
from llmrouter.routing.waiting import Ticket
from llmrouter.routing.windows import Amounts
from llmrouter.settings.model import LimitSettings
from llmrouter.targets import Target

# A request may outlast its provider's own time limit by what the router needs to notice.
_GRACE_S = 60.0
# The router asks again at the earliest after this, whatever rounding makes of a wait.
_SHORTEST_WAIT_S = 0.001
_NO_LIMITS = LimitSettings()
_NEVER_SENT = frozenset({Outcome.NOT_TRANSLATABLE, Outcome.UNREACHABLE})
_UNKNOWN_USE = frozenset(
    {
        Outcome.SUCCESS,
        Outcome.DISCONNECTED,
        Outcome.TIMED_OUT,
        Outcome.BAD_REPLY,
        Outcome.BROKEN_STREAM,
        Outcome.CLIENT_GONE,
        Outcome.HEDGED_OFF,
    }
)


class QuotaState(StrEnum):
    """Free now; worth waiting for in line; used up for longer than that; or never possible under these limits."""

    FREE = "free"
    WAIT = "wait"
    USED_UP = "used up"
    NEVER = "never"


class QuotaVerdict(NamedTuple):
    """Whether a request fits. `wait_s` is how long until it does, by estimate where places are waited for, and
    infinite under `NEVER`; `why` not is put in words where somebody reads them."""

    state: QuotaState
    wait_s: float = 0.0
    why: Reason = ""

    @property
    def reason(self) -> str:
        """Why not, in words for the decision record."""
        return str(self.why)


FREE = QuotaVerdict(QuotaState.FREE)


class Ask(NamedTuple):
    """What a request will use, by estimate: tokens of input and output together, and US dollars (None: not known).

    `sure_tokens` and `sure_usd` are the part that is no guess (None: all of it): a guess alone never says that a
    request is too large for a limit.
    """

    tokens: int
    usd: float | None
    sure_tokens: int | None = None
    sure_usd: float | None = None


class Reservation:
    """What one attempt has taken; open until it is settled or refunded, which counts once."""

    __slots__ = ("began", "bookings", "is_open")

    def __init__(self, bookings: tuple[Booking, ...], began: float) -> None:
        self.bookings = bookings
        self.began = began
        self.is_open = bool(bookings)


_NOTHING_TAKEN = Reservation((), 0.0)


class QuotaBook:
    """The quotas of all targets; targets without limits cost a look-up. `now` is monotonic, `wall` Unix seconds."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self._allowances: dict[str, Allowance] = {}
        self._changed: dict[str, Allowance] = {}
        self._numbers = count(1)

    def reload(self, targets: Iterable[Target], limits: Mapping[str, LimitSettings]) -> None:
        """Takes over limits, by the names of providers and keys of targets; all counts and lines stay.

        Calls that wait for a target that is gone still keep its limits: lifted are only those of targets that stay.
        """
        before, self._accounts = self._accounts, {}
        staying = {target.key: target for target in targets}
        for key, account in before.items():
            if key not in staying and any(len(one.line) for one in account.allowances):
                self._accounts[key] = account
        for target in staying.values():
            shared, own = limits.get(target.provider, _NO_LIMITS), limits.get(target.key, _NO_LIMITS)
            if not (is_limited(shared) or is_limited(own)):
                continue
            allowances = [self._allowance(target.key, own, target)]
            if is_limited(shared):
                allowances.insert(0, self._allowance(target.provider, shared, target))
            wait_s = shared.max_wait_seconds if own.max_wait_seconds is None else own.max_wait_seconds
            needs_price = next((why for one in allowances if (why := one.needs_price()) is not None), None)
            self._accounts[target.key] = Account(tuple(allowances), wait_s or 0.0, needs_price, most_of((shared, own)))
        for allowance in self._allowances.values():
            allowance.line.wake_first()

    @property
    def has_limits(self) -> bool:
        """Whether any target has limits."""
        return bool(self._accounts)

    def is_limited(self, target: Target) -> bool:
        """Whether any limit holds for a target."""
        return target.key in self._accounts

    def glance(self, target: Target, tokens: float, usd: float | None, now: float, wall: float) -> QuotaVerdict | None:
        """`check` for a request of about so much, where it is clear at a glance: there is ample room, or none at all.

        None where `check` has to say.
        """
        account = self._accounts.get(target.key)
        if account is None:
            return FREE
        if usd is None and account.needs_price is not None:
            return None
        nanodollars = 0.0 if usd is None else usd * NANODOLLARS_PER_USD
        for allowance in account.allowances:
            if allowance.axes:
                room = allowance.known_room
                if (
                    room is None
                    or allowance.line.total[0]
                    or room[0] < 1
                    or room[1] <= tokens
                    or room[2] <= nanodollars
                ):
                    _, most_tokens, most_nanodollars = account.most
                    if tokens >= most_tokens or nanodollars >= most_nanodollars:
                        return None
                    asked, told = (now, account.max_wait_s, nanodollars > 0, allowance.line.total), allowance.told
                    return told[1] if told is not None and told[0] == asked else _used_up(allowance, asked, wall)
        return FREE

    def check(self, target: Target, ask: Ask, now: float, wall: float, ticket: Ticket | None = None) -> QuotaVerdict:
        """Whether a request fits now, behind all that wait already; takes nothing.

        The holder of a ticket is told by its own place and patience, and stands in line where the longest wait is.
        """
        account = self._accounts.get(target.key)
        if account is None:
            return FREE
        if ask.usd is None and account.needs_price is not None:
            return QuotaVerdict(QuotaState.NEVER, math.inf, account.needs_price)
        amounts = _amounts(ask, account.most)
        if ticket is None and has_room_and_no_line(account, amounts):
            return FREE
        found = _tightest(account, amounts, now, wall, ticket)
        if found is None:
            return FREE
        shortage, allowance = found
        wait_s = shortage.wait_s
        if wait_s == math.inf:
            return QuotaVerdict(QuotaState.NEVER, wait_s, shortage)
        wait_s = max(wait_s, _SHORTEST_WAIT_S)
        patience_s = account.max_wait_s if ticket is None else ticket.gives_up_at - now
        stands_there = ticket is not None and ticket.line is allowance.line
        if wait_s > patience_s or (allowance.line.is_full and not stands_there):
            return QuotaVerdict(QuotaState.USED_UP, wait_s, shortage)
        if ticket is not None:
            allowance.line.join(ticket)
        return QuotaVerdict(QuotaState.WAIT, wait_s, shortage)

    def arrive(self) -> int:
        """A number in the order of arrival, which a call keeps whatever line it stands in."""
        return next(self._numbers)

    def join(self, target: Target, ask: Ask, now: float, wall: float, number: int) -> Ticket | None:
        """A place in line by the `number` of arrival, for at most as long as `max_wait_seconds` of the limits says.

        None where it is not worth waiting. Whoever holds a ticket has to `reserve` with it or to `leave`.
        """
        account = self._accounts.get(target.key)
        if account is None:
            return None
        ticket = Ticket(target, _amounts(ask, account.most), number, now + account.max_wait_s)
        return ticket if self.check(target, ask, now, wall, ticket).state is QuotaState.WAIT else None

    def leave(self, ticket: Ticket) -> None:
        """Gives a place in line up; a second time, and after `reserve`, this changes nothing."""
        if ticket.line is not None:
            ticket.line.leave(ticket)

    def reserve(self, target: Target, ask: Ask, now: float, wall: float, ticket: Ticket | None = None) -> Reservation:
        """Takes one request and what it asks for, and its place out of the line; `check` has said that it fits."""
        account, reservation = self._accounts.get(target.key), _NOTHING_TAKEN
        if account is not None:
            number, amounts = next(self._numbers), _amounts(ask, account.most)
            bookings = tuple(Booking(one, number, amounts, now, wall) for one in account.allowances)
            reservation = Reservation(bookings, now)
            self._note(reservation)
        if ticket is not None:
            self.leave(ticket)
        return reservation

    def settle(self, reservation: Reservation, usage: Usage | None, cost_usd: float | None, now: float) -> None:
        """The attempt ended: counts what it used, or what was reserved for it where that is not known."""
        if not reservation.is_open:
            return
        for booking in reservation.bookings:
            requests, tokens, nanodollars = booking.amounts
            if usage is not None:
                tokens = usage.input_tokens + usage.output_tokens
            booking.correct((requests, tokens, nanodollars if cost_usd is None else nanodollars_of(cost_usd)))
            booking.allowance.slots.learn(now - reservation.began)
        self._close(reservation)

    def refund(self, reservation: Reservation) -> None:
        """The attempt was never sent: gives all of it back."""
        if reservation.is_open:
            for booking in reservation.bookings:
                booking.never_sent()
            self._close(reservation)

    def conclude(
        self, reservation: Reservation, outcome: Outcome, usage: Usage | None, cost_usd: float | None, now: float
    ) -> None:
        """Settles or refunds by how an attempt ended.

        What never reached the provider is refunded. What it refused, or failed at with a 5xx, counts as a request that
        used no tokens and no money. After anything else without a usage, such as a time-out, what was reserved counts.
        """
        if outcome in _NEVER_SENT:
            self.refund(reservation)
        elif usage is not None or outcome in _UNKNOWN_USE:
            self.settle(reservation, usage, cost_usd, now)
        else:
            self.settle(reservation, Usage(0, 0), 0.0, now)

    def correct(
        self,
        reservation: Reservation,
        requests_left: int | None,
        tokens_left: int | None,
        returns_in_s: float | None,
        now: float,
    ) -> None:
        """Takes over what the provider said is left, with its reply to this reservation's request.

        It never adds to what our own counts allow. It holds for the target alone: providers keep limits per model.
        """
        if reservation.bookings and (requests_left is not None or tokens_left is not None):
            booking = reservation.bookings[-1]
            booking.allowance.hear(booking, (requests_left, tokens_left), returns_in_s, now)
            booking.allowance.line.wake_first()

    def allowances(self, target: Target) -> tuple[Allowance, ...]:
        """What a target draws on, its own last."""
        account = self._accounts.get(target.key)
        return () if account is None else account.allowances

    def room(self, target: Target, now: float, wall: float) -> Amounts | None:
        """How many requests, tokens and billionths of a dollar are left now, `UNLIMITED` where nothing says; None for
        a target without limits."""
        if not (allowances := self.allowances(target)):
            return None
        rooms = [allowance.room(now, wall) for allowance in allowances]
        return min(room[0] for room in rooms), min(room[1] for room in rooms), min(room[2] for room in rooms)

    def snapshot(self) -> list[Spent]:
        """All counts of the current days and months."""
        return [spent for allowance in self._allowances.values() for spent in spent_of(allowance)]

    def changes(self) -> list[Spent]:
        """The counts that changed since this was last asked."""
        changed, self._changed = self._changed, {}
        return [spent for allowance in changed.values() for spent in spent_of(allowance)]

    def minutes(self, now: float, wall: float) -> list[Spent]:
        """What counts of the last minute."""
        every = (minute_of(allowance, now, wall) for allowance in self._allowances.values())
        return [spent for spent in every if spent is not None]

    def restore(self, rows: Iterable[tuple[str, str, str, int, int, int]], wall: float, now: float) -> None:
        """Adds the counts of an earlier run, as `snapshot` and `minutes` gave them, where they still count."""
        for row in rows:
            spent = Spent(*row)  # type: ignore[arg-type]  # the ledger's rows have any text as their kind
            allowance = self._allowances.get(spent.name)
            if allowance is None:
                allowance = self._allowances[spent.name] = Allowance(spent.name, _NO_LIMITS, _GRACE_S)
            restore(allowance, spent, wall, now)
            allowance.changed()

    def _allowance(self, name: str, limits: LimitSettings, target: Target) -> Allowance:
        lease_s = target.timeouts.total + _GRACE_S
        allowance = self._allowances.get(name)
        if allowance is None:
            allowance = self._allowances[name] = Allowance(name, limits, lease_s)
        else:
            allowance.adopt(limits, lease_s)
        return allowance

    def _close(self, reservation: Reservation) -> None:
        reservation.is_open = False
        for booking in reservation.bookings:
            booking.end()
        self._note(reservation)
        for booking in reservation.bookings:
            booking.allowance.line.wake_first()

    def _note(self, reservation: Reservation) -> None:
        for booking in reservation.bookings:
            self._changed[booking.allowance.name] = booking.allowance


def _amounts(ask: Ask, most: Amounts) -> Amounts:
    """What is reserved: what is sure, and of the guess no more than any request may take."""
    tokens, nanodollars = max(ask.tokens, 0), 0 if ask.usd is None else nanodollars_of(max(ask.usd, 0.0))
    if ask.sure_tokens is not None:
        tokens = max(min(tokens, most[1]), ask.sure_tokens)
    if ask.sure_usd is not None:
        nanodollars = max(min(nanodollars, most[2]), nanodollars_of(ask.sure_usd))
    return 1, tokens, nanodollars


def _used_up(allowance: Allowance, asked: tuple[float, float, bool, Amounts], wall: float) -> QuotaVerdict | None:
    """The verdict on any request, however small, where there is no room for one; a plan asks it of many targets.

    `asked` is now, the patience in seconds, whether it costs anything, and what those in line will use.
    """
    now, patience_s, is_paid, ahead = asked
    verdict, shortage = None, allowance.shortage((1, 1, int(is_paid)), ahead, now, wall)
    if shortage is not None and shortage.wait_s > patience_s:
        verdict = QuotaVerdict(QuotaState.USED_UP, max(shortage.wait_s, _SHORTEST_WAIT_S), shortage)
    allowance.told = asked, verdict
    return verdict


def _tightest(
    account: Account, amounts: Amounts, now: float, wall: float, ticket: Ticket | None
) -> tuple[Shortage, Allowance] | None:
    """The allowance that holds a request up the longest."""
    found: tuple[Shortage, Allowance] | None = None
    for allowance in account.allowances:
        if not allowance.axes:
            continue
        shortage = allowance.shortage(amounts, allowance.line.ahead_of(ticket), now, wall)
        if shortage is not None and (found is None or shortage.wait_s > found[0].wait_s):
            found = shortage, allowance
    return found
