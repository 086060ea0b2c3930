"""Writes down each call, a second later and on a thread of its own: no call waits for the disk or fails with it.

What is written is safe from a crash of the router: `kill -9` loses the calls of the last second at most, for they are
committed once a second to SQLite in WAL mode. After a loss of power it may be a little more. Several routers may write
to the same file.
"""

import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from llmrouter.calls import Caller
from llmrouter.sqlite_files import make_private, open_database, set_aside_if_damaged
from llmrouter.storage.call_rows import WRITE, WRITE_PROMPT, CallRow, NewerLedger, bring_up_to_date

logger = logging.getLogger(__name__)

MOST_PROMPT_BYTES = 64 * 1024
"""What is kept of a prompt."""

_MOST_WAITING = 20_000
_MOST_WAITING_BYTES = 32 * 2**20
_PAUSE_S = 1.0
_RETRY_S = 10.0
_CLOSE_S = 2.0
_PRUNE_S = 3600.0
# So few at a time that another router which wants to write hardly waits.
_PRUNED_AT_ONCE = 5_000
_PRUNE_CALLS = f"DELETE FROM calls WHERE rowid IN (SELECT rowid FROM calls WHERE at < ? LIMIT {_PRUNED_AT_ONCE})"
_PRUNE_PROMPTS = (
    f"DELETE FROM call_prompts WHERE id IN (SELECT id FROM call_prompts WHERE at < ? LIMIT {_PRUNED_AT_ONCE})"
)

# What a value of a row is to blame for, and not the file.
_UNFIT = (
    *(sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError),
    *(ValueError, OverflowError, TypeError),
)


class _Waiting(NamedTuple):
    row: CallRow
    caller: Caller
    prompt: bytes | None


class CallLedger:
    """The ledger in one file, which is made with its folder when there is something to write."""

    def __init__(
        self,
        file: Path,
        caller_key: Callable[[Caller], str | None],
        wall: Callable[[], float],
        retain_s: float,
        *,
        pause_s: float = _PAUSE_S,
        most_waiting: int = _MOST_WAITING,
    ) -> None:
        """`caller_key` is asked on the thread, and may read a file; `wall` are Unix seconds."""
        self._file = file
        self._caller_key = caller_key
        self._wall = wall
        self._retain_s = retain_s
        self._pause_s = pause_s
        self._most_waiting = most_waiting
        self._waiting: deque[_Waiting] = deque()
        self._prompt_bytes = 0
        self._woken, self._closing = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._prune_at = 0.0
        self._is_failing = self._is_off = False
        self.dropped = 0
        """How many calls were not written down, because too many waited or the file cannot be used."""

    def add(self, row: CallRow, caller: Caller, prompt: bytes | None = None) -> None:
        """Takes a call to be written soon, and the beginning of what was asked; never waits.

        While the disk is stuck what comes beyond a bound is dropped and counted: of prompts before that of calls.
        """
        if len(self._waiting) >= self._most_waiting or self._is_off or self._closing.is_set():
            self._drop(1)
            return
        if prompt is not None:
            if self._prompt_bytes + len(prompt) > _MOST_WAITING_BYTES:
                prompt = None
            else:
                self._prompt_bytes += len(prompt)
        self._waiting.append(_Waiting(row, caller, prompt))
        if not self._woken.is_set():
            self._wake()

    def close(self) -> None:
        """Writes what still waits, for at most two seconds; what comes later is lost."""
        self._closing.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join(timeout=_CLOSE_S)
        self.dropped += len(self._waiting)
        if self.dropped:
            logger.warning("%d calls are missing in the ledger in %s.", self.dropped, self._file)

    def _wake(self) -> None:
        self._woken.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="writing the ledger", daemon=True)
            self._thread.start()

    def _drop(self, number: int) -> None:
        if not self.dropped and not self._is_off:
            logger.warning("The ledger in %s cannot keep up: calls are missing in it.", self._file)
        self.dropped += number

    def _work(self) -> None:
        while not self._closing.is_set():
            self._woken.wait()
            self._closing.wait(_RETRY_S if self._is_failing else self._pause_s)
            # Before the rows are taken: who adds one after that wakes the thread again.
            self._woken.clear()
            self._write_waiting()
            if self._waiting:
                self._woken.set()
        self._write_waiting()

    def _write_waiting(self) -> None:
        batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not batch:
            return
        self._prompt_bytes = 0
        try:
            self._write_what_can_be(batch)
        except NewerLedger as error:
            self._is_off = True
            self._drop(len(batch))
            logger.warning("The ledger in %s is not written: %s.", self._file, error)
        except (sqlite3.Error, OSError) as error:
            self._waiting.extendleft(reversed(batch))
            self._prompt_bytes += sum(len(one.prompt) for one in batch if one.prompt is not None)
            if not self._is_failing:
                logger.warning("The ledger cannot be written to %s, and is tried again: %s.", self._file, error)
            self._is_failing = True
            set_aside_if_damaged(self._file, error)
        else:
            if self._is_failing:
                logger.info("The ledger is written to %s again.", self._file)
            self._is_failing = False

    def _write_what_can_be(self, batch: Sequence[_Waiting]) -> None:
        """Writes the batch, less the rows that no table takes: those would be in the way of all others for ever."""
        try:
            self._write(batch)
        except _UNFIT as error:
            if len(batch) == 1:
                logger.warning("A call cannot be written to the ledger: %s.", error)
                self.dropped += 1
                return
            for one in batch:
                self._write_what_can_be([one])

    def _write(self, batch: Sequence[_Waiting]) -> None:
        prompts = [
            (one.row.id, one.row.at, one.prompt.decode(errors="replace")) for one in batch if one.prompt is not None
        ]
        if prompts or not self._file.exists():
            make_private(self._file)
        if prompts:
            self._file.chmod(0o600)
        # Opened anew for each batch: a file that somebody moved away or replaced is noticed.
        with closing(open_database(self._file)) as database:
            bring_up_to_date(database)
            with database:
                database.executemany(WRITE, [one.row._replace(caller=self._caller_key(one.caller)) for one in batch])
                database.executemany(WRITE_PROMPT, prompts)
            self._prune(database)

    def _prune(self, database: sqlite3.Connection) -> None:
        wall = self._wall()
        if wall < self._prune_at or self._closing.is_set():
            return
        self._prune_at = wall + _PRUNE_S
        for statement in (_PRUNE_CALLS, _PRUNE_PROMPTS):
            while not self._closing.is_set():
                with database:
                    gone = database.execute(statement, (wall - self._retain_s,)).rowcount
                if gone < _PRUNED_AT_ONCE:
                    break
