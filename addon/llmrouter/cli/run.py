"""`llmrouter run -- COMMAND`: a program behind the router, with everything set that its runtime needs."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from llmrouter.cli.app_process import AppProcess
from llmrouter.cli.client_environment import Ports, client_environment
from llmrouter.cli.own_configuration import (
    Choice,
    api_port_option,
    certs_option,
    choose_configuration,
    config_option,
    port_option,
    settings_of,
)
from llmrouter.cli.own_router import NotStarted, OwnRouter
from llmrouter.cli.running_router import decrypts_with, free_ports, health, status
from llmrouter.cli.totals import Totals, sentence, totals_of_decisions, totals_of_status
from llmrouter.cli.trusting import bring_up_to_date
from llmrouter.proxy.certificate_authority import CaError
from llmrouter.proxy.trust_files import CERT
from llmrouter.settings.location import REPOSITORY
from llmrouter.settings.problems import SettingsError


class _NotRun(click.ClickException):
    """The command was never started; the exit code is that of `env` and `docker run` for it."""

    exit_code = 125


@dataclass(slots=True)
class Behind:
    """A router that can be used: where it listens, and, once it was left, what the run came to."""

    ports: Ports
    totals: Totals | None = None


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@port_option
@api_port_option
@certs_option
@config_option
@click.option(
    "--log", type=click.Path(path_type=Path), help="Where a router that is started for this writes its lines."
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.option("--quiet", "-q", is_flag=True, help="No summary.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(
    port: int,
    api_port: int,
    certs: Path,
    config_file: Path | None,
    log: Path | None,
    as_json: bool,
    quiet: bool,
    command: tuple[str, ...],
) -> None:
    """Runs COMMAND behind the router, and says at the end what it cost.

    \b
        llmrouter run -- python app.py

    A router that runs already is used, unless --config names another configuration; else one is started and ended
    with the command. Proxy, certificates and base URL are set for Python, Node.js, Deno, Bun, Go, Java, curl and
    others. Signals go to the command, and its exit code is this one's. The summary goes to standard error.
    """
    app = AppProcess()
    wanted, certs = Ports(port, api_port), certs.expanduser().resolve()
    with app.signals():
        try:
            choice = choose_configuration(config_file, os.environ)
            hosts = settings_of(choice, os.environ).intercept
            is_running = config_file is None and _is_ours(wanted, certs, hosts[0])
            place = log or REPOSITORY / "state" / "run.log"
            with _running(wanted) if is_running else _started(wanted, certs, place, choice, hosts[0]) as router:
                bring_up_to_date(certs, hosts)
                _warn()
                code = app.run(command, os.environ | client_environment(router.ports, certs, hosts, os.environ))
        except (SettingsError, CaError, NotStarted) as error:
            raise _NotRun(f"The router could not be started, so the command was not run.\n{error}") from error
    if not quiet:
        click.echo(_json_of(router.totals) if as_json else sentence(router.totals), err=True)
    sys.exit(code)


def _is_ours(ports: Ports, certs: Path, host: str) -> bool:
    """Whether a router with our CA runs at these ports."""
    return health(ports.api) is not None and (
        (certs / CERT).is_file() and decrypts_with(ports.proxy, certs / CERT, host) is None
    )


@contextmanager
def _running(ports: Ports) -> Iterator[Behind]:
    """The one that runs: what it counted meanwhile is the run's, and that of others who used it at the same time."""
    router, before = Behind(ports), totals_of_status(status(ports.api))
    yield router
    after = totals_of_status(status(ports.api))
    router.totals = None if before is None or after is None else after.since(before)


@contextmanager
def _started(wanted: Ports, certs: Path, log: Path, choice: Choice, host: str) -> Iterator[Behind]:
    """One of the run's own, which ends with it; its decisions are known to the last one then."""
    environ = dict(os.environ) | ({} if choice.file is None else {"LLMROUTER_CONFIG": str(choice.file)})
    for line in choice.notes:
        click.echo(f"llmrouter: {line}", err=True)
    own = OwnRouter(free_ports(wanted), certs, log, environ)
    try:
        own.wait_until_ready(host)
        router = Behind(own.ports)
        yield router
        counted = totals_of_status(status(own.ports.api))
    finally:
        own.stop()
    decided = totals_of_decisions(own.lines())
    # A configuration may have them written elsewhere, or not at all.
    router.totals = decided if decided.requests or counted is None else counted


def _warn() -> None:
    """What the user has set and the router does not heed, and what SDKs want."""
    proxy = os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy")
    if proxy and "127.0.0.1" not in proxy and "localhost" not in proxy:
        text = "HTTPS_PROXY is set: the router itself goes to providers without it."
        click.echo(f"llmrouter: {text}", err=True)
    if not os.environ.get("OPENAI_API_KEY"):
        text = "OPENAI_API_KEY is not set. SDKs refuse to start without one; where no provider has `api_key: caller`"
        click.echo(f"llmrouter: {text} and nothing is passed through, any text will do.", err=True)


def _json_of(totals: Totals | None) -> str:
    return json.dumps(None if totals is None else asdict(totals) | {"by_provider": dict(totals.by_provider)})
