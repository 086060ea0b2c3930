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
import psycopg
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    create_engine,
    delete,
    event,
    func,
    insert,
    make_url,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from llmrouter.clock import Clock
from llmrouter.errors import StateUnavailable
from llmrouter.sqlite_files import make_private, set_up
from llmrouter.storage.state.processes import Process
from llmrouter.storage.state.queries import delete_children, documents_of, find, is_sound, listed, one, place_of, row_of
from llmrouter.storage.state.schema import NewerSchema, bring_up_to_date
from llmrouter.storage.state.store import LASTING_KINDS, Claim, Document, Page
from llmrouter.storage.state.tables import CLAIMS, DOCUMENTS

logger = logging.getLogger(__name__)

_THREADS = 4
_CONNECT_S = 3
_STATEMENT_S = 5
_PATIENCE_S = 10.0
_CLOSE_S = 2.0
_CLAIM = text(
    "INSERT INTO claims (caller, name, owner, process) VALUES (:caller, :name, :owner, :process) ON CONFLICT DO NOTHING"
)
# Any number that nothing else locks by.
_SCHEMA_LOCK = text("SELECT pg_advisory_xact_lock(7202611)")
_LIST_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 7202611))")
_D = DOCUMENTS.c


class SqlStore:
    """A `StateStore`; connected to when it is first asked, and again after a failure."""

    def __init__(self, engine: Engine, words: str, clock: Clock, file: Path | None = None) -> None:
        """`words` tell in errors where documents lie; `file` is that of SQLite."""
        self._file = file
        self._engine = engine
        self._words = words
        self._clock = clock
        self._is_postgresql = engine.dialect.name == "postgresql"
        self._threads = ThreadPoolExecutor(_THREADS, "state")
        self._opening = threading.Lock()
        self._is_open = False
        self._is_closed = False
        self._is_failing = False
        self.process = Process()
        self._changed = threading.Condition()
        self._working: dict[Any, float] = {}

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
            set_up(connection, _STATEMENT_S)

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            connection.exec_driver_sql(
                "BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN"
            )

        return cls(engine, str(file), clock, file)

    @classmethod
    def of_postgresql(cls, url: str, clock: Clock) -> Self:
        """At a server, which several routers may share."""
        place = make_url(url).set(drivername="postgresql+psycopg")
        options = f"-c statement_timeout={_STATEMENT_S * 1000} -c lock_timeout={_STATEMENT_S * 1000}"
        engine = create_engine(
            place,
            connect_args={"connect_timeout": _CONNECT_S, "options": options, "tcp_user_timeout": _STATEMENT_S * 1000},
            pool_size=_THREADS,
            pool_pre_ping=True,
        )
        return cls(engine, f"PostgreSQL at {place.host or 'its socket'}", clock)

    # Documents

    async def add(
        self, caller: str, kind: str, documents: Sequence[tuple[str, dict[str, Any]]], parent: str = ""
    ) -> list[Document]:
        """Adds documents at the end of their list."""
        now = self._clock.wall()

        def work(connection: Connection) -> list[Document]:
            if self._is_postgresql:
                connection.execute(_LIST_LOCK, {"name": f"{caller} {kind} {parent}"})
            last = connection.scalar(select(func.max(_D.position)).where(*listed(caller, kind, parent)))
            first = 0 if last is None else last + 1
            added = [Document(kind, id, parent, first + n, now, data) for n, (id, data) in enumerate(documents)]
            if added:
                connection.execute(insert(DOCUMENTS), [row_of(caller, document) for document in added])
            if parent:
                touched = update(DOCUMENTS).where(_D.caller == caller, _D.id == parent).values(changed=now)
                connection.execute(touched)
            return added

        return await self._run(work, writes=True)

    async def get(self, caller: str, kind: str, id: str, parent: str | None = None) -> Document | None:
        """One document."""
        found = await self._run(lambda connection: find(connection, caller, kind, id))
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
            found = find(connection, caller, kind, id, locks=self._is_postgresql)
            data = None if found is None else change(found.data)
            if found is None or data is None:
                return found
            values = {"data": orjson.dumps(data).decode(), "changed": now}
            connection.execute(update(DOCUMENTS).where(*one(caller, kind, id)).values(values))
            return Document(kind, id, found.parent, found.position, found.created, data)

        return await self._run(work, writes=True)

    async def delete(self, caller: str, kind: str, id: str) -> bool:
        """Removes a document with all that belongs to it."""

        def work(connection: Connection) -> bool:
            if not is_sound(id) or not connection.execute(delete(DOCUMENTS).where(*one(caller, kind, id))).rowcount:
                return False
            delete_children(connection, [(caller, id)])
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
            query = select(DOCUMENTS).where(*listed(caller, kind, parent))
            for which, id in (("after", after), ("before", before)):
                if id is not None:
                    place = place_of(connection, caller, kind, parent, which, id)
                    query = query.where(
                        _D.position > place if (which == "after") != descending else _D.position < place
                    )
            order = _D.position.desc() if descending != is_backwards else _D.position
            return documents_of(connection, query.order_by(order).limit(limit + 1))

        found = await self._run(work)
        documents = found[:limit]
        return Page(documents[::-1] if is_backwards else documents, len(found) > limit)

    async def every(self, caller: str, kind: str, parent: str) -> list[Document]:
        """A whole list."""
        query = select(DOCUMENTS).where(*listed(caller, kind, parent)).order_by(_D.position)
        return await self._run(lambda connection: documents_of(connection, query))

    async def prune(self, before: float, lasting: Collection[str] = LASTING_KINDS) -> int:
        """Removes what was not changed since then."""
        above = DOCUMENTS.alias()
        has_parent = select(above.c.id).where(above.c.caller == _D.caller, above.c.id == _D.parent).exists()
        roots = delete(DOCUMENTS).where(_D.parent == "", _D.changed < before, _D.kind.not_in(lasting))
        orphans = delete(DOCUMENTS).where(_D.parent != "", _D.changed < before, ~has_parent)

        def work(connection: Connection) -> int:
            gone = [tuple(row) for row in connection.execute(roots.returning(_D.caller, _D.id))]
            children = delete_children(connection, gone)
            return len(gone) + children + connection.execute(orphans).rowcount

        return await self._run(work, writes=True)

    # Locks

    async def claim(self, caller: str, name: str, owner: str) -> str | None:
        """Takes a lock."""
        row = {"caller": caller, "name": name, "owner": owner, "process": self.process.id}

        def work(connection: Connection) -> str | None:
            held = select(CLAIMS.c.owner).where(CLAIMS.c.caller == caller, CLAIMS.c.name == name)
            while not connection.execute(_CLAIM, row).rowcount:
                # Nobody has it where it was given up in between: then it is taken after all.
                if (holder := connection.scalar(held)) is not None:
                    return None if holder == owner else str(holder)
            return None

        return await self._run(work, writes=True)

    async def release(self, caller: str, name: str, owner: str) -> None:
        """Gives a lock up."""
        columns = CLAIMS.c
        gone = delete(CLAIMS).where(columns.caller == caller, columns.name == name, columns.owner == owner)
        await self._run(lambda connection: connection.execute(gone).rowcount, writes=True)

    async def claims(self) -> list[Claim]:
        """The locks of all callers."""
        every = select(CLAIMS.c.caller, CLAIMS.c.name, CLAIMS.c.owner)
        return await self._run(lambda connection: [Claim(*row) for row in connection.execute(every)])

    async def abandoned(self, *prefixes: str) -> list[Claim]:
        """The locks that dead processes left."""
        wall = self._clock.wall()
        return await self._run(lambda found: self.process.take_over(found, wall, prefixes), writes=True)

    async def beat(self) -> None:
        """Tells the others that this process lives."""
        wall = self._clock.wall()
        await self._run(lambda connection: self.process.beat(connection, wall), writes=True)

    async def close(self) -> None:
        """Lets go of all connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._is_closed = True
        with self._changed:
            self._changed.wait_for(lambda: not self._working, _CLOSE_S)
            for connection in self._working:
                _break_off(connection)
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
            with self._changed:
                for connection, begun in self._working.items():
                    if self._clock.monotonic() - begun >= _PATIENCE_S:
                        _break_off(connection)
            raise self._unavailable(f"no answer within {_PATIENCE_S:g} s") from None
        except IntegrityError:
            raise StateUnavailable("Another request keeps something of the same id just now. Try again.") from None
        except (SQLAlchemyError, OSError) as error:
            # Whatever it is, the place may be another one by the next time.
            self._is_open = False
            raise self._unavailable(_reason(error)) from None
        except NewerSchema as error:
            raise self._unavailable(f"it was written by a later version of llmrouter (schema {error})") from None
        if self._is_failing:
            logger.info("What is kept in %s can be reached again.", self._words)
            self._is_failing = False
        return result

    def _work[T](self, work: Callable[[Connection], T], writes: bool) -> T:
        self._open()
        pool = self._engine.pool
        with self._engine.connect().execution_options(writes=writes) as connection:
            raw = connection.connection.dbapi_connection
            with self._changed:
                self._working[raw] = self._clock.monotonic()
            try:
                with connection.begin():
                    return work(connection)
            finally:
                with self._changed:
                    del self._working[raw]
                    self._changed.notify_all()
                if self._is_closed or self._engine.pool is not pool:
                    # Nobody would close what goes back to a pool that is given up.
                    connection.invalidate()

    def _open(self) -> None:
        if self._is_open:
            return
        with self._opening:
            if self._is_open:
                return
            if self._file is not None:
                make_private(self._file)
            # Connections of before may lead to a file that somebody moved away.
            self._engine.dispose()
            with self._engine.connect().execution_options(writes=True) as connection, connection.begin():
                if self._is_postgresql:
                    connection.execute(_SCHEMA_LOCK)
                bring_up_to_date(connection)
                self.process.beat(connection, self._clock.wall())
            self._is_open = True

    def _unavailable(self, reason: str) -> StateUnavailable:
        if not self._is_failing:
            logger.warning("What is kept in %s cannot be reached: %s.", self._words, reason)
        self._is_failing = True
        return StateUnavailable(f"What the router keeps cannot be reached: {reason}.")


def _break_off(connection: Any) -> None:
    """Ends what a server that says nothing any more is waited for; psycopg then fails in the thread that waits."""
    if isinstance(connection, psycopg.Connection):
        connection.close()


def _reason(error: Exception) -> str:
    """The first line of what the database says; SQLAlchemy's own text holds statements and values."""
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0] or type(error).__name__
