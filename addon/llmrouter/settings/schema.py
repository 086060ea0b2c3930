"""The JSON Schema of the configuration file, for editors; `config/schema.json` is a copy of it."""

from typing import Any

from llmrouter.brands import BRANDS
from llmrouter.settings.model import Settings


def json_schema() -> dict[str, Any]:
    """The schema as plain JSON values, made from the settings' own classes."""
    schema = Settings.model_json_schema(mode="validation")
    schema["$defs"]["ProviderSettings"]["properties"]["type"]["enum"] = sorted(BRANDS)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Configuration of llmrouter",
    }
