"""The JSON Schema that editors use is the one of the code, and explains every key."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from llmrouter.brands import BRANDS
from llmrouter.settings.schema import json_schema
from llmrouter.settings.values import POLICIES

FILE = Path(__file__).resolve().parents[2] / "config" / "schema.json"


def test_the_file_is_in_step_with_the_code() -> None:
    """After a change: `llmrouter config schema > config/schema.json`."""
    assert json.loads(FILE.read_text()) == json_schema()


def test_every_key_is_described() -> None:
    """An editor shows what each key is for."""
    schema = json_schema()
    mappings: dict[str, Any] = {"Settings": schema} | {
        name: part for name, part in schema["$defs"].items() if "properties" in part
    }

    def is_described(value: dict[str, Any]) -> bool:
        # Where key and mapping say the same, pydantic says it once.
        referred = schema["$defs"].get(value.get("$ref", "").rpartition("/")[2], {})
        return bool(value.get("description") or referred.get("description"))

    missing = [
        f"{name}.{key}"
        for name, mapping in mappings.items()
        for key, value in mapping["properties"].items()
        if not is_described(value)
    ]
    assert missing == []


def test_an_editor_offers_types_and_policies() -> None:
    """The words that can stand there are listed."""
    parts = json_schema()["$defs"]
    assert parts["ProviderSettings"]["properties"]["type"]["enum"] == sorted(BRANDS)
    assert parts["Policy"]["anyOf"][0]["enum"] == list(POLICIES)
    assert "schedule" not in parts["InnerPolicy"]["enum"]


@pytest.mark.parametrize(
    ("policy", "is_right"),
    [
        ("least_cost", True),
        ("mine/policy.py:Mine", True),
        ("cheapest", False),
        ("policy.py", False),
        ("x.py:A b", False),
    ],
)
def test_an_editor_knows_a_class_of_ones_own(policy: str, is_right: bool) -> None:
    """As the loader does."""
    assert jsonschema.Draft202012Validator(json_schema()).is_valid({"policy": policy}) is is_right


def test_unknown_keys_are_refused_by_the_schema_too() -> None:
    """An editor underlines a typo."""
    assert json_schema()["additionalProperties"] is False
