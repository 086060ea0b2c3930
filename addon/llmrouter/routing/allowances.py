"""What one provider or one model may use: its limits, held against what was counted, with the reason in words."""

import math
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, Protocol

from llmrouter.routing.waiting import Line
from llmrouter.routing.windows import KEPT_S, Amounts, Entry, Period, SlidingMinute, Slots, Statement
from llmrouter.settings.model import LimitSettings, Settings

REQUESTS, TOKENS, NANODOLLARS = range(3)
NANODOLLARS_PER_USD = 1_000_000_000
UNLIMITED = 2**62
_UNLIMITED: Amounts = (UNLIMITED, UNLIMITED, UNLIMITED)
_NO_AMOUNTS: Amounts = (0, 0, 0)


class Shortage(NamedTuple):
    """Why something does not fit now, and in how many seconds it will; infinite where it never will.

    `amount` is what it would take of the unit of `axis`, and `behind` how many came before. `str()` gives the words.
    """

    wait_s: float
    whose: str
    axis: "_Axis"
    amount: int
    behind: int

    def __str__(self) -> str:
        behind = f", behind {self.behind} that came before" if self.behind else ""
        return f"{self.whose} {self.axis.words(self.amount, self.wait_s)}{behind}"


class Spent(NamedTuple):
    """What a provider (`groq`) or a model (`groq/model`) used of a day (2026-11-23), a month (2026-11), or the minute
    before a moment (its Unix second), for the ledger.

    Money is in billionths of a dollar.
    """

    name: str
    kind: Literal["day", "month", "minute"]
    period: str
    requests: int
    tokens: int
    nanodollars: int


class _Axis(Protocol):
    """One limit, on one unit of `Amounts`; `name` is its own in the settings, and `*_told` for what providers say."""

    unit: int
    name: str

    def room(self, now: float, wall: float) -> int:
        """How much of its unit is left; below zero where more was used than estimated."""
        ...

    def wait_s(self, amount: int, excess: int, now: float, wall: float) -> float:
        """Seconds until `excess` more than the room is free; infinite where `amount` alone is over the limit."""
        ...

    def words(self, amount: int, wait_s: float) -> str:
        """Why there is no room, to follow a word like 'its'."""
        ...


class _Minute:
    def __init__(self, window: SlidingMinute, limit: int, unit: int) -> None:
        self._window, self._limit, self.unit = window, limit, unit
        self.name = ("rpm", "tpm")[unit]

    def room(self, now: float, wall: float) -> int:
        return self._limit - self._window.used(now)

    def wait_s(self, amount: int, excess: int, now: float, wall: float) -> float:
        return math.inf if amount > self._limit else self._window.frees_in_s(excess, self._limit, now)

    def words(self, amount: int, wait_s: float) -> str:
        return _no_room(self._limit, self.unit, "minute", amount, wait_s) + _for(wait_s)


class _Calendar:
    def __init__(self, period: Period, limit: int, unit: int, word: str) -> None:
        self._period, self._limit, self.unit, self._word = period, limit, unit, word
        self.name = ("rpd", "tpd", f"usd_per_{word}")[unit]

    def room(self, now: float, wall: float) -> int:
        self._period.roll(wall)
        return self._limit - self._period.used[self.unit]

    def wait_s(self, amount: int, excess: int, now: float, wall: float) -> float:
        return math.inf if amount > self._limit else self._period.ends - wall

    def words(self, amount: int, wait_s: float) -> str:
        until = "" if wait_s == math.inf else f" until the {self._word} ends at 00:00 UTC"
        return _no_room(self._limit, self.unit, self._word, amount, wait_s) + until


class _AtATime:
    unit = REQUESTS
    name = "concurrency"

    def __init__(self, slots: Slots, limit: int) -> None:
        self._slots, self._limit = slots, limit

    def room(self, now: float, wall: float) -> int:
        return self._limit - self._slots.used(now)

    def wait_s(self, amount: int, excess: int, now: float, wall: float) -> float:
        return self._slots.frees_in_s(excess, self._limit)

    def words(self, amount: int, wait_s: float) -> str:
        limit = self._limit
        return f"{_amount(limit, REQUESTS)} at a time {_are(limit, REQUESTS)} under way, about {_seconds(wait_s)} more"


