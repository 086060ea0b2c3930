"""Plain tables: columns that line up, and nothing that a pipe could not take."""

from collections.abc import Iterable, Mapping


def table(rows: Iterable[Mapping[str, str]]) -> list[str]:
    """Lines under a head of the columns' names, which are those of the first row; empty without rows."""
    cells = list(rows)
    if not cells:
        return []
    widths = {name: max(len(name), *(len(row[name]) for row in cells)) for name in cells[0]}
    lines = [{name: name for name in widths}, *cells]
    return ["  ".join(row[name].ljust(width) for name, width in widths.items()).rstrip() for row in lines]
