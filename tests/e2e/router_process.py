"""The real `mitmdump -s addon/router.py`, started for a test and driven from outside."""

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import yaml
from openai import AsyncOpenAI, OpenAI

REPOSITORY = Path(__file__).resolve().parents[2]


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class WatchedProcess:
    """A program whose output is read as it comes, into `log`."""

    def __init__(self, command: list[str], environ: dict[str, str], folder: Path, limit_s: float = 30) -> None:
        self._limit_s = limit_s
        self.log: list[str] = []
        self._grew = threading.Condition()
        self.process = subprocess.Popen(
            command, env=environ, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                with self._grew:
                    self.log.append(line.rstrip("\n"))
                    self._grew.notify_all()
        with self._grew:
            self.log.append("<ended>")
            self._grew.notify_all()

    def wait_for_log(self, *words: str, count: int = 1) -> list[str]:
        """The lines that hold all `words`, as soon as there are `count`."""

        def found() -> list[str]:
            return [line for line in self.log if all(word in line for word in words)]

        with self._grew:
            ended = self._grew.wait_for(lambda: len(found()) >= count or "<ended>" in self.log, self._limit_s)
            lines = found()
            assert ended and len(lines) >= count, f"{words} not in:\n" + "\n".join(self.log)
            return lines

    def wait_until_ready(self) -> None:
        """Waits until both ports listen."""
        self.wait_for_log("proxy listening at", count=1)
        self.wait_for_log("reverse proxy to", "listening at")

    def stop(self) -> None:
        """Ends the router as a user would, who does not wait for what is under way."""
        try:
            for patience_s in (1, 10):
                self.process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(patience_s)
                    return
            raise AssertionError("the router did not end:\n" + "\n".join(self.log))
        finally:
            self.process.kill()
            self.process.wait()
            self._reader.join()


class RouterProcess(WatchedProcess):
    """The real mitmdump, or mitmweb, with the addon; `decisions()` are the decision records of its output."""

    def __init__(
        self,
        folder: Path,
        config: Any,
        *,
        program: str = "mitmdump",
        options: tuple[str, ...] = (),
        certs: Path | None = None,
    ) -> None:
        self.certs = certs or folder / "certs"
        self.config_file = folder / "providers.yaml"
        self.port, self.api_port = free_port(), free_port()
        environ = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        environ |= {"PYTHONUNBUFFERED": "1"}
        if config is not None:
            environ["GROQ_API_KEY"] = "key-of-groq"
            self.write_config(config)
            environ["LLMROUTER_CONFIG"] = str(self.config_file)
        command = [str(Path(sys.executable).with_name(program)), "-s", str(REPOSITORY / "addon" / "router.py")]
        command += ["-p", str(self.port), "--set", f"llmrouter_api_port={self.api_port}"]
        command += ["--set", f"llmrouter_certs={self.certs}", *options]
        super().__init__(command, environ, folder)

    def write_config(self, config: Any) -> None:
        """Replaces the configuration file at once."""
        text = config if isinstance(config, str) else yaml.safe_dump(config)
        new = self.config_file.with_suffix(".new")
        new.write_text(text)
        new.replace(self.config_file)

    def decisions(self, count: int) -> list[dict[str, Any]]:
        """The decision records, as soon as there are `count`."""
        return [json.loads(line) for line in self.wait_for_log('{"event":"decision"', count=count)]

    @property
    def ca_file(self) -> Path:
        return self.certs / "mitmproxy-ca-cert.pem"

    @property
    def proxy_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}/v1"

    def tls(self) -> ssl.SSLContext:
        """What a client trusts: our CA alone."""
        return ssl.create_default_context(cafile=str(self.ca_file))

    def client(self, **options: Any) -> httpx.Client:
        """An HTTP client behind the proxy."""
        return httpx.Client(proxy=self.proxy_url, verify=self.tls(), timeout=20, trust_env=False, **options)


@contextlib.contextmanager
def running_router(folder: Path, config: Any, **options: Any) -> Iterator[RouterProcess]:
    """A router that is ready, and ended afterwards."""
    router = RouterProcess(folder, config, **options)
    try:
        router.wait_until_ready()
        yield router
    finally:
        router.stop()


@contextlib.contextmanager
def app_environment(router: RouterProcess, monkeypatch: Any) -> Iterator[None]:
    """What a user sets for an unmodified app: the proxy and the certificate, nothing else."""
    monkeypatch.setenv("HTTPS_PROXY", router.proxy_url)
    monkeypatch.setenv("SSL_CERT_FILE", str(router.ca_file))
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-the-app")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    yield


def sync_sdk(**options: Any) -> OpenAI:
    return OpenAI(max_retries=0, timeout=20, **options)


def async_sdk(**options: Any) -> AsyncOpenAI:
    return AsyncOpenAI(max_retries=0, timeout=20, **options)
