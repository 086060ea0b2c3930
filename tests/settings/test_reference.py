"""The configuration reference: it is what the settings say, and says something about everything."""

from pathlib import Path

from click.testing import CliRunner

from llmrouter.cli.main import main
from llmrouter.settings.reference import reference

DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"


def rows() -> list[list[str]]:
    return [line.split(" | ") for line in reference().splitlines() if line.startswith("| `")]


def test_the_document_is_what_the_settings_say() -> None:
    """Written anew with: llmrouter config reference > docs/configuration.md."""
    assert DOCUMENT.read_text() == reference()
    assert CliRunner().invoke(main, ["config", "reference"]).output == reference()


def test_every_key_is_explained() -> None:
    assert len(rows()) > 100
    assert [row for row in rows() if row[-1].strip(" |") == ""] == []
    assert [row for row in rows() if row[1] == "any value"] == []


def test_rows_tell_values_defaults_and_where_more_stands() -> None:
    text = reference()
    assert "| `unmatched` | `passthrough`, `reject` | `passthrough` | A model that nothing may answer" in text
    assert "| `output` | a number from 0 | **needed** | US dollars per million output tokens. |" in text
    assert "| `retry` | [`retry`](#retry) |" in text
    assert "## `breaker`, `providers[].circuit_breaker`" in text
