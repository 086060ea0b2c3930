"""The trust store of the system: by which commands a CA comes into it, and out again."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

type Command = tuple[str, ...]

_DEBIAN_FILE = "/usr/local/share/ca-certificates/llmrouter.crt"
_DEBIANS_JAVA = "/etc/ssl/certs/java/cacerts"
_KEYCHAIN = "/Library/Keychains/System.keychain"


@dataclass(frozen=True, slots=True)
class SystemStore:
    """`name` is what users call it; the commands run one after another, with `sudo` where that is needed."""

    name: str
    install: tuple[Command, ...]
    uninstall: tuple[Command, ...]


def system_store(
    cert_file: Path, platform: str = sys.platform, which: Callable[[str], str | None] = shutil.which
) -> SystemStore | None:
    """This system's; None where it is not known how.

    Debian and its kin: update-ca-certificates(8). Fedora, Arch, SUSE: trust(1) of p11-kit. macOS: security(1).
    """
    cert = str(cert_file)
    if platform == "darwin" and which("security"):
        trusting = ("security", "add-trusted-cert", "-d", "-r", "trustRoot", "-p", "ssl", "-k", _KEYCHAIN, cert)
        return SystemStore("the system keychain", (trusting,), (("security", "remove-trusted-cert", "-d", cert),))
    if which("update-ca-certificates"):
        copy: Command = ("install", "-D", "-m", "644", cert, _DEBIAN_FILE)
        remove: Command = ("rm", "-f", _DEBIAN_FILE)
        return SystemStore(
            "the system's certificates (update-ca-certificates)",
            (copy, ("update-ca-certificates",)),
            (remove, ("update-ca-certificates", "--fresh")),
        )
    if which("trust"):
        return SystemStore(
            "the system's certificates (p11-kit)",
            (("trust", "anchor", "--store", cert),),
            (("trust", "anchor", "--remove", cert),),
        )
    return None


def java_leftover(which: Callable[[str], str | None] = shutil.which) -> tuple[Command, ...]:
    """What takes the CA out of Debian's Java, whose copy update-ca-certificates leaves; nothing where it has none."""
    if not (which("keytool") and Path(_DEBIANS_JAVA).is_file()):
        return ()
    place: Command = ("-alias", "debian:llmrouter.pem", "-keystore", _DEBIANS_JAVA, "-storepass", "changeit")
    listed = subprocess.run(("keytool", "-list", *place), capture_output=True, check=False)
    return () if listed.returncode else (("keytool", "-delete", *place),)


def as_root(commands: tuple[Command, ...]) -> tuple[Command, ...]:
    """The commands as this user must say them."""
    return commands if os.geteuid() == 0 else tuple(("sudo", *command) for command in commands)


def run_all(commands: tuple[Command, ...]) -> str | None:
    """Runs them up to the first that fails, and says in words which that was; None where all went well."""
    for command in commands:
        try:
            done = subprocess.run(command, check=False)
        except OSError as error:
            return f"{command[0]} could not be run: {error.strerror}"
        if done.returncode:
            return f"{' '.join(command)} ended with exit code {done.returncode}"
    return None
