"""The command as a whole: its help, its completion, and what every command has."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from llmrouter.cli.main import main

NO_JSON = {
    "serve": "it becomes another program",
    "completion": "it prints a script",
    "config schema": "it prints JSON anyway",
    "config reference": "it prints a document",
    "config init": "it asks",
    "cache export": "it prints JSON anyway",
    "ca install": "it asks",
    "ca uninstall": "it asks",
    "ca rotate": "it asks",
}


def commands(group: click.Group, above: str = "") -> Iterator[tuple[str, click.Command]]:
    """All commands that do something, by how they are called."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{above}{name} ")
        else:
            yield f"{above}{name}", command


COMMANDS = dict(commands(main))


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command(name: str) -> None:
    """It has help, its options say what they are for, and it speaks JSON unless there is a reason."""
    command = COMMANDS[name]
    result = CliRunner().invoke(main, [*name.split(), "-h"])

    assert result.exit_code == 0
    assert command.help
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert all(option.help for option in options)
    assert ("as_json" in [option.name for option in options]) != (name in NO_JSON)


def test_the_overview_names_every_command() -> None:
    """By what they are for, with one whole line each."""
    lines = CliRunner().invoke(main, ["--help"], terminal_width=110).output.splitlines()
    listed = {line.split()[0] for line in lines if line.startswith("  ") and line.strip()}
    assert {name.split()[0] for name in COMMANDS} <= listed
    assert not any(line.endswith("...") for line in lines if not line.startswith("Usage"))


def test_a_command_that_there_is_not() -> None:
    result = CliRunner().invoke(main, ["serv"])
    assert (result.exit_code, "No such command 'serv'" in result.output) == (2, True)


def test_completion_of_bash(tmp_path: Path) -> None:
    """What a real shell offers after `llmrouter ca `."""
    own = tmp_path / "llmrouter"
    call = "from llmrouter.cli.main import main; main(prog_name='llmrouter')"
    own.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{call}" "$@"\n')
    own.chmod(0o755)
    script = (
        f'PATH={tmp_path}:$PATH; eval "$(llmrouter completion bash)"; '
        "COMP_WORDS=(llmrouter ca r); COMP_CWORD=2; _llmrouter_completion llmrouter; echo ${COMPREPLY[@]}"
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30)
    assert done.stdout.split() == ["rotate"], done.stderr
