"""Which configuration a router would run with that is started now, and what it would intercept."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmrouter.settings.location import REPOSITORY, find_config

if TYPE_CHECKING:
    from llmrouter.settings.model import Settings

DEMO = REPOSITORY / "config" / "demo.yaml"
CERTS = REPOSITORY / "certs"

config_option = click.option("--config", "config_file", type=click.Path(path_type=Path), help="The configuration file.")
certs_option = click.option(
    "--certs",
    type=click.Path(path_type=Path, file_okay=False),
    default=CERTS,
    help="The folder of the CA; default: certs/ of the repository.",
)
port_option = click.option("--port", default=8080, show_default=True, help="The proxy's port.")
api_port_option = click.option("--api-port", default=8000, show_default=True, help="The port of the OpenAI API.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@dataclass(frozen=True, slots=True)
class Choice:
    """The file, None where the addon finds its targets in the catalog, and what the user should know about it."""

    file: Path | None
    notes: tuple[str, ...] = ()


def choose_configuration(named: Path | None, environ: Mapping[str, str]) -> Choice:
    """The user's configuration, else the catalog where a key is set, else the demo's; raises `SettingsError`."""
    if (file := named or find_config("", environ)) is not None:
        return Choice(file.expanduser().absolute())
    example = "cp config/providers.example.yaml config/providers.yaml"
    # All that reads settings takes a quarter of a second to import, which a router that has a file need not wait for.
    from llmrouter.discovery.unconfigured import settings_at_start

    found, _ = settings_at_start(environ)
    if not found.keyed:
        text = "No configuration and no provider keys: running config/demo.yaml, which only echoes. Begin with:"
        return Choice(DEMO, (f"{text} {example}",))
    return Choice(None, (*found.notes, *found.warnings, f"For your own choice: {example}"))


def settings_of(choice: Choice, environ: Mapping[str, str]) -> "Settings":
    """What the chosen configuration says; a custom policy is not loaded. Raises `SettingsError`."""
    from llmrouter.brands import BRANDS
    from llmrouter.discovery.unconfigured import settings_at_start
    from llmrouter.settings.loader import load_settings

    return settings_at_start(environ)[0].settings if choice.file is None else load_settings(choice.file, BRANDS)


def fail(error: Exception | str) -> click.ClickException:
    """An error to raise, so that the command ends with one line and exit code 1."""
    return click.ClickException(str(error))
