"""`llmrouter cache` looks after what is kept in a file."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from llmrouter.caching.entries import Entry, encode
from llmrouter.caching.sqlite_store import SqliteStore
from llmrouter.cli.main import main
from llmrouter.clock import Clock
from llmrouter.replies import Usage

NOW = Clock().wall()
COMPLETION = {"id": "c", "object": "chat.completion", "choices": [{"message": {"content": "pöng"}}]}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A configuration whose cache holds three answers, one of them two hours old."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "providers.yaml"
    file.write_text("providers: [{type: echo}]\ncache: {backend: sqlite, url: 'sqlite:///kept.db'}\n")

    async def fill() -> None:
        times = [NOW - 7200, NOW, NOW]
        store = SqliteStore(tmp_path / "kept.db", 10**7, lambda: times[0])
        for target in ("groq/old", "groq/new", "openai/gpt"):
            entry = Entry(json.dumps(COMPLETION).encode(), Usage(3, 4), 0.25, times[0], target)
            await store.keep(target.encode().ljust(16), target, encode(entry), 10_000)
            times.append(times.pop(0))
        await store.close()

    asyncio.run(fill())
    return str(file)


def ran(*arguments: str) -> Any:
    return CliRunner().invoke(main, ["cache", *arguments])


def test_stats(config: str) -> None:
    assert ran("stats", "--config", config).output.splitlines() == ["3 answers, 0.1 MiB", "  groq: 2", "  openai: 1"]
    told = json.loads(ran("stats", "--config", config, "--json").output)
    assert (told["entries"], told["by_provider"]) == (3, {"groq": 2, "openai": 1})


@pytest.mark.parametrize(
    ("options", "gone"),
    [
        ([], 3),
        (["--provider", "groq"], 2),
        (["--model", "gpt"], 1),
        (["--provider", "openai", "--model", "new"], 0),
        (["--older-than", "1h"], 1),
        (["--older-than", "3h"], 0),
        (["--older-than", "90s", "--provider", "groq"], 1),
    ],
)
def test_clear(config: str, options: list[str], gone: int) -> None:
    assert ran("clear", "--config", config, *options).output == f"{gone} answers were forgotten.\n"
    assert json.loads(ran("stats", "--config", config, "--json").output)["entries"] == 3 - gone


def test_export(config: str, tmp_path: Path) -> None:
    printed = ran("export", "--config", config).output
    assert ran("export", "--config", config, str(tmp_path / "out.jsonl")).output == ""
    assert (tmp_path / "out.jsonl").read_text() == printed
    rows = [json.loads(line) for line in printed.splitlines()]
    assert [row["target"] for row in rows] == ["groq/old", "groq/new", "openai/gpt"]
    assert rows[0]["completion"] == COMPLETION
    assert (rows[0]["cost_usd"], rows[0]["expires"] - rows[0]["created"]) == (0.25, 10_000)
    assert "pöng" in printed


@pytest.mark.parametrize(
    ("cache", "told"),
    [
        ("", "With `cache: {backend: memory}` nothing is kept outside the router."),
        ("cache: {backend: redis, url_env: NOT_SET}", "NOT_SET must hold the address of Redis"),
        ("cache: {backend: redis, url: 'redis://127.0.0.1:1'}", "The cache in Redis cannot be used: ConnectionError."),
        ("cache: {backend: sometimes}", "cache.backend: one of these is needed"),
    ],
)
def test_what_is_wrong_is_told(config: str, cache: str, told: str) -> None:
    Path(config).write_text(f"providers: [{{type: echo}}]\n{cache}\n")
    result = ran("stats", "--config", config)
    assert (result.exit_code, told in result.output) == (1, True), result.output


def test_an_age_that_is_none(config: str) -> None:
    result = ran("clear", "--config", config, "--older-than", "yesterday")
    assert "'yesterday' is no age; write one such as 90s, 30m, 12h or 7d" in result.output
    assert json.loads(ran("stats", "--config", config, "--json").output)["entries"] == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{\n", ":1: this is no JSON"),
        ('{"messages": []}\n[1]\n', ":2: a request body with `messages` is needed"),
        ("12 no flows", "is no file of recorded flows"),
    ],
)
def test_files_that_cannot_prime(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "requests"
    file.write_text(text)
    result = ran("prime", str(file))
    assert (result.exit_code, told in result.output) == (1, True), result.output


def test_strings_may_hold_any_separator(tmp_path: Path) -> None:
    file = tmp_path / "requests"
    file.write_text('{"messages": [{"role": "user", "content": "a\u2028b\x85"}]}\n', encoding="utf-8")
    result = ran("prime", str(file), "--base-url", "http://127.0.0.1:1/v1")
    assert "1 failed" in result.output, "it was read, and asked of nobody"


def test_without_a_router_priming_says_so(tmp_path: Path) -> None:
    file = tmp_path / "requests"
    file.write_text('\n{"messages": [{"role": "user", "content": "a"}]}\n\n')
    result = ran("prime", str(file), "--base-url", "http://127.0.0.1:1/v1")
    assert result.exit_code == 1
    assert "1 failed" in result.output
    assert "http://127.0.0.1:1/v1 cannot be reached: ConnectError. Is the router running?" in result.output
