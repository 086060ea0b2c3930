"""JSON Schemas in the subset that Anthropic's structured output understands.

The subset is that of the provider reference, section 9.1, and of the official client (anthropic 2.12,
`lib/_parse/_transform.py`). A keyword that it lacks becomes words in the description, so that the model may heed it.
Some schemas cannot be said at all without another meaning: those are told in another way.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jsonschema.validators import Draft202012Validator

_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_FORMATS = frozenset(
    {"date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uri", "uuid"},
)
_DEFINITIONS = ("$defs", "definitions")
_SILENT = frozenset({"$anchor", "$comment", "$id", "$schema", "deprecated", "discriminator", "readOnly", "writeOnly"})
"""Keywords that say nothing to a model."""

_ANNOTATIONS = frozenset({"default", "description", "example", "examples", "title"})
"""Keywords by which no value becomes invalid."""

_BESIDE_ALTERNATIVES = _ANNOTATIONS | _SILENT


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A schema of the subset, and the keywords that no longer bind the model: `lost` is empty where all still do."""

    schema: dict[str, Any]
    lost: tuple[str, ...]


class NotInSubsetError(ValueError):
    """The schema means something that the subset cannot say."""


def cleaned(schema: dict[str, Any]) -> Cleaned:
    """The schema in Anthropic's subset; raises `NotInSubsetError` where that would change its meaning.

    Every value that fits the result has the shape that the schema asks for; whether it also keeps to the lost keywords
    has to be checked.
    """
    if not _is_finite(schema):
        raise NotInSubsetError("it refers to itself, or to what is no definition")
    cleaner = _Cleaner()
    return Cleaned(cleaner.clean(schema), tuple(sorted(cleaner.lost)))


class _Cleaner:
    def __init__(self) -> None:
        self.lost: set[str] = set()

    def clean(self, schema: Any) -> dict[str, Any]:
        if not isinstance(schema, dict):
            raise NotInSubsetError("it allows anything, or nothing")
        rest = dict(schema)
        out: dict[str, Any] = {
            name: {key: self.clean(inner) for key, inner in rest.pop(name).items()}
            for name in _DEFINITIONS
            if isinstance(rest.get(name), dict)
        }
        if isinstance(reference := rest.pop("$ref", None), str):
            if not reference.startswith("#/"):
                raise NotInSubsetError("it refers to another schema")
            self.lost |= rest.keys() - _BESIDE_ALTERNATIVES
            return {**out, "$ref": reference}
        out |= self._core(rest)
        return self._described(out, rest)

    def _core(self, rest: dict[str, Any]) -> dict[str, Any]:
        """The keywords that say what a value is; they are taken out of `rest`."""
        if "enum" in rest or "const" in rest:
            return self._literals(rest)
        kind = rest.pop("type", None)
        if isinstance(kind, list):
            return self._one_of_types(kind, rest)
        if kind is None and (alternatives := self._alternatives(rest)) is not None:
            return alternatives
        if kind is None:
            kind = next((name for name, mark in _MARKS.items() if mark in rest), None)
        if kind not in _TYPES:
            raise NotInSubsetError("it does not say of what type a value is")
        return {"type": kind, **_OF_TYPE.get(kind, _nothing)(self, rest)}

    def _one_of_types(self, kinds: list[Any], rest: dict[str, Any]) -> dict[str, Any]:
        bound = {kind: _BINDING.get(kind, frozenset()) & rest.keys() for kind in kinds if isinstance(kind, str)}
        alternatives = [self.clean({"type": kind} | {name: rest[name] for name in bound[kind]}) for kind in bound]
        for name in frozenset().union(*bound.values()):
            del rest[name]
        return {"anyOf": alternatives}

    def _literals(self, rest: dict[str, Any]) -> dict[str, Any]:
        values = rest["enum"] if "enum" in rest else [rest["const"]]
        if not isinstance(values, list) or not values or any(isinstance(value, dict | list) for value in values):
            raise NotInSubsetError("it lists values that are objects or arrays")
        if "enum" in rest and "const" in rest:
            self.lost.add("const")
        kind = rest.pop("type", None)
        if kind is not None and not all(Draft202012Validator({"type": kind}).is_valid(value) for value in values):
            self.lost.add("type")
        name = "enum" if "enum" in rest else "const"
        return {name: rest.pop(name)}

    def _alternatives(self, rest: dict[str, Any]) -> dict[str, Any] | None:
        """`anyOf` for `anyOf` or `oneOf`; the one schema of an `allOf`; None where there is none of them."""
        names = [name for name in ("anyOf", "oneOf", "allOf") if isinstance(rest.get(name), list) and rest[name]]
        if not names:
            return None
        if len(names) > 1 or rest.keys() - _BESIDE_ALTERNATIVES - set(names):
            raise NotInSubsetError("it joins alternatives with other demands")
        name, schemas = names[0], rest.pop(names[0])
        if name != "allOf":
            self.lost |= {"oneOf"} & {name}
            return {"anyOf": [self.clean(schema) for schema in schemas]}
        if len(schemas) > 1:
            raise NotInSubsetError("it joins several schemas")
        return self.clean(schemas[0])

    def _object(self, rest: dict[str, Any]) -> dict[str, Any]:
        """An object, which must name all its properties: one that is open would come back empty."""
        closed = rest.pop("additionalProperties", None)
        properties = rest.pop("properties", None) or {}
        is_open = closed not in (None, False) or "patternProperties" in rest or (not properties and closed is None)
        if is_open or not isinstance(properties, dict):
            raise NotInSubsetError("it holds an object with properties of any name")
        out: dict[str, Any] = {"properties": {name: self.clean(inner) for name, inner in properties.items()}}
        required = rest.pop("required", None)
        if isinstance(required, list):
            if not set(required) <= properties.keys():
                raise NotInSubsetError("it requires a property that it does not describe")
            out["required"] = required
        return {**out, "additionalProperties": False}

    def _array(self, rest: dict[str, Any]) -> dict[str, Any]:
        out = {}
        if "items" in rest:
            out["items"] = self.clean(rest.pop("items"))
        elif "prefixItems" in rest:
            raise NotInSubsetError("it tells apart the places of an array")
        if rest.get("minItems") in (0, 1):
            out["minItems"] = rest.pop("minItems")
        return out

    def _string(self, rest: dict[str, Any]) -> dict[str, Any]:
        if isinstance(rest.get("format"), str) and rest["format"] in _FORMATS:
            return {"format": rest.pop("format")}
        return {}

    def _described(self, out: dict[str, Any], rest: dict[str, Any]) -> dict[str, Any]:
        """The schema with what is left of its keywords told in words."""
        told = dict(out)
        if isinstance(title := rest.pop("title", None), str):
            told["title"] = title
        description = rest.pop("description", None)
        words = [description] if isinstance(description, str) and description else []
        left = {name: value for name, value in rest.items() if name not in _SILENT}
        if left:
            pieces = (f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in left.items())
            words.append("{" + ", ".join(pieces) + "}")
            self.lost |= left.keys() - _ANNOTATIONS
        return {**told, "description": "\n\n".join(words)} if words else told


