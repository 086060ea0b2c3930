"""The catalog scripts with the command lines that users know, against stub providers on loopback."""

import asyncio
import contextlib
import json
import os
import pty
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.fakes.provider import FakeProvider, Status

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = (
    "scripts/build_free_model_catalog.py"
    " --providers groq,openrouter,nvidia_nim --output generated/model_index.json --pretty"
)

GROQ = [
    {"id": "deepseek-r1-distill-llama-70b", "active": True, "context_window": 131072, "max_completion_tokens": 4096},
    {"id": "llama-3.1-8b-instant", "active": True},
    {"id": "openai/gpt-oss-20b", "active": True},
]
OPENROUTER = [
    {"id": "deepseek/deepseek-r1-distill-llama-70b", "pricing": {"prompt": "0.0000001", "completion": "0.0000004"}},
    {"id": "deepseek/deepseek-r1-distill-llama-70b:free", "pricing": {"prompt": "0", "completion": "0"}},
    {"id": "meta-llama/llama-3.1-8b-instruct", "pricing": {"prompt": "0.00000002", "completion": "0.00000003"}},
    {"id": "openai/gpt-oss-20b", "pricing": {"prompt": "0.00000003", "completion": "0.00000014"}},
]
NVIDIA = [
    {"id": "deepseek-ai/deepseek-r1-distill-llama-70b"},
    {"id": "meta/llama-3.1-8b-instruct"},
    {"id": "openai/gpt-oss-20b"},
]


class Ended(NamedTuple):
    """How a script ended."""

    code: int
    out: str
    err: str


