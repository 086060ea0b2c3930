"""Structured output for targets that have none of their own: asked for by words or a tool, validated, then delivered.

An emulated answer is held back until it is whole, because only then it can be validated; one that does not fit the
schema is a failure of the target, never an answer.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

import orjson
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import Draft202012Validator
from referencing import Registry
from referencing.exceptions import Unresolvable

from llmrouter.calls import Call
from llmrouter.errors import AttemptFailed, Outcome

TOOL_NAME = "json_answer"
_FENCED = re.compile(r"\A\s*```[a-z]*\s*\n(.*?)\n?\s*```\s*\Z", re.DOTALL | re.IGNORECASE)
_LONGEST_PATH = 200


@dataclass(frozen=True, slots=True)
class Emulation:
    """What the answer must be: any JSON object, or one that fits `schema`."""

    name: str
    schema: dict[str, Any] | None
    description: str | None = None

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
            Draft202012Validator(self.schema, registry=Registry()).validate(value)
        except ValidationError as error:
            where = error.json_path[:_LONGEST_PATH]
            message = f"the model's JSON does not fit the schema at {where} ({error.validator})"
            raise AttemptFailed(Outcome.BAD_REPLY, message) from error
        except Unresolvable as error:
            raise AttemptFailed(
                Outcome.NOT_TRANSLATABLE, "the schema of 'response_format' has a dangling $ref"
            ) from error
        return text


def wanted(call: Call) -> Emulation | None:
    """What the call's `response_format` asks for; None for plain text.

    Raises `AttemptFailed` with NOT_TRANSLATABLE where it holds no valid JSON Schema.
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
        raise AttemptFailed(Outcome.NOT_TRANSLATABLE, "'response_format.json_schema.schema' must be an object")
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        message = f"'response_format' holds no valid JSON Schema: {error.message[:_LONGEST_PATH]}"
        raise AttemptFailed(Outcome.NOT_TRANSLATABLE, message) from error
    description = inner.get("description")
    return Emulation(str(inner.get("name") or "answer"), schema, description if isinstance(description, str) else None)
