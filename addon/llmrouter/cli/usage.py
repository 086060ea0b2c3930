"""`llmrouter usage`: what calls cost and saved, from the ledger."""

import csv
import io
import json
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import click

from llmrouter.brands import BRANDS
from llmrouter.clock import Clock
from llmrouter.settings.loader import load_settings
from llmrouter.settings.location import find_config
from llmrouter.settings.problems import SettingsError
from llmrouter.settings.storage import StorageSettings
from llmrouter.sqlite_files import path_of
from llmrouter.storage.call_rows import NewerLedger
from llmrouter.storage.usage_queries import By, NoLedger, Span, Usage, UsageRecords, total_of

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_BY: tuple[By, ...] = get_args(By.__value__)
_UNKNOWN = "unknown"
_NOT_IN_CSV = ("key", "known_cost_usd", "known_saved_usd")
_NOBODY = {
    "provider": "(nobody answered)",
    "model": "(nobody answered)",
    "caller": "(no credential)",
}


@click.command()
@click.option("--by", type=click.Choice(_BY), default="provider", show_default=True, help="What each line is about.")
@click.option("--since", help="From when on: an age such as 12h or 7d, or a day or moment in UTC such as 2026-11-01.")
@click.option("--until", help="Until when, as --since; a day that is named is not part of it.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="The configuration file.")
def usage(by: By, since: str | None, until: str | None, as_csv: bool, as_json: bool, config_file: Path | None) -> None:
    """Prints what calls used, cost and saved, from the ledger of all routers that share its file.

    `requested` is the model that apps asked for, `model` the one that answered. Callers are keyed hashes of their
    credentials. Days are those of UTC. What nobody knows is never counted as nothing: a sum says for how many calls
    it is incomplete.
    """
    try:
        now = Clock().wall()
        span = Span(moment_of(since, now), moment_of(until, now))
        lines, total = read_usage(ledger_file(config_file), by, span)
    except (SettingsError, NoLedger, NewerLedger, ValueError) as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    if as_json:
        click.echo(json.dumps({"by": by, "lines": list(map(record, lines)), "total": record(total)}, indent=2))
    elif as_csv:
        click.echo(as_csv_text(by, lines), nl=False)
    else:
        click.echo("\n".join(table(by, lines, total)))


def ledger_file(config_file: Path | None) -> Path:
    """Where the ledger of a configuration lies, or that of none; raises `SettingsError`."""
    file = config_file or find_config("", os.environ)
    storage = StorageSettings() if file is None else load_settings(file, BRANDS).storage
    return path_of(storage.file_url, Path.cwd())


def moment_of(text: str | None, now: float) -> float | None:
    """Unix seconds of an age such as 7d, or of a day or moment in UTC; raises `ValueError`."""
    if text is None:
        return None
    number, unit = text[:-1], text[-1:]
    if unit in _UNITS and number.isascii() and number.isdigit():
        return now - float(number) * _UNITS[unit]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time; write an age such as 12h or 7d, or a day such as 2026-11-01") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def read_usage(file: Path, by: By, span: Span) -> tuple[list[Usage], Usage]:
    """The lines, and their total; raises `NoLedger` and `NewerLedger`."""
    with closing(UsageRecords.open(file)) as records:
        lines = records.by(by, span)
    return lines, total_of(lines)


def record(usage: Usage) -> dict[str, Any]:
    """A line as plain JSON values; `cost_usd` and `saved_usd` are null where nothing of them is known."""
    return asdict(usage) | {"cost_usd": usage.cost_usd, "saved_usd": usage.saved_usd}


def as_csv_text(by: str, lines: Sequence[Usage]) -> str:
    """The lines with a head, without a total, which a spreadsheet would add up; empty where nothing is known."""
    written = io.StringIO()
    names = [*(member.name for member in fields(Usage) if member.name not in _NOT_IN_CSV), "cost_usd", "saved_usd"]
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow([by, *names])
    for line in lines:
        told = record(line)
        writer.writerow([_safe(line.key), *("" if told[name] is None else told[name] for name in names)])
    return written.getvalue()


def _safe(key: str | None) -> str:
    """Clients choose model names, and a spreadsheet takes what begins so for a formula (OWASP, "CSV Injection")."""
    text = key or ""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def table(by: str, lines: Sequence[Usage], total: Usage) -> list[str]:
    """The lines and the total, in columns."""
    if not lines:
        return ["There are no calls in this span of time."]
    rows = [_row(line, line.key or _NOBODY.get(by, _UNKNOWN)) for line in lines]
    head = (by, "calls", "failed", "cached answers", "input", "cached", "output", "cost", "saved")
    every = [head, *rows, _row(total, "total")]
    widths = [max(len(row[column]) for row in every) for column in range(len(head))]
    told = [_aligned(row, widths) for row in every]
    rule = "-" * max(map(len, told))
    told = [told[0], rule, *told[1:-1], rule, told[-1]]
    return [*told, *_notes(total)]


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (
        cell.ljust(width) if n == 0 else cell.rjust(width)
        for n, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join([first, *others]).rstrip()


def _row(line: Usage, key: str) -> tuple[str, ...]:
    tokens = (line.input_tokens, line.cached_tokens, line.output_tokens)
    return (
        _printable(key),
        f"{line.calls:,}",
        f"{line.failed:,}",
        f"{line.cache_hits:,}",
        *(f"{number:,}" for number in tokens),
        _money(line.cost_usd, line.unknown_cost),
        _money(line.saved_usd, line.unknown_saving),
    )


def _printable(key: str) -> str:
    """Clients choose model names; what could steer a terminal is not printed."""
    return "".join(character if character.isprintable() else "?" for character in key)[:80]


def _money(usd: float | None, unknown: int) -> str:
    if usd is None:
        return _UNKNOWN
    return f"${usd:,.4f}" + (" + ?" if unknown else "")


def _notes(total: Usage) -> list[str]:
    notes = []
    if total.given_up:
        notes.append(f"{total.given_up:,} calls were given up by their clients.")
    if total.passed_through:
        text = "calls went to OpenAI with the app's own key; what they cost is in no sum."
        notes.append(f"{total.passed_through:,} {text}")
    if total.unknown_cost:
        notes.append(f"The cost of {total.unknown_cost:,} calls is not known, and not in the sum.")
    if total.unknown_saving:
        notes.append(f"What {total.unknown_saving:,} answered calls saved is not known, and not in the sum.")
    if total.unknown_usage:
        notes.append(f"The tokens of {total.unknown_usage:,} answered calls were not told, and are not in the sum.")
    return ["", *notes] if notes else []
