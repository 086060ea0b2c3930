"""YAML read into plain values that know where they stand, so that every problem can be told by line and column."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import yaml

type Path = tuple[str | int, ...]

_MERGE = "tag:yaml.org,2002:merge"
# No configuration comes near it; aliases of aliases grow beyond any memory.
_MOST_VALUES = 100_000


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
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is not None:
            document.value = _Reader(loader, document).read(node, ())
    except yaml.YAMLError as error:
        document.problems.append(_syntax_problem(error, text))
    finally:
        loader.dispose()
    return document


class _Reader:
    def __init__(self, loader: yaml.SafeLoader, document: Document) -> None:
        self._loader = loader
        self._document = document
        self._open: list[yaml.Node] = []
        self._values_read = 0

    def read(self, node: yaml.Node, path: Path) -> Any:
        """The value of a node; raises `yaml.YAMLError` for what no plain values can tell."""
        self._document.positions.setdefault(path, _position(node))
        self._values_read += 1
        if self._values_read > _MOST_VALUES:
            raise yaml.MarkedYAMLError(problem=f"more than {_MOST_VALUES} values", problem_mark=node.start_mark)
        if isinstance(node, yaml.ScalarNode):
            return self._loader.construct_object(node, deep=True)
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

    def _read_mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        seen: dict[Hashable, Position] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                for source in value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]:
                    merged = {**self._merged(source, path), **merged}
                continue
            key = self._read_key(key_node)
            if key in seen:
                first = seen[key]
                message = f"the key stands here a second time (first in line {first.line}); remove one of the two"
                self._report(key_node, key, message)
            seen[key] = _position(key_node)
            self._document.positions[*path, key] = _position(key_node)
            values[key] = self.read(value_node, (*path, key))
        return {**merged, **values}

    def _merged(self, source: yaml.Node, path: Path) -> dict[str, Any]:
        if isinstance(source, yaml.MappingNode):
            return self._read_mapping(source, path)
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


def _syntax_problem(error: yaml.YAMLError, text: str) -> Misplaced:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    position = Position(mark.line + 1, mark.column + 1) if mark else Position(1, 1)
    line = text.splitlines()[position.line - 1] if position.line <= len(text.splitlines()) else ""
    if "\t" in line[: position.column + 1] or "'\\t'" in str(getattr(error, "problem", "")):
        return Misplaced(position, "syntax", "YAML does not allow tabs for indentation; use spaces")
    what = getattr(error, "problem", None) or "the text cannot be read as YAML"
    context = getattr(error, "context", None)
    return Misplaced(position, "syntax", f"{what} ({context})" if context else str(what))