class _AsSaid:
    def __init__(self, statement: Statement, unit: int) -> None:
        self._statement, self.unit = statement, unit
        self.name = ("requests_told", "tokens_told")[unit]

    def room(self, now: float, wall: float) -> int:
        left = self._statement.left(self.unit, now)
        return UNLIMITED if left is None else left

    def wait_s(self, amount: int, excess: int, now: float, wall: float) -> float:
        return self._statement.frees_in_s(self.unit, now)

    def words(self, amount: int, wait_s: float) -> str:
        return f"provider says that too few {('requests', 'tokens')[self.unit]} are left{_for(wait_s)}"


class Booking:
    """What one request takes from an allowance: `amounts`, and where they are counted."""

    __slots__ = ("_day", "_month", "_requests", "_tokens", "allowance", "amounts", "begun", "number")

    def __init__(self, allowance: "Allowance", number: int, amounts: Amounts, now: float, wall: float) -> None:
        self.allowance, self.number, self.amounts = allowance, number, amounts
        self._requests: Entry = allowance.requests.add(amounts[REQUESTS], now)
        self._tokens: Entry = allowance.tokens.add(amounts[TOKENS], now)
        for period in (allowance.day, allowance.month):
            period.roll(wall)
            period.add(amounts)
        self._day, self._month = allowance.day.number, allowance.month.number
        self.begun = allowance.begin(number, amounts, now)

    def correct(self, amounts: Amounts) -> None:
        """Counts `amounts` in place of what was booked, in the minute, day and month in which the request began."""
        change = _difference(amounts, self.amounts)
        allowance, self.amounts = self.allowance, amounts
        allowance.requests.change(self._requests, change[REQUESTS])
        allowance.tokens.change(self._tokens, change[TOKENS])
        if allowance.day.number == self._day:
            allowance.day.add(change)
        if allowance.month.number == self._month:
            allowance.month.add(change)

    def never_sent(self) -> None:
        """Gives everything back."""
        sent = self.amounts
        self.correct(_NO_AMOUNTS)
        self.allowance.was_not_sent(self.number, sent)

    def end(self) -> None:
        """The request is no longer under way, and what it used was corrected."""
        self.allowance.slots.free(self.number)
        self.allowance.changed()


