"""Brings a database to the newest version of the schema."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

_VERSIONS = "state_version"


class NewerSchema(Exception):
    """The database was written by a later version of the router."""


def bring_up_to_date(connection: Connection) -> None:
    """Runs the migrations that are missing, in the connection's transaction; raises `NewerSchema`.

    The caller sees to it that nobody else does so at the same time.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    there = MigrationContext.configure(connection, opts={"version_table": _VERSIONS}).get_current_heads()
    if not known.issuperset(there):
        raise NewerSchema(", ".join(there))
    command.upgrade(config, "head")
