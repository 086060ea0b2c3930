"""What a target draws on: the counts of its provider and its own."""

from typing import NamedTuple

from llmrouter.routing.allowances import Allowance
from llmrouter.routing.windows import Amounts


class Account(NamedTuple):
    """The allowances that a target draws on, its own last, and how long a request may wait for them.

    `most` is what a single request may take at all.
    """

    allowances: tuple[Allowance, ...]
    max_wait_s: float
    needs_price: str | None
    most: Amounts


def has_room_and_no_line(account: Account, amounts: Amounts) -> bool:
    """Whether nothing needs to be looked at more closely: a plan asks this of each target."""
    requests, tokens, nanodollars = amounts
    for allowance in account.allowances:
        room = allowance.known_room
        if room is None or room[0] < requests or room[1] < tokens or room[2] < nanodollars or allowance.line.total[0]:
            return False
    return True
