"""`llmrouter config` looks at a file without starting anything."""

import json
from pathlib import Path

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
