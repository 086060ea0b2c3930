"""`llmrouter savings`: what recorded traffic to OpenAI would have cost through the router; nothing is sent."""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click

from llmrouter.brands import BRANDS
from llmrouter.cli.progress import share_done
from llmrouter.clock import Clock
from llmrouter.custom_policies.loading import CustomPolicies
from llmrouter.discovery.kept_listings import KEPT_LISTINGS
from llmrouter.discovery.refresh import PriceRefresh
from llmrouter.discovery.unconfigured import settings_at_start
from llmrouter.hindsight.reckoning import ModelReckoning, Money, Reckoning
from llmrouter.hindsight.recorded_calls import PATHS
from llmrouter.routing.allowances import limits_of
from llmrouter.routing.catalog import build_targets
from llmrouter.routing.health import HealthBook
from llmrouter.routing.plan import Router
from llmrouter.routing.policies import Policy
from llmrouter.routing.price_book import PriceBook
from llmrouter.routing.quotas import QuotaBook
from llmrouter.settings.loader import load_settings
from llmrouter.settings.location import default_model, find_config
from llmrouter.settings.model import Settings
from llmrouter.settings.problems import SettingsError

_MOST_REASONS = 10
_ASSUMED = "assumed"
"""Stands for a key; nothing is sent with it."""


class NothingToReckon(Exception):
    """The recording holds no request that the router answers."""


@dataclass(slots=True)
class Report:
    """What a recording came to; `others` are requests that were left out, by why."""

    models: list[ModelReckoning]
    others: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--host", "hosts", multiple=True, help="A host to look at; default: those of `intercept`.")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="The configuration file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def savings(file: Path, hosts: tuple[str, ...], config_file: Path | None, as_json: bool) -> None:
    """Prints what the traffic in FILE would have cost through this router, and what it cost at OpenAI.

    FILE is what mitmproxy recorded (`mitmdump -w FILE`), or a HAR file. Each call is planned under the present
    configuration, or the free catalog where there is none, and goes to the first target of its plan. Limits of
    requests, tokens and money are counted as the calls go by. Nothing is sent anywhere.
    """
    from llmrouter.proxy.recorded import NotARecording  # it imports mitmproxy, which takes a second

    try:
        with share_done("Reading") as progress:
            report = reckon(file, hosts, config_file, progress)
    except (SettingsError, NotARecording, NothingToReckon, OSError) as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    click.echo(json.dumps(to_record(report), indent=2) if as_json else "\n".join(lines_of(report)))


def reckon(file: Path, hosts: Collection[str], config_file: Path | None, progress: Callable[[float], None]) -> Report:
    """What the recording comes to; raises `NotARecording`, `NothingToReckon` and `SettingsError`."""
    from llmrouter.proxy.recorded import DamagedAfter, recorded_exchanges

    settings, reckoning, notes = _prepare(config_file)
    wanted = {host.lower() for host in hosts or settings.intercept}
    others: Counter[str] = Counter()
    try:
        for exchange in recorded_exchanges(file, progress):
            if exchange is None:
                others["could not be read, or were no HTTP"] += 1
            elif exchange.is_ours:
                others["were answered by a router already"] += 1
            elif exchange.host not in wanted:
                others["went to other hosts"] += 1
            elif exchange.method != "POST" or exchange.path not in PATHS:
                others["were something else than model calls"] += 1
            else:
                reckoning.add(exchange)
    except DamagedAfter as error:
        notes.append(str(error))
    models = sorted(reckoning.models.values(), key=lambda line: (-line.openai.usd, -line.calls, line.model))
    if not models:
        found = ", ".join(f"{count} {why}" for why, count in others.most_common()) or "it is empty"
        raise NothingToReckon(f"{file} holds no call of a model at {', '.join(sorted(wanted))}: {found}.")
    return Report(models, others, [*notes, *_notes(models)])


def _prepare(config_file: Path | None) -> tuple[Settings, Reckoning, list[str]]:
    found = config_file or find_config("", os.environ)
    custom: Mapping[str, Policy] = {}
    environ, notes = dict(os.environ), []
    if found is None:
        catalog, _ = settings_at_start(environ)
        if not catalog.keyed:
            environ |= dict.fromkeys(catalog.key_variables, _ASSUMED)
            notes.append(f"No key is set: this is what it would be with {', '.join(catalog.key_variables)}.")
            catalog, _ = settings_at_start(environ)
        settings = catalog.settings
        notes += catalog.notes
    else:
        policies = CustomPolicies(found.parent, Counter())
        settings, custom = load_settings(found, BRANDS, policies.load), policies.policies
    catalogue = build_targets(settings, BRANDS, environ)
    prices = PriceBook(catalogue.targets)
    asyncio.run(PriceRefresh(prices, Clock().wall, KEPT_LISTINGS).load())
    quotas = QuotaBook()
    quotas.reload(catalogue.targets, limits_of(settings))
    if not quotas.has_limits:
        notes.append("No limits are configured, so that none were counted; free tiers have some all the same.")
    router = Router(settings, catalogue, HealthBook(), prices, custom=custom)
    reckoning = Reckoning(router, settings, quotas, default_model(environ))
    return settings, reckoning, [*notes, *catalogue.warnings]


