"""Where documents lie, by the settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from llmrouter.clock import Clock
from llmrouter.settings.storage import StorageSettings, is_server
from llmrouter.sqlite_files import path_of

if TYPE_CHECKING:
    from llmrouter.storage.state.sql_store import SqlStore


class NoState(Exception):
    """There is no place for documents; the message says what is missing."""


def place_of(settings: StorageSettings, environ: Mapping[str, str]) -> str:
    """The URL of the place; raises `NoState`."""
    if settings.url_env is None:
        return settings.url
    url = environ.get(settings.url_env, "").strip()
    if not is_server(url):
        raise NoState(f"{settings.url_env} must hold the address of PostgreSQL, such as postgresql://host/database.")
    return url


def open_state(url: str, folder: Path, clock: Clock) -> "SqlStore":
    """The store at a URL of PostgreSQL, or in a file beside that of SQLite in `folder`.

    It is connected to when it is first asked.
    """
    # Takes a quarter of a second to import, which a router that keeps nothing need not wait for.
    from llmrouter.storage.state.sql_store import SqlStore

    if url.startswith("sqlite:"):
        return SqlStore.of_sqlite(state_file(url, folder), clock)
    return SqlStore.of_postgresql(url, clock)


def state_file(url: str, folder: Path) -> Path:
    """The file of documents beside that of SQLite at `url`, which is below `folder` where it is relative.

    One of their own: what else the router keeps is set aside where it is damaged, which documents never are.
    """
    file = path_of(url, folder)
    return file.with_name(f"{file.stem}-state{file.suffix}")
