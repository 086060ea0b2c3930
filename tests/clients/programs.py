"""Programs that know nothing of the router, and what they are started with; which of them are here is found out."""

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_NPM = _HERE.parent / "npm"
_URL = "https://api.openai.com/v1/chat/completions"
_ASKED = '{"model":"gpt-4o-mini","messages":[{"role":"user","content":"ping"}]}'
_MORE = "LLMROUTER_MORE_CLIENTS"
"""Names the folder of what `scripts/try_clients` installs; there slow programs are tried, too."""
BASE_URLS = ("OPENAI_BASE_URL", "OPENAI_API_BASE")


@dataclass(frozen=True)
class Program:
    """`reads_base_url` tells that it would come to the API port by itself, so that it is tried at the proxy, too."""

    name: str
    command: tuple[str, ...]
    reads_base_url: bool = False

    def environments(self, told: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """The environments to try it with, by what they are."""
        found = {"all": dict(told)}
        if self.reads_base_url:
            found["no base URL"] = {name: value for name, value in told.items() if name not in BASE_URLS}
        return found


def installed() -> list[Program]:
    """Those whose runtime is here: beside this Python, or on the path."""
    python, node = sys.executable, _find("node")
    programs = [
        Program("openai-python", (python, str(_HERE / "openai_sdk.py")), reads_base_url=True),
        *(
            Program(name, (python, str(_HERE / "bare_http.py"), name))
            for name in ("requests", "httpx", "aiohttp", "urllib")
        ),
    ]
    programs += _older_pythons()
    if node:
        programs += [
            Program("Node.js fetch", (node, str(_HERE / "fetch.mjs"))),
            Program("Node.js https", (node, str(_HERE / "https.mjs"))),
            Program("openai-node", (node, str(_NPM / "openai_app.mjs")), reads_base_url=True),
        ]
    if curl := _find("curl"):
        programs.append(Program("curl", (curl, "-sS", "--json", _ASKED, _URL)))
    if java := _find("java"):
        programs.append(Program("Java", (java, str(_HERE / "Fetch.java"))))
    # It compiles for ten seconds.
    if (go := _find("go")) and _MORE in os.environ:
        programs.append(Program("Go", (go, "run", str(_HERE / "fetch.go"))))
    if bun := _find("bun"):
        programs.append(Program("Bun", (bun, "run", str(_HERE / "fetch.mjs"))))
    if deno := _find("deno"):
        programs.append(Program("Deno", (deno, "run", "--allow-net", "--allow-env", str(_HERE / "fetch.mjs"))))
    return programs


def _older_pythons() -> list[Program]:
    """Environments with other versions of openai-python, which `scripts/try_clients` makes."""
    folder = os.environ.get(_MORE)
    pythons = sorted(Path(folder).glob("openai-*/bin/python")) if folder else []
    apps = {python: "openai_0_28.py" if "openai-0." in str(python) else "openai_sdk.py" for python in pythons}
    return [
        Program(python.parts[-3], (str(python), str(_HERE / app)), reads_base_url=True) for python, app in apps.items()
    ]


def _find(name: str) -> str | None:
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name)
