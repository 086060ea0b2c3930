"""Documents in SQLite or PostgreSQL, by SQLAlchemy.

Each method is one transaction on a thread: who asks may leave, and the transaction is still whole.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import orjson
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    Row,
    Select,
    create_engine,
    delete,
    event,
    func,
    insert,
    make_url,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from llmrouter.clock import Clock
from llmrouter.errors import StateUnavailable
from llmrouter.storage.state.schema import NewerSchema, bring_up_to_date
from llmrouter.storage.state.store import LASTING_KINDS, Claim, Document, Page, UnknownCursor
from llmrouter.storage.state.tables import CLAIMS, DOCUMENTS

logger = logging.getLogger(__name__)

_THREADS = 4
_CONNECT_S = 3
_STATEMENT_S = 5
_PATIENCE_S = 10.0
# SQLite takes a bounded number of values in a statement.
_AT_ONCE = 500
_CLAIM = text("INSERT INTO claims (caller, name, owner) VALUES (:caller, :name, :owner) ON CONFLICT DO NOTHING")
# Any number that nothing else locks by.
_SCHEMA_LOCK = text("SELECT pg_advisory_xact_lock(7202611)")
_LIST_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 7202611))")
_D = DOCUMENTS.c


class SqlStore:
    """A `StateStore`; connected to when it is first asked, and again after a failure."""

    def __init__(self, engine: Engine, words: str, clock: Clock) -> None:
        """`words` tell in errors where documents lie."""
        self._engine = engine
        self._words = words
        self._clock = clock
        self._is_postgresql = engine.dialect.name == "postgresql"
        self._threads = ThreadPoolExecutor(_THREADS, "state")
        self._opening = threading.Lock()
        self._is_open = False
        self._is_failing = False

    @classmethod
    def of_sqlite(cls, file: Path, clock: Clock) -> Self:
        """In one file, beside what else the router keeps there."""
        engine = create_engine(
            URL.create("sqlite", database=str(file)), connect_args={"timeout": _STATEMENT_S}, pool_size=_THREADS
        )

        @event.listens_for(engine, "connect")
        def prepare(connection: Any, _: Any) -> None:
            # SQLite's own module would begin transactions by itself, and too late to be safe.
            connection.isolation_level = None
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            connection.exec_driver_sql(
                "BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN"
            )

        store = cls(engine, str(file), clock)
        store._folder = file.parent
        return store

    @classmethod
    def of_postgresql(cls, url: str, clock: Clock) -> Self:
        """At a server, which several routers may share."""
        place = make_url(url).set(drivername="postgresql+psycopg")
        options = f"-c statement_timeout={_STATEMENT_S * 1000} -c lock_timeout={_STATEMENT_S * 1000}"
        engine = create_engine(
            place,
            connect_args={"connect_timeout": _CONNECT_S, "options": options},
            pool_size=_THREADS,
            pool_pre_ping=True,
        )
        return cls(engine, f"PostgreSQL at {place.host or 'its socket'}", clock)

    _folder: Path | None = None

    # Documents

    async def add(
        self, caller: str, kind: str, documents: Sequence[tuple[str, dict[str, Any]]], parent: str = ""
    ) -> list[Document]:
        """Adds documents at the end of their list."""
        now = self._clock.wall()

        def work(connection: Connection) -> list[Document]:
            if self._is_postgresql:
                connection.execute(_LIST_LOCK, {"name": f"{caller} {kind} {parent}"})
            last = connection.scalar(select(func.max(_D.position)).where(*_list(caller, kind, parent)))
            first = 0 if last is None else last + 1
            added = [Document(kind, id, parent, first + n, now, data) for n, (id, data) in enumerate(documents)]
            if added:
                connection.execute(insert(DOCUMENTS), [_row(caller, document) for document in added])
            if parent:
                touched = update(DOCUMENTS).where(_D.caller == caller, _D.id == parent).values(changed=now)
                connection.execute(touched)
            return added

        return await self._run(work, writes=True)

    async def get(self, caller: str, kind: str, id: str, parent: str | None = None) -> Document | None:
        """One document."""
        found = await self._run(lambda connection: _find(connection, caller, kind, id))
        return None if found is None or parent not in (None, found.parent) else found

    async def replace(self, caller: str, kind: str, id: str, data: dict[str, Any]) -> bool:
        """Gives a document new data."""
        return await self.change(caller, kind, id, lambda _: data) is not None

    async def change(
        self, caller: str, kind: str, id: str, change: Callable[[dict[str, Any]], dict[str, Any] | None]
    ) -> Document | None:
        """Changes a document by what it is now."""
        now = self._clock.wall()

        def work(connection: Connection) -> Document | None:
            found = _find(connection, caller, kind, id, locks=self._is_postgresql)
            data = None if found is None else change(found.data)
            if found is None or data is None:
                return found
            values = {"data": orjson.dumps(data).decode(), "changed": now}
            connection.execute(update(DOCUMENTS).where(*_one(caller, kind, id)).values(values))
            return Document(kind, id, found.parent, found.position, found.created, data)

        return await self._run(work, writes=True)

    async def delete(self, caller: str, kind: str, id: str) -> bool:
        """Removes a document with all that belongs to it."""

        def work(connection: Connection) -> bool:
            if not connection.execute(delete(DOCUMENTS).where(*_one(caller, kind, id))).rowcount:
                return False
            _delete_children(connection, [(caller, id)])
            return True

        return await self._run(work, writes=True)

    async def page(
        self,
        caller: str,
        kind: str,
        parent: str = "",
        *,
        limit: int,
        descending: bool,
        after: str | None = None,
        before: str | None = None,
    ) -> Page:
        """Part of a list."""
        # The part ahead of a document is read backwards, from it on.
        is_backwards = after is None and before is not None

        def work(connection: Connection) -> list[Document]:
            query = select(DOCUMENTS).where(*_list(caller, kind, parent))
            for which, id in (("after", after), ("before", before)):
                if id is not None:
                    place = _place_of(connection, caller, kind, parent, which, id)
                    query = query.where(
                        _D.position > place if (which == "after") != descending else _D.position < place
                    )
            order = _D.position.desc() if descending != is_backwards else _D.position
            return _documents(connection, query.order_by(order).limit(limit + 1))

        found = await self._run(work)
        documents = found[:limit]
        return Page(documents[::-1] if is_backwards else documents, len(found) > limit)

    async def every(self, caller: str, kind: str, parent: str) -> list[Document]:
        """A whole list."""
        query = select(DOCUMENTS).where(*_list(caller, kind, parent)).order_by(_D.position)
        return await self._run(lambda connection: _documents(connection, query))

    async def prune(self, before: float, lasting: Collection[str] = LASTING_KINDS) -> int:
        """Removes what was not changed since then."""
        old = (_D.parent == "", _D.changed < before, _D.kind.not_in(lasting))

        def work(connection: Connection) -> int:
            roots = [tuple(row) for row in connection.execute(select(_D.caller, _D.id).where(*old))]
            if not roots:
                return 0
            gone = connection.execute(delete(DOCUMENTS).where(*old)).rowcount
            return gone + _delete_children(connection, roots)

        return await self._run(work, writes=True)

    # Locks

    async def claim(self, caller: str, name: str, owner: str) -> str | None:
        """Takes a lock."""

        def work(connection: Connection) -> str | None:
            connection.execute(_CLAIM, {"caller": caller, "name": name, "owner": owner})
            holder = connection.scalar(select(CLAIMS.c.owner).where(CLAIMS.c.caller == caller, CLAIMS.c.name == name))
            return None if holder == owner else holder

        return await self._run(work, writes=True)

    async def release(self, caller: str, name: str, owner: str) -> None:
        """Gives a lock up."""
        columns = CLAIMS.c
        gone = delete(CLAIMS).where(columns.caller == caller, columns.name == name, columns.owner == owner)
        await self._run(lambda connection: connection.execute(gone).rowcount, writes=True)

    async def claims(self) -> list[Claim]:
        """The locks of all callers."""
        return await self._run(lambda connection: [Claim(*row) for row in connection.execute(select(CLAIMS))])

    async def close(self) -> None:
        """Lets go of all connections."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._threads.shutdown(cancel_futures=True)
        self._engine.dispose()

    # How it is reached

    async def _run[T](self, work: Callable[[Connection], T], *, writes: bool = False) -> T:
        future = asyncio.get_running_loop().run_in_executor(self._threads, self._work, work, writes)
        # Who asked may have left: then nobody else hears of a failure.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            async with asyncio.timeout(_PATIENCE_S):
                result = await asyncio.shield(future)
        except TimeoutError:
            raise self._unavailable(f"no answer within {_PATIENCE_S:g} s") from None
        except (SQLAlchemyError, OSError) as error:
            raise self._unavailable(_reason(error)) from None
        except NewerSchema as error:
            raise self._unavailable(f"it was written by a later version of llmrouter (schema {error})") from None
        if self._is_failing:
            logger.info("What is kept in %s can be reached again.", self._words)
            self._is_failing = False
        return result

    def _work[T](self, work: Callable[[Connection], T], writes: bool) -> T:
        self._open()
        with self._engine.connect().execution_options(writes=writes) as connection, connection.begin():
            return work(connection)

    def _open(self) -> None:
        if self._is_open:
            return
        with self._opening:
            if self._is_open:
                return
            if self._folder is not None:
                self._folder.mkdir(parents=True, exist_ok=True)
            with self._engine.connect().execution_options(writes=True) as connection, connection.begin():
                if self._is_postgresql:
                    connection.execute(_SCHEMA_LOCK)
                bring_up_to_date(connection)
            self._is_open = True

    def _unavailable(self, reason: str) -> StateUnavailable:
        if not self._is_failing:
            logger.warning("What is kept in %s cannot be reached: %s.", self._words, reason)
        self._is_failing = True
        return StateUnavailable(f"What the router keeps cannot be reached: {reason}.")