class Allowance:
    """The counts of one provider (all its models together) or of one model, and the limits that they must keep.

    Counts are kept whatever the limits are, so that other limits can be held against them at any time. `known_room` is
    the room when it was last measured, None since something changed: time alone only adds to it. `told` is what was
    last said of it and to which question, None since something changed.
    """

    def __init__(self, name: str, limits: LimitSettings, lease_s: float) -> None:
        self.name = name
        self.requests, self.tokens = SlidingMinute(), SlidingMinute()
        self.day, self.month = Period(is_month=False), Period(is_month=True)
        self.slots = Slots(lease_s)
        self.line = Line()
        self._statement: Statement | None = None
        self._begun = [0, 0]
        self.known_room: Amounts | None = None
        self._asked: tuple[Amounts, Amounts, float] | None = None
        self._shortage: Shortage | None = None
        self.told: tuple[tuple[float, float, bool, Amounts], Any] | None = None
        self.adopt(limits, lease_s)

    def adopt(self, limits: LimitSettings, lease_s: float) -> None:
        """Goes on under other limits."""
        self.slots.lease_s = lease_s
        self._limits = limits
        self._knows_money = limits.usd_per_day is not None or limits.usd_per_month is not None
        self.axes = tuple(self._make_axes())
        self._whose = "its" if "/" in self.name else f"{self.name}'s"
        self.changed()

    def room(self, now: float, wall: float) -> Amounts:
        """How much is left of each unit."""
        room = list(_UNLIMITED)
        for axis in self.axes:
            room[axis.unit] = min(room[axis.unit], axis.room(now, wall))
        self.known_room = known = room[0], room[1], room[2]
        return known

    def left(self, now: float, wall: float) -> dict[str, int]:
        """How much is left of each limit that says something now, by its name; money in billionths of a dollar."""
        rooms = ((axis.name, axis.room(now, wall)) for axis in self.axes)
        return {name: room for name, room in rooms if room < UNLIMITED}

    def limit(self, name: str) -> float | None:
        """The limit of that name in the settings; None where it is only what the provider says is left."""
        limit: float | None = getattr(self._limits, name, None)
        return limit

    def shortage(self, mine: Amounts, ahead: Amounts, now: float, wall: float) -> Shortage | None:
        """The limit that holds a request up the longest, behind what those ahead of it will use; None where it fits."""
        room = self.known_room or self.room(now, wall)
        if mine[0] + ahead[0] <= room[0] and mine[1] + ahead[1] <= room[1] and mine[2] + ahead[2] <= room[2]:
            return None
        # In one plan, all targets of a provider ask about the same.
        asked = mine, ahead, now
        if self._asked != asked:
            self._asked, self._shortage = asked, self._find_shortage(mine, ahead, now, wall)
        return self._shortage

    def _find_shortage(self, mine: Amounts, ahead: Amounts, now: float, wall: float) -> Shortage | None:
        longest_s, tightest = -1.0, None
        for axis in self.axes:
            unit = axis.unit
            excess = mine[unit] + ahead[unit] - axis.room(now, wall)
            if excess > 0 and (wait_s := axis.wait_s(mine[unit], excess, now, wall)) > longest_s:
                longest_s, tightest = wait_s, axis
        if tightest is None:
            self.room(now, wall)
            return None
        return Shortage(longest_s, self._whose, tightest, mine[tightest.unit], ahead[REQUESTS])

    def changed(self) -> None:
        """Something was counted or corrected, or the limits changed."""
        self.known_room = None if self.axes else _UNLIMITED
        self._asked = self.told = None

    def needs_price(self) -> str | None:
        """Why nothing may be sent whose price is not known; None where that does not matter."""
        if not self._knows_money:
            return None
        limits = self._limits
        dollars, word = (
            (limits.usd_per_day, "day") if limits.usd_per_day is not None else (limits.usd_per_month, "month")
        )
        return f"its price is not known, so that {self._whose} ${dollars:g} a {word} could not be kept"

    def begin(self, number: int, amounts: Amounts, now: float) -> tuple[int, int]:
        """A request is sent; returns how many requests and tokens ever were, with this one."""
        self.changed()
        self.slots.take(number, now)
        self._begun[REQUESTS] += amounts[REQUESTS]
        self._begun[TOKENS] += amounts[TOKENS]
        if self._statement is not None:
            self._statement.take(amounts)
        return self._begun[REQUESTS], self._begun[TOKENS]

    def was_not_sent(self, number: int, amounts: Amounts) -> None:
        """A request that was to be sent was not."""
        if self._statement is not None:
            self._statement.take_back(number, amounts)

    def hear(
        self, booking: Booking, left: tuple[int | None, int | None], returns_in_s: float | None, now: float
    ) -> None:
        """Takes over what the provider said is left with its reply to a request; it may not know of later ones yet."""
        if self._statement is None:
            self._statement = Statement()
            self.axes = tuple(self._make_axes())
        self.changed()
        since = [self._begun[unit] - booking.begun[unit] for unit in (REQUESTS, TOKENS)]
        rest = [None if said is None else max(said - sent, 0) for said, sent in zip(left, since, strict=True)]
        self._statement.learn(booking.number, (rest[0], rest[1]), returns_in_s, now)

    def _make_axes(self) -> list[_Axis]:
        limits = self._limits
        axes: list[_Axis] = []
        for unit, window, limit in ((REQUESTS, self.requests, limits.rpm), (TOKENS, self.tokens, limits.tpm)):
            if limit is not None:
                axes.append(_Minute(window, limit, unit))
        if limits.concurrency is not None:
            axes.append(_AtATime(self.slots, limits.concurrency))
        for unit, limit in ((REQUESTS, limits.rpd), (TOKENS, limits.tpd), (NANODOLLARS, _nano(limits.usd_per_day))):
            if limit is not None:
                axes.append(_Calendar(self.day, limit, unit, "day"))
        if (monthly := _nano(limits.usd_per_month)) is not None:
            axes.append(_Calendar(self.month, monthly, NANODOLLARS, "month"))
        if self._statement is not None:
            axes += (_AsSaid(self._statement, unit) for unit in (REQUESTS, TOKENS))
        return axes


