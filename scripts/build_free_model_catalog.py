"""Asks providers which models they offer for free, and writes the model index that llmrouter runs on.

    python scripts/build_free_model_catalog.py \\
        --providers groq,openrouter,nvidia_nim --output generated/model_index.json --pretty

Keys are read from the environment (GROQ_API_KEY, OPENROUTER_API_KEY, NVIDIA_NIM_KEY, ...), addresses may be replaced
there (LLMROUTER_GROQ_BASE_URL, ...). A provider that fails is reported and keeps what the output file has of it.
Exit code: 0 all answered; 1 some failed, and the file was written; 2 none answered, and nothing was written.
"""

import asyncio
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from llmrouter.brands import BRANDS
from llmrouter.cli.progress import progress
from llmrouter.discovery.asking import ask_providers
from llmrouter.discovery.builder import Answer, Choice, build_index, chosen_offers, kept_offers
from llmrouter.discovery.curation import Curation, CurationError, load_curation
from llmrouter.discovery.model_index import ModelIndex, ModelIndexError, encode_index, parse_index
from llmrouter.discovery.places import PROVIDERS_VARIABLE, UnknownProvider, chosen_providers

REPOSITORY = Path(__file__).resolve().parents[1]
SOME_FAILED, NONE_ANSWERED = 1, 2


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--providers", envvar=PROVIDERS_VARIABLE, help="Brands, separated by commas; default: LLMROUTER_PROVIDERS."
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), default=Path("generated/model_index.json"))
@click.option("--pretty", is_flag=True, help="Write indented JSON.")
@click.option(
    "--curation",
    type=click.Path(path_type=Path, dir_okay=False),
    default=REPOSITORY / "config" / "model_catalog.yaml",
    help="What is decided about single models.",
)
@click.option("--timeout", default=30.0, show_default=True, help="Seconds that a provider may take.")
def main(providers: str | None, output: Path, pretty: bool, curation: Path, timeout: float) -> None:
    """Writes a model index of what the providers offer for free."""
    try:
        names = chosen_providers(providers, BRANDS)
        choice = Choice(load_curation(curation) if curation.exists() else Curation())
    except (UnknownProvider, CurationError) as error:
        raise click.UsageError(str(error)) from error
    earlier = read_earlier(output)
    with progress(len(names)) as step:
        answers = asyncio.run(ask_providers(names, BRANDS, os.environ, timeout, step))
    for answer in answers:
        click.echo(report(answer, choice, earlier), err=True)
    failed = [answer for answer in answers if answer.error is not None]
    if len(failed) == len(answers):
        click.echo(f"No provider answered: {output} is left as it is.", err=True)
        sys.exit(NONE_ANSWERED)
    index = build_index(answers, earlier, choice, datetime.now(UTC).replace(microsecond=0))
    write(output, encode_index(index, pretty=pretty))
    everywhere = [model.name for model in index.models if all(model.offer_of(name) for name in names)]
    click.echo(
        f"{output}: {len(index.models)} models; at all of {', '.join(names)}: {', '.join(everywhere) or 'none'}."
    )
    sys.exit(SOME_FAILED if failed else 0)


def read_earlier(output: Path) -> ModelIndex | None:
    """The index that the output file holds; a file that is none is told, and used for nothing."""
    try:
        return parse_index(output.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ModelIndexError) as error:
        click.echo(f"{output} holds no earlier index: {error}", err=True)
        return None


def report(answer: Answer, choice: Choice, earlier: ModelIndex | None) -> str:
    """One line about one provider."""
    if answer.error is not None:
        kept = len(kept_offers(answer.provider, earlier))
        return f"{answer.provider}: failed: {answer.error}; {kept} earlier entries are kept"
    chosen = chosen_offers(answer, choice)
    paid = sum(not offer.free for offer in chosen.values())
    also = f", {paid} of them paid" if paid else ""
    return f"{answer.provider}: {len(answer.models)} chat models listed, {len(chosen)} taken{also}"


def write(output: Path, text: bytes) -> None:
    """Writes the file in one step: a reader sees the old one or the new one."""
    output.parent.mkdir(parents=True, exist_ok=True)
    new = output.with_name(output.name + ".new")
    new.write_bytes(text)
    new.replace(output)


if __name__ == "__main__":
    main()
