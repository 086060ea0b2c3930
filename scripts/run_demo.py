"""Starts the router on three echo providers, one dead and one flaky, and runs examples/chat_app.py through it."""

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any

REPOSITORY = Path(__file__).resolve().parents[1]
QUESTIONS = 10


def main() -> int:
    """Prints each answer with the provider that gave it; the exit code is the app's."""
    port = free_port()
    router = start_router(port)
    try:
        assert router.stdout is not None
        if not wait_until_ready(router.stdout):
            print("The router did not start; run scripts/serve to see why.", file=sys.stderr)
            return 1
        decisions = Decisions(router.stdout)
        print(f"The router runs at 127.0.0.1:{port} on three providers: dead, flaky, steady.")
        print("The app knows nothing of it: it has HTTPS_PROXY and one more trusted certificate.\n")
        result = run_app(port, decisions)
    finally:
        router.terminate()
        router.wait(timeout=10)
    print("\nEvery question was answered, although one provider is dead and one fails now and then.")
    return result


def free_port() -> int:
    """A port that is free right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start_router(port: int) -> "subprocess.Popen[str]":
    """The real mitmdump with the real addon."""
    program = Path(sys.executable).with_name("mitmdump")
    arguments = [program, "-s", REPOSITORY / "addon" / "router.py", "-p", str(port)]
    arguments += ["--set", "llmrouter_api_port=0", "--set", "flow_detail=0"]
    environ = os.environ | {"LLMROUTER_CONFIG": str(REPOSITORY / "config" / "demo-three.yaml"), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(arguments, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_until_ready(output: IO[str]) -> bool:
    """Reads the router's log until it listens; False where it ends before."""
    return any("proxy listening at 127.0.0.1" in line for line in output)


class Decisions:
    """The router's decision lines, read on a thread: one per call, in order."""

    def __init__(self, output: IO[str]) -> None:
        self._records: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._output = output
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._output:
            if line.startswith('{"event":"decision"'):
                with self._changed:
                    self._records.append(json.loads(line))
                    self._changed.notify()

    def take(self) -> dict[str, Any]:
        """The next decision; at most five seconds are waited for it."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._records, timeout=5):
                raise TimeoutError("the router logged no decision")
            return self._records.pop(0)


def run_app(port: int, decisions: Decisions) -> int:
    """Runs the app, and beside each of its lines says who answered."""
    environ = os.environ | {
        "HTTPS_PROXY": f"http://127.0.0.1:{port}",
        "SSL_CERT_FILE": str(REPOSITORY / "certs" / "ca-bundle.pem"),
        "OPENAI_API_KEY": "the-apps-own-key",
    }
    environ.pop("OPENAI_BASE_URL", None)
    arguments = [sys.executable, REPOSITORY / "examples" / "chat_app.py", str(QUESTIONS)]
    opened: set[str] = set()
    with subprocess.Popen(arguments, env=environ, stdout=subprocess.PIPE, text=True) as app:
        assert app.stdout is not None
        for line in app.stdout:
            decision = decisions.take()
            tried = ", ".join(f"{attempt['target']} {attempt['outcome']}" for attempt in decision["attempts"])
            print(f"{line.rstrip():42} ← {decision['answered_by'] or 'nobody'}   ({tried})", flush=True)
            announce_open_breakers(decision, opened)
    return app.returncode


def announce_open_breakers(decision: dict[str, Any], opened: set[str]) -> None:
    """Says once for each provider that its breaker opened."""
    for left in decision["plan"].get("left_out", []):
        if "breaker" in left["reason"] and left["target"] not in opened:
            opened.add(left["target"])
            print(f"    ⚡ {left['target']} is left alone: {left['reason']}")


if __name__ == "__main__":
    sys.exit(main())
