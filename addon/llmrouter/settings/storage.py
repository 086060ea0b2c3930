"""Where lasting data is kept, the top-level mapping `storage` of the settings."""

from collections.abc import Iterator
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator

from llmrouter.settings.values import Flag, Frozen, PositiveInt, VariableName, check_sqlite

DEFAULT_FILE = "sqlite:///state/llmrouter.db"
_SERVERS = ("postgresql", "postgres")


def _check_place(url: str) -> str:
    if not is_server(url):
        return check_sqlite(url, "or the address of PostgreSQL, such as postgresql://host/database")
    if urlsplit(url).password is not None or "password" in parse_qs(urlsplit(url).query, keep_blank_values=True):
        raise ValueError(
            "a password must not stand in this file; put the address into an environment variable named by `url_env`"
        )
    return url


class LedgerSettings(Frozen):
    """The ledger: a row for each call, with who answered it, what it used, cost and saved, and how long it took."""

    enabled: Flag = True
    """Whether calls are written down. It lies in the file of `storage.url`, or in the default one next to
    PostgreSQL."""
    retain_days: PositiveInt = 90
    """How long a call stays in the ledger."""
    prompts: Flag = False
    """Whether what was asked is written down, too: up to 64 KiB of each call's messages, prompt or input."""


class StorageSettings(Frozen):
    """Where lasting data is kept: responses, conversations, assistants and threads, the ledger of calls, and what was
    used of quotas."""

    url: Annotated[str, AfterValidator(_check_place)] = DEFAULT_FILE
    """A file of SQLite, by a path from the folder in which the router runs; what clients keep lies in another one next
    to it (`llmrouter-state.db`). Or the address of PostgreSQL for what clients keep; the rest is in the default file
    then."""
    url_env: VariableName | None = None
    """The environment variable that holds the address of PostgreSQL, where that has a password."""
    retain_days: PositiveInt = 30
    """How long responses, conversations and threads stay that nobody changes; assistants stay until they are
    deleted."""
    ledger: LedgerSettings = LedgerSettings()
    """What is written down of each call, for `llmrouter usage` and the dashboard."""

    @property
    def file_url(self) -> str:
        """Where what is this router's own lies."""
        return DEFAULT_FILE if is_server(self.url) else self.url


def is_server(url: str) -> bool:
    """Whether it is the address of a PostgreSQL."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in _SERVERS and bool(parts.path.strip("/"))


def check_storage(storage: StorageSettings) -> Iterator[tuple[tuple[str, ...], str]]:
    """What does not fit together."""
    if storage.url_env is not None and is_server(storage.url):
        yield ("storage", "url_env"), "it names the address of PostgreSQL; use it without `url`"
