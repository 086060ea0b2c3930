"""Puts the pieces of JSON objects in a stream together: what is appended, what is told once, and what must agree.

What cannot be put together faithfully raises `Unsound`, for a wrong answer that is stored would be wrong again and
again. Members that are null say nothing.
"""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from typing import Any, Protocol

_EMPTY: tuple[Any, ...] = ("", [], {})


class Unsound(Exception):
    """The pieces have no meaning, or more than one."""


class Way(Protocol):
    """How the values of one member become one: `begin` takes the first one and gives what is known of it, which `add`
    takes and gives again with each further value; `whole` ends it. All may raise `Unsound`."""

    def begin(self, value: Any) -> Any: ...

    def add(self, known: Any, value: Any) -> Any: ...

    def whole(self, known: Any) -> Any: ...


class Once:
    """A value that comes in one piece: of members that nobody knows, it cannot be said what a second one would mean."""

    def begin(self, value: Any) -> Any:
        return value

    def add(self, known: Any, value: Any) -> Any:
        if value in _EMPTY:
            return known
        if known in _EMPTY:
            return value
        raise Unsound("a member comes twice, and it is not known what that means")

    def whole(self, known: Any) -> Any:
        return known


class Same(Once):
    """A value that may be repeated; an object may be told in parts that do not contradict each other."""

    def add(self, known: Any, value: Any) -> Any:
        if known == value:
            return known
        if not isinstance(known, dict) or not isinstance(value, dict):
            raise Unsound("a member changes")
        both = {name: self.add(known[name], value[name]) for name in known.keys() & value.keys()}
        return {**known, **value, **both}


class Latest(Once):
    """A value that is told anew as it grows, such as a count; the last one holds."""

    def add(self, known: Any, value: Any) -> Any:
        return value


class Text:
    """Text whose pieces are appended."""

    def begin(self, value: Any) -> Any:
        return self.add([], value)

    def add(self, known: Any, value: Any) -> Any:
        if not isinstance(value, str):
            raise Unsound("a text is none")
        known.append(value)
        return known

    def whole(self, known: Any) -> Any:
        return "".join(known)


class Base64(Text):
    """Bytes in base64, each piece with an end of its own, or all with one."""

    def whole(self, known: Any) -> Any:
        pieces = [piece for piece in known if piece]
        if not any("=" in piece for piece in pieces[:-1]):
            return "".join(pieces)
        try:
            return b64encode(b"".join(b64decode(piece, validate=True) for piece in pieces)).decode()
        except Base64Error as error:
            raise Unsound("a piece of base64 is none") from error


class Items:
    """A list whose items are appended."""

    def begin(self, value: Any) -> Any:
        return self.add([], value)

    def add(self, known: Any, value: Any) -> Any:
        if not isinstance(value, list):
            raise Unsound("a list is none")
        known += value
        return known

    def whole(self, known: Any) -> Any:
        return known


class DifferentItems(Items):
    """A list of different items; one that comes again would say that the whole list is told anew."""

    def add(self, known: Any, value: Any) -> Any:
        if isinstance(value, list) and any(item in known for item in value):
            raise Unsound("an item of a list comes twice")
        return super().add(known, value)


class Members:
    """An object whose members come in pieces, each in its way; None as a way drops a member that has no meaning."""

    def __init__(self, ways: Mapping[str, Way | None], other: Way | None = None) -> None:
        self._ways = ways
        self._other = Once() if other is None else other

    def begin(self, value: Any) -> Any:
        return self.add({}, value)

    def add(self, known: Any, value: Any) -> Any:
        if not isinstance(value, dict):
            raise Unsound("an object is none")
        for name, piece in value.items():
            if piece is None:
                continue
            way = self._ways.get(name, self._other)
            if way is not None:
                known[name] = way.add(known[name], piece) if name in known else way.begin(piece)
        return known

    def whole(self, known: Any) -> Any:
        ways, other = self._ways, self._other
        return {name: (ways.get(name) or other).whole(value) for name, value in known.items()}


class Numbered:
    """A list of objects whose fragments tell by `index` which one they belong to."""

    def __init__(self, item: Members) -> None:
        self._item = item

    def begin(self, value: Any) -> Any:
        return self.add({}, value)

    def add(self, known: Any, value: Any) -> Any:
        if not isinstance(value, list):
            raise Unsound("a list is none")
        for fragment in value:
            index = fragment.get("index") if isinstance(fragment, dict) else None
            if not isinstance(index, int) or index < 0:
                raise Unsound("a fragment does not tell what it belongs to")
            known[index] = self._item.add(known.get(index, {}), fragment)
        return known

    def whole(self, known: Any) -> Any:
        return [self._item.whole(known[index]) for index in sorted(known)]


class Continued:
    """A list of objects of which the last one goes on as long as `index` and `type` stay the same."""

    def __init__(self, item: Members) -> None:
        self._item = item

    def begin(self, value: Any) -> Any:
        return self.add([], value)

    def add(self, known: Any, value: Any) -> Any:
        if not isinstance(value, list):
            raise Unsound("a list is none")
        for item in value:
            if known and isinstance(item, dict) and self._goes_on(known[-1], item):
                self._item.add(known[-1], item)
            else:
                known.append(self._item.begin(item))
        return known

    @staticmethod
    def _goes_on(last: dict[str, Any], item: dict[str, Any]) -> bool:
        is_numbered = item.get("index") is not None
        return is_numbered and all(last.get(name) == item.get(name) for name in ("index", "type"))

    def whole(self, known: Any) -> Any:
        return [self._item.whole(item) for item in known]
