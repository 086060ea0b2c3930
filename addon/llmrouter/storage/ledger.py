"""What each provider and model used of its day and month, so that a restart does not forget it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from llmrouter.storage.kept_table import KeptTable, Table

_LARGEST = 2**63 - 1


class Row(NamedTuple):
    """The counts of one provider or model: `kind` is `day` or `month`, `period` which one; money in billionths of a
    dollar."""

    name: str
    kind: str
    period: str
    requests: int
    tokens: int
    nanodollars: int


def _is_sound(row: tuple[Any, ...]) -> bool:
    return all(isinstance(value, str) for value in row[:3]) and all(
        isinstance(value, int) and 0 <= value <= _LARGEST for value in row[3:]
    )


QUOTA_COUNTS = Table(
    name="quota_counts",
    words="Quota counts",
    columns=(
        "name TEXT NOT NULL",
        "kind TEXT NOT NULL",
        "period TEXT NOT NULL",
        "requests INTEGER NOT NULL",
        "tokens INTEGER NOT NULL",
        "nanodollars INTEGER NOT NULL",
    ),
    keys=2,
    make_row=Row,
    is_sound=_is_sound,
)


class Ledger(KeptTable[Row]):
    """The counts in one file."""

    def __init__(self, file: Path, **seconds: float) -> None:
        """Takes `pause_s` and `retry_s`, as `KeptTable` does."""
        super().__init__(file, QUOTA_COUNTS, **seconds)

    def save(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Takes counts to be written soon; what is more than SQLite counts to is its most."""
        super().save((*row[:3], *(min(max(count, 0), _LARGEST) for count in row[3:])) for row in rows)
