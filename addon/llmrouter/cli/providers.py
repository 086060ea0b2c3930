"""`llmrouter providers`: the brands that the router knows, and which of their keys are set."""

import json
import os
from collections.abc import Mapping

import click

from llmrouter.brands import BRANDS
from llmrouter.brands.brand import Brand
from llmrouter.cli.tables import table


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def providers(as_json: bool) -> None:
    """Lists the provider types, their addresses and endpoints, and whether their key is set."""
    rows = [_row(brand, os.environ) for brand in BRANDS.values()]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    click.echo("\n".join(table(rows)))


def _row(brand: Brand, environ: Mapping[str, str]) -> dict[str, str]:
    is_set = bool(brand.key_env and environ.get(brand.key_env))
    return {
        "type": brand.name,
        "wire format": ", ".join(_formats(brand)),
        "address": brand.base_url or "-",
        "endpoints": ", ".join(brand.endpoints),
        "key variable": brand.key_env or "-",
        "key": "set" if is_set else "not set" if brand.key_required else "not needed",
    }


def _formats(brand: Brand) -> dict[str, None]:
    """The formats that the brand is spoken to in, the usual one first."""
    dialects = [brand.dialect, *(brand.dialect_for(model) for rule in brand.rules for model in rule.models)]
    detours = (detour.dialect.wire_format for dialect in dialects for detour in dialect.detours)
    return dict.fromkeys((brand.dialect.wire_format, *detours))
