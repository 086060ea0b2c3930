"""Calls through a real gateway, and what the ledger says of them."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.provider import Answer, FakeProvider, Status
from tests.gateways import gateway, provider

MODEL = {"id": "org/small", "serves": ["*"], "price": {"input": 1000, "output": 10_000}}


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def calls_in(folder: Path, table: str = "calls") -> list[dict[str, Any]]:
    with closing(sqlite3.connect(folder / "llmrouter.db")) as database:
        database.row_factory = sqlite3.Row
        return [dict(found) for found in database.execute(f"SELECT * FROM {table} ORDER BY at")]


def all_bytes_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


def priced(name: str, fake: FakeProvider, **more: Any) -> dict[str, Any]:
    return provider(name, fake, models=[MODEL], **more)


async def test_an_answer_from_the_second_provider(tmp_path: Path) -> None:
    async with (
        FakeProvider(default=Status(503)) as bad,
        FakeProvider(default=Answer("hello")) as good,
        gateway(tmp_path, priced("bad", bad), priced("good", good)) as router,
    ):
        told = await router.ask(stream=True)
    (call,) = calls_in(tmp_path)
    decision = router.decisions[-1]
    assert told.is_done
    assert (call["id"], call["at"]) == (decision.id, decision.at)
    assert (call["provider"], call["model"], call["requested"]) == ("good", "org/small", "gpt-4o")
    assert (call["endpoint"], call["stream"], call["cache"]) == ("chat.completions", 1, "bypass")
    assert (call["result"], call["status"], call["error"], call["attempts"]) == ("answered", 200, None, 2)
    assert json.loads(call["failures"]) == [["bad/org/small", "server_error"]]
    assert decision.usage is not None
    assert (call["input_tokens"], call["output_tokens"]) == (
        decision.usage.input_tokens,
        decision.usage.output_tokens,
    )
    assert call["cost_usd"] == call["known_cost_usd"] == decision.cost_usd
    assert call["cost_usd"] > 0
    assert call["first_content_s"] == decision.attempts[-1].first_content_s
    assert call["seconds"] == decision.seconds


async def test_a_call_that_nobody_answers(tmp_path: Path) -> None:
    async with FakeProvider(default=Status(503)) as bad, gateway(tmp_path, priced("bad", bad)) as router:
        told = await router.ask()
    (call,) = calls_in(tmp_path)
    assert told.answer.status == call["status"] == 503
    assert (call["result"], call["error"], call["provider"], call["cost_usd"]) == ("failed", "no_answer", None, None)
    assert call["is_unpriced"] == 0
    assert call["first_content_s"] is None


async def test_an_answer_of_the_cache_costs_nothing(tmp_path: Path) -> None:
    async with FakeProvider(default=Answer("hello")) as good, gateway(tmp_path, priced("good", good)) as router:
        for _ in range(2):
            await router.ask(temperature=0)
    first, second = calls_in(tmp_path)
    assert (first["cache"], second["cache"]) == ("miss", "hit")
    assert (second["provider"], second["cost_usd"], second["attempts"], second["first_content_s"]) == (
        "good",
        0.0,
        0,
        None,
    )


async def test_an_unknown_price_is_none(tmp_path: Path) -> None:
    async with FakeProvider(default=Answer("hello")) as good, gateway(tmp_path, provider("good", good)) as router:
        await router.ask()
    (call,) = calls_in(tmp_path)
    assert (call["cost_usd"], call["is_unpriced"], call["saved_usd"]) == (None, 1, None)


async def test_callers_are_told_apart_and_not_told(tmp_path: Path) -> None:
    """The same after a restart, and no part of a key is in any file."""
    async with FakeProvider(default=Answer("hello")) as good:
        for _ in range(2):
            async with gateway(tmp_path, priced("good", good)) as router:
                await router.ask(key="key-of-one-app")
                await router.ask(key="key-of-another-app")
                assert all(decision.call is None for decision in router.decisions)
    one, another, *again = (call["caller"] for call in calls_in(tmp_path))
    assert one != another
    assert again == [one, another]
    assert len(one) == 16
    assert b"key-of-one-app" not in all_bytes_in(tmp_path)


async def test_prompts_are_not_kept_unless_asked_for(tmp_path: Path) -> None:
    async with FakeProvider(default=Answer("hello")) as good, gateway(tmp_path, priced("good", good)) as router:
        await router.ask(messages=[{"role": "user", "content": "the secret plan"}])
    assert calls_in(tmp_path, "call_prompts") == []
    assert b"the secret plan" not in all_bytes_in(tmp_path)


async def test_prompts_are_kept_where_they_are_wanted(tmp_path: Path) -> None:
    storage = {"url": f"sqlite:///{tmp_path}/llmrouter.db", "ledger": {"prompts": True}}
    long = [{"role": "user", "content": "x" * 100_000}]
    async with (
        FakeProvider(default=Answer("hello")) as good,
        gateway(tmp_path, priced("good", good), storage=storage) as router,
    ):
        await router.ask(messages=[{"role": "user", "content": "the secret plan"}])
        await router.ask(messages=long)
    short, cut = calls_in(tmp_path, "call_prompts")
    assert json.loads(short["prompt"]) == [{"role": "user", "content": "the secret plan"}]
    assert len(cut["prompt"]) == 64 * 1024
    assert short["id"] == calls_in(tmp_path)[0]["id"]


async def test_a_ledger_that_is_off_writes_nothing(tmp_path: Path) -> None:
    storage = {"url": f"sqlite:///{tmp_path}/llmrouter.db", "ledger": {"enabled": False}}
    async with (
        FakeProvider(default=Answer("hello")) as good,
        gateway(tmp_path, priced("good", good), storage=storage) as router,
    ):
        await router.ask()
    assert not (tmp_path / "state" / "cache-secret").exists()
    with closing(sqlite3.connect(tmp_path / "llmrouter.db")) as database:
        assert database.execute("SELECT 1 FROM sqlite_master WHERE name = 'calls'").fetchone() is None
