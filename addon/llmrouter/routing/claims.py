"""One call's dealings with the quotas: its place in line, and what its attempt under way has taken."""

from collections.abc import Callable

from llmrouter.errors import Outcome
from llmrouter.replies import Usage
from llmrouter.routing.allowances import UNLIMITED
from llmrouter.routing.quotas import FREE, Ask, QuotaBook, QuotaState, QuotaVerdict, Reservation
from llmrouter.routing.waiting import Ticket
from llmrouter.targets import Target


class Claim:
    """What one call asks of the quotas. It stands in one line at most, and has one attempt at a time.

    `ask_of` estimates what the call will use at a target; `wall_ahead_s` is how far the wall clock (Unix seconds) is
    ahead of the monotonic one, from which all `now` are.
    """

    def __init__(self, book: QuotaBook, ask_of: Callable[[Target], Ask], wall_ahead_s: float) -> None:
        self._book = book
        # A plan asks it of each target, before the call stands in any line.
        self.glance = book.glance
        self._ask_of = ask_of
        self._wall_ahead_s = wall_ahead_s
        self._ticket: Ticket | None = None
        self._number: int | None = None
        self._reservation: Reservation | None = None

    @property
    def has_limits(self) -> bool:
        """Whether any target has limits."""
        return self._book.has_limits

    def check(self, target: Target, now: float, ask: Ask | None = None) -> QuotaVerdict:
        """Whether the call may go to a target now, in its turn; `ask` is what it asks there, where that is known."""
        if not self._book.is_limited(target):
            return FREE
        ask = ask or self._ask_of(target)
        return self._book.check(target, ask, now, now + self._wall_ahead_s, self._ticket_for(target))

    def left(self, target: Target, now: float) -> tuple[int | None, int | None]:
        """How many requests and tokens are left of a target's limits; None where it has no such limit."""
        room = self._book.room(target, now, now + self._wall_ahead_s)
        if room is None:
            return None, None
        requests, tokens, _ = room
        return None if requests >= UNLIMITED else requests, None if tokens >= UNLIMITED else tokens

    def wait_s(self, target: Target, now: float) -> float | None:
        """Stands in line for a target, as long as its limits say, and no longer in another.

        Returns when to look again at the latest; None where it is not worth waiting, or nothing holds the call up.
        """
        if self._ticket_for(target) is None:
            self.leave_line()
            ask = self._ask_of(target)
            if self._number is None:
                self._number = self._book.arrive()
            self._ticket = self._book.join(target, ask, now, now + self._wall_ahead_s, self._number)
        verdict = self.check(target, now)
        if verdict.state is QuotaState.WAIT:
            return verdict.wait_s
        if verdict.state is not QuotaState.FREE:
            self.leave_line()
        return None

    def wake_by(self, wake: Callable[[], None]) -> None:
        """Calls `wake` when it is worth looking before the wait is over."""
        if self._ticket is not None:
            self._ticket.wake = wake

    def leave_line(self) -> None:
        """Gives the place in line up, where there is one."""
        if self._ticket is not None:
            self._book.leave(self._ticket)
            self._ticket = None

    def take(self, target: Target, now: float) -> None:
        """An attempt at a target begins."""
        if self._book.is_limited(target):
            wall = now + self._wall_ahead_s
            self._reservation = self._book.reserve(target, self._ask_of(target), now, wall, self._ticket_for(target))
        self.leave_line()

    def hear(self, requests_left: int | None, tokens_left: int | None, returns_in_s: float | None, now: float) -> None:
        """What the provider said is left, with its reply to the attempt under way."""
        if self._reservation is not None:
            self._book.correct(self._reservation, requests_left, tokens_left, returns_in_s, now)

    def end(self, outcome: Outcome, usage: Usage | None, cost_usd: float | None, now: float) -> None:
        """The attempt under way ended so; a second time, this changes nothing."""
        if self._reservation is not None:
            self._book.conclude(self._reservation, outcome, usage, cost_usd, now)
            self._reservation = None

    def _ticket_for(self, target: Target) -> Ticket | None:
        ticket = self._ticket
        return ticket if ticket is not None and ticket.target is target else None


def no_claim() -> Claim:
    """A claim where there are no limits."""
    return Claim(QuotaBook(), lambda target: Ask(0, None), 0.0)
