"""`llmrouter models`: the names that an app may ask for, and who answers each of them."""

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import click

from llmrouter.brands import BRANDS
from llmrouter.cli.explain import what_is_kept
from llmrouter.cli.own_configuration import choose_configuration, config_option, fail, json_option, settings_of
from llmrouter.cli.tables import table
from llmrouter.clock import Clock
from llmrouter.routing.catalog import build_targets
from llmrouter.routing.served_models import served_models
from llmrouter.settings.problems import SettingsError
from llmrouter.targets import ServedModel, Target


@click.command()
@config_option
@json_option
def models(config_file: Path | None, as_json: bool) -> None:
    """Lists the names that an app may ask for, who answers each of them, and who rests at the moment.

    Names that only a pattern covers, such as gpt-4o*, cannot be listed; the patterns are.
    """
    try:
        settings = settings_of(choose_configuration(config_file, os.environ), os.environ)
    except SettingsError as error:
        raise fail(error) from error
    catalogue, clock = build_targets(settings, BRANDS, os.environ), Clock()
    now = clock.monotonic()
    health, _, _ = what_is_kept(settings, catalogue.targets, now, clock.wall())
    found = served_models(catalogue, health, now)
    patterns = _patterns(catalogue.targets)
    if as_json:
        told = {"models": [_record(one) for one in found], "patterns": patterns}
        click.echo(json.dumps(told, indent=2))
    else:
        click.echo("\n".join(_lines(found, patterns)))
    for warning in catalogue.warnings:
        click.echo(f"warning: {warning}", err=True)
    sys.exit(0)


def _patterns(targets: Iterable[Target]) -> dict[str, list[str]]:
    """The globs of requested names, each with the targets that stand in for what matches."""
    found: dict[str, list[str]] = {}
    for target in targets:
        for glob in target.serves:
            if any(character in glob for character in "*?["):
                found.setdefault(glob, []).append(target.key)
    return found


def _record(model: ServedModel) -> dict[str, object]:
    return {
        "name": model.name,
        "answered_by": [target.key for target in model.available],
        "resting": [target.key for target in model.resting],
    }


def _lines(found: list[ServedModel], patterns: dict[str, list[str]]) -> list[str]:
    rows = [
        {
            "requested name": model.name,
            "answered by": ", ".join(target.key for target in model.available),
            "resting": ", ".join(target.key for target in model.resting) or "-",
        }
        for model in found
    ]
    lines = table(rows) or ["Nobody answers for a name that could be listed."]
    if patterns:
        lines += ["", "Any name that matches:", *(f"  {glob}: {', '.join(keys)}" for glob, keys in patterns.items())]
    return lines
