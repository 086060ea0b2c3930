"""A secret of this installation: made once, kept in a file that its owner alone can read."""

import fcntl
import logging
import os
import secrets
from pathlib import Path

logger = logging.getLogger(__name__)

SECRET_BYTES = 32


def read_or_make_secret(file: Path) -> bytes:
    """The secret in a file, which is made where it is missing or is none; several routers may start at once.

    Where it cannot be kept, another one is made at each start, and a warning says so.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(file, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as opened:
            fcntl.flock(opened, fcntl.LOCK_EX)
            os.fchmod(opened.fileno(), 0o600)
            found = opened.read()
            if len(found) == SECRET_BYTES:
                return found
            made = secrets.token_bytes(SECRET_BYTES)
            opened.seek(0)
            opened.truncate()
            opened.write(made)
            return made
    except OSError as error:
        logger.warning("%s cannot be kept: %s. Answers are not found again after a restart.", file, error.strerror)
        return secrets.token_bytes(SECRET_BYTES)
