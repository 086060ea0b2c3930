"""The processes that share a database: which of them live, and what the dead ones left."""

import math
import os
import secrets
import socket
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, delete, false, insert, or_, select, text, update

from llmrouter.storage.state.store import Claim
from llmrouter.storage.state.tables import CLAIMS, PROCESSES

BEAT_S = 10.0
_DEAD_AFTER_S = 3 * BEAT_S
# One beat less: who fell silent at the same moment may have told a beat before this process did.
_AWAY_AFTER_S = 2 * BEAT_S
_FORGOTTEN_AFTER_S = 86_400.0
_SERVER_TIME = text("SELECT extract(epoch FROM clock_timestamp())")
_P, _C = PROCESSES.c, CLAIMS.c


@dataclass(slots=True)
class Process:
    """This process, as it stands in the database, and when it last was there itself."""

    id: str = field(default_factory=lambda: secrets.token_hex(8))
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    _told: float = field(default=math.inf, init=False)
    _returned: float = field(default=-math.inf, init=False)

    def beat(self, connection: Connection, wall: float) -> None:
        """Tells that it lives, at `wall` (Unix seconds)."""
        now = _now(connection, wall)
        if now - self._told >= _AWAY_AFTER_S:
            self._returned = now
        self._told = now
        if not connection.execute(update(PROCESSES).where(_P.id == self.id).values(seen=now)).rowcount:
            connection.execute(insert(PROCESSES).values(id=self.id, host=self.host, pid=self.pid, seen=now))
        connection.execute(delete(PROCESSES).where(_P.seen < now - _FORGOTTEN_AFTER_S))

    def take_over(self, connection: Connection, wall: float, prefixes: tuple[str, ...]) -> list[Claim]:
        """The locks that dead processes left, which are this one's now."""
        now = _now(connection, wall)
        living = [row.id for row in connection.execute(select(PROCESSES)) if self._lives(row, now)]
        named = [_C.name.startswith(prefix, autoescape=True) for prefix in prefixes]
        left = update(CLAIMS).where(_C.process.not_in([self.id, *living]), or_(false(), *named))
        taken = left.values(process=self.id).returning(_C.caller, _C.name, _C.owner)
        return [Claim(*row) for row in connection.execute(taken)]

    def _lives(self, row: Row[Any], now: float) -> bool:
        """Whether a process does: it must have told lately, and one on this machine must be there, too.

        What has its number may be another process by now, or one that nobody has reaped. Who has our own number, and
        is not us, had it before: in a container that is often the number 1. After a time in which this process was
        away itself, because nobody reached the database or the machine slept, others have as long to tell again.
        """
        if row.host == self.host and (row.pid == self.pid or not _exists(row.pid)):
            return False
        return bool(now - max(row.seen, self._returned) < _DEAD_AFTER_S)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _now(connection: Connection, wall: float) -> float:
    """One clock for all: the server's, where there is one."""
    if connection.dialect.name != "postgresql":
        return wall
    return float(connection.execute(_SERVER_TIME).scalar_one())
