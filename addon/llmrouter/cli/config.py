"""`llmrouter config`: looks at the configuration file without starting anything."""

import json
import os
import sys
from collections import Counter
from pathlib import Path

import click

from llmrouter.brands import BRANDS
from llmrouter.custom_policies.loading import CustomPolicies
from llmrouter.routing.catalog import build_targets
from llmrouter.settings.loader import SettingsError, load_settings, unused_keys
from llmrouter.settings.location import find_config
from llmrouter.settings.schema import json_schema


@click.group()
def config() -> None:
    """Checks the configuration file, or prints its JSON Schema."""


@config.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
def check(path: Path | None) -> None:
    """Says whether PATH (default: config/providers.yaml) is right, and what is wrong, line by line."""
    file = path or find_config("", os.environ) or Path("config/providers.yaml")
    try:
        settings = load_settings(file, BRANDS, CustomPolicies(file.parent, Counter()).load)
    except SettingsError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    catalogue = build_targets(settings, BRANDS, os.environ)
    for warning in catalogue.warnings:
        click.echo(f"warning: {warning}")
    if unused := unused_keys(settings):
        click.echo(f"warning: read, but without effect in this version: {', '.join(unused)}")
    click.echo(f"{file} is right: {len(settings.providers)} providers, {len(catalogue.targets)} targets.")


@config.command()
def schema() -> None:
    """Prints the JSON Schema of the configuration, for editors."""
    click.echo(json.dumps(json_schema(), indent=2))