def _notes(models: Sequence[ModelReckoning]) -> list[str]:
    """How the figures came about, as far as it matters for them."""

    def total(name: str) -> int:
        return sum(getattr(line, name) for line in models)

    notes = []
    if estimated := total("estimated"):
        notes.append(f"{estimated} answers do not tell their usage: it is estimated, 4 characters a token.")
    if unknown := total("unknown_usage"):
        notes.append(
            f"The usage of {unknown} answers is not known: they were not recorded. They are in no sum of money."
        )
    if other := total("other_tier"):
        notes.append(f"{other} answers were of another service tier; they are counted at standard prices.")
    if failed := total("failed"):
        notes.append(
            f"{failed} calls failed at OpenAI, and cost nothing; {total('rescued')} of them failed in passing and would"
            " have been answered elsewhere."
        )
    notes.append(
        "Limits of requests, tokens and money are counted as the calls went by; concurrency is not, and all targets are"
        " taken for healthy. Tokens are as OpenAI counted them; what it had cached is full price elsewhere."
    )
    return notes


def to_record(report: Report) -> dict[str, Any]:
    """The report as plain JSON values; `unknown` says for how many calls a sum is incomplete."""
    return {
        "models": [_record(line) for line in report.models],
        "total": _record(_total(report.models)),
        "left_out": dict(report.others),
        "notes": report.notes,
    }


def _record(line: ModelReckoning) -> dict[str, Any]:
    money = {name: {"usd": one.usd, "unknown": one.unknown} for name, one in _money_of(line).items()}
    return asdict(line) | money | {"targets": dict(line.targets), "reasons": dict(line.reasons)}


def _money_of(line: ModelReckoning) -> dict[str, Money]:
    return {"openai": line.openai, "router": line.router, "saved": line.saved}


def _total(models: Sequence[ModelReckoning]) -> ModelReckoning:
    total = ModelReckoning("total")
    for line in models:
        for name, value in vars_of(line).items():
            if isinstance(value, Money):
                mine: Money = getattr(total, name)
                mine.usd, mine.unknown = mine.usd + value.usd, mine.unknown + value.unknown
            elif isinstance(value, Counter):
                getattr(total, name).update(value)
            elif isinstance(value, int):
                setattr(total, name, getattr(total, name) + value)
    return total


def vars_of(line: ModelReckoning) -> dict[str, Any]:
    """The members of a line as they are."""
    return {name: getattr(line, name) for name in ModelReckoning.__dataclass_fields__}


def lines_of(report: Report) -> list[str]:
    """The report for people: models, who would have answered, what could not be, and how the figures came about."""
    total = _total(report.models)
    head = ("model", "calls", "input", "output", "at OpenAI", "with llmrouter", "saved", "from cache", "not served")
    rows = [head, *map(_row, report.models), *([_row(total)] if len(report.models) > 1 else [])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    told = [
        "  ".join(
            cell.rjust(width) if n else cell.ljust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    told.insert(1, "-" * max(map(len, told)))
    if total.targets:
        told += ["", "Answered by:", *(f"  {key}: {count}" for key, count in total.targets.most_common(_MOST_REASONS))]
    if total.reasons:
        told += ["", f"Not served ({total.passed_on} of {total.not_served} go to OpenAI as before):"]
        told += [f"  {count}: {_printable(why)}" for why, count in total.reasons.most_common(_MOST_REASONS)]
    if report.others:
        told += ["", "Left out:", *(f"  {count} {why}" for why, count in report.others.most_common())]
    return [*told, "", *report.notes]


def _row(line: ModelReckoning) -> tuple[str, ...]:
    known = {name: line.calls - one.unknown for name, one in _money_of(line).items()}
    return (
        _printable(line.model),
        f"{line.calls:,}",
        f"{line.input_tokens:,}",
        f"{line.output_tokens:,}",
        _money(line.openai, known["openai"]),
        _money(line.router, known["router"]),
        _money(line.saved, line.cached + line.served - line.saved.unknown),
        f"{line.cached:,}",
        f"{line.not_served:,}",
    )


def _money(money: Money, known: int) -> str:
    """A sum, unknown where nothing of it is known."""
    if money.unknown and known <= 0:
        return "unknown"
    return f"${money.usd:,.4f}" + (" + ?" if money.unknown else "")


def _printable(text: str) -> str:
    """Clients choose model names; what could steer a terminal is not printed."""
    return "".join(character if character.isprintable() else "?" for character in text)[:200]