def _reason(error: Exception) -> str:
    """The first line of what the database says; SQLAlchemy's own text holds statements and values."""
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0] or type(error).__name__


def _one(caller: str, kind: str, id: str) -> tuple[Any, ...]:
    return _D.caller == caller, _D.kind == kind, _D.id == id


def _list(caller: str, kind: str, parent: str) -> tuple[Any, ...]:
    return _D.caller == caller, _D.kind == kind, _D.parent == parent


def _row(caller: str, document: Document) -> dict[str, Any]:
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


def _document(row: Row[Any]) -> Document:
    return Document(row.kind, row.id, row.parent, row.position, row.created, orjson.loads(row.data))


def _documents(connection: Connection, query: Select[Any]) -> list[Document]:
    return [_document(row) for row in connection.execute(query)]


def _find(connection: Connection, caller: str, kind: str, id: str, *, locks: bool = False) -> Document | None:
    query = select(DOCUMENTS).where(*_one(caller, kind, id))
    row = connection.execute(query.with_for_update() if locks else query).one_or_none()
    return None if row is None else _document(row)


def _place_of(connection: Connection, caller: str, kind: str, parent: str, which: str, id: str) -> int:
    place = connection.scalar(select(_D.position).where(*_one(caller, kind, id), _D.parent == parent))
    if place is None:
        raise UnknownCursor(which, id)
    return int(place)


def _delete_children(connection: Connection, parents: Sequence[tuple[str, ...]]) -> int:
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