def _nano(usd: float | None) -> int | None:
    return None if usd is None else round(usd * NANODOLLARS_PER_USD)


def _difference(new: Amounts, old: Amounts) -> Amounts:
    return new[0] - old[0], new[1] - old[1], new[2] - old[2]


def _no_room(limit: int, unit: int, period: str, amount: int, wait_s: float) -> str:
    whole = f"{_amount(limit, unit)} a {period}"
    if wait_s == math.inf:
        return f"{whole} {_are(limit, unit)} less than the {_amount(amount, unit)} that it would take"
    if unit == REQUESTS or amount <= 1:
        return f"{whole} {_are(limit, unit)} used up"
    return f"{whole} {'leaves' if unit == NANODOLLARS else 'leave'} no room for about {_amount(amount, unit)} more"


def _amount(count: int, unit: int) -> str:
    if unit == NANODOLLARS:
        return f"${count / NANODOLLARS_PER_USD:.6g}"
    return f"{count} {('request', 'token')[unit]}{'' if count == 1 else 's'}"


def _are(count: int, unit: int) -> str:
    return "is" if count == 1 or unit == NANODOLLARS else "are"


def _for(wait_s: float) -> str:
    return "" if wait_s == math.inf else f" for {_seconds(wait_s)} more"


def _seconds(seconds: float) -> str:
    return f"{max(math.ceil(seconds), 1)} s"


def is_limited(limits: LimitSettings) -> bool:
    """Whether there is any limit."""
    return any(value is not None for name, value in limits if name != "max_wait_seconds")


def most_of(limits: Iterable[LimitSettings]) -> Amounts:
    """What a single request may take at all under limits."""
    tokens, nanodollars = UNLIMITED, UNLIMITED
    for limit in limits:
        tokens = min(tokens, *(value for value in (limit.tpm, limit.tpd) if value is not None), UNLIMITED)
        money = (value for value in (limit.usd_per_day, limit.usd_per_month) if value is not None)
        nanodollars = min(nanodollars, *map(nanodollars_of, money), UNLIMITED)
    return UNLIMITED, tokens, nanodollars


def nanodollars_of(usd: float) -> int:
    """US dollars as billionths of one."""
    return round(usd * NANODOLLARS_PER_USD)


def spent_of(allowance: Allowance) -> Iterable[Spent]:
    """What it used of the current day and month."""
    yield Spent(allowance.name, "day", allowance.day.name, *allowance.day.used)
    yield Spent(allowance.name, "month", allowance.month.name, *allowance.month.used)


def minute_of(allowance: Allowance, now: float, wall: float) -> Spent | None:
    """What it used of the minute before now; None where that is nothing."""
    requests, tokens = allowance.requests.used(now), allowance.tokens.used(now)
    if not requests and not tokens:
        return None
    return Spent(allowance.name, "minute", str(int(wall)), requests, tokens, 0)


def restore(allowance: Allowance, spent: Spent, wall: float, now: float) -> None:
    """Adds what an earlier run used, where it still counts.

    All of its last minute counts as used at that minute's end, which is later than it was and never too early.
    """
    amounts = spent.requests, spent.tokens, spent.nanodollars
    if spent.kind == "minute":
        at = now - max(wall - float(spent.period), 0.0) if spent.period.isdecimal() else -math.inf
        if at > now - KEPT_S:
            allowance.requests.add(spent.requests, at)
            allowance.tokens.add(spent.tokens, at)
        return
    period = allowance.day if spent.kind == "day" else allowance.month
    period.roll(wall)
    if period.name == spent.period:
        period.add(amounts)


def limits_of(settings: Settings) -> dict[str, LimitSettings]:
    """The limits of a configuration, by the names of providers and the keys of targets."""
    limits = {provider.name: provider.limits for provider in settings.providers}
    for provider in settings.providers:
        limits |= {f"{provider.name}/{model.id}": model.limits for model in provider.models}
    return limits