class Place:
    """A folder with the repository's scripts and configuration, and three stub providers."""

    def __init__(self, folder: Path, fakes: dict[str, FakeProvider]) -> None:
        self.output = folder / "generated" / "model_index.json"
        self.fakes = fakes
        self._folder = folder
        self._environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(REPOSITORY / "addon"),
            "GROQ_API_KEY": "key-of-groq",
        }
        self._environ |= {f"LLMROUTER_{name.upper()}_BASE_URL": fake.base_url for name, fake in fakes.items()}

    async def run(self, command: str, stderr: int = asyncio.subprocess.PIPE) -> Ended:
        """Runs `python <command>`; `stderr` is a file's descriptor, where it is not to be read here."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command.split(), cwd=self._folder, env=self._environ,
            stdout=asyncio.subprocess.PIPE, stderr=stderr,
        )  # fmt: skip
        out, err = await process.communicate()
        return Ended(process.returncode or 0, out.decode(), (err or b"").decode())

    def offers(self) -> dict[str, dict[str, str]]:
        """Provider and id of each offer, by canonical name."""
        models = json.loads(self.output.read_bytes())["models"]
        return {m["name"]: {offer["provider"]: offer["id"] for offer in m["offers"]} for m in models}


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    for name in ("scripts", "config"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    listings: dict[str, list[dict[str, Any]]] = {"groq": GROQ, "openrouter": OPENROUTER, "nvidia_nim": NVIDIA}
    async with contextlib.AsyncExitStack() as stack:
        fakes = {
            name: await stack.enter_async_context(FakeProvider(default=Status(200, {"data": listing})))
            for name, listing in listings.items()
        }
        yield Place(tmp_path, fakes)


async def test_the_catalog_is_built_from_all_providers(place: Place) -> None:
    ended = await place.run(BUILD)
    assert ended.code == 0, ended.err
    assert place.offers() == {
        "deepseek-r1-distill-llama-70b": {
            "groq": "deepseek-r1-distill-llama-70b",
            "openrouter": "deepseek/deepseek-r1-distill-llama-70b:free",
            "nvidia_nim": "deepseek-ai/deepseek-r1-distill-llama-70b",
        },
        "gpt-oss-20b": dict.fromkeys(("groq", "openrouter", "nvidia_nim"), "openai/gpt-oss-20b"),
        "llama-3.1-8b": {"groq": "llama-3.1-8b-instant", "nvidia_nim": "meta/llama-3.1-8b-instruct"},
    }
    assert "3 models; at all of groq, openrouter, nvidia_nim: deepseek-r1-distill-llama-70b, gpt-oss-20b" in ended.out
    assert "openrouter: 4 chat models listed, 2 taken, 1 of them paid" in ended.err
    assert "\n  " in place.output.read_text()
    assert "key-of-groq" not in ended.out + ended.err + place.output.read_text()


async def test_a_provider_that_fails_is_reported_and_keeps_its_earlier_entries(place: Place) -> None:
    await place.run(BUILD)
    before = place.offers()
    place.fakes["openrouter"].default = Status(500)
    place.fakes["groq"].default = Status(200, {"data": GROQ[:1]})
    ended = await place.run(BUILD)
    assert ended.code == 1
    assert "openrouter: failed: HTTP 500; 2 earlier entries are kept" in ended.err
    after = place.offers()
    assert after["deepseek-r1-distill-llama-70b"] == before["deepseek-r1-distill-llama-70b"]
    assert "groq" not in after["gpt-oss-20b"] and after["gpt-oss-20b"]["openrouter"] == "openai/gpt-oss-20b"


async def test_where_none_answers_the_file_stays_as_it_is(place: Place) -> None:
    await place.run(BUILD)
    before = place.output.read_bytes()
    for fake in place.fakes.values():
        fake.default = Status(503)
    ended = await place.run(BUILD)
    assert (ended.code, place.output.read_bytes()) == (2, before)
    assert "No provider answered" in ended.err


async def test_an_output_file_that_is_no_index_is_told_and_replaced(place: Place) -> None:
    place.output.parent.mkdir()
    place.output.write_text("{}")
    ended = await place.run(BUILD)
    assert ended.code == 0 and "holds no earlier index" in ended.err
    assert len(place.offers()) == 3


async def test_an_unknown_provider_is_told(place: Place) -> None:
    ended = await place.run("scripts/build_free_model_catalog.py --providers grok")
    assert ended.code == 2 and "did you mean groq?" in ended.err and "Traceback" not in ended.err


async def test_debug_models_shows_what_is_enabled(place: Place) -> None:
    ended = await place.run("scripts/debug_models.py")
    assert ended.code == 0, ended.err
    assert "deepseek/deepseek-r1-distill-llama-70b:free" in ended.out and "openai/gpt-oss-20b (paid)" in ended.out
    assert "llama-3.1-8b" not in ended.out


async def test_debug_models_shows_all_and_paid_ones_on_demand(place: Place) -> None:
    full = await place.run("scripts/debug_models.py --full")
    (row,) = [line for line in full.out.splitlines() if line.startswith("llama-3.1-8b ")]
    assert row.split() == ["llama-3.1-8b", "0.49", "llama-3.1-8b-instant", "-", "meta/llama-3.1-8b-instruct"]
    paid = await place.run("scripts/debug_models.py --include-paid")
    assert "meta-llama/llama-3.1-8b-instruct (paid)" in paid.out


async def test_debug_models_prints_json(place: Place) -> None:
    place.fakes["openrouter"].default = Status(500)
    ended = await place.run("scripts/debug_models.py --json --full")
    told = json.loads(ended.out)
    assert ended.code == 1
    assert {p["name"]: p["error"] for p in told["providers"]} == {
        "groq": None,
        "openrouter": "HTTP 500",
        "nvidia_nim": None,
    }
    assert [model["enabled"] for model in told["models"]] == [False, False, False]


@pytest.mark.parametrize("script", ["scripts/debug_models.py", BUILD])
async def test_progress_is_shown_on_a_terminal_only(place: Place, script: str) -> None:
    """On standard error, so that what is printed can be read on."""
    assert "Asking providers" not in (await place.run(script)).err
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        ended = await place.run(script, theirs)
        os.close(theirs)
        shown = await asyncio.to_thread(terminal.read, 10_000)
    assert ended.code == 0 and "Asking providers" not in ended.out
    assert shown is not None and b"Asking providers" in shown and b"100%" in shown


def test_the_workflow_runs_the_command_that_is_tested_here() -> None:
    workflow = (REPOSITORY / ".github" / "workflows" / "model-catalog.yml").read_text()
    assert f"python {BUILD}" in workflow
    steps = yaml.safe_load(workflow)["jobs"]["build"]["steps"]
    assert steps[-1]["with"]["path"] == "generated/model_index.json"
