"""`llmrouter usage` reads the ledger, and never tells what is unknown as nothing."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from llmrouter.calls import Caller
from llmrouter.cli.main import main
from llmrouter.cli.usage import moment_of
from llmrouter.storage.call_ledger import CallLedger
from llmrouter.storage.call_rows import CallRow
from tests.storage.ledger_rows import NOON, row

UNKNOWN = {"cost_usd": None, "known_cost_usd": 0.0, "is_unpriced": True, "saved_usd": None}


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LLMROUTER_CONFIG", raising=False)


def fill(*rows: CallRow, file: str = "state/llmrouter.db") -> None:
    ledger = CallLedger(Path(file), lambda caller: None, lambda: NOON, 1e9, pause_s=0.0)
    for one in rows:
        ledger.add(one, Caller())
    ledger.close()


def usage(*arguments: str) -> Any:
    return CliRunner().invoke(main, ["usage", *arguments])


def test_lines_and_total() -> None:
    fill(row(), row(provider="xai", model="grok", **UNKNOWN), row(provider="xai", model="grok"))
    result = usage()
    assert result.exit_code == 0
    lines = [line.split("  ") for line in result.output.splitlines()]
    told = {line[0].strip(): [cell.strip() for cell in line if cell.strip()] for line in lines}
    assert told["groq"] == ["groq", "1", "0", "0", "100", "20", "10", "$0.0010", "$0.0020"]
    assert told["xai"] == ["xai", "2", "0", "0", "200", "40", "20", "$0.0010 + ?", "$0.0020 + ?"]
    assert told["total"] == ["total", "3", "0", "0", "300", "60", "30", "$0.0020 + ?", "$0.0040 + ?"]
    assert "The cost of 1 calls is not known" in result.output


def test_what_was_passed_through_is_no_failure() -> None:
    """Nor is it an answer: OpenAI gave it, and its price is not the router's to tell."""
    passed = {"result": "passed_through", "provider": None, "model": None, "error": "overloaded", "cost_usd": None}
    fill(row(), row(**passed, known_cost_usd=0.0, saved_usd=None, status=None))
    assert "1 calls went to OpenAI with the app's own key" in usage().output
    total = json.loads(usage("--json").output)["total"]
    assert (total["calls"], total["answered"], total["passed_through"]) == (2, 1, 1)
    (line,) = [line for line in usage().output.splitlines() if line.startswith("total")]
    assert line.split()[1:3] == ["2", "0"]


def test_what_is_not_known_at_all_is_unknown() -> None:
    fill(row(**UNKNOWN))
    assert usage().output.count("unknown") == 4
    line = next(csv.DictReader(io.StringIO(usage("--csv").output)))
    assert (line["provider"], line["cost_usd"], line["saved_usd"], line["unknown_cost"]) == ("groq", "", "", "1")
    told = json.loads(usage("--json").output)
    assert told["total"]["cost_usd"] is None
    assert told["lines"][0]["unknown_cost"] == 1


@pytest.mark.parametrize("by", ["provider", "model", "day", "caller", "endpoint", "requested"])
def test_by(by: str) -> None:
    keys = {"provider": "groq", "model": "groq/llama", "day": "2026-11-23", "endpoint": "chat.completions"}
    fill(row())
    told = json.loads(usage("--by", by, "--json").output)
    assert [line["key"] for line in told["lines"]] == [keys.get(by, {"caller": None, "requested": "gpt-4o"}.get(by))]
    assert told["total"]["calls"] == 1


def test_since_and_until() -> None:
    fill(row(), row(at=NOON + 86_400))
    assert json.loads(usage("--since", "2026-11-24", "--json").output)["total"]["calls"] == 1
    assert json.loads(usage("--until", "2026-11-24", "--json").output)["total"]["calls"] == 1
    assert "no calls" in usage("--until", "2026-11-23T12:00").output


def test_moments() -> None:
    assert moment_of(None, NOON) is None
    assert moment_of("7d", NOON) == NOON - 7 * 86_400
    assert moment_of("90s", NOON) == NOON - 90
    assert moment_of("2026-11-23", NOON) == NOON - 43_200
    assert moment_of("2026-11-23T13:00:00+01:00", NOON) == NOON
    with pytest.raises(ValueError, match="is no time"):
        moment_of("yesterday", NOON)


def test_what_is_wrong_is_said() -> None:
    assert "There is no ledger" in usage().stderr
    assert usage().exit_code == 1
    fill(row())
    assert "is no time" in usage("--since", "soon").stderr


def test_the_file_of_the_configuration() -> None:
    fill(row(), file="elsewhere.db")
    Path("own.yaml").write_text(
        "providers: [{type: echo, name: e, model: m}]\nstorage: {url: 'sqlite:///elsewhere.db'}"
    )
    assert "groq" in usage("--config", "own.yaml").output


def test_names_that_clients_chose_do_no_harm() -> None:
    fill(row(requested="=HYPERLINK(1)"), row(requested="\x1b[2Jgpt"))
    assert "\x1b" not in usage("--by", "requested").output
    assert "\n'=HYPERLINK(1),1" in usage("--by", "requested", "--csv").output
