"""`llmrouter explain` says who would answer and why, and sends nothing."""

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from llmrouter.cli.main import main
from llmrouter.errors import Outcome
from llmrouter.routing.health import HealthBook
from llmrouter.routing.vitals import Answered
from llmrouter.storage.health_records import HealthRecords
from llmrouter.storage.ledger import Ledger
from tests.routing.samples import target_of

CONFIG = """
providers:
  - name: cheap
    type: groq
    models:
      - {id: small, serves: ["gpt-4o"], price: {input: 1, output: 2}, context_window: 100,
         capabilities: [tools, vision]}
  - name: free
    type: ollama
    models: [{id: local, serves: ["gpt-4o"]}]
  - {type: xai, model: grok-4}
routes:
  - {model: "gpt-4o*", use: ["cheap/*", "free/*"]}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("GROQ_API_KEY", "key-of-groq")
    monkeypatch.delenv("XAI_API_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "providers.yaml"
    file.write_text(CONFIG)
    return str(file)


def rows_of(output: str) -> list[str]:
    """The lines of the table of those that are tried."""
    return [line for line in output.splitlines() if re.match(r"\d+\. ", line)]


def explained(*arguments: str) -> Any:
    return CliRunner().invoke(main, ["explain", *arguments])


def test_the_plan_in_words(config: str) -> None:
    """Order, tier, estimate and format of each target; what is missing; and no key."""
    result = explained("--config", config, "--model", "gpt-4o", "--messages", "hello there")
    assert result.exit_code == 0
    first, second = (line.split() for line in rows_of(result.output))
    assert first[:5] == ["1.", "cheap/small", "10", "$0.001011", "11"]
    assert second[:5] == ["2.", "free/local", "10", "?", "11"]
    assert "1 / 2, configured" in result.output
    assert "not known: last in its tier" in result.output
    assert "route gpt-4o*" in result.output
    assert "Health is not known yet" in result.output
    assert "Provider xai is left out: XAI_API_KEY is not set." in result.output
    assert "key-of-groq" not in result.output


def test_what_the_last_run_kept_counts(config: str, tmp_path: Path) -> None:
    """Speed, failures and rests of its health, and what its counts left of the limits."""
    file = Path(config)
    kept, limits = (
        f"storage: {{url: 'sqlite:///{tmp_path}/kept.db'}}\n",
        "limits: {rpd: 50, tpd: 9000}\n    models:",
    )
    file.write_text(CONFIG.replace("models:", limits, 1) + kept)
    small, local = target_of("cheap/small"), target_of("free/local")
    health, wall = HealthBook(), time.time()
    health.record(small, Outcome.SUCCESS, None, Answered(0.25, 2.0, 100, is_stream=False), 100.0)
    health.record(small, Outcome.RATE_LIMITED, 0.001, None, 100.0)
    health.record(local, Outcome.RATE_LIMITED, 3600.0, None, 100.0)
    records, ledger = HealthRecords(tmp_path / "kept.db"), Ledger(tmp_path / "kept.db")
    records.save(health.snapshot(100.0), wall)
    today = datetime.fromtimestamp(wall, UTC).date().isoformat()
    ledger.save([("cheap", "day", today, 20, 1000, 0)])
    records.close()
    ledger.close()

    told = explained("--config", config, "--model", "gpt-4o", "--messages", "hi").output
    (row,) = rows_of(told)
    assert "2.00 s" in row and "rate limited" in told
    assert "0%" in row and "50%" in row
    assert "30 requests, 8000 tokens" in row
    assert "free/local: it rests (rate limited) for" in told
    assert f"in sqlite:///{tmp_path}/kept.db." in told
    (one,) = json.loads(explained("--config", config, "--model", "gpt-4o", "--json").output)["candidates"]
    assert (one["requests_left"], one["first_content_s"], one["error_rate"], one["limited_rate"]) == (30, 2.0, 0.0, 0.5)


def test_what_is_in_says_why(config: str) -> None:
    """And by what it stands where it stands."""
    file = Path(config)
    more = """
  - {name: equal, type: ollama, models: [{id: m, serves: ["gpt-4o"], price: {input: 1, output: 2}}]}
  - {name: later, type: ollama, priority: 20, models: [{id: m, serves: ["gpt-4o"], price: {input: 0, output: 0}}]}
