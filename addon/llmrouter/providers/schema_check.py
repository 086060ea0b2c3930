"""Checks JSON against a client's schema without letting the schema hold up everybody else's calls.

Python's regular expressions and JSON Schema's references can take time without end, and nothing can interrupt them
within the process. So patterns are not judged, schemas are bounded, and so is the work for one answer.
"""

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import Draft202012Validator, extend
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

LARGEST_BYTES = 64 * 1024
_DEEPEST = 40
_MOST_STEPS = 20_000
_LONGEST_PATH = 200
_SAMPLES: tuple[Any, ...] = (None, {}, [], "", 0)

_MAPS = frozenset({"$defs", "definitions", "dependentSchemas", "properties"})
"""Keywords whose members are names, and not keywords."""

_UNJUDGED = frozenset({"$dynamicRef", "$recursiveRef", "pattern", "patternProperties"})
_STEPS = ("$ref", "allOf", "anyOf", "items", "oneOf", "properties", "unevaluatedItems", "unevaluatedProperties")

_left: ContextVar[list[int]] = ContextVar("steps left")


class UnfitSchemaError(ValueError):
    """The schema is none, or more than the router judges; the text says why."""


class MisfitError(ValueError):
    """The JSON does not fit the schema; the text says where, and not what stands there."""


class _TooMuchError(Exception):
    pass


def rules_of(schema: dict[str, Any]) -> dict[str, Any]:
    """What of a schema is judged: all but patterns. Raises `UnfitSchemaError`."""
    rules: dict[str, Any] = _without_patterns(schema, 0)
    try:
        Draft202012Validator.check_schema(rules)
    except SchemaError as error:
        raise UnfitSchemaError(f"it is no valid JSON Schema: {error.message[:_LONGEST_PATH]}") from error
    resolver = Registry().resolver_with_root(DRAFT202012.create_resource(rules))
    for reference in _references(rules):
        try:
            resolver.lookup(reference)
        except Unresolvable as error:
            raise UnfitSchemaError(f"its reference {reference[:_LONGEST_PATH]!r} leads nowhere") from error
    for sample in _SAMPLES:
        try:
            check(sample, rules)
        except MisfitError as error:
            if error.__cause__ is None:
                raise UnfitSchemaError("its references run in circles, or branch too often") from error
    return rules


def check(value: Any, rules: dict[str, Any]) -> None:
    """Raises `MisfitError` where the value does not fit, or where finding out takes too many steps."""
    token = _left.set([_MOST_STEPS])
    try:
        _BoundedValidator(rules, registry=Registry()).validate(value)
    except ValidationError as error:
        raise MisfitError(f"{error.json_path[:_LONGEST_PATH]} ({error.validator})") from error
    except (RecursionError, _TooMuchError):
        raise MisfitError("it takes too many steps to judge") from None
    finally:
        _left.reset(token)


def _without_patterns(schema: Any, depth: int, *, is_map: bool = False) -> Any:
    if depth > _DEEPEST:
        raise UnfitSchemaError(f"it is nested more than {_DEEPEST} levels deep")
    if isinstance(schema, list):
        return [_without_patterns(item, depth + 1) for item in schema]
    if not isinstance(schema, dict):
        return schema
    unjudged = frozenset[str]() if is_map else _UNJUDGED
    if not is_map and "patternProperties" in schema:
        # Which properties are additional depends on the patterns.
        unjudged |= {"additionalProperties", "unevaluatedProperties"}
    return {
        name: inner
        if name in ("const", "enum", "default", "examples") and not is_map
        # The members of these keywords are schemas under names.
        else _without_patterns(inner, depth + 1, is_map=name in _MAPS and not is_map)
        for name, inner in schema.items()
        if name not in unjudged
    }


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for item in schema:
            yield from _references(item)
    elif isinstance(schema, dict):
        if isinstance(reference := schema.get("$ref"), str):
            yield reference
        for inner in schema.values():
            yield from _references(inner)


type _Keyword = Callable[[Validator, Any, Any, Any], Iterator[ValidationError] | None]


def _counted(keyword: _Keyword) -> _Keyword:
    def count(validator: Validator, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        left = _left.get()
        left[0] -= 1
        if left[0] < 0:
            raise _TooMuchError
        yield from keyword(validator, value, instance, schema) or ()

    return count


_BoundedValidator: Any = extend(  # type: ignore[no-untyped-call]  # its stubs have no types
    Draft202012Validator,
    {name: _counted(Draft202012Validator.VALIDATORS[name]) for name in _STEPS},
)
