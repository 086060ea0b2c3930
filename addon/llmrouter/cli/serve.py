"""`llmrouter serve`: runs mitmdump or mitmweb with the addon, and prints what to paste into the app's shell."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from llmrouter.discovery.unconfigured import settings_at_start
from llmrouter.settings.loader import SettingsError
from llmrouter.settings.location import REPOSITORY, find_config

_PACKAGE = Path(__file__).resolve().parents[1]
_ADDON = _PACKAGE.parent / "router.py"


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--web", is_flag=True, help="Run mitmweb, with its pages at http://127.0.0.1:8081, instead of mitmdump.")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="The configuration file.")
@click.option("--port", default=8080, show_default=True, help="The proxy's port.")
@click.option("--api-port", default=8000, show_default=True, help="The port of the OpenAI API.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def serve(web: bool, config_file: Path | None, port: int, api_port: int, options: tuple[str, ...]) -> None:
    """Runs the router. Options after -- go to mitmdump (or mitmweb)."""
    environ = dict(os.environ)
    chosen = config_file or _choose_config(environ)
    if chosen is not None:
        environ["LLMROUTER_CONFIG"] = str(chosen)
    click.echo(_lines_to_paste(port, api_port))
    program = Path(sys.executable).with_name("mitmweb" if web else "mitmdump")
    arguments = [
        str(program),
        "-s",
        str(_ADDON),
        "--listen-host",
        "127.0.0.1",
        "-p",
        str(port),
        "--set",
        f"llmrouter_api_port={api_port}",
    ]
    arguments += [*(["--no-web-open-browser"] if web else ["--set", "flow_detail=0"]), *options]
    sys.stdout.flush()
    os.execve(program, arguments, environ)


def _choose_config(environ: Mapping[str, str]) -> Path | None:
    """The demo's configuration where there is neither a configuration nor a key; None where the addon finds its own."""
    if find_config("", environ) is not None:
        return None
    example = "cp config/providers.example.yaml config/providers.yaml"
    try:
        found, _ = settings_at_start(environ)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    if not found.keyed:
        click.echo(
            f"No configuration and no provider keys: running config/demo.yaml, which only echoes. Begin with: {example}"
        )
        return REPOSITORY / "config" / "demo.yaml"
    for line in (*found.notes, *found.warnings, f"For your own choice: {example}"):
        click.echo(line)
    return None


def _lines_to_paste(port: int, api_port: int) -> str:
    certs = REPOSITORY / "certs"
    return f"""
Paste this where your app runs, and start the app as always:

    export HTTPS_PROXY=http://127.0.0.1:{port}
    export SSL_CERT_FILE={certs / "ca-bundle.pem"}
    export NODE_EXTRA_CA_CERTS={certs / "mitmproxy-ca-cert.pem"} NODE_USE_ENV_PROXY=1

or, for an app that can set a base URL:

    export OPENAI_BASE_URL=http://127.0.0.1:{api_port}/v1
"""