"""
    file.write_text(CONFIG[: CONFIG.index("routes:")] + more)
    told = explained("--config", config, "--model", "gpt-4o").output
    reasons = told[told.index("Why in") :].splitlines()[1:5]
    fits = "it can do all that is asked for, the prompt fits its window of 100 tokens"
    unknown = "what it can do is not known, so it is tried, its window is not known"
    assert reasons == [
        f"  cheap/small: first of tier 10, by expected cost: $0.001009; {fits}",
        "  equal/m: after cheap/small, by expected cost: $0.001009, the same as there, but it is declared later; "
        + unknown,
        f"  free/local: after equal/m, by expected cost: its price is not known, so it is last; {unknown}",
        f"  later/m: first of tier 20, once all of tier 10 have failed, by expected cost: $0.000000; {unknown}",
    ]
    rows = json.loads(explained("--config", config, "--model", "gpt-4o", "--json").output)["candidates"]
    assert [f"  {row['target']}: {row['why_in']}" for row in rows] == reasons


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ("least_latency", "by latency: it was never measured"),
        ("quality", "by quality, which is not known, then by expected cost: $0.001009"),
        ("weighted", "by the weighted score of cost, latency, quality and failures"),
        ("round_robin", "by whose turn it is"),
    ],
)
def test_each_policy_says_by_what_it_ranks(config: str, policy: str, told: str) -> None:
    assert told in explained("--config", config, "--model", "gpt-4o", "--policy", policy).output


def test_the_headers_of_clients_as_options(config: str) -> None:
    """One provider alone, and no more than so many dollars."""
    told = explained("--config", config, "--model", "gpt-4o", "--provider", "free").output
    assert "cheap/small: the client asked for provider free" in told
    told = explained("--config", config, "--model", "gpt-4o", "--max-cost-usd", "0.001").output
    assert "cheap/small: it would cost about $0.001009, and the client allows $0.001" in told
    assert "free/local: its price is not known, and the client allows $0.001" in told


def test_pictures_are_told_to_be_a_guess(config: str) -> None:
    """It counts at every target."""
    picture = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}]
    told = explained("--config", config, "--model", "gpt-4o", "--messages", json.dumps(picture)).output
    assert "Pictures, sound and files are guessed to count for 765 tokens of the input, by OpenAI's rules" in told
    assert all(int(row.split()[4]) > 765 for row in rows_of(told))


def test_what_is_left_out_says_why(config: str, tmp_path: Path) -> None:
    """A prompt that is too long for one, and a tool that must be called for the other."""
    messages, tools = tmp_path / "messages.json", tmp_path / "request.json"
    messages.write_text(json.dumps([{"role": "user", "content": "word " * 1000}]))
    result = explained("--config", config, "--model", "gpt-4o", "--messages", f"@{messages}")
    assert "cheap/small: the prompt has at least" in result.output

    tool = {"type": "function", "function": {"name": "f"}}
    asked = {"messages": [{"role": "user", "content": "x"}], "tools": [tool], "tool_choice": "required"}
    tools.write_text(json.dumps(asked))
    result = explained("--config", config, "--model", "gpt-4o", "--request", f"@{tools}")
    assert "free/local: it does not take: tool_choice:forced" in result.output


def test_json(config: str) -> None:
    """The plan as the decision record holds it."""
    plan = json.loads(explained("--config", config, "--model", "gpt-4o", "--json").output)
    assert plan["targets"] == ["cheap/small", "free/local"]
    assert plan["policy"] == "least_cost"


def test_a_policy_of_ones_own_that_fails_is_told(config: str) -> None:
    """The order is that of the cost, and the line says why."""
    file = Path(config)
    source = "class Mine:\n    def order(self, call, candidates):\n        raise LookupError('nothing')\n"
    file.with_name("mine.py").write_text(source)
    file.write_text(CONFIG + "policy: mine.py:Mine\n")
    result = explained("--config", config, "--model", "gpt-4o")
    assert "Policy: mine.py:Mine," in result.output
    assert "The policy failed, and least_cost ordered: LookupError: nothing (mine.py, line 3)" in result.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--messages", "@/nowhere.json"], "--messages: /nowhere.json cannot be read"),
        (["--tools", "{"], "--tools is not valid JSON"),
        (["--messages", "[]"], "'messages' is empty"),
        (["--request", "[1]"], "--request must be a JSON object"),
        (["--policy", "luck"], "'x-llmrouter-policy' names no policy: 'luck'"),
    ],
)
def test_what_is_wrong_is_told(config: str, arguments: list[str], told: str) -> None:
    """With exit code 1."""
    result = explained("--config", config, *arguments)
    assert result.exit_code == 1
    assert told in result.output


def test_without_a_configuration_it_says_how_to_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing file is named as what it is."""
    monkeypatch.setenv("LLMROUTER_CONFIG", str(tmp_path / "missing.yaml"))
    result = explained()
    assert result.exit_code == 1
    assert "missing.yaml" in result.output
