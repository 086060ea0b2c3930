"""`llmrouter prices`: what every target costs, who says so, and how old that is."""

import asyncio
import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from llmrouter.brands import BRANDS
from llmrouter.cli.progress import steps
from llmrouter.clock import Clock
from llmrouter.discovery.kept_listings import KEPT_LISTINGS
from llmrouter.discovery.refresh import PriceRefresh, listing_client, listing_places
from llmrouter.discovery.unconfigured import settings_at_start
from llmrouter.routing.catalog import build_targets
from llmrouter.routing.price_book import PriceBook
from llmrouter.routing.price_sheets import Hours, Override, PriceSheet
from llmrouter.settings.loader import load_settings
from llmrouter.settings.location import find_config
from llmrouter.settings.problems import SettingsError
from llmrouter.targets import Target

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_UNKNOWN = "-"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--refresh", is_flag=True, help="Ask the providers that list prices now, and keep what they say.")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="The configuration file.")
def prices(as_json: bool, refresh: bool, config_file: Path | None) -> None:
    """Prints what each target costs, in US dollars per million tokens.

    A price is the configured one, else what the provider listed when it was last asked, else free where the catalog
    says so, else that of a price library. Without --refresh nobody is asked. Without a configuration the targets are
    those of the catalog.
    """
    try:
        file = config_file or find_config("", os.environ)
        settings = settings_at_start(os.environ)[0].settings if file is None else load_settings(file, BRANDS)
    except SettingsError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    catalogue = build_targets(settings, BRANDS, os.environ)
    clock = Clock()
    book = PriceBook(catalogue.targets)
    problems = asyncio.run(_read(PriceRefresh(book, clock.wall, KEPT_LISTINGS), catalogue.targets, ask=refresh))
    rows = [(target, book.sheet(target)) for target in catalogue.targets]
    if as_json:
        click.echo(json.dumps([_record(*row) for row in rows], indent=2))
    else:
        click.echo("\n".join(_lines(rows, clock.wall())))
    for warning in (*catalogue.warnings, *(f"{name}: {text}." for name, text in problems.items())):
        click.echo(warning, err=True)
    sys.exit(1 if problems else 0)


async def _read(source: PriceRefresh, targets: Iterable[Target], *, ask: bool) -> Mapping[str, str]:
    await source.load()
    if not ask:
        return {}
    async with listing_client() as client:
        with steps(len({place.url for place in listing_places(targets)}), "Asking providers") as step:
            return await source.refresh(client, step)


def _record(target: Target, sheet: PriceSheet | None) -> dict[str, Any]:
    """A target's prices as plain JSON values; all of them None where they are not known."""
    return {
        "target": target.key,
        "input": None if sheet is None else sheet.input,
        "output": None if sheet is None else sheet.output,
        "cached_input": None if sheet is None else sheet.cached_input,
        "cache_write": None if sheet is None else sheet.cache_write,
        "per_request_usd": None if sheet is None else sheet.per_request_usd,
        "overrides": [] if sheet is None else [_override_record(override) for override in sheet.overrides],
        "source": None if sheet is None else sheet.source,
        "read_at": None if sheet is None else sheet.read_at,
    }


def _override_record(override: Override) -> dict[str, Any]:
    return {
        "from_tokens": override.from_tokens,
        "hours": None if override.hours is None else _hours(override.hours),
        "input": override.input,
        "output": override.output,
        "cached_input": override.cached_input,
        "cache_write": override.cache_write,
    }


def _lines(rows: Iterable[tuple[Target, PriceSheet | None]], now: float) -> list[str]:
    table = [_row(target, sheet, now) for target, sheet in rows]
    if not table:
        return ["There are no targets."]
    widths = {name: max(len(name), *(len(row[name]) for row in table)) for name in table[0]}
    lines = ["  ".join(row[name].ljust(widths[name]) for name in widths).rstrip() for row in [_HEAD, *table]]
    notes = [f"{target.key}, {text}" for target, sheet in rows if sheet for text in _notes(sheet)]
    lines += ["", "US dollars per million tokens."]
    return [*lines, *(["", "Other prices:", *(f"  {note}" for note in notes)] if notes else [])]


_HEAD = {name: name for name in ("target", "input", "output", "cached", "cache write", "source", "age")}


def _row(target: Target, sheet: PriceSheet | None, now: float) -> dict[str, str]:
    if sheet is None:
        return dict.fromkeys(_HEAD, _UNKNOWN) | {"target": target.key, "source": "price not known"}
    return {
        "target": target.key,
        "input": _usd(sheet.input),
        "output": _usd(sheet.output),
        "cached": _usd(sheet.cached_input),
        "cache write": _usd(sheet.cache_write),
        "source": sheet.source,
        "age": _UNKNOWN if sheet.read_at is None else _age(max(0.0, now - sheet.read_at)),
    }


def _notes(sheet: PriceSheet) -> Iterable[str]:
    """What does not fit into a row: the price per request, and prices that hold under a condition."""
    if sheet.per_request_usd:
        yield f"per request: {_usd(sheet.per_request_usd)}"
    for override in sheet.overrides:
        conditions = [f"from {override.from_tokens} input tokens on"] if override.from_tokens else []
        conditions += [] if override.hours is None else [_hours(override.hours)]
        prices = {
            "input": override.input,
            "output": override.output,
            "cached": override.cached_input,
            "cache write": override.cache_write,
        }
        told = ", ".join(f"{name} {_usd(price)}" for name, price in prices.items() if price is not None)
        yield f"{' and '.join(conditions) or 'always'}: {told}"


def _hours(hours: Hours) -> str:
    """Such as `16:30-00:30 UTC` or `Mon Tue 09:00-17:00 UTC`."""
    days = "" if hours.weekdays is None else " ".join(_WEEKDAYS[day] for day in sorted(hours.weekdays)) + " "
    return f"{days}{_time(hours.begins_s)}-{_time(hours.ends_s)} UTC"


def _time(second: int) -> str:
    return f"{second // 3600:02d}:{second % 3600 // 60:02d}"


def _usd(price: float | None) -> str:
    return _UNKNOWN if price is None else f"{price:g}"


def _age(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
