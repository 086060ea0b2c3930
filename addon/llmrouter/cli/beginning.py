"""`llmrouter config init`: asks what is needed and writes a configuration with comments."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from llmrouter.brands import BRANDS
from llmrouter.brands.brand import Brand
from llmrouter.cli.own_configuration import fail
from llmrouter.cli.shells import program
from llmrouter.discovery.model_index import ModelIndex
from llmrouter.discovery.unconfigured import settings_at_start
from llmrouter.settings.loader import load_settings
from llmrouter.settings.problems import SettingsError

_USUAL = Path("config") / "providers.yaml"
_OWN_TIER = frozenset({"openai", "echo"})
_POLICIES = ("least_cost", "least_latency", "round_robin", "quality")


@dataclass(frozen=True, slots=True)
class Wish:
    """A provider that the user wants, with the one model that stands in for every requested one."""

    brand: Brand
    model: str


@dataclass(frozen=True, slots=True)
class Wishes:
    """All that was asked; `premium` are models of OpenAI, which the app's own key pays for."""

    providers: Sequence[Wish]
    premium: Sequence[str]
    policy: str
    keeps_answers: bool


@click.command()
@click.argument("path", required=False, type=click.Path(path_type=Path, dir_okay=False), default=_USUAL)
@click.option("--yes", "-y", is_flag=True, help="Ask nothing: take the providers whose keys are set, and the defaults.")
def init(path: Path, yes: bool) -> None:
    """Asks a few questions and writes PATH (default: config/providers.yaml), with comments."""
    if path.exists():
        if yes:
            raise fail(f"{path} is there already, and is left as it is.")
        click.confirm(f"{path} is there already. Write it anew?", abort=True)
    try:
        index = settings_at_start(os.environ)[1].index
    except SettingsError as error:
        raise fail(error) from error
    wishes = _ask(index, os.environ, yes=yes)
    if not wishes.providers and not wishes.premium:
        raise fail("Without any provider there is nothing to write.")
    new = path.with_name(f"{path.name}.new")
    path.parent.mkdir(parents=True, exist_ok=True)
    new.write_text(_text(wishes, os.environ), encoding="utf-8")
    try:
        load_settings(new, BRANDS)
    except SettingsError as error:
        raise fail(f"This would not work, so it is not in force; it was written to {new}.\n{error}") from error
    new.replace(path)
    click.echo(f"Wrote {path}. Now: {program()} doctor, then {program()} serve")


def _ask(index: ModelIndex, environ: Mapping[str, str], *, yes: bool) -> Wishes:
    keyed = [
        brand.name
        for brand in BRANDS.values()
        if brand.key_env and environ.get(brand.key_env) and brand.base_url and brand.name not in _OWN_TIER
    ]
    if yes:
        known = [Wish(BRANDS[name], model) for name in keyed if (model := _best(index, name))]
        return Wishes(known, ("gpt-4o", "gpt-4o-mini"), "least_cost", keeps_answers=False)
    click.echo(f"Types of providers: {', '.join(name for name, brand in BRANDS.items() if name not in _OWN_TIER)}")
    names = click.prompt(
        "Which ones (their keys are set, as far as named)", ",".join(keyed) or "groq", value_proc=_names
    )
    providers = [
        Wish(BRANDS[name], click.prompt(f"Model at {name}", _best(index, name), type=_Filled())) for name in names
    ]
    premium: list[str] = []
    if click.confirm("May OpenAI itself answer, last and with the app's own key?", default=True):
        premium = click.prompt("Its models that your app asks for", "gpt-4o,gpt-4o-mini", value_proc=_split)
    policy = click.prompt("Who is first among equals", "least_cost", type=click.Choice(_POLICIES))
    keeps = click.confirm("Keep answers to repeated requests on disk (else in memory)?", default=False)
    return Wishes(providers, premium, policy, keeps)


class _Filled(click.ParamType[str]):
    name = "text"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Text without white space around it."""
        return str(value).strip() or self.fail("a name is needed", param, ctx)


def _split(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _names(value: str) -> list[str]:
    names = _split(value)
    if unknown := [name for name in names if name not in BRANDS]:
        raise click.UsageError(f"{', '.join(unknown)}: there is no such type")
    return names


def _best(index: ModelIndex, provider: str) -> str | None:
    """The best free model of a provider in the catalog, else the best of all; None where the catalog knows none."""
    offers = [
        (offer.free, model.quality or 0.0, offer.id)
        for model in index.models
        for offer in model.offers
        if offer.provider == provider
    ]
    return max(offers, default=(False, 0.0, None))[2]


def _text(wishes: Wishes, environ: Mapping[str, str]) -> str:
    return "\n".join(
        [
            "# Written by `llmrouter config init`. It is read again whenever it changes; `llmrouter config check` says",
            "# whether it is right, config/providers.example.yaml shows what else there is.",
            "",
            "providers:",
            *_providers(wishes.providers, environ),
            *_premium(wishes.premium),
            f"policy: {wishes.policy} # who is first within a tier: {', '.join(_POLICIES)}, weighted, schedule",
            "",
            "unmatched: passthrough # a model that nothing serves goes to OpenAI as it was sent; `reject` refuses it",
            "",
            *_cache(wishes),
            "# routes: # what may answer which requested model; the first match wins",
            '#   - model: "gpt-4o-mini*"',
            '#     use: ["groq/*", "openai/gpt-4o-mini"]',
            "",
        ]
    )


def _providers(wishes: Iterable[Wish], environ: Mapping[str, str]) -> Iterable[str]:
    for wish in wishes:
        key = wish.brand.key_env
        is_set = "" if key is None or environ.get(key) else ", which is not set yet: left out until then"
        yield f"  - type: {wish.brand.name}" + (f" # its key is read from {key}{is_set}" if key else "")
        yield "    priority: 10 # lower tiers are tried first"
        # JSON's quotes are YAML's, too.
        yield f"    model: {json.dumps(wish.model)} # stands in for every requested model"
        if wish.brand.base_url is None:
            yield "    base_url: http://127.0.0.1:8001/v1 # where it is"
        yield ""


def _premium(models: Sequence[str]) -> Iterable[str]:
    if models:
        yield "  # OpenAI itself, last, with the app's own key, which goes to nobody else."
        yield from ("  - type: openai", "    api_key: caller", "    priority: 90", "    models:")
        yield from (f"      - id: {json.dumps(model)}" for model in models)
        yield ""


def _cache(wishes: Wishes) -> Iterable[str]:
    if wishes.keeps_answers:
        yield "cache: {backend: sqlite, ttl_seconds: 86400} # requests with temperature 0 or a seed, for a day"
    else:
        yield "# cache: {backend: sqlite, ttl_seconds: 86400} # else in memory, for an hour"
    yield ""
