"""What was known of the targets' health, so that a restart does not have to find it out again."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from llmrouter.storage.kept_table import KeptTable, Table


class HealthRow(NamedTuple):
    """What was known of a target or provider at `wall` (Unix seconds), as JSON text."""

    name: str
    wall: float
    known: str


def _is_sound(row: tuple[Any, ...]) -> bool:
    return isinstance(row[0], str) and isinstance(row[1], float) and isinstance(row[2], str)


TARGET_HEALTH = Table(
    name="target_health",
    words="Records of health",
    columns=("name TEXT NOT NULL", "wall REAL NOT NULL", "known TEXT NOT NULL"),
    keys=1,
    make_row=HealthRow,
    is_sound=_is_sound,
)


class HealthRecords:
    """The records in one file."""

    def __init__(self, file: Path) -> None:
        self._table = KeptTable(file, TARGET_HEALTH)

    def load(self, wall: float) -> list[tuple[str, float, dict[str, Any]]]:
        """Name, age in seconds, and what was known; a clock that was set back makes nothing younger than new."""
        found = []
        for row in self._table.load():
            try:
                known = json.loads(row.known)
            except ValueError:
                continue
            if isinstance(known, dict):
                found.append((row.name, max(wall - row.wall, 0.0), known))
        return found

    def save(self, known: Iterable[tuple[str, dict[str, Any]]], wall: float) -> None:
        """Takes what is known now, to be written soon."""
        self._table.save([(name, wall, json.dumps(row)) for name, row in known])

    def close(self) -> None:
        """Writes what still waits."""
        self._table.close()
