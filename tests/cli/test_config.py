"""`llmrouter config` looks at a file without starting anything."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from llmrouter.cli.main import main


def test_check_of_a_good_file(tmp_path: Path) -> None:
    """It counts what is there, and exits with 0."""
    file = tmp_path / "good.yaml"
    file.write_text("providers:\n  - type: echo\n  - {type: groq, model: m, api_key_env: NOT_SET_ANYWHERE}\n")
    result = CliRunner().invoke(main, ["config", "check", str(file)])

    assert result.exit_code == 0
    assert "2 providers, 1 targets" in result.output
    assert "NOT_SET_ANYWHERE is not set" in result.output


def test_check_of_a_bad_file(tmp_path: Path) -> None:
    """It prints the problems, and exits with 1."""
    file = tmp_path / "bad.yaml"
    file.write_text("providers:\n  - type: ech\n")
    result = CliRunner().invoke(main, ["config", "check", str(file)])

    assert result.exit_code == 1
    assert f"{file}:2:5: providers[0].type: unknown type 'ech'; did you mean echo?" in result.output


def test_check_of_a_file_whose_policy_is_missing(tmp_path: Path) -> None:
    """A class of one's own is looked for, too."""
    file = tmp_path / "good.yaml"
    file.write_text("providers:\n  - type: echo\npolicy: mine.py:Mine\n")
    result = CliRunner().invoke(main, ["config", "check", str(file)])

    assert result.exit_code == 1
    assert f"{file}:3:1: policy: {tmp_path}/mine.py cannot be read: No such file" in result.output


def test_schema() -> None:
    """It prints JSON."""
    result = CliRunner().invoke(main, ["config", "schema"])
    assert json.loads(result.output)["title"] == "Configuration of llmrouter"


def test_check_as_json(tmp_path: Path) -> None:
    """For scripts: what is wrong and where, or what there is."""
    file = tmp_path / "file.yaml"
    file.write_text("providers:\n  - type: ech\n")
    wrong = CliRunner().invoke(main, ["config", "check", str(file), "--json"])
    (problem,) = json.loads(wrong.stdout)["problems"]
    assert (wrong.exit_code, problem["line"], problem["key"]) == (1, 2, "providers[0].type")

    file.write_text("providers:\n  - type: echo\n")
    right = CliRunner().invoke(main, ["config", "check", str(file), "--json"])
    assert (right.exit_code, json.loads(right.stdout)["targets"]) == (0, ["echo/echo"])


def test_show_hides_what_headers_hold(tmp_path: Path) -> None:
    """Harmless ones stay; defaults are told on demand."""
    file = tmp_path / "file.yaml"
    headers = {"X-Title": "my app", "X-Team": "name-of-a-team"}
    file.write_text(yaml.safe_dump({"providers": [{"type": "groq", "model": "m", "extra_headers": headers}]}))
    shown = CliRunner().invoke(main, ["config", "show", str(file)])
    whole = json.loads(CliRunner().invoke(main, ["config", "show", str(file), "--all", "--json"]).stdout)

    assert yaml.safe_load(shown.stdout)["providers"][0]["extra_headers"] == headers | {"X-Team": "(hidden)"}
    assert "name-of-a-team" not in shown.output
    assert whole["retry"]["max_attempts"] == 4


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shell in an empty folder, with one key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GROQ_API_KEY", "key-of-groq")
    for name in ("OPENROUTER_API_KEY", "NVIDIA_NIM_KEY", "OPENAI_API_KEY", "LLMROUTER_CONFIG", "LLMROUTER_PROVIDERS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "config" / "providers.yaml"


def test_init_without_questions(empty: Path) -> None:
    """The providers whose keys are set; it is right, and what is there is never overwritten."""
    assert CliRunner().invoke(main, ["config", "init", "--yes"]).exit_code == 0
    text = empty.read_text()
    assert [provider["type"] for provider in yaml.safe_load(text)["providers"]] == ["groq", "openai"]
    assert "# its key is read from GROQ_API_KEY" in text
    assert "key-of-groq" not in text
    assert CliRunner().invoke(main, ["config", "check"]).exit_code == 0

    empty.write_text("mine")
    assert CliRunner().invoke(main, ["config", "init", "--yes"]).exit_code == 1
    assert empty.read_text() == "mine"


def test_init_with_questions(empty: Path) -> None:
    """Whatever is answered, models with signs of YAML included."""
    answers = ["groq,ollama", 'odd: "model" #1', "llama3", "n", "least_latency", "y"]
    result = CliRunner().invoke(main, ["config", "init"], input="\n".join(answers) + "\n")

    assert result.exit_code == 0, result.output
    written = yaml.safe_load(empty.read_text())
    assert [(one["type"], one["model"]) for one in written["providers"]] == [
        ("groq", 'odd: "model" #1'),
        ("ollama", "llama3"),
    ]
    assert (written["policy"], written["cache"]["backend"]) == ("least_latency", "sqlite")
    assert CliRunner().invoke(main, ["config", "check"]).exit_code == 0


def test_init_of_a_type_that_there_is_not(empty: Path) -> None:
    """It asks again, and writes nothing when the answers end."""
    result = CliRunner().invoke(main, ["config", "init"], input="grok\n")
    assert "there is no such type" in result.output
    assert not empty.exists()
