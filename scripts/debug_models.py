"""Shows which models the providers advertise now, and which of them llmrouter would enable.

    python scripts/debug_models.py [--json] [--full] [--include-paid]

A model is enabled when all of --providers (default: LLMROUTER_PROVIDERS, else groq, openrouter and nvidia_nim)
advertise it. Keys and addresses are read as by build_free_model_catalog.py. Exit code: 0 all answered, 1 some failed,
2 none answered.
"""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from llmrouter.brands import BRANDS
from llmrouter.cli.progress import progress
from llmrouter.discovery.asking import ask_providers
from llmrouter.discovery.builder import Answer, Choice, build_index
from llmrouter.discovery.curation import Curation, CurationError, load_curation
from llmrouter.discovery.model_index import IndexedModel
from llmrouter.discovery.places import PROVIDERS_VARIABLE, UnknownProvider, chosen_providers

CURATION = Path(__file__).resolve().parents[1] / "config" / "model_catalog.yaml"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--full", is_flag=True, help="Also show models that only some of the providers advertise.")
@click.option("--include-paid", is_flag=True, help="Count paid models, too.")
@click.option("--providers", envvar=PROVIDERS_VARIABLE, help="Brands, separated by commas.")
@click.option("--timeout", default=30.0, show_default=True, help="Seconds that a provider may take.")
def main(as_json: bool, full: bool, include_paid: bool, providers: str | None, timeout: float) -> None:
    """Shows what the providers advertise."""
    try:
        names = chosen_providers(providers, BRANDS)
        curation = load_curation(CURATION) if CURATION.exists() else Curation()
    except (UnknownProvider, CurationError) as error:
        raise click.UsageError(str(error)) from error
    with progress(len(names)) as step:
        answers = asyncio.run(ask_providers(names, BRANDS, os.environ, timeout, step))
    index = build_index(answers, None, Choice(curation, include_paid), datetime.now(UTC))
    shown = [model for model in index.models if full or is_enabled(model, names)]
    if as_json:
        click.echo(json.dumps(record(answers, shown, names), indent=2))
    else:
        click.echo("\n".join(lines(answers, shown, names)))
    failed = sum(answer.error is not None for answer in answers)
    sys.exit(0 if not failed else 2 if failed == len(answers) else 1)


def is_enabled(model: IndexedModel, names: Sequence[str]) -> bool:
    """Whether all providers advertise it."""
    return all(model.offer_of(name) is not None for name in names)


def record(answers: Sequence[Answer], models: Sequence[IndexedModel], names: Sequence[str]) -> dict[str, Any]:
    """Providers and models as JSON values."""
    return {
        "providers": [
            {"name": answer.provider, "models": len(answer.models), "error": answer.error} for answer in answers
        ],
        "models": [
            {"enabled": is_enabled(model, names)} | model.model_dump(mode="json", exclude_none=True) for model in models
        ],
    }


def lines(answers: Sequence[Answer], models: Sequence[IndexedModel], names: Sequence[str]) -> list[str]:
    """The same for people: a line for each provider, then a table with a column for each."""
    told = [
        f"{a.provider}: {f'{len(a.models)} chat models' if a.error is None else 'failed: ' + a.error}" for a in answers
    ]
    if not models:
        return [*told, "", f"No model is advertised by all of {', '.join(names)}; --full shows the others."]
    rows = [["model", "quality", *names]]
    rows += [[model.name, f"{model.quality or '-'}", *(cell(model, name) for name in names)] for model in models]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    table = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [*told, "", *table]


def cell(model: IndexedModel, provider: str) -> str:
    """The model's id at a provider, and whether it costs."""
    offer = model.offer_of(provider)
    if offer is None:
        return "-"
    return offer.id if offer.free else f"{offer.id} (paid)"


if __name__ == "__main__":
    main()
