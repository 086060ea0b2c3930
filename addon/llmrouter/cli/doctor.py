"""`llmrouter doctor`: what works, what does not, and what to do about it."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from llmrouter.cli.checks.answering import ask_all, check_clock
from llmrouter.cli.checks.authority import check_authority
from llmrouter.cli.checks.configuration import Configured, check_configuration
from llmrouter.cli.checks.finding import Finding, Level, warning
from llmrouter.cli.checks.listening import check_ports, check_shell
from llmrouter.cli.checks.mishaps import check_mishaps
from llmrouter.cli.checks.runtimes import check_runtimes, runtimes_here
from llmrouter.cli.client_environment import Ports, client_environment
from llmrouter.cli.own_configuration import (
    Choice,
    api_port_option,
    certs_option,
    config_option,
    json_option,
    port_option,
)
from llmrouter.cli.progress import steps
from llmrouter.cli.running_router import status
from llmrouter.cli.trusting import bring_up_to_date
from llmrouter.discovery.probes import probed
from llmrouter.proxy.certificate_authority import KEY_AND_CERT, CaError
from llmrouter.proxy.trial_certificate import trial_certificate

_MARKS = {Level.OK: ("ok", "green"), Level.WARNING: ("warning", "yellow"), Level.PROBLEM: ("problem", "red")}


@click.command()
@click.option("--deep", is_flag=True, help="Ask a model of each provider for one token, which may cost something.")
@click.option("--offline", is_flag=True, help="Ask no provider.")
@port_option
@api_port_option
@certs_option
@config_option
@json_option
def doctor(
    deep: bool,
    offline: bool,
    port: int,
    api_port: int,
    certs: Path,
    config_file: Path | None,
    as_json: bool,
) -> None:
    """Says what works, what does not, and what to do about it.

    Looked at: the CA and who trusts it, ports, this shell, the configuration and its keys, what a router that runs
    could not do itself, each provider (its list of models, which uses no tokens), and the clock. The exit code is 1
    where there is a problem, and 0 with mere warnings.
    """
    ports, certs = Ports(port, api_port), certs.expanduser().resolve()
    configured = check_configuration(Choice(config_file.absolute()) if config_file else None)
    findings = [*configured.findings, *_machine(ports, certs, configured)]
    if not offline:
        findings += _providers(configured, deep=deep)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _print(findings)
    sys.exit(1 if any(finding.level is Level.PROBLEM for finding in findings) else 0)


def _machine(ports: Ports, certs: Path, configured: Configured) -> Iterator[Finding]:
    hosts, now = configured.settings.intercept, datetime.now(UTC)
    yield from check_authority(certs, hosts, now)
    yield from check_ports(ports, certs, hosts[0])
    yield from check_shell(ports, hosts, os.environ)
    yield from check_mishaps(configured.settings, status(ports.api))
    if not (certs / KEY_AND_CERT).is_file():
        return
    try:
        bring_up_to_date(certs, hosts)
        certificate = trial_certificate(certs, hosts[0], now)
    except CaError as error:
        yield warning("trust", f"Nobody could be tried: {error}")
        return
    told: Mapping[str, str] = client_environment(ports, certs, hosts, os.environ)
    yield from check_runtimes(certificate, hosts[0], os.environ, told, runtimes_here())


def _providers(configured: Configured, *, deep: bool) -> Iterator[Finding]:
    with steps(len(probed(configured.targets)), "Asking providers") as step:
        heard = asyncio.run(ask_all(configured.targets, deep=deep, heard=step))
    yield from (one.finding for one in heard)
    yield from check_clock(heard)


def _print(findings: list[Finding]) -> None:
    for finding in findings:
        word, colour = _MARKS[finding.level]
        click.echo(f"{click.style(word.ljust(8), fg=colour)} {finding.about}: {finding.what}")
        if finding.remedy is not None:
            click.echo(f"{' ' * 9}-> {finding.remedy}")
    counts = {level: sum(finding.level is level for finding in findings) for level in Level}
    click.echo(f"\n{counts[Level.OK]} well, warnings: {counts[Level.WARNING]}, problems: {counts[Level.PROBLEM]}.")
