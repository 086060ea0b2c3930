"""`llmrouter models` lists what an app may ask for."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from llmrouter.cli.main import main


def test_names_and_patterns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names with those who answer, in order; what only a pattern covers is told as such."""
    monkeypatch.setenv("GROQ_API_KEY", "key-of-groq")
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "providers.yaml"
    file.write_text(
        "providers:\n"
        "  - {type: groq, models: [{id: big, serves: [gpt-4o, 'gpt-4o-*']}]}\n"
        "  - {type: together, model: other}\n"
    )
    result = CliRunner().invoke(main, ["models", "--config", str(file), "--json"])
    told = json.loads(result.stdout)

    assert {"name": "gpt-4o", "answered_by": ["groq/big"], "resting": []} in told["models"]
    assert told["patterns"] == {"gpt-4o-*": ["groq/big"]}
    assert "TOGETHER_API_KEY is not set" in result.stderr
    assert "groq/big" in CliRunner().invoke(main, ["models", "--config", str(file)]).output
