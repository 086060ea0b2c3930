"""What the README promises a stranger: from a copy of the repository to a streamed answer, its page and its flow."""

import asyncio
import json
import os
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
_SET_UP_LIMIT_S = 300


def commands() -> list[str]:
    """The commands under the heading of the README, without remarks."""
    block = (REPOSITORY / "README.md").read_text().split("## Two commands\n\n")[1].split("\n\n")[0]
    return [line.split("#")[0].strip() for line in block.splitlines()]


class User:
    """Somebody with a copy of the repository, a key, an app in Python and nothing else."""

    def __init__(self, folder: Path, fake: FakeProvider) -> None:
        self.home = folder / "llmrouter"
        shutil.copytree(REPOSITORY, self.home, ignore=shutil.ignore_patterns(*_NOT_CLONED))
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
    finally:
        router.stop()
    assert router.process.returncode == 0


async def test_the_readme_leads_from_nothing_to_a_streamed_answer(tmp_path: Path, fake: FakeProvider) -> None:
    await asyncio.to_thread(follow, User(tmp_path, fake))