def _nothing(_cleaner: _Cleaner, _rest: dict[str, Any]) -> dict[str, Any]:
    return {}


_OF_TYPE = {"object": _Cleaner._object, "array": _Cleaner._array, "string": _Cleaner._string}
_MARKS = {"object": "properties", "array": "items"}
_NUMERIC = frozenset({"exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"})
_BINDING = {
    "object": frozenset({"additionalProperties", "patternProperties", "properties", "required"}),
    "array": frozenset({"items", "prefixItems", "minItems", "maxItems", "uniqueItems"}),
    "string": frozenset({"format", "maxLength", "minLength", "pattern"}),
    "number": _NUMERIC,
    "integer": _NUMERIC,
}
"""The keywords that say something of values of one type only."""


def _is_finite(schema: dict[str, Any]) -> bool:
    """Whether every reference is to a definition, and none leads back to where it stands."""
    points = {
        f"#/{name}/{key}": inner
        for name in _DEFINITIONS
        if isinstance(schema.get(name), dict)
        for key, inner in schema[name].items()
    }
    edges = {point: set(_references(inner)) for point, inner in points.items()}
    if any(reference not in points for reference in _references(schema)):
        return False
    return not any(_reaches(point, point, edges) for point in edges)


def _reaches(start: str, goal: str, edges: dict[str, set[str]]) -> bool:
    waiting, seen = list(edges[start]), set[str]()
    while waiting:
        point = waiting.pop()
        if point == goal:
            return True
        if point not in seen:
            seen.add(point)
            waiting += edges[point]
    return False


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _references(item)
    elif isinstance(value, dict):
        if isinstance(reference := value.get("$ref"), str):
            yield reference
        for inner in value.values():
            yield from _references(inner)
