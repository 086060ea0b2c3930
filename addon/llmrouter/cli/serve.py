"""`llmrouter serve`: runs mitmdump or mitmweb with the addon, and prints what to paste into the app's shell."""

import os
import sys
from pathlib import Path

import click

from llmrouter.cli.client_environment import Ports
from llmrouter.cli.own_configuration import api_port_option, choose_configuration, config_option, fail, port_option
from llmrouter.cli.router_command import router_command
from llmrouter.cli.shells import how_to_use, program, shell_of
from llmrouter.settings.problems import SettingsError


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--web", is_flag=True, help="Run mitmweb, with its pages at http://127.0.0.1:8081, instead of mitmdump.")
@config_option
@port_option
@api_port_option
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def serve(web: bool, config_file: Path | None, port: int, api_port: int, options: tuple[str, ...]) -> None:
    """Runs the router until Ctrl-C. Options after -- go to mitmdump (or mitmweb)."""
    environ = dict(os.environ)
    try:
        choice = choose_configuration(config_file, environ)
    except SettingsError as error:
        raise fail(error) from error
    if choice.file is not None:
        environ["LLMROUTER_CONFIG"] = str(choice.file)
    ports = Ports(port, api_port)
    for line in (*choice.notes, _what_to_do_next(ports)):
        click.echo(line)
    command = router_command(ports, web=web, options=options)
    sys.stdout.flush()
    os.execve(command[0], command, environ)


def _what_to_do_next(ports: Ports) -> str:
    usual = Ports(8080, 8000)
    more = "" if ports == usual else f" --port {ports.proxy} --api-port {ports.api}"
    take_over = how_to_use(shell_of(os.environ)).replace(" env", f" env{more}", 1)
    return f"""
In another shell, run your app as it is, behind the router:

    {program()} run{more} -- python app.py

or set that shell up once, and start apps as always:

    {take_over}

or, for an app that can set a base URL:

    export OPENAI_BASE_URL=http://127.0.0.1:{ports.api}/v1
"""
