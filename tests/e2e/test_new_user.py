"""What the README promises a stranger: from a copy of the repository to a streamed answer, its page and its flow."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.router_process import REPOSITORY, WatchedProcess, free_port
from tests.fakes.provider import FakeProvider

APP = """
from openai import OpenAI

chunks = OpenAI().chat.completions.create(
    model="gpt-4o-mini", messages=[{"role": "user", "content": "ping"}], stream=True
)
for chunk in chunks:
    for choice in chunk.choices:
        print(choice.delta.content or "", end="", flush=True)
"""
_NOT_CLONED = (".git", ".venv", "node_modules", "*.pem", "*.p12", ".*_cache", ".hypothesis", "__pycache__")
_NOT_OF_THE_REPOSITORY = ("providers.yaml", "generated", "*.egg-info")
_SET_UP_LIMIT_S = 300


def commands() -> list[str]:
    """The commands under the heading of the README, without remarks."""
    block = (REPOSITORY / "README.md").read_text().split("## Two commands\n\n")[1].split("\n\n")[0]
    return [line.split("#")[0].strip() for line in block.splitlines()]


def line_of(*words: str) -> str:
    """The one line of the README's own blocks that holds all words, without remarks."""
    lines: list[str] = re.findall(r"^ {4}(.*)$", (REPOSITORY / "README.md").read_text(), re.MULTILINE)
    (line,) = {line.split("  #")[0].strip() for line in lines if all(word in line for word in words)}
    return line


def named(words: str) -> str:
    """The one command in the README's text that begins so."""
    (command,) = set(re.findall(rf"`({re.escape(words)}[^`]*)`", (REPOSITORY / "README.md").read_text()))
    return str(command)


class User:
    """Somebody with a copy of the repository, a key, an app in Python and nothing else."""

    def __init__(self, folder: Path, fake: FakeProvider) -> None:
        self.home = folder / "llmrouter"
        shutil.copytree(REPOSITORY, self.home, ignore=shutil.ignore_patterns(*_NOT_CLONED, *_NOT_OF_THE_REPOSITORY))
        shutil.rmtree(self.home / "state", ignore_errors=True)
        (self.home / "app.py").write_text(APP)
        self.proxy, self.api, self.web = free_port(), free_port(), free_port()
        # `python` is the user's own, which has the SDK.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environ = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        self.environ |= {"PATH": path, "PYTHONUNBUFFERED": "1", "OPENAI_API_KEY": "key-of-the-app"}
        self.environ |= {"GROQ_API_KEY": "key-of-groq", "LLMROUTER_PROVIDERS": "groq"}
        self.environ |= {"LLMROUTER_GROQ_BASE_URL": fake.base_url}
        self.ports = ["--port", str(self.proxy), "--api-port", str(self.api)]

    def serve(self) -> WatchedProcess:
        """The README's first command, with free ports and mitmweb."""
        options = ["--web", *self.ports, "--", "--no-web-open-browser", "--web-port", str(self.web)]
        words = [*commands()[0].split(), *options, "--set", "web_password=for-this-test"]
        return WatchedProcess(words, self.environ, self.home, _SET_UP_LIMIT_S)

    def run(self) -> subprocess.CompletedProcess[str]:
        """The README's second command."""
        program, run, dashes, *app = commands()[1].split()
        words = [str(self.home / program), run, *self.ports, dashes, *app]
        return subprocess.run(
            words, env=self.environ, cwd=self.home, capture_output=True, text=True, timeout=60, check=False
        )

    def shell(self, script: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """What the user types, with the ports of this test in place of the usual ones."""
        script = script.replace(":8000", f":{self.api}").replace(":8080", f":{self.proxy}")
        return subprocess.run(
            ["bash", "-c", script],
            env=self.environ,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        yield provider


def follow(user: User) -> None:
    started = time.monotonic()
    router = user.serve()
    try:
        router.wait_for_log("reverse proxy to", "listening at")
        done = user.run()
        assert (done.returncode, done.stdout) == (0, "hello there"), done.stderr
        assert "1 request" in done.stderr
        assert "groq" in done.stderr
        assert time.monotonic() - started < _SET_UP_LIMIT_S
        pages = f"http://127.0.0.1:{user.api}/llmrouter"
        with httpx.Client(trust_env=False) as browser:
            assert browser.get(f"{pages}/").headers["content-type"].startswith("text/html")
            (decision,) = browser.get(f"{pages}/api/decisions").json()["data"]
            assert (decision["model"], decision["stream"]) == ("gpt-4o-mini", True)
            flows = browser.get(
                f"http://127.0.0.1:{user.web}/flows", headers={"authorization": "Bearer for-this-test"}
            ).json()
        assert [flow["comment"].split(" · ")[0] for flow in flows if flow["comment"]] == ["groq"]
        assert "key-of-" not in json.dumps(flows)
        look_around(user)
    finally:
        router.stop()
    assert router.process.returncode == 0


def look_around(user: User) -> None:
    """The README's other ways to ask, and its ways to see what happened."""
    shell = f" env --shell sh {' '.join(user.ports)}"
    take_over = line_of("eval", "env)").replace(" env", shell)
    give_back = line_of("eval", "--unset").replace(" env", shell)
    around = user.shell(f'{take_over}; echo "$https_proxy"; {give_back}; env')
    assert around.stdout.startswith(f"http://127.0.0.1:{user.proxy}\n")
    assert around.stdout.count(f":{user.proxy}") == 1
    for script in (f"{take_over} && python app.py", f"{line_of('export OPENAI_BASE_URL')}; python app.py"):
        asked = user.shell(script)
        assert (asked.returncode, asked.stdout) == (0, "hello there"), asked.stderr
    assert json.loads(user.shell(line_of("curl", "/v1/chat/completions")).stdout)["choices"]
    doctor = user.shell(f"{named('.venv/bin/llmrouter doctor')} {' '.join(user.ports)}")
    assert f" answers at http://127.0.0.1:{user.api}" in doctor.stdout, doctor.stdout + doctor.stderr
    explained = user.shell(named(".venv/bin/llmrouter explain"))
    assert (explained.returncode, "groq/" in explained.stdout) == (0, True), explained.stderr
    used = user.shell(named(".venv/bin/llmrouter usage"))
    # The proxy's calls came long enough ago to be in the ledger.
    assert (used.returncode, "groq/" in used.stdout) == (0, True), used.stdout + used.stderr
    with httpx.Client(trust_env=False, proxy=f"http://127.0.0.1:{user.proxy}") as browser:
        assert "<title>llmrouter</title>" in browser.get(named("http://llmrouter.local/")).text


async def test_the_readme_leads_from_nothing_to_a_streamed_answer(tmp_path: Path, fake: FakeProvider) -> None:
    await asyncio.to_thread(follow, User(tmp_path, fake))
