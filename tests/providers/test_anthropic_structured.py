"""Structured output: Anthropic's own, with a cleaned schema, or by a forced tool, or by the prompt."""

from typing import Any

import orjson
import pytest
from jsonschema.validators import Draft202012Validator

from llmrouter.providers.anthropic import translate
from llmrouter.providers.anthropic.schema import NotInSubsetError, cleaned
from tests.providers.test_anthropic_options import named
from tests.providers.test_anthropic_requests import (
    BUDGET,
    LEVEL,
    OLD,
    TIME,
    UNFORCED,
    assistant,
    body_of,
    job_of,
    text,
    told,
    untold,
    user,
)

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
OPEN = {"type": "object", "additionalProperties": {"type": "string"}}
EXACT = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}


def form(schema: Any, **members: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, **members}}


def test_the_schema_is_told_as_it_is_where_it_can_be() -> None:
    translation = translate(job_of(response_format=form(CITY, description="A city.", strict=True)))
    schema = {**CITY, "additionalProperties": False, "description": "A city."}
    assert body_of(translation)["output_config"] == {"format": {"type": "json_schema", "schema": schema}}
    assert translation.emulation is None
    assert translation.changes == ()
    assert translation.members["output_config"] == translation.members["output_config.format"] == "response_format"


def test_effort_and_form_stand_together() -> None:
    translation = translate(job_of(response_format=form(CITY), reasoning_effort="low", tools=[TIME]))
    assert body_of(translation)["output_config"].keys() == {"effort", "format"}
    assert "output_config" not in translation.members


def test_a_weaker_schema_is_validated() -> None:
    translation = translate(job_of(response_format=form(EXACT)))
    told_schema = body_of(translation)["output_config"]["format"]["schema"]
    assert told_schema["properties"] == {"n": {"type": "integer", "description": "{minimum: 1}"}}
    assert translation.emulation is not None
    assert translation.emulation.schema == EXACT
    assert translation.changes == ("minimum of the schema by descriptions",)


@pytest.mark.parametrize(("model", "schema"), [(OLD, CITY), (LEVEL, OPEN)])
def test_by_a_forced_tool(model: str, schema: Any) -> None:
    translation = translate(job_of(model, response_format=form(schema)))
    body = body_of(translation)
    assert [tool["input_schema"] for tool in body["tools"]] == [schema]
    assert body["tool_choice"] == {"type": "tool", "name": "json_answer", "disable_parallel_tool_use": True}
    assert "output_config" not in body
    assert translation.emulation is not None
    assert translation.changes == ("json_schema by a forced tool",)


@pytest.mark.parametrize(
    ("model", "members"),
    [
        (UNFORCED, {"response_format": form(OPEN)}),
        (BUDGET, {"response_format": form(OPEN), "reasoning_effort": "low"}),
        (OLD, {"response_format": form(CITY), "tools": [TIME]}),
        (OLD, {"response_format": form({"type": "array"})}),
        (BUDGET, {"response_format": form(CITY), "messages": [user("a"), assistant("{")]}),
        (LEVEL, {"response_format": {"type": "json_object"}}),
    ],
)
def test_by_the_prompt(model: str, members: dict[str, Any]) -> None:
    translation = translate(job_of(model, **members))
    body = body_of(translation)
    assert translation.emulation is not None
    assert body["system"] == [text(translation.emulation.instruction)]
    assert "output_config" not in body or "format" not in body["output_config"]
    assert translation.changes == (f"{members['response_format']['type']} by the prompt",)


def test_a_refused_form_is_told_in_another_way() -> None:
    body, changes = told(response_format=form(CITY), unsupported=["response_format"])
    assert body["tool_choice"]["name"] == "json_answer"
    assert changes == ["json_schema by a forced tool"]


def test_forms_that_are_none() -> None:
    assert told(response_format={"type": "text"}) == told()
    assert untold(response_format={"type": "grammar"})
    assert untold(response_format=form({"type": 7}))


NAMED = named("function", "time")


def test_a_forced_tool_of_the_call_stays_forced_beside_the_form() -> None:
    assert told(response_format=form(CITY), tools=[TIME], tool_choice=NAMED)[0]["tool_choice"]["name"] == "time"


def obj(required: bool = True, /, **properties: Any) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    return {**schema, "required": list(properties)} if required else schema


