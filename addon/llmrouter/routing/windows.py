"""What was used of a quota: of the last minute, of a day or month, and what is under way.

Each counter only counts; what the limits are, and what follows, stands in `allowances`. Amounts are whole numbers
(requests, tokens, or billionths of a dollar), so that what is given back restores a counter exactly.
"""

import math
from bisect import bisect_left
from collections import deque
from datetime import UTC, datetime
from itertools import accumulate

type Amounts = tuple[int, int, int]
"""Requests, tokens, and billionths of a dollar."""

_MINUTE_S = 60.0
# A request reaches the provider a little after it was counted here, sooner or later than the one before it: without
# this second, two that left a minute apart could arrive within one.
_TRAVEL_S = 1.0
KEPT_S = _MINUTE_S + _TRAVEL_S
# What comes within so many seconds is one entry, so that a minute never has more than 122 of them.
_MERGED_S = 0.5
_DAY_S = 24 * 3600
# A clock set back by less is being corrected; by more, it was wrong before.
_CLOCK_STEP_S = 3600
# How long a request takes where none has ended yet; only an estimate, since a place may be given back at any moment.
_FIRST_GUESS_S = 1.0
_DURATION_WEIGHT = 0.2
_LOOK_AGAIN_S = 0.05


class Entry:
    """An amount that counts until a minute after `at`, the last moment at which something was added to it."""

    __slots__ = ("amount", "at", "began", "counts")

    def __init__(self, at: float) -> None:
        self.at = self.began = at
        self.amount = 0
        self.counts = True


class SlidingMinute:
    """The amounts of the last 61 seconds, in entries of half a second.

    A sliding window and not a token bucket: a bucket of a minute's limit lets through nearly twice the limit within the
    minute after a pause. What an entry holds leaves together, with the last of it, so that no minute is undercounted.
    """

    __slots__ = ("_entries", "_sums", "_total")

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._total = 0
        # How much leaves with each entry and those before it, None since something changed.
        self._sums: list[int] | None = None

    def used(self, now: float) -> int:
        """What counts at this moment."""
        entries = self._entries
        while entries and entries[0].at + KEPT_S <= now:
            old = entries.popleft()
            old.counts = False
            self._total -= old.amount
            self._sums = None
        return self._total

    def add(self, amount: int, now: float) -> Entry:
        """Counts an amount, and returns the entry that holds it."""
        self.used(now)
        if not self._entries or now - self._entries[-1].began >= _MERGED_S:
            self._entries.append(Entry(now))
        entry = self._entries[-1]
        entry.at = max(entry.at, now)
        entry.amount += amount
        self._total += amount
        self._sums = None
        return entry

    def change(self, entry: Entry, difference: int) -> None:
        """Corrects what an entry holds; an entry that counts no more stays as it is."""
        if entry.counts:
            entry.amount += difference
            self._total += difference
            self._sums = None

    def frees_in_s(self, excess: int, limit: int, now: float) -> float:
        """In how many seconds at least `excess` will have left.

        Where less counts now, what is still to come fills further minutes up to `limit` before it leaves again.
        """
        if not self._entries:
            return KEPT_S * math.ceil(excess / limit)
        if self._sums is None:
            self._sums = list(accumulate(entry.amount for entry in self._entries))
        if excess <= self._total:
            return self._entries[bisect_left(self._sums, excess)].at + KEPT_S - now
        return self._entries[-1].at + KEPT_S - now + KEPT_S * math.ceil((excess - self._total) / limit)


class Period:
    """What was used of one calendar day or month in UTC: requests, tokens and billionths of a dollar.

    `name` is the day or month it is in, such as 2026-11-23 or 2026-11, empty before the first `roll`; `number` grows
    each time it starts from zero.
    """

    __slots__ = ("_begins", "_is_month", "_left", "ends", "name", "number", "used")

    def __init__(self, *, is_month: bool) -> None:
        self._is_month = is_month
        self._begins = self.ends = -math.inf
        self.name = ""
        self.number = 0
        self.used = [0, 0, 0]
        # What was counted in the period before this one, in case the clock went wrong.
        self._left: dict[str, list[int]] = {}

    def roll(self, wall: float) -> None:
        """Starts from zero where a new period began at 00:00 UTC.

        A clock that was set back by more than an hour was wrong before: the counts then go over to the real period,
        beside what was counted in that before the clock went wrong.
        """
        if self._begins - _CLOCK_STEP_S <= wall < self.ends:
            return
        is_back = wall < self.ends
        left_name, left = self.name, self.used
        self._begins, self.ends = _month_around(wall) if self._is_month else _day_around(wall)
        self.name = datetime.fromtimestamp(self._begins, UTC).strftime("%Y-%m" if self._is_month else "%Y-%m-%d")
        known, self._left = self._left.get(self.name), {left_name: left}
        if is_back:
            self.used = [sum(pair) for pair in zip(known or (0, 0, 0), left, strict=True)]
        elif known is not None:
            # It had been set back too far: what was counted meanwhile is part of this period.
            self.used = [max(pair) for pair in zip(known, left, strict=True)]
        else:
            self.number += 1
            self.used = [0, 0, 0]

    def add(self, amounts: Amounts) -> None:
        """Counts amounts, or with negative ones gives them back."""
        requests, tokens, nanodollars = amounts
        used = self.used
        used[0] += requests
        used[1] += tokens
        used[2] += nanodollars


