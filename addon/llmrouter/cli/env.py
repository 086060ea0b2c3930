"""`llmrouter env`: what to set in a shell, so that the programs that it starts use the router."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import click

from llmrouter.cli.client_environment import Ports, client_environment, without_router
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
from llmrouter.settings.problems import SettingsError


@click.command()
@click.option(
    "--shell", type=click.Choice([shell.value for shell in Shell]), help="Whose lines; default: your login shell's."
)
@click.option("--unset", is_flag=True, help="Print what undoes them, to go past a router that is down.")
@port_option
@api_port_option
@certs_option
@config_option
@json_option
def env(
    shell: str | None, unset: bool, port: int, api_port: int, certs: Path, config_file: Path | None, as_json: bool
) -> None:
    """Prints the lines that make a shell's programs use the router.

    \b
    sh, bash, zsh:  eval "$(llmrouter env)"
    fish:           llmrouter env --shell fish | source
    PowerShell:     llmrouter env --shell powershell | Out-String | Invoke-Expression

    They set the proxy, the CA for each kind of program, and the base URL for SDKs that ignore proxies. With --unset
    in the same place they are taken back, as far as they are still set.
    """
    ports, certs = Ports(port, api_port), certs.expanduser().resolve()
    chosen = Shell(shell) if shell else shell_of(os.environ)
    if unset:
        _print_undoing(chosen, without_router(ports, certs, os.environ), as_json=as_json)
        return
    try:
        hosts = settings_of(choose_configuration(config_file, os.environ), os.environ).intercept
        bring_up_to_date(certs, hosts)
    except (SettingsError, CaError) as error:
        raise fail(str(error)) from error
    variables = client_environment(ports, certs, hosts, os.environ)
    if as_json:
        click.echo(json.dumps(variables, indent=2))
        return
    for line in (f"# Take these lines over with: {how_to_use(chosen)}", *lines_for(chosen, variables)):
        click.echo(line)
    if health(api_port) is None:
        click.echo(f"No router answers at port {api_port} yet. Start one with: {program()} serve", err=True)


def _print_undoing(shell: Shell, variables: Mapping[str, str | None], *, as_json: bool) -> None:
    """Neither a configuration nor a CA is needed for this: whatever is wrong with the router, the way past it works."""
    if as_json:
        click.echo(json.dumps(variables, indent=2))
        return
    for line in lines_for(shell, variables):
        click.echo(line)
    if not variables:
        click.echo("Nothing in this shell leads to a router at these ports.", err=True)
