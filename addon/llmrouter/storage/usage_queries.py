"""What the ledger says: calls, tokens, money and latency over a span of time, added up by SQLite.

Money that nobody knows is no zero: sums are of what is known, and beside each stands for how many calls it is not.
Times are Unix seconds, days those of UTC.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, fields
from itertools import accumulate
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self

from llmrouter.sqlite_files import BUSY_S
from llmrouter.storage.call_rows import version_of

type By = Literal["provider", "model", "day", "caller", "endpoint", "requested"]
"""What lines are about: who answered, with which model, when, who asked, what was asked, for which model."""

BY: Mapping[By, str] = MappingProxyType(
    {
        "provider": "provider",
        "model": "provider || '/' || model",
        "day": "date(at, 'unixepoch')",
        "caller": "caller",
        "endpoint": "endpoint",
        "requested": "requested",
    }
)

_TARGET = "json_extract(one.value, '$[0]')"
_SPAN = "at >= :since AND at < :until"
_FOREVER = 1e18
_SUMS = """
    count(*) AS calls,
    sum(result = 'answered') AS answered,
    sum(result = 'client_gone') AS given_up,
    sum(result = 'passed_through') AS passed_through,
    sum(cache IN ('hit', 'shared')) AS cache_hits,
    sum(attempts) AS attempts,
    total(input_tokens) AS input_tokens,
    total(cached_tokens) AS cached_tokens,
    total(output_tokens) AS output_tokens,
    total(reasoning_tokens) AS reasoning_tokens,
    sum(result = 'answered' AND input_tokens IS NULL) AS unknown_usage,
    sum(cost_usd IS NOT NULL) AS priced,
    total(known_cost_usd) AS known_cost_usd,
    sum(is_unpriced) AS unknown_cost,
    total(saved_usd) AS known_saved_usd,
    sum(result = 'answered' AND saved_usd IS NULL) AS unknown_saving
"""
_MONEY = frozenset({"known_cost_usd", "known_saved_usd"})


class NoLedger(Exception):
    """There is no ledger yet, or none that can be read."""


class UnreadableLedger(NoLedger):
    """There is one, and what stands in it nobody knows."""


@dataclass(frozen=True, slots=True)
class Span:
    """From `since` up to but not including `until`, in Unix seconds; None is no bound."""

    since: float | None = None
    until: float | None = None

    @property
    def _bounds(self) -> dict[str, float]:
        return {
            "since": -_FOREVER if self.since is None else self.since,
            "until": _FOREVER if self.until is None else self.until,
        }


@dataclass(frozen=True, slots=True)
class Usage:
    """What some calls came to.

    `key` is what they have in common, None where that is not known, such as the provider of calls that nobody
    answered. `given_up` are those whose client left, `passed_through` those that went to OpenAI with the app's own
    key, since the router itself could not answer: nobody here knows what they cost. `cache_hits` are those that the
    router's own cache answered, and those that shared the answer to another call; `attempts` are requests to
    providers. `priced` are the calls whose cost is known, a cost of nothing included; `known_cost_usd` is the sum
    of what is known, and `unknown_cost` tells for how many calls something is missing in it; so do
    `known_saved_usd` with `unknown_saving`, and the tokens with `unknown_usage`.
    """

    key: str | None
    calls: int
    answered: int
    given_up: int
    passed_through: int
    cache_hits: int
    attempts: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    unknown_usage: int
    priced: int
    known_cost_usd: float
    unknown_cost: int
    known_saved_usd: float
    unknown_saving: int

    @property
    def failed(self) -> int:
        """How many ended with an error, or broke off."""
        return self.calls - self.answered - self.given_up - self.passed_through

    @property
    def cost_usd(self) -> float | None:
        """The cost, None where it is known of no call."""
        return self.known_cost_usd if self.priced else None

    @property
    def saved_usd(self) -> float | None:
        """The saving, None where it is known of no call."""
        return None if self.unknown_saving >= self.answered > 0 else self.known_saved_usd

    @property
    def cache_hit_share(self) -> float | None:
        """The share of calls that the cache answered, from 0 to 1; None where there are none."""
        return self.cache_hits / self.calls if self.calls else None


_NUMBERS = tuple(member.name for member in fields(Usage) if member.name != "key")


def total_of(lines: Iterable[Usage]) -> Usage:
    """All that these lines came to."""
    lines = tuple(lines)
    sums: dict[str, Any] = {name: sum(getattr(line, name) for line in lines) for name in _NUMBERS}
    return Usage(key=None, **sums)


@dataclass(frozen=True, slots=True)
class Bucket:
    """What was used in `seconds` from `at` on."""

    at: float
    seconds: float
    usage: Usage


@dataclass(frozen=True, slots=True)
class Failures:
    """How many calls ended with an error of this kind, or how many attempts at a provider did; `provider` is None for
    calls."""

    kind: str
    provider: str | None
    count: int


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds until the first content came from a provider, for half of its answers and for 95 in 100.

    They are exact to a millisecond. An answer that is no stream comes as a whole, so that both kinds stand apart.
    """

    provider: str
    is_stream: bool
    answers: int
    p50_s: float
    p95_s: float


