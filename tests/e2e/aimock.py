"""Runs aimock, a mock of many providers that others wrote and keep in step with the real ones."""

import os
from pathlib import Path

from tests.e2e.router_process import REPOSITORY, WatchedProcess

_CLI = REPOSITORY / "tests" / "npm" / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
_LISTENING = "listening on "


class Aimock(WatchedProcess):
    """One aimock on a port of its own, with the answers of `aimock.json`; `url` has no path."""

    def __init__(self) -> None:
        if not _CLI.exists():
            raise FileNotFoundError("aimock is not installed: run scripts/test, or npm ci in tests/npm")
        fixtures = Path(__file__).with_suffix(".json")
        command = ["node", str(_CLI), "--port", "0", "--fixtures", str(fixtures), "--strict"]
        super().__init__(command, dict(os.environ), fixtures.parent)
        (line,) = self.wait_for_log(_LISTENING)
        self.url = line.split(_LISTENING)[1].strip()
