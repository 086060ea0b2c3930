"""`llmrouter providers` tells which provider types there are, and never prints a key."""

import json

import pytest
from click.testing import CliRunner

from llmrouter.brands import BRANDS
from llmrouter.cli.main import main


def test_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line for each brand, under a head."""
    monkeypatch.setenv("GROQ_API_KEY", "key-of-groq")
    result = CliRunner().invoke(main, ["providers"])
    head, *lines = result.output.splitlines()

    assert head.split() == ["type", "wire", "format", "address", "endpoints", "key", "variable", "key"]
    assert [line.split()[0] for line in lines] == list(BRANDS)
    assert "key-of-groq" not in result.output


def test_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """A set key, a missing one, and one that is not needed."""
    monkeypatch.setenv("GROQ_API_KEY", "key-of-groq")
    monkeypatch.delenv("XAI_API_KEY", raising=False)
    rows = {row["type"]: row for row in json.loads(CliRunner().invoke(main, ["providers", "--json"]).output)}

    assert rows["gemini"]["wire format"] == "openai_compatible, gemini"
    assert rows["anthropic"]["endpoints"] == "messages, models"
    assert (rows["groq"]["key"], rows["xai"]["key"], rows["ollama"]["key"]) == ("set", "not set", "not needed")
