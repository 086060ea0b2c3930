"""Lines that set variables, as each shell wants them."""

import shlex
import shutil
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path


class Shell(StrEnum):
    """Whose lines are wanted; SH is for sh, bash, zsh, dash and ksh."""

    SH = "sh"
    FISH = "fish"
    POWERSHELL = "powershell"


def shell_of(environ: Mapping[str, str]) -> Shell:
    """The shell that the user logs in with, as far as it is one of them."""
    return Shell.FISH if Path(environ.get("SHELL", "")).name == "fish" else Shell.SH


def lines_for(shell: Shell, variables: Mapping[str, str | None]) -> list[str]:
    """A line for each variable; None unsets it."""
    return [
        _UNSETTING[shell].format(name) if value is None else _LINES[shell](name, value)
        for name, value in variables.items()
    ]


def how_to_use(shell: Shell) -> str:
    """The command that takes the lines over."""
    return {
        Shell.SH: f'eval "$({program()} env)"',
        Shell.FISH: f"{program()} env --shell fish | source",
        Shell.POWERSHELL: f"{program()} env --shell powershell | Out-String | Invoke-Expression",
    }[shell]


def program() -> str:
    """How this command is called in the user's shell: by its name where that finds it, else by its path."""
    own = Path(sys.executable).with_name("llmrouter")
    found = shutil.which("llmrouter")
    return "llmrouter" if found is not None and Path(found) == own else shlex.quote(str(own))


def _sh(name: str, value: str) -> str:
    return f"export {name}={shlex.quote(value)}"


def _fish(name: str, value: str) -> str:
    # Between single quotes fish knows two escapes (fish documentation, "Quotes").
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"set -gx {name} '{quoted}'"


def _powershell(name: str, value: str) -> str:
    quoted = value.replace("'", "''")
    return f"$Env:{name} = '{quoted}'"


_LINES = {Shell.SH: _sh, Shell.FISH: _fish, Shell.POWERSHELL: _powershell}
_UNSETTING = {Shell.SH: "unset {}", Shell.FISH: "set -e {}", Shell.POWERSHELL: "Remove-Item Env:{}"}
