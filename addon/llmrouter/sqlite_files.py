"""Databases of SQLite: where they lie, how they are opened, and what becomes of one that is damaged."""

import logging
import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path

logger = logging.getLogger(__name__)

BUSY_S = 1.0
"""How long another router that writes to the same file is waited for."""

_STEP_S = 0.01
_KEPT_KIBIBYTES = 256
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


def path_of(url: str, folder: Path) -> Path:
    """The file of a URL: `sqlite:///state/x.db` lies in `folder`, `sqlite:////var/x.db` is absolute."""
    return folder / url.removeprefix("sqlite:///")


def make_private(file: Path) -> None:
    """Makes a file that its owner alone can read, where there is none; SQLite gives its other files the same mode."""
    file.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))


def set_up(database: sqlite3.Connection, patience_s: float = BUSY_S) -> None:
    """Turns on SQLite's write-ahead log, so that who reads and who writes do not wait for each other.

    Each connection would keep up to 2 MB of the file in memory, which the kernel keeps anyway: a router has a dozen.

    Where somebody else opens the same new file just then, SQLite may fail at once, whatever time it is given
    (sqlite.org, "sqlite3_busy_handler": it is not asked where two might wait for each other): so that is waited for
    here. All other statements wait for `patience_s` from then on. Raises `sqlite3.Error`.
    """
    database.execute("PRAGMA busy_timeout = 0")
    for left in range(round(patience_s / _STEP_S), -1, -1):
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not left or not error.sqlite_errorname.startswith("SQLITE_BUSY"):
                raise
            time.sleep(_STEP_S)
        else:
            break
    database.execute(f"PRAGMA busy_timeout = {round(patience_s * 1000)}")
    database.execute("PRAGMA synchronous = NORMAL")
    database.execute(f"PRAGMA cache_size = -{_KEPT_KIBIBYTES}")


def open_database(file: Path, *create: str, page_bytes: int = 4096) -> sqlite3.Connection:
    """Opens a file for reading beside writing; `create` are statements that make tables where they are not there.

    `page_bytes` is for a file that is new. Raises `sqlite3.Error`.
    """
    database = sqlite3.connect(file, timeout=BUSY_S)
    try:
        database.execute(f"PRAGMA page_size = {page_bytes}")
        set_up(database)
        for statement in create:
            database.execute(statement)
    except BaseException:
        database.close()
        raise
    return database


def set_aside_if_damaged(file: Path, error: Exception) -> None:
    """Moves a file that is no database out of the way, so that the next write begins a new one."""
    if not str(getattr(error, "sqlite_errorname", "")).startswith(_DAMAGED):
        return
    aside = file.with_name(file.name + ".damaged")
    with suppress(OSError):
        file.replace(aside)
        for suffix in ("-wal", "-shm"):
            file.with_name(file.name + suffix).unlink(missing_ok=True)
        logger.warning("The damaged file is kept as %s; a new one is begun.", aside)