CLOSED = {"additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "expected", "lost"),
    [
        (obj(a={"type": "string"}), obj(a={"type": "string"}) | CLOSED, ()),
        (
            {"type": "string", "description": "d", "minLength": 1, "format": "date"},
            {"type": "string", "format": "date", "description": "d\n\n{minLength: 1}"},
            ("minLength",),
        ),
        ({"type": "string", "format": "x"}, {"type": "string", "description": '{format: "x"}'}, ("format",)),
        (
            {"type": "array", "items": {"type": "null"}, "minItems": 1},
            {"type": "array", "items": {"type": "null"}, "minItems": 1},
            (),
        ),
        (
            {"type": "array", "minItems": 2, "uniqueItems": True},
            {"type": "array", "description": "{minItems: 2, uniqueItems: true}"},
            ("minItems", "uniqueItems"),
        ),
        (
            {"oneOf": [{"type": "string"}, {"type": "null"}], "title": "T"},
            {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "T"},
            ("oneOf",),
        ),
        ({"anyOf": [{"type": "string"}]}, {"anyOf": [{"type": "string"}]}, ()),
        ({"allOf": [{"type": "string"}], "description": "d"}, {"type": "string", "description": "d"}, ()),
        (
            {"type": ["string", "null"], "maxLength": 3, "description": "d"},
            {
                "anyOf": [{"type": "string", "description": "{maxLength: 3}"}, {"type": "null"}],
                "description": "d",
            },
            ("maxLength",),
        ),
        ({"type": "string", "enum": ["a", "b"]}, {"enum": ["a", "b"]}, ()),
        ({"type": "string", "enum": ["a", 1]}, {"enum": ["a", 1]}, ("type",)),
        ({"const": 1, "default": 1}, {"const": 1, "description": "{default: 1}"}, ()),
        ({"type": "object", **CLOSED}, {"type": "object", "properties": {}, **CLOSED}, ()),
        (
            {"$ref": "#/$defs/A", "$defs": {"A": {"type": "string"}}, "$schema": "x"},
            {"$ref": "#/$defs/A", "$defs": {"A": {"type": "string"}}},
            (),
        ),
        (
            {"properties": {"a": {"type": "number"}}, "if": {"required": ["a"]}},
            {
                **obj(False, a={"type": "number"}),
                **CLOSED,
                "description": '{if: {"required": ["a"]}}',
            },
            ("if",),
        ),
    ],
)
def test_schemas_in_the_subset(schema: Any, expected: Any, lost: tuple[str, ...]) -> None:
    clean = cleaned(schema)
    assert (clean.schema, clean.lost) == (expected, lost)
    Draft202012Validator.check_schema(clean.schema)


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "any"},
        {"type": "object"},
        {"type": "object", "properties": {}},
        {**obj(a={"type": "string"}), "additionalProperties": True},
        OPEN,
        {"type": "object", "patternProperties": {"^a": {"type": "string"}}, **CLOSED},
        {**obj(a={"type": "string"}), "required": ["b"]},
        obj(a=True),
        {"enum": [["a"]]},
        {"type": "array", "prefixItems": [{"type": "string"}]},
        {"allOf": [{"type": "string"}, {"minLength": 1}]},
        {"anyOf": [{"type": "string"}], "minLength": 1},
        {"anyOf": [{"type": "string"}], "oneOf": [{"type": "string"}]},
        {"$ref": "https://a.example/schema"},
        {**obj(a={"$ref": "#"})},
        {"$ref": "#/$defs/A", "$defs": {"A": obj(b={"$ref": "#/$defs/B"}), "B": obj(a={"$ref": "#/$defs/A"})}},
    ],
)
def test_schemas_that_would_mean_something_else(schema: Any) -> None:
    with pytest.raises(NotInSubsetError):
        cleaned(schema)


def test_the_answer_of_the_tool_is_the_text() -> None:
    translation = translate(job_of(OLD, response_format=form(CITY)))
    use = {"type": "tool_use", "id": "t1", "name": "json_answer", "input": {"city": "Bonn"}}
    reply = {"type": "message", "content": [text("Here:"), use], "stop_reason": "tool_use"}
    choice = orjson.loads(translation.read_reply(orjson.dumps(reply)).data)["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ('{"city":"Bonn"}', "stop")
    assert "tool_calls" not in choice["message"]
