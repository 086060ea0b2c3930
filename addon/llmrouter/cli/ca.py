"""`llmrouter ca`: the CA that apps are to trust: look at it, put it into the system's store, exchange it."""

import json
import os
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from llmrouter.cli.own_configuration import (
    certs_option,
    choose_configuration,
    config_option,
    fail,
    json_option,
    settings_of,
)
from llmrouter.cli.shells import program
from llmrouter.cli.system_store import Command, SystemStore, as_root, java_leftover, run_all, system_store
from llmrouter.proxy.certificate_authority import CaError, CaFacts, look_at_ca, rotate_ca
from llmrouter.proxy.trust_bundle import roots_file
from llmrouter.proxy.trust_files import CERT
from llmrouter.settings.problems import SettingsError

_yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


@click.group(invoke_without_command=True)
@click.pass_context
def ca(context: click.Context) -> None:
    """Looks after the CA that apps are to trust; without a command it is shown."""
    if context.invoked_subcommand is None:
        context.invoke(show)


@ca.command()
@certs_option
@config_option
@json_option
def show(certs: Path, config_file: Path | None, as_json: bool) -> None:
    """Prints what the CA may sign for, until when, and its fingerprint."""
    certs = certs.expanduser().resolve()
    facts = _look(certs, _hosts(config_file))
    record = _record(facts, certs)
    if as_json:
        click.echo(json.dumps(record, indent=2))
        return
    allowed = "every host" if facts.allowed is None else f"{', '.join(facts.allowed)} and nothing else"
    rows = {
        "file": record["file"],
        "good for": allowed,
        "valid": f"{record['valid_from'][:10]} to {record['valid_until'][:10]}",
        "SHA-256": record["sha256"],
        "made by": "llmrouter" if facts.is_ours else "you",
        "system store": "it is there" if record["in_system_store"] else "not there, as far as can be seen",
    }
    for name, text in rows.items():
        click.echo(f"{name.ljust(13)} {text}")
    for doubt in facts.doubts:
        click.echo(f"warning: {doubt}", err=True)


@ca.command()
@certs_option
@_yes_option
def install(certs: Path, yes: bool) -> None:
    """Puts the CA into the system's trust store, for programs that read no variable.

    `llmrouter run` and `llmrouter env` need none of this. Java, Firefox and programs that bring their own roots have
    stores of their own.
    """
    certs = certs.expanduser().resolve()
    facts = _look(certs, ())
    if facts.allowed is None:
        click.echo("This CA may sign for every host: whoever gets its key can pretend to be any site.", err=True)
    store = _store(certs)
    _do(f"To put the CA into {store.name}:", as_root(store.install), yes)
    click.echo(f"The CA is in {store.name}. Out again: {program()} ca uninstall")


@ca.command()
@certs_option
@_yes_option
def uninstall(certs: Path, yes: bool) -> None:
    """Takes the CA out of the system's trust store; its files stay."""
    certs = certs.expanduser().resolve()
    store = _store(certs)
    _do(f"To take the CA out of {store.name}:", as_root((*store.uninstall, *java_leftover())), yes)
    click.echo(f"The CA is no longer in {store.name}. Its files are in {certs}.")


@ca.command()
@certs_option
@config_option
@_yes_option
def rotate(certs: Path, config_file: Path | None, yes: bool) -> None:
    """Makes a new CA with a new key; what trusts the old one must be told."""
    certs, hosts = certs.expanduser().resolve(), _hosts(config_file)
    if not yes:
        click.confirm(f"The key in {certs} is lost, and apps that run do not trust the new one. Go on?", abort=True)
    try:
        result = rotate_ca(certs, hosts, datetime.now(UTC))
    except CaError as error:
        raise fail(str(error)) from error
    click.echo(result.message)
    click.echo("Restart the router and the apps. Where the system trusted the old one: llmrouter ca install")


def _hosts(config_file: Path | None) -> Sequence[str]:
    try:
        return settings_of(choose_configuration(config_file, os.environ), os.environ).intercept
    except SettingsError as error:
        raise fail(error) from error


def _look(certs: Path, hosts: Sequence[str]) -> CaFacts:
    try:
        return look_at_ca(certs, hosts, datetime.now(UTC))
    except CaError as error:
        raise fail(f"{error} One is made when the router starts: {program()} serve") from error


def _store(certs: Path) -> SystemStore:
    store = system_store(certs / CERT)
    if store is None:
        raise fail(f"It is not known how this system is told. Its tools want this file: {certs / CERT}")
    return store


def _do(what: str, commands: tuple[Command, ...], yes: bool) -> None:
    click.echo(what)
    for command in commands:
        click.echo(f"    {shlex.join(command)}")
    if not yes:
        click.confirm("Run this now?", abort=True)
    if (wrong := run_all(commands)) is not None:
        raise fail(wrong)


def _record(facts: CaFacts, certs: Path) -> dict[str, Any]:
    cert = facts.cert
    roots = roots_file(certs)
    return {
        "file": str(certs / CERT),
        "subject": cert.subject.rfc4514_string(),
        "sha256": facts.fingerprint,
        "valid_from": cert.not_valid_before_utc.isoformat(),
        "valid_until": cert.not_valid_after_utc.isoformat(),
        "allowed_hosts": None if facts.allowed is None else list(facts.allowed),
        "made_by_llmrouter": facts.is_ours,
        "in_system_store": (certs / CERT).read_bytes().strip() in roots.read_bytes(),
        "doubts": list(facts.doubts),
    }
