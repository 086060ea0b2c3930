"""The router under load: a real process, as `scripts/serve` starts it, and what it holds on to."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
_START_S = 60.0
_LOOK_S = 0.1
_END_S = 30
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds: resident memory, sockets, and tasks of its event loop."""

    resident_bytes: int
    sockets: int
    tasks: int

    @property
    def mebibytes(self) -> float:
        return self.resident_bytes / 2**20


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class SoakedRouter:
    """The process; `folder` gets its configuration, its CA, its files and its log."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port, self.api_port = _free_port(), _free_port()
        self.ca_file = folder / "certs" / "mitmproxy-ca-cert.pem"
        self._config = folder / "providers.yaml"
        self.log = folder / "router.log"

    def configure(self, config: dict[str, Any] | str) -> None:
        """Replaces the configuration at once; text goes into the file as it is."""
        new = self._config.with_suffix(".new")
        new.write_text(config if isinstance(config, str) else yaml.safe_dump(config))
        new.replace(self._config)

    async def start(self, environ: dict[str, str]) -> None:
        """Starts it, and waits until both ports answer; raises `RuntimeError` with what it printed."""
        self._begin(environ)
        for _ in range(int(_START_S / _LOOK_S)):
            if await self._is_ready():
                return
            if self._process.poll() is not None:
                break
            await asyncio.sleep(_LOOK_S)
        self._process.kill()
        raise RuntimeError(self.log.read_text(errors="replace"))

    def _begin(self, environ: dict[str, str]) -> None:
        inherited = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        command = [
            sys.executable,
            "-c",
            "from llmrouter.cli.main import main; main()",
            "serve",
            "--config",
            str(self._config),
        ]
        command += ["--port", str(self.port), "--api-port", str(self.api_port)]
        command += ["--", "--set", f"llmrouter_certs={self.ca_file.parent}", "--set", "termlog_verbosity=warn"]
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                env=inherited | environ | {"PYTHONPATH": str(REPOSITORY / "addon")},
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    async def _is_ready(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.close()
            await self.figure("llmrouter_uptime_seconds")
        except (OSError, LookupError):
            return False
        return self.ca_file.is_file()

    async def figure(self, name: str) -> float:
        """One of the figures for Prometheus, without labels; raises `LookupError`, or `OSError` where nobody answers.

        The router has closed the connection of this when it returns: who looks is not counted.
        """
        reader, writer = await asyncio.open_connection("127.0.0.1", self.api_port)
        try:
            writer.write(b"GET /llmrouter/metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            text = (await reader.read()).decode()
        finally:
            writer.close()
        for line in text.splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
        raise LookupError(name)

    async def held(self) -> Held:
        """What it holds now."""
        tasks = int(await self.figure("llmrouter_tasks"))
        process = Path(f"/proc/{self._process.pid}")
        resident = int((process / "statm").read_text().split()[1]) * _PAGE_BYTES
        sockets = 0
        for descriptor in (process / "fd").iterdir():
            try:
                sockets += os.readlink(descriptor).startswith("socket:")
            except FileNotFoundError:
                continue
        return Held(resident, sockets, tasks)

    async def stop(self) -> None:
        """Ends it as a user would."""
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(self._process.wait, _END_S)
        finally:
            self._process.kill()
            self._process.wait()
