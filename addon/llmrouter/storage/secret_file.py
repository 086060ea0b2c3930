"""A secret of this installation: made once, kept in a file that its owner alone can read."""

import logging
import os
import secrets
from contextlib import suppress
from pathlib import Path

logger = logging.getLogger(__name__)

SECRET_BYTES = 32


def read_or_make_secret(file: Path) -> bytes:
    """The secret in a file, which is made where it is missing or is none.

    Where it cannot be kept, another one is made at each start, and a warning says so.
    """
    try:
        found = file.read_bytes()
        if len(found) == SECRET_BYTES:
            return found
    except FileNotFoundError:
        pass
    except OSError as error:
        logger.warning("%s cannot be read: %s. Answers of earlier runs are not found again.", file, error.strerror)
        return secrets.token_bytes(SECRET_BYTES)
    made = secrets.token_bytes(SECRET_BYTES)
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
            opened.write(made)
        return _put_in_place(fresh, file)
    except OSError as error:
        logger.warning("%s cannot be written: %s. Answers are not found again after a restart.", file, error.strerror)
        return made


def _put_in_place(fresh: Path, file: Path) -> bytes:
    """Several routers may start at once: the first one's secret is everybody's."""
    try:
        os.link(fresh, file)
    except FileExistsError:
        found = file.read_bytes()
        if len(found) != SECRET_BYTES:
            fresh.replace(file)
            return file.read_bytes()
    with suppress(OSError):
        fresh.unlink(missing_ok=True)
    return file.read_bytes()
