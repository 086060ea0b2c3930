"""A router that a command starts for itself, and ends."""

import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from llmrouter.cli.client_environment import Ports
from llmrouter.cli.router_command import router_command
from llmrouter.cli.running_router import decrypts_with, health
from llmrouter.proxy.trust_files import CERT
from llmrouter.settings.location import REPOSITORY

_START_LIMIT_S = 30.0
_LOOK_S = 0.05
_GRACE_S = 10.0
_HURRY_S = 5.0
_LINES_TOLD = 8


class NotStarted(Exception):
    """The router ended at its start, or is not ready in time; the text holds what it said last."""


class OwnRouter:
    """A child process whose output goes to a file; it has a session of its own, so that Ctrl-C ends the app first."""

    def __init__(self, ports: Ports, certs: Path, log: Path, environ: Mapping[str, str]) -> None:
        self.ports = ports
        self._certs, self._log = certs, log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                router_command(ports, certs=certs),
                env=dict(environ) | {"PYTHONUNBUFFERED": "1"},
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_ready(self, host: str) -> None:
        """Waits until both ports answer, as they do for `host`; raises `NotStarted`."""
        for _ in range(int(_START_LIMIT_S / _LOOK_S)):
            if self._process.poll() is not None:
                raise NotStarted(self._last_lines())
            if health(self.ports.api) is not None and self._is_proxy_ready(host):
                return
            time.sleep(_LOOK_S)
        raise NotStarted(f"It was not ready within {_START_LIMIT_S:.0f} s. {self._last_lines()}")

    def stop(self) -> None:
        """Ends it as a user would, with a second signal where it waits for others; one that does not end is killed."""
        for grace_s in (_GRACE_S, _HURRY_S):
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(grace_s)
                return
        self._process.kill()
        self._process.wait()

    def lines(self) -> list[str]:
        """What it printed."""
        return self._log.read_text(errors="replace").splitlines()

    def _is_proxy_ready(self, host: str) -> bool:
        ca_file = self._certs / CERT
        return ca_file.is_file() and decrypts_with(self.ports.proxy, ca_file, host) is None

    def _last_lines(self) -> str:
        told = [line for line in self.lines() if line.strip() and not line.startswith('{"event"')]
        return "\n".join(told[-_LINES_TOLD:]) or f"See {self._log}."
