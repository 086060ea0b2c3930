"""The configuration reference, made from the settings' own docstrings; `docs/configuration.md` is a copy of it."""

from collections.abc import Iterator, Mapping
from textwrap import indent
from typing import Any

from llmrouter.settings.examples import EXAMPLES
from llmrouter.settings.schema import json_schema

_INTRODUCTION = """# Configuration

Every key of `config/providers.yaml`, as `llmrouter config reference` prints it from the settings themselves.
`config/providers.example.yaml` is a file to begin with, `llmrouter config init` asks and writes one, and
`llmrouter config check` names every mistake by line and column. The file is read again when it changes; a mistake keeps
the earlier settings. Where a default is empty, the key is not set; durations are seconds, prices US dollars per million
tokens. The examples show every key; those without `providers` need that beside them.
"""
_DEFS = "#/$defs/"
_CLASS = "\\.py:[A-Za-z_][A-Za-z0-9_]*$"
# So large a bound only keeps numbers within what can be computed with.
_NO_BOUND = 1e9


def reference() -> str:
    """The reference as Markdown: one table for the file, and one for every mapping in it."""
    schema = json_schema()
    definitions = schema["$defs"]
    places = _places(schema, definitions)
    parts = [_INTRODUCTION, "## The file\n", _table(schema, definitions, places), _example("Settings")]
    for name, where in places.items():
        definition = definitions[name]
        title = ", ".join(f"`{place}`" for place in where)
        parts += [f"## {title}\n", f"{definition.get('description', '')}\n"]
        parts += [_table(definition, definitions, places), _example(name)]
    return "\n".join(parts)


def _example(name: str) -> str:
    return indent(EXAMPLES[name].strip("\n"), " " * 4) + "\n"


def _places(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, list[str]]:
    """Under which paths each mapping stands, in the order of the file."""
    places: dict[str, list[str]] = {}
    waiting = [("", schema)]
    for path, inside in waiting:
        for key, value in inside["properties"].items():
            for name, suffix in _mappings(value, definitions):
                place = f"{path}.{key}{suffix}".lstrip(".")
                if name not in places:
                    waiting.append((place, definitions[name]))
                places.setdefault(name, []).append(place)
    return places


def _mappings(value: Any, definitions: Mapping[str, Any], suffix: str = "") -> Iterator[tuple[str, str]]:
    """The mappings that a value refers to, and what stands behind its key for each of them."""
    if (name := _name_of(value)) is not None:
        inside = definitions[name]
        if "properties" in inside:
            yield name, suffix
        else:
            yield from _mappings(inside, definitions, suffix)
    for choice in value.get("anyOf", ()):
        yield from _mappings(choice, definitions, suffix)
    if isinstance(items := value.get("items"), dict):
        yield from _mappings(items, definitions, f"{suffix}[]")
    if isinstance(inner := value.get("additionalProperties"), dict):
        yield from _mappings(inner, definitions, f"{suffix}.*")


def _table(inside: Mapping[str, Any], definitions: Mapping[str, Any], places: Mapping[str, list[str]]) -> str:
    needed = inside.get("required", ())
    rows = ["| key | what it is | default | |", "|---|---|---|---|"]
    for key, value in inside["properties"].items():
        words = _words(value, definitions, places)
        meaning = value.get("description") or definitions.get(_name_of(value) or "", {}).get("description", "")
        default = "**needed**" if key in needed else _default(value)
        rows.append(f"| `{key}` | {_cell(words)} | {default} | {_cell(meaning)} |")
    return "\n".join(rows) + "\n"


def _words(value: Mapping[str, Any], definitions: Mapping[str, Any], places: Mapping[str, list[str]]) -> str:
    """What kind of value stands there."""
    if (name := _name_of(value)) is not None:
        if name in places:
            return f"[`{places[name][0]}`](#{_anchor(places[name])})"
        return _words(definitions[name], definitions, places)
    if "enum" in value:
        return ", ".join(f"`{word}`" for word in value["enum"])
    if "const" in value:
        return f"`{value['const']}`"
    if choices := [choice for choice in value.get("anyOf", ()) if choice.get("type") != "null"]:
        return " or ".join(dict.fromkeys(_words(choice, definitions, places) for choice in choices))
    if value.get("type") == "array":
        items = value.get("items") or value.get("prefixItems", [{}])[0]
        return f"a list of: {_words(items, definitions, places)}"
    return _plain_words(value)


def _plain_words(value: Mapping[str, Any]) -> str:
    if str(value.get("pattern", "")).endswith(_CLASS):
        return "`file.py:Class`"
    match value.get("type"):
        case "object":
            return "names with values"
        case "boolean":
            return "`true` or `false`"
        case "number" | "integer":
            return _number(value)
        case _:
            return "text"


def _number(value: Mapping[str, Any]) -> str:
    kind = "a whole number" if value["type"] == "integer" else "a number"
    bounds = (
        ("exclusiveMinimum", "above"),
        ("minimum", "from"),
        ("exclusiveMaximum", "below"),
        ("maximum", "up to"),
    )
    told = [f"{word} {value[name]:g}" for name, word in bounds if abs(value.get(name, _NO_BOUND)) < _NO_BOUND]
    return " ".join([kind, *told])


def _default(value: Mapping[str, Any]) -> str:
    default = value.get("default")
    if default is None or default in ([], {}) or (isinstance(default, dict) and _is_mapping(value)):
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, float):
        return f"`{default:g}`"
    if isinstance(default, list):
        return f"`[{', '.join(map(str, default))}]`"
    return f"`{default}`"


def _is_mapping(value: Mapping[str, Any]) -> bool:
    return "$ref" in value or "anyOf" in value


def _name_of(value: Mapping[str, Any]) -> str | None:
    reference = value.get("$ref")
    return reference.removeprefix(_DEFS) if isinstance(reference, str) else None


def _anchor(where: list[str]) -> str:
    """What GitHub makes of a heading: lower case, no punctuation, hyphens for spaces."""
    title = ", ".join(where)
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c in "-_")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
