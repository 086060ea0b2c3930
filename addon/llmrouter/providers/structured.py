"""Structured output for targets that have none of their own: asked for by words or a tool, validated, then delivered.

An emulated answer is held back until it is whole, because only then it can be validated; one that does not fit the
schema is a failure of the target, never an answer.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

import orjson
from cachetools import LRUCache

from llmrouter.calls import Call
from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.schema_check import LARGEST_BYTES, MisfitError, UnfitSchemaError, check, rules_of

TOOL_NAME = "json_answer"
_FENCED = re.compile(r"\A\s*```[a-z]*\s*\n(.*?)\n?\s*```\s*\Z", re.DOTALL | re.IGNORECASE)
_known: LRUCache[bytes, dict[str, Any]] = LRUCache(4 * 1024 * 1024, getsizeof=lambda rules: len(orjson.dumps(rules)))


@dataclass(frozen=True, slots=True)
class Emulation:
    """What the answer must be: any JSON object, or one that fits `schema`, of which `rules` are judged."""

    name: str
    schema: dict[str, Any] | None
    description: str | None = None
    rules: dict[str, Any] | None = None

    @property
    def instruction(self) -> str:
        """What the model is told."""
        if self.schema is None:
            return "Answer with one JSON object and nothing else: no explanation, no Markdown."
        about = f" It is described so: {self.description}" if self.description else ""
        schema = json.dumps(self.schema, ensure_ascii=False, separators=(",", ":"))
        return (
            "Answer with one JSON value that is valid under the following JSON Schema and nothing else: no explanation,"
            f" no Markdown.{about}\nJSON Schema ({self.name}):\n{schema}"
        )

    def checked(self, text: str) -> str:
        """The answer's JSON text, without a Markdown fence around it; raises `AttemptFailed` where it does not fit."""
        fenced = _FENCED.match(text)
        text = fenced[1] if fenced else text.strip()
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise AttemptFailed(Outcome.BAD_REPLY, "the model was asked for JSON and did not give any") from error
        if self.schema is None:
            if not isinstance(value, dict):
                raise AttemptFailed(Outcome.BAD_REPLY, "the model was asked for a JSON object and gave another value")
            return text
        try:
            check(value, self.schema if self.rules is None else self.rules)
        except MisfitError as error:
            raise AttemptFailed(Outcome.BAD_REPLY, f"the model's JSON does not fit the schema at {error}") from error
        return text


def wanted(call: Call) -> Emulation | None:
    """What the call's `response_format` asks for; None for plain text.

    Raises `AttemptFailed` with NOT_TRANSLATABLE where it holds no JSON Schema that can be judged.
    """
    form = call.body.get("response_format")
    if not isinstance(form, dict):
        return None
    if form.get("type") == "json_object":
        return Emulation("json_object", None)
    if form.get("type") != "json_schema":
        return None
    inner = form.get("json_schema")
    schema = inner.get("schema") if isinstance(inner, dict) else None
    if not isinstance(inner, dict) or not isinstance(schema, dict):
        raise _unfit(".json_schema.schema' must be an object")
    if call.body.size_of("response_format") > LARGEST_BYTES:
        raise _unfit(f"' has a schema of more than {LARGEST_BYTES} bytes, which the router does not judge")
    name, description = str(inner.get("name") or "answer"), inner.get("description")
    return Emulation(name, schema, description if isinstance(description, str) else None, _rules_of(schema))


def _rules_of(schema: dict[str, Any]) -> dict[str, Any]:
    """The judged part of a schema; apps send the same one again and again, so the last ones are remembered."""
    try:
        key = orjson.dumps(schema)
        known = _known.get(key)
        if known is None:
            known = _known[key] = rules_of(schema)
    except (UnfitSchemaError, orjson.JSONEncodeError) as error:
        raise _unfit(f"' has a schema that cannot be judged: {error}") from error
    return known


def _unfit(why: str) -> AttemptFailed:
    return AttemptFailed(Outcome.NOT_TRANSLATABLE, f"'response_format{why}")
