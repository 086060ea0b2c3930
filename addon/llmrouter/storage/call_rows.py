"""The ledger's tables: a row for each call, and what was asked where that is wanted.

`cost_usd` is null where nobody knows all of it: `known_cost_usd` is the part that is known, and `is_unpriced` tells
that more was paid for. `failures` are the attempts that failed, as a JSON array of `[target, outcome]`. Times are Unix
seconds. `PRAGMA user_version` belongs to no table of the file, so that the version stands in a table of its own.
"""

import sqlite3
from typing import NamedTuple


class NewerLedger(Exception):
    """The ledger was written by a later version of the router, which alone can read it."""


class CallRow(NamedTuple):
    """One call; `provider` and `model` are who answered, `requested` is the model that was asked for.

    `caller` is a keyed hash, None for those who send no credential. `first_content_s` is that of the attempt which
    answered. `attempts` are those that were sent. Tokens are None where they were not told.
    """

    at: float
    id: str
    endpoint: str
    requested: str
    provider: str | None
    model: str | None
    caller: str | None
    stream: bool
    cache: str
    result: str
    status: int | None
    error: str | None
    attempts: int
    failures: str | None
    input_tokens: int | None
    cached_tokens: int | None
    cache_write_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    cost_usd: float | None
    known_cost_usd: float
    is_unpriced: bool
    saved_usd: float | None
    first_content_s: float | None
    seconds: float


_STEPS = (
    (
        """CREATE TABLE calls (
            at REAL NOT NULL, id TEXT NOT NULL, endpoint TEXT NOT NULL, requested TEXT NOT NULL,
            provider TEXT, model TEXT, caller TEXT, stream INTEGER NOT NULL, cache TEXT NOT NULL,
            result TEXT NOT NULL, status INTEGER, error TEXT, attempts INTEGER NOT NULL, failures TEXT,
            input_tokens INTEGER, cached_tokens INTEGER, cache_write_tokens INTEGER, output_tokens INTEGER,
            reasoning_tokens INTEGER, cost_usd REAL, known_cost_usd REAL NOT NULL, is_unpriced INTEGER NOT NULL,
            saved_usd REAL, first_content_s REAL, seconds REAL NOT NULL)""",
        "CREATE INDEX calls_by_time ON calls (at)",
        "CREATE INDEX calls_that_failed ON calls (at) WHERE error IS NOT NULL OR failures IS NOT NULL",
        "CREATE TABLE call_prompts (id TEXT PRIMARY KEY, at REAL NOT NULL, prompt TEXT NOT NULL) WITHOUT ROWID",
        "CREATE INDEX call_prompts_by_time ON call_prompts (at)",
    ),
)
"""What makes each version of the tables out of the one before; the first one out of nothing."""

WRITE = f"INSERT INTO calls ({', '.join(CallRow._fields)}) VALUES ({', '.join('?' * len(CallRow._fields))})"
WRITE_PROMPT = "INSERT OR REPLACE INTO call_prompts (id, at, prompt) VALUES (?, ?, ?)"
_HAS_TABLE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'calls_version'"


def version_of(database: sqlite3.Connection) -> int:
    """The version of the tables, 0 where there are none; raises `NewerLedger`."""
    if database.execute(_HAS_TABLE).fetchone() is None:
        return 0
    version: int = database.execute("SELECT max(version) FROM calls_version").fetchone()[0]
    if version > len(_STEPS):
        raise NewerLedger(f"its version is {version}, and this router knows {len(_STEPS)}")
    return version


def bring_up_to_date(database: sqlite3.Connection) -> None:
    """Makes the tables, or makes newer ones out of older ones; several routers may do so at once.

    Raises `NewerLedger` and `sqlite3.Error`.
    """
    if version_of(database) == len(_STEPS):
        return
    database.execute("BEGIN IMMEDIATE")
    try:
        for number in range(version_of(database), len(_STEPS)):
            for statement in _STEPS[number]:
                database.execute(statement)
            database.execute("CREATE TABLE IF NOT EXISTS calls_version (version INTEGER NOT NULL)")
            database.execute("INSERT INTO calls_version VALUES (?)", (number + 1,))
    except BaseException:
        database.rollback()
        raise
    database.commit()
