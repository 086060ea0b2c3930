"""`llmrouter env`: what to set in a shell, so that the programs that it starts use the router."""

import json
import os
from pathlib import Path

import click

from llmrouter.cli.client_environment import Ports, client_environment
from llmrouter.cli.own_configuration import (
    api_port_option,
    certs_option,
    choose_configuration,
    config_option,
    fail,
    json_option,
    port_option,
    settings_of,
)
from llmrouter.cli.running_router import health
from llmrouter.cli.shells import Shell, how_to_use, lines_for, program, shell_of
from llmrouter.cli.trusting import bring_up_to_date
from llmrouter.proxy.certificate_authority import CaError
from llmrouter.settings.loader import SettingsError


@click.command()
@click.option(
    "--shell", type=click.Choice([shell.value for shell in Shell]), help="Whose lines; default: your login shell's."
)
@port_option
@api_port_option
@certs_option
@config_option
@json_option
def env(shell: str | None, port: int, api_port: int, certs: Path, config_file: Path | None, as_json: bool) -> None:
    """Prints the lines that make a shell's programs use the router.

    \b
    sh, bash, zsh:  eval "$(llmrouter env)"
    fish:           llmrouter env --shell fish | source
    PowerShell:     llmrouter env --shell powershell | Out-String | Invoke-Expression

    They set the proxy, the CA for each kind of program, and the base URL for SDKs that ignore proxies.
    """
    ports, certs = Ports(port, api_port), certs.expanduser().resolve()
    try:
        hosts = settings_of(choose_configuration(config_file, os.environ), os.environ).intercept
        bring_up_to_date(certs, hosts)
    except (SettingsError, CaError) as error:
        raise fail(str(error)) from error
    variables = client_environment(ports, certs, hosts, os.environ)
    if as_json:
        click.echo(json.dumps(variables, indent=2))
        return
    chosen = Shell(shell) if shell else shell_of(os.environ)
    for line in (f"# Take these lines over with: {how_to_use(chosen)}", *lines_for(chosen, variables)):
        click.echo(line)
    if health(api_port) is None:
        click.echo(f"No router answers at port {api_port} yet. Start one with: {program()} serve", err=True)
