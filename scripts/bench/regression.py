"""Whether the router became slower: measured ratios beside those that were recorded."""

import json
from collections.abc import Sequence
from pathlib import Path

from scripts.bench.measuring import Result

RECORDED = Path(__file__).with_name("recorded_ratios.json")
TOLERANCE = 1.15


def record(results: Sequence[Result], file: Path = RECORDED) -> None:
    """Keeps the ratios that were measured; rows that were not measured keep theirs."""
    known = recorded(file) if file.exists() else {}
    known |= {one.row.name: round(one.ratio, 3) for one in results}
    file.write_text(json.dumps(known, indent=2) + "\n")


def recorded(file: Path = RECORDED) -> dict[str, float]:
    """The ratios to mitmproxy alone by the names of the rows."""
    known: dict[str, float] = json.loads(file.read_text())
    return known


def slower(results: Sequence[Result], known: dict[str, float]) -> list[str]:
    """What became slower by more than the tolerance, in words; a row without a record is new."""
    return [
        f"{one.row.name}: {one.ratio:.2f} of mitmproxy alone, {known[one.row.name]:.2f} is on record"
        for one in results
        if one.ratio > known.get(one.row.name, one.ratio) * TOLERANCE
    ]
