"""`llmrouter cache`: what is kept of answers in SQLite or Redis: count it, clear it, take it out, fill it."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click

from llmrouter.brands import BRANDS
from llmrouter.caching.entries import decode
from llmrouter.caching.opening import NoStore, open_unguarded
from llmrouter.caching.stores import Selection, Store
from llmrouter.cli.own_configuration import config_option, json_option
from llmrouter.cli.priming import prime
from llmrouter.clock import Clock
from llmrouter.settings.loader import load_settings
from llmrouter.settings.location import find_config
from llmrouter.settings.problems import SettingsError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@click.group()
def cache() -> None:
    """Looks after the response cache."""


class _Age(click.ParamType[float]):
    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds of an age such as 90s, 30m, 12h or 7d."""
        if isinstance(value, float):
            return value
        number, unit = str(value)[:-1], str(value)[-1:]
        if unit not in _UNITS or not (number.isascii() and number.isdigit()):
            self.fail(f"{value!r} is no age; write one such as 90s, 30m, 12h or 7d", param, ctx)
        return float(number) * _UNITS[unit]


@cache.command()
@config_option
@json_option
def stats(config_file: Path | None, as_json: bool) -> None:
    """Prints how much is kept, and of which providers."""

    async def count(store: Store) -> None:
        found = await store.stats()
        if as_json:
            told = {"entries": found.entries, "bytes": found.bytes, "by_provider": found.by_provider}
            click.echo(json.dumps(told, indent=2))
            return
        click.echo(f"{found.entries} answers, {found.bytes / 2**20:.1f} MiB")
        for provider, entries in sorted(found.by_provider.items()):
            click.echo(f"  {provider}: {entries}")

    _with_store(config_file, count)


@cache.command()
@config_option
@click.option("--provider", help="Only answers of this provider.")
@click.option("--model", help="Only answers of this model, as the provider calls it.")
@click.option("--older-than", "age_s", type=_Age(), help="Only answers older than this, such as 30m, 12h or 7d.")
@json_option
def clear(
    config_file: Path | None, provider: str | None, model: str | None, age_s: float | None, as_json: bool
) -> None:
    """Forgets answers: all of them, or those that are selected."""
    before = None if age_s is None else Clock().wall() - age_s

    async def forget(store: Store) -> None:
        forgotten = await store.clear(Selection(provider, model, before))
        click.echo(json.dumps({"forgotten": forgotten}) if as_json else f"{forgotten} answers were forgotten.")

    _with_store(config_file, forget)


@cache.command()
@config_option
@click.argument("file", type=click.File("w"), default="-")
def export(config_file: Path | None, file: Any) -> None:
    """Writes all answers as lines of JSON to FILE, or prints them; what was asked is not kept, so not in them."""

    async def write(store: Store) -> None:
        async for stored in store.every():
            entry = decode(stored.data)
            if entry is not None:
                row = {
                    "key": stored.group.hex(),
                    "target": entry.target,
                    "created": entry.created,
                    "expires": stored.expires,
                    "cost_usd": entry.cost_usd,
                    "completion": json.loads(entry.completion),
                }
                file.write(json.dumps(row, ensure_ascii=False) + "\n")

    _with_store(config_file, write)


def _with_store(config_file: Path | None, work: Callable[[Store], Awaitable[None]]) -> None:
    """Does something with the store of the configuration; what goes wrong is said in one line, with exit code 1."""
    file = config_file or find_config("", os.environ) or Path("config/providers.yaml")
    try:
        settings = load_settings(file, BRANDS)
        store, name = open_unguarded(settings.cache, os.environ, Path.cwd(), Clock())
    except (SettingsError, NoStore) as error:
        click.echo(str(error), err=True)
        sys.exit(1)

    async def run() -> None:
        try:
            await work(store)
        finally:
            await store.close()

    try:
        asyncio.run(run())
    except Exception as error:  # noqa: BLE001 - whatever its library raises; the text may hold an address
        click.echo(f"The cache in {name} cannot be used: {type(error).__name__}.", err=True)
        sys.exit(1)


cache.add_command(prime)