class UsageRecords:
    """The ledger in one file, for reading beside a router that writes it; in any thread, but in one at a time.

    All answers are of one state of the file, that at the first question. Each raises `NoLedger` where it cannot be
    read.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.row_factory = sqlite3.Row

    @classmethod
    def open(cls, file: Path) -> Self:
        """Raises `NoLedger`, and where a later version of the router wrote it `NewerLedger`."""
        missing = NoLedger(f"There is no ledger in {file} yet: no call was written down.")
        if not file.exists():
            raise missing
        with ExitStack() as opened:
            try:
                database = opened.enter_context(closing(_connected(file)))
                database.execute("BEGIN")
                version = version_of(database)
            except sqlite3.Error as error:
                raise UnreadableLedger(f"The ledger in {file} cannot be read: {error}.") from error
            if version == 0:
                raise missing
            opened.pop_all()
        return cls(database)

    def close(self) -> None:
        """Lets go of the file."""
        self._database.close()

    def total(self, span: Span) -> Usage:
        """All calls of a span."""
        found = self._rows(f"SELECT NULL AS key, {_SUMS} FROM calls WHERE {_SPAN}", span)
        return _usage(found[0])

    def by(self, what: By, span: Span) -> list[Usage]:
        """The calls of a span, apart by something; the most calls first, days in their order."""
        order = "key" if what == "day" else "calls DESC, key"
        query = f"SELECT {BY[what]} AS key, {_SUMS} FROM calls WHERE {_SPAN} GROUP BY 1 ORDER BY {order}"
        return [_usage(row) for row in self._rows(query, span)]

    def over_time(self, span: Span, bucket_s: float) -> list[Bucket]:
        """The calls of a span in buckets of so many seconds, which begin at multiples of that; empty ones are left
        out."""
        query = f"SELECT CAST(at / :bucket_s AS INTEGER) AS key, {_SUMS} FROM calls WHERE {_SPAN} GROUP BY 1 ORDER BY 1"
        return [
            Bucket(row["key"] * bucket_s, bucket_s, _usage(row, None))
            for row in self._rows(query, span, bucket_s=bucket_s)
        ]

    def failed_calls(self, span: Span) -> list[Failures]:
        """The calls of a span that were not answered to their end, by kind."""
        query = f"""SELECT error, count(*) AS number FROM calls
            WHERE {_SPAN} AND error IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1"""
        return [Failures(row["error"], None, row["number"]) for row in self._rows(query, span)]

    def failed_attempts(self, span: Span) -> list[Failures]:
        """The attempts of a span that failed, by provider and kind, whether another one answered then or not."""
        query = f"""SELECT substr({_TARGET}, 1, instr({_TARGET}, '/') - 1) AS provider,
                json_extract(one.value, '$[1]') AS kind, count(*) AS number
            FROM calls, json_each(calls.failures) AS one
            WHERE {_SPAN} AND (error IS NOT NULL OR failures IS NOT NULL) GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2"""
        return [Failures(row["kind"], row["provider"], row["number"]) for row in self._rows(query, span)]

    def latencies(self, span: Span) -> list[Latency]:
        """How soon providers began to answer in a span, the most used one first."""
        query = f"""SELECT provider, stream, CAST(first_content_s * 1000 AS INTEGER) AS step, count(*) AS number
            FROM calls WHERE {_SPAN} AND first_content_s IS NOT NULL AND provider IS NOT NULL
            GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""
        steps: dict[tuple[str, bool], list[tuple[int, int]]] = {}
        for row in self._rows(query, span):
            steps.setdefault((row["provider"], bool(row["stream"])), []).append((row["step"], row["number"]))
        found = [
            Latency(*of, sum(n for _, n in counted), _percentile(counted, 0.5), _percentile(counted, 0.95))
            for of, counted in steps.items()
        ]
        return sorted(found, key=lambda one: -one.answers)

    def _rows(self, query: str, span: Span, **more: float) -> list[Any]:
        try:
            with closing(self._database.execute(query, span._bounds | more)) as cursor:
                return cursor.fetchall()
        except sqlite3.Error as error:
            raise UnreadableLedger(f"The ledger cannot be read: {error}.") from error


def _connected(file: Path) -> sqlite3.Connection:
    uri = f"{file.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_S, check_same_thread=False)


def _usage(row: sqlite3.Row, key: str | None = "key") -> Usage:
    """A row of sums; SQLite adds up to null where there is nothing."""
    told: dict[str, Any] = {name: row[name] or 0 for name in _NUMBERS}
    exact = {name: value if name in _MONEY else int(value) for name, value in told.items()}
    return Usage(key=None if key is None else row[key], **exact)


def _percentile(counted: list[tuple[int, int]], share: float) -> float:
    """The seconds that this share of all does not exceed; `counted` are milliseconds, and how many of each."""
    ends = accumulate(number for _, number in counted)
    wanted = share * sum(number for _, number in counted)
    return next(step for (step, _), end in zip(counted, ends, strict=True) if end >= wanted) / 1000
