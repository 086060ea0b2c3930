"""`llmrouter config`: looks at the configuration file without starting anything, and begins one."""

import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click
import yaml

from llmrouter.brands import BRANDS
from llmrouter.cli.beginning import init
from llmrouter.cli.own_configuration import choose_configuration, fail, json_option, settings_of
from llmrouter.custom_policies.loading import CustomPolicies
from llmrouter.routing.catalog import build_targets
from llmrouter.settings.loader import load_settings, unused_keys
from llmrouter.settings.location import find_config
from llmrouter.settings.problems import Problem, SettingsError
from llmrouter.settings.reference import reference as written_reference
from llmrouter.settings.schema import json_schema

_HIDDEN = "(hidden)"
_HARMLESS_HEADERS = frozenset({"http-referer", "x-title", "user-agent", "accept-language", "openai-beta"})


@click.group()
def config() -> None:
    """Begins, checks and shows the configuration, or prints its JSON Schema."""


@config.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
@json_option
def check(path: Path | None, as_json: bool) -> None:
    """Says whether PATH (default: config/providers.yaml) is right, and what is wrong, line by line."""
    file = path or find_config("", os.environ) or Path("config/providers.yaml")
    try:
        settings = load_settings(file, BRANDS, CustomPolicies(file.parent, Counter()).load)
    except SettingsError as error:
        if as_json:
            click.echo(json.dumps({"file": str(file), "problems": list(map(_problem, error.problems))}, indent=2))
        else:
            click.echo(str(error), err=True)
        sys.exit(1)
    catalogue = build_targets(settings, BRANDS, os.environ)
    warnings = list(catalogue.warnings)
    if unused := unused_keys(settings):
        warnings.append(f"read, but without effect in this version: {', '.join(unused)}")
    if as_json:
        targets = [target.key for target in catalogue.targets]
        told = {"file": str(file), "problems": [], "warnings": warnings, "targets": targets}
        click.echo(json.dumps(told, indent=2))
        return
    for warning in warnings:
        click.echo(f"warning: {warning}")
    click.echo(f"{file} is right: {len(settings.providers)} providers, {len(catalogue.targets)} targets.")


def _problem(problem: Problem) -> dict[str, Any]:
    return {"line": problem.line, "column": problem.column, "key": problem.key, "message": problem.message}


@config.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--all", "with_defaults", is_flag=True, help="With everything that is left at its default.")
@json_option
def show(path: Path | None, with_defaults: bool, as_json: bool) -> None:
    """Prints the settings in force: those of PATH, of the usual file, or of the catalog where there is none.

    Keys are never part of a configuration; what extra headers hold is hidden, but for harmless ones.
    """
    try:
        choice = choose_configuration(path, os.environ)
        settings = settings_of(choice, os.environ)
    except SettingsError as error:
        raise fail(error) from error
    told = settings.model_dump(mode="json", exclude_defaults=not with_defaults)
    for provider in told.get("providers", []):
        headers = provider.get("extra_headers", {})
        headers |= {name: _HIDDEN for name in headers if name.lower() not in _HARMLESS_HEADERS}
    if as_json:
        click.echo(json.dumps(told, indent=2))
        return
    click.echo(f"# {choice.file or 'the catalog that ships with llmrouter'}")
    click.echo(yaml.safe_dump(told, sort_keys=False, allow_unicode=True), nl=False)


@config.command()
def schema() -> None:
    """Prints the JSON Schema of the configuration, for editors."""
    click.echo(json.dumps(json_schema(), indent=2))


@config.command()
def reference() -> None:
    """Prints the reference of all keys as Markdown, made from the settings themselves."""
    click.echo(written_reference(), nl=False)


config.add_command(init)
