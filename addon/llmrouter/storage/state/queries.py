"""What is asked of the tables; each runs in a transaction of its caller's."""

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, Row, Select, delete, select, tuple_

from llmrouter.storage.state.store import Document, UnknownCursor
from llmrouter.storage.state.tables import DOCUMENTS

# SQLite takes a bounded number of values in a statement.
_AT_ONCE = 500
_D = DOCUMENTS.c


def is_sound(text: str) -> bool:
    """Whether a database can hold it; what it cannot hold is not there."""
    return "\0" not in text and text.isprintable()


def one(caller: str, kind: str, id: str) -> tuple[Any, ...]:
    """The rows of one document."""
    return _D.caller == caller, _D.kind == kind, _D.id == id


def listed(caller: str, kind: str, parent: str) -> tuple[Any, ...]:
    """The rows of one list."""
    return _D.caller == caller, _D.kind == kind, _D.parent == parent


def row_of(caller: str, document: Document) -> dict[str, Any]:
    """A document as a new row."""
    return {
        "caller": caller,
        "kind": document.kind,
        "id": document.id,
        "parent": document.parent,
        "position": document.position,
        "created": document.created,
        "changed": document.created,
        "data": orjson.dumps(document.data).decode(),
    }


def document_of(row: Row[Any]) -> Document:
    """A row as a document."""
    return Document(row.kind, row.id, row.parent, row.position, row.created, orjson.loads(row.data))


def documents_of(connection: Connection, query: Select[Any]) -> list[Document]:
    """What a query finds."""
    return [document_of(row) for row in connection.execute(query)]


def find(connection: Connection, caller: str, kind: str, id: str, *, locks: bool = False) -> Document | None:
    """One document; with `locks` nobody else changes it before the transaction ends."""
    if not is_sound(id):
        return None
    query = select(DOCUMENTS).where(*one(caller, kind, id))
    row = connection.execute(query.with_for_update() if locks else query).one_or_none()
    return None if row is None else document_of(row)


def place_of(connection: Connection, caller: str, kind: str, parent: str, which: str, id: str) -> int:
    """The position of a cursor; raises `UnknownCursor`."""
    place = None
    if is_sound(id):
        place = connection.scalar(select(_D.position).where(*one(caller, kind, id), _D.parent == parent))
    if place is None:
        raise UnknownCursor(which, id)
    return int(place)


def delete_children(connection: Connection, parents: Sequence[tuple[str, ...]]) -> int:
    """Removes what belongs to documents that are gone, and what belongs to that."""
    gone, left = 0, list(parents)
    while left:
        some, left = left[:_AT_ONCE], left[_AT_ONCE:]
        belongs = tuple_(_D.caller, _D.parent).in_(some)
        children = [tuple(row) for row in connection.execute(select(_D.caller, _D.id).where(belongs))]
        if children:
            gone += connection.execute(delete(DOCUMENTS).where(belongs)).rowcount
            left += children
    return gone
