"""Who waits for room in a quota, in the order of arrival."""

from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import attrgetter

from llmrouter.routing.windows import Amounts
from llmrouter.targets import Target

# Everyone here holds a client's connection; a quota for which more wait is one that needs another target.
LONGEST_LINE = 256


@dataclass(slots=True, eq=False)
class Ticket:
    """A request's place in a line: for `target` and `amounts`, until `gives_up_at` (monotonic seconds).

    `number` is the order of arrival. `wake` is called, by who holds the ticket, when it is worth looking again before
    the wait that was told is over.
    """

    target: Target
    amounts: Amounts
    number: int
    gives_up_at: float
    wake: Callable[[], None] = field(default=lambda: None)
    line: "Line | None" = None


class Line:
    """The requests that wait for one allowance."""

    __slots__ = ("_tickets", "total")

    def __init__(self) -> None:
        self._tickets: list[Ticket] = []
        self.total: Amounts = (0, 0, 0)

    def __len__(self) -> int:
        return len(self._tickets)

    @property
    def is_full(self) -> bool:
        """Whether nobody else may wait."""
        return len(self._tickets) >= LONGEST_LINE

    def join(self, ticket: Ticket) -> None:
        """Puts a ticket where its arrival says, leaving the line that it stood in."""
        if ticket.line is self:
            return
        if ticket.line is not None:
            ticket.line.leave(ticket)
        insort(self._tickets, ticket, key=attrgetter("number"))
        ticket.line = self
        self.total = _sum(self.total, ticket.amounts, 1)

    def leave(self, ticket: Ticket) -> None:
        """Takes a ticket out, and wakes who is first now; one that is not here changes nothing."""
        if ticket.line is not self:
            return
        self._tickets.remove(ticket)
        ticket.line = None
        self.total = _sum(self.total, ticket.amounts, -1)
        self.wake_first()

    def ahead_of(self, ticket: Ticket | None) -> Amounts:
        """What those will use who came before: all of the line before one who has no ticket."""
        if ticket is None:
            return self.total
        ahead: Amounts = (0, 0, 0)
        for other in self._tickets:
            if other.number >= ticket.number:
                break
            ahead = _sum(ahead, other.amounts, 1)
        return ahead

    def wake_first(self) -> None:
        """Something was given back: who is first may fit now."""
        if self._tickets:
            self._tickets[0].wake()


def _sum(total: Amounts, amounts: Amounts, sign: int) -> Amounts:
    return total[0] + sign * amounts[0], total[1] + sign * amounts[1], total[2] + sign * amounts[2]
