"""Which runtimes on this machine trust the CA: each is asked for a TLS handshake with a server on loopback.

The server shows a certificate for the intercepted host that the CA has signed. No name is resolved, and nothing leaves
this machine. Each runtime is tried as this shell has it, and with what `llmrouter run` and `llmrouter env` set.
"""

import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from llmrouter.cli.checks.finding import Finding, ok, warning

_LIMIT_S = 20.0
PYTHON_TRIAL = """
import socket, ssl, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[2])), timeout=10) as plain:
    ssl.create_default_context().wrap_socket(plain, server_hostname=sys.argv[1]).close()
"""
"""What Python runs; the others' do the same."""
_NODE = """
const tls = require("node:tls");
const [host, port] = process.argv.slice(-2);
const socket = tls.connect({ host: "127.0.0.1", port: Number(port), servername: host }, () => process.exit(0));
socket.on("error", () => process.exit(1));
"""
_DENO = _NODE.replace(
    'const tls = require("node:tls");', 'import tls from "node:tls"; import process from "node:process";'
)
_JAVA = """
import java.net.Socket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;

public class Trial {
    public static void main(String[] told) throws Exception {
        Socket plain = new Socket("127.0.0.1", Integer.parseInt(told[1]));
        SSLSocketFactory factory = (SSLSocketFactory) SSLSocketFactory.getDefault();
        ((SSLSocket) factory.createSocket(plain, told[0], 443, true)).startHandshake();
    }
}
"""


@dataclass(frozen=True, slots=True)
class Runtime:
    """A program that is here; `text` is what it runs, in a file with this `name`, and gets the host and the port."""

    name: str
    command: tuple[str, ...]
    file: str = ""
    text: str = ""


def runtimes_here() -> list[Runtime]:
    """Those on the path; the router's own Python stands for others where there is none."""
    found = [Runtime("Python", (shutil.which("python3") or sys.executable,), "trial.py", PYTHON_TRIAL)]
    if node := shutil.which("node"):
        found.append(Runtime("Node.js", (node,), "trial.cjs", _NODE))
    if bun := shutil.which("bun"):
        found.append(Runtime("Bun", (bun, "run"), "trial.cjs", _NODE))
    if deno := shutil.which("deno"):
        found.append(Runtime("Deno", (deno, "run", "--allow-net"), "trial.mjs", _DENO))
    if java := shutil.which("java"):
        found.append(Runtime("Java", (java,), "Trial.java", _JAVA))
    if curl := shutil.which("curl"):
        found.append(Runtime("curl", (curl,)))
    return found


def check_runtimes(
    certificate: bytes, host: str, environ: Mapping[str, str], told: Mapping[str, str], runtimes: Iterable[Runtime]
) -> list[Finding]:
    """A finding for each; `told` is what `llmrouter env` prints."""
    runtimes = list(runtimes)
    with tempfile.TemporaryDirectory() as name, _server(certificate, Path(name)) as port:
        trial = _Trial(Path(name), host, port)
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(lambda runtime: _finding(trial, runtime, environ, told), runtimes))


def _finding(trial: "_Trial", runtime: Runtime, environ: Mapping[str, str], told: Mapping[str, str]) -> Finding:
    about = "trust"
    if trial.is_trusted(runtime, environ):
        return ok(about, f"{runtime.name} ({runtime.command[0]}) trusts the CA in this shell.")
    if trial.is_trusted(runtime, {**environ, **told}):
        return ok(
            about, f"{runtime.name} ({runtime.command[0]}) trusts it under `llmrouter run`, not in this shell yet."
        )
    text = f"{runtime.name} ({runtime.command[0]}) does not trust it, nor under `llmrouter run`."
    return warning(about, text, "llmrouter ca install; or give its apps the base URL.")


@dataclass(frozen=True, slots=True)
class _Trial:
    folder: Path
    host: str
    port: int

    def is_trusted(self, runtime: Runtime, environ: Mapping[str, str]) -> bool:
        """Whether the handshake comes about."""
        command = [*runtime.command, *self._arguments(runtime)]
        try:
            done = subprocess.run(
                command, env=dict(environ), capture_output=True, timeout=_LIMIT_S, cwd=self.folder, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 0

    def _arguments(self, runtime: Runtime) -> list[str]:
        if not runtime.file:
            place = f"{self.host}:443:127.0.0.1:{self.port}"
            return ["-q", "-sS", "--noproxy", "*", "--connect-to", place, f"https://{self.host}/"]
        (self.folder / runtime.file).write_text(runtime.text)
        return [runtime.file, self.host, str(self.port)]


@contextmanager
def _server(certificate: bytes, folder: Path) -> Iterator[int]:
    """A TLS server that says one empty answer to each client."""
    (folder / "server.pem").write_bytes(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    (folder / "server.pem").unlink()
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=_answer, args=(context, connection), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        # Closing alone would leave the thread in `accept`.
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()


def _answer(context: ssl.SSLContext, connection: socket.socket) -> None:
    connection.settimeout(_LIMIT_S)
    # A client that does not trust us hangs up, which is what is to be found out.
    with suppress(OSError), connection, context.wrap_socket(connection, server_side=True) as secure:
        secure.recv(4096)
        secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
