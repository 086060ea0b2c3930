"""YAML read into plain values that know where they stand, so that every problem can be told by line and column."""

import re
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import yaml

type Path = tuple[str | int, ...]

_MERGE = "tag:yaml.org,2002:merge"
# No configuration comes near it; aliases of aliases grow beyond any memory.
_MOST_VALUES = 100_000
# A date is text here: no key takes one, and model names may look like one.
_TEXTS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "timestamp", "value"))
_SCALARS = _TEXTS | {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float")}
# A number in YAML 1.2 and for every editor, but text for PyYAML, which reads YAML 1.1.
_EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d{1,3}")
_COLLECTIONS = frozenset({"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the file, counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Misplaced:
    """Something that the text itself has wrong, before any meaning is looked at."""

    position: Position
    key: str
    message: str


@dataclass(slots=True)
class Document:
    """The values of a file, the place of each by its path, and what is wrong with the text."""

    value: Any = None
    positions: dict[Path, Position] = field(default_factory=dict)
    problems: list[Misplaced] = field(default_factory=list)

    def position(self, path: Path) -> Position:
        """The place of a value, or of the nearest one around it."""
        while path and path not in self.positions:
            path = path[:-1]
        return self.positions.get(path, Position(1, 1))


def read_document(text: str) -> Document:
    """Reads YAML text; syntax errors, duplicate keys and keys that are no text are in `problems`."""
    document = Document()
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is not None:
            document.value = _Reader(loader, document).read(node, ())
    except yaml.reader.ReaderError as error:
        document.problems.append(_unprintable(error, text))
    except yaml.MarkedYAMLError as error:
        document.problems.append(_syntax_problem(error, text))
    except RecursionError:
        message = "lists and mappings stand too deep in each other; the settings need five levels"
        document.problems.append(Misplaced(Position(1, 1), "syntax", message))
    return document


class _Reader:
    def __init__(self, loader: yaml.SafeLoader, document: Document) -> None:
        self._loader = loader
        self._document = document
        self._open: list[yaml.Node] = []
        self._values_read = 0

    def read(self, node: yaml.Node, path: Path) -> Any:
        """The value of a node; raises `yaml.MarkedYAMLError` for what no plain values can tell."""
        self._document.positions.setdefault(path, _position(node))
        self._values_read += 1
        if self._values_read > _MOST_VALUES:
            raise yaml.MarkedYAMLError(problem=f"more than {_MOST_VALUES} values", problem_mark=node.start_mark)
        if isinstance(node, yaml.ScalarNode):
            return self._read_scalar(node)
        if node.tag not in _COLLECTIONS:
            raise _unknown_tag(node)
        if any(node is other for other in self._open):
            raise yaml.MarkedYAMLError(
                problem="an alias stands for something inside itself", problem_mark=node.start_mark
            )
        self._open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self._read_mapping(node, path)
            return [self.read(item, (*path, number)) for number, item in enumerate(node.value)]
        finally:
            self._open.pop()

    def _read_scalar(self, node: yaml.ScalarNode) -> Any:
        if node.style is None and _EXPONENT.fullmatch(node.value):
            return float(node.value)
        if node.tag in _TEXTS:
            return str(node.value)
        if node.tag not in _SCALARS:
            raise _unknown_tag(node)
        try:
            return self._loader.construct_object(node)
        except (ValueError, KeyError):
            kind = node.tag.rpartition(":")[2]
            raise yaml.MarkedYAMLError(
                problem=f"this cannot be read as {kind}; put it into quotes, if it is text",
                problem_mark=node.start_mark,
            ) from None

    def _read_mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        sources: list[yaml.Node] = []
        seen: dict[Hashable, Position] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                sources += value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                continue
            key = self._read_key(key_node)
            if key in seen:
                first = seen[key]
                message = f"the key stands here a second time (first in line {first.line}); remove one of the two"
                self._report(key_node, key, message)
            seen[key] = _position(key_node)
            self._document.positions.setdefault((*path, key), _position(key_node))
            values[key] = self.read(value_node, (*path, key))
        # Last, so that the place of a key is its own and not that of the merged one that it replaces.
        for source in sources:
            values = {**self._merged(source, path), **values}
        return values

    def _merged(self, source: yaml.Node, path: Path) -> dict[str, Any]:
        if isinstance(source, yaml.MappingNode):
            merged: dict[str, Any] = self.read(source, path)
            return merged
        self._report(source, "<<", "only a mapping can be merged in; write << with an alias of one")
        return {}

    def _read_key(self, node: yaml.Node) -> str:
        if isinstance(node, yaml.ScalarNode) and node.tag.endswith(":str"):
            return str(node.value)
        text = str(node.value) if isinstance(node, yaml.ScalarNode) else "?"
        self._report(node, text, "a key must be text; put it into quotes")
        return text

    def _report(self, node: yaml.Node, key: str, message: str) -> None:
        self._document.problems.append(Misplaced(_position(node), key, message))


def _position(node: yaml.Node) -> Position:
    return Position(node.start_mark.line + 1, node.start_mark.column + 1)


def _unknown_tag(node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(
        problem="a tag such as !this is not possible here; leave it out", problem_mark=node.start_mark
    )


def _unprintable(error: yaml.reader.ReaderError, text: str) -> Misplaced:
    before = text[: error.position]
    position = Position(before.count("\n") + 1, len(before) - before.rfind("\n"))
    message = "an invisible control character stands here; delete it"
    return Misplaced(position, "syntax", message)


def _syntax_problem(error: yaml.MarkedYAMLError, text: str) -> Misplaced:
    mark = error.problem_mark or error.context_mark
    position = Position(mark.line + 1, mark.column + 1) if mark else Position(1, 1)
    lines = text.splitlines()
    line = lines[position.line - 1] if position.line <= len(lines) else ""
    indentation = line[: len(line) - len(line.lstrip())]
    if "\t" in indentation or "'\\t'" in str(error.problem):
        return Misplaced(position, "syntax", "YAML does not allow tabs for indentation; use spaces")
    what = error.problem or "the text cannot be read as YAML"
    return Misplaced(position, "syntax", f"{what} ({error.context})" if error.context else what)
