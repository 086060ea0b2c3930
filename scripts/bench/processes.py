"""The programs that the benchmark runs, and what each of them used of the processor."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
_START_S = 60.0


def free_port() -> int:
    """A port that is free right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Program:
    """A running program; `proxy` and `api` are its ports, 0 where it has none."""

    process: "subprocess.Popen[str]"
    proxy: int = 0
    api: int = 0
    sinks: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def cpu_s(self) -> float:
        """User and system time so far, of all threads and of the programs that it has started."""
        # Linux's clock of another process, as `clock_getcpuclockid` makes it.
        return sum(time.clock_gettime(~pid << 3 | 2) for pid in _family(self.process.pid))

    def resident_mib(self) -> float:
        """Resident memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024

    def stop(self) -> None:
        """Ends it."""
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        finally:
            self.process.kill()
            self.process.wait()
        for sink in self.sinks:
            sink.wait()


def _family(pid: int) -> Iterator[int]:
    """A process, and those that it and its own have started."""
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _family(int(child))


def start(
    arguments: list[str], ready: str, environ: dict[str, str] | None = None, folder: Path | None = None
) -> Program:
    """Starts a program and waits for the line that says that it serves; its later output goes nowhere."""
    process = subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | (environ or {}),
        cwd=folder,
    )
    assert process.stdout is not None
    told = []
    for line in process.stdout:
        told.append(line)
        if ready in line:
            sink = subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL)
            process.stdout.close()
            return Program(process, sinks=[sink])
    raise RuntimeError(f"{' '.join(arguments[:3])} did not start:\n{''.join(told[-20:])}")


def run(arguments: list[str], environ: dict[str, str]) -> Program:
    """Starts a program of which no line says that it serves."""
    return Program(
        subprocess.Popen(
            arguments,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | environ,
        )
    )


def wait_for_port(program: Program, port: int) -> None:
    """Waits until a program accepts connections."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and program.process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"nothing listens on port {port}")


def start_stub(certificate: Path | None = None) -> Program:
    """The upstream, over TLS where a certificate is given."""
    port = free_port()
    arguments = [sys.executable, str(REPOSITORY / "scripts" / "bench_stub.py"), "--port", str(port)]
    program = start(arguments + ([] if certificate is None else ["--cert", str(certificate)]), "ready")
    program.api = port
    return program


def start_mitmproxy(stub_port: int, folder: Path, certificate: Path) -> Program:
    """mitmproxy alone: a proxy, and a reverse proxy to the stub, which streams bodies through as the router does."""
    proxy, api = free_port(), free_port()
    arguments = [mitmdump(), "--mode", f"regular@127.0.0.1:{proxy}"]
    arguments += ["--mode", f"reverse:http://127.0.0.1:{stub_port}@127.0.0.1:{api}"]
    arguments += ["--set", "flow_detail=0", "--set", f"confdir={folder / 'mitmproxy'}"]
    arguments += ["--set", "stream_large_bodies=1", "--set", f"ssl_verify_upstream_trusted_ca={certificate}"]
    program = start(arguments, "reverse proxy to")
    program.proxy, program.api = proxy, api
    return program


def start_router(config: str, folder: Path, certificate: Path, environ: dict[str, str] | None = None) -> Program:
    """mitmproxy with the router, which has a configuration of this text, and keeps what it keeps in the folder."""
    proxy, api = free_port(), free_port()
    file = folder / f"bench-{api}.yaml"
    file.write_text(config)
    arguments = [mitmdump(), "-s", str(REPOSITORY / "addon" / "router.py"), "-p", str(proxy)]
    arguments += ["--set", f"llmrouter_api_port={api}", "--set", "flow_detail=0"]
    arguments += ["--set", f"llmrouter_certs={folder}"]
    set_too = {"LLMROUTER_CONFIG": str(file), "ANTHROPIC_API_KEY": "key-of-stub", "PYTHONUNBUFFERED": "1"}
    set_too["SSL_CERT_FILE"] = str(certificate)
    program = start(arguments, "reverse proxy to", set_too | (environ or {}), folder)
    program.proxy, program.api = proxy, api
    return program


def start_redis() -> Program | None:
    """A Redis of our own; None where none is installed."""
    if (command := shutil.which("redis-server")) is None:
        return None
    port = free_port()
    program = start([command, "--port", str(port), "--save", "", "--appendonly", "no"], "Ready to accept connections")
    program.api = port
    return program


def mitmdump() -> str:
    """The mitmdump of this environment."""
    return str(Path(sys.executable).with_name("mitmdump"))
