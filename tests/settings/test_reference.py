"""The configuration reference: it is what the settings say, and says something about everything."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from llmrouter.brands import BRANDS
from llmrouter.cli.main import main
from llmrouter.settings.examples import EXAMPLES
from llmrouter.settings.loader import parse_settings
from llmrouter.settings.reference import reference
from llmrouter.settings.schema import json_schema

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


SCHEMA = json_schema()
MAPPINGS = {"Settings": SCHEMA} | {name: one for name, one in SCHEMA["$defs"].items() if "properties" in one}
_ONE_PROVIDER = "providers: [{type: echo, model: m}]\n"


def test_there_is_an_example_of_every_mapping() -> None:
    assert set(EXAMPLES) == set(MAPPINGS)


@pytest.mark.parametrize("name", MAPPINGS)
def test_examples_are_right_and_show_every_key(name: str) -> None:
    example = EXAMPLES[name]
    parse_settings(example if "providers:" in example else _ONE_PROVIDER + example, name, BRANDS)
    shown = set(re.findall(r"([a-z_]+):", example))
    assert {key for key, value in MAPPINGS[name]["properties"].items() if not has_its_own(name, value)} <= shown


def has_its_own(name: str, value: Mapping[str, Any]) -> bool:
    """Whether the file's key is a mapping, which has an example of its own."""
    return name == "Settings" and any(f"$defs/{one}'" in str(value) for one in MAPPINGS)