def _day_around(wall: float) -> tuple[float, float]:
    begins = wall // _DAY_S * _DAY_S
    return begins, begins + _DAY_S


def _month_around(wall: float) -> tuple[float, float]:
    moment = datetime.fromtimestamp(wall, UTC)
    year, month = (moment.year + 1, 1) if moment.month == 12 else (moment.year, moment.month + 1)
    begins = datetime(moment.year, moment.month, 1, tzinfo=UTC)
    return begins.timestamp(), datetime(year, month, 1, tzinfo=UTC).timestamp()


class Slots:
    """The requests under way, each by its number, and how long one takes.

    A request whose end is never told gives its place back after `lease_s`.
    """

    __slots__ = ("_began", "_mean_s", "lease_s")

    def __init__(self, lease_s: float) -> None:
        self.lease_s = lease_s
        self._began: dict[int, float] = {}
        self._mean_s: float | None = None

    def used(self, now: float) -> int:
        """How many are under way."""
        began = self._began
        while began:
            oldest = next(iter(began))
            if began[oldest] + self.lease_s > now:
                break
            del began[oldest]
        return len(began)

    def take(self, number: int, now: float) -> None:
        """A request begins."""
        self._began[number] = now

    def free(self, number: int) -> None:
        """A request has ended; a second time, and after its lease, this changes nothing."""
        self._began.pop(number, None)

    def learn(self, seconds: float) -> None:
        """Takes note of how long a request took."""
        self._mean_s = seconds if self._mean_s is None else self._mean_s + _DURATION_WEIGHT * (seconds - self._mean_s)

    def frees_in_s(self, excess: int, limit: int) -> float:
        """In how many seconds `excess` places of `limit` will be given back, if all take as long as those before."""
        mean_s = _FIRST_GUESS_S if self._mean_s is None else self._mean_s
        return max(mean_s * excess / limit, _LOOK_AGAIN_S)


class Statement:
    """What the provider itself last said is left, less what was sent since; None where it has not said.

    A word on a limit that is not used up holds for a minute, the shortest period that any limit here has; one on a
    limit that is used up holds until the moment that it names (provider reference, section 4).
    """

    __slots__ = ("_left", "_number", "_until")

    def __init__(self) -> None:
        self._number = -1
        self._left: list[int | None] = [None, None]
        self._until = [0.0, 0.0]

    def learn(self, number: int, left: tuple[int | None, int | None], returns_in_s: float | None, now: float) -> None:
        """Takes over what the reply to request `number` said of requests and tokens.

        Of two replies the one to the later request counts, and a lower word of an earlier one.
        """
        for unit, value in enumerate(left):
            if value is None:
                continue
            known = self.left(unit, now)
            if number < self._number and known is not None and known <= value:
                continue
            self._left[unit] = max(value, 0)
            self._until[unit] = now + (_MINUTE_S if value > 0 or returns_in_s is None else returns_in_s)
        self._number = max(self._number, number)

    def left(self, unit: int, now: float) -> int | None:
        """How many requests (0) or tokens (1) are left; None where nothing is known."""
        return self._left[unit] if self._until[unit] > now else None

    def frees_in_s(self, unit: int, now: float) -> float:
        """In how many seconds the word no longer holds."""
        return self._until[unit] - now

    def take(self, amounts: Amounts) -> None:
        """Something is sent."""
        for unit, left in enumerate(self._left):
            if left is not None:
                self._left[unit] = left - amounts[unit]

    def take_back(self, number: int, amounts: Amounts) -> None:
        """Request `number` was not sent after all; one from before the word is part of it, and changes nothing."""
        if number > self._number:
            self.take((-amounts[0], -amounts[1], -amounts[2]))
