"""Files that are replaced at once, so that nobody ever sees half of one."""

import os
import tempfile
from pathlib import Path


def write_if_changed(file: Path, content: bytes) -> None:
    """Puts a public file right, which a crash between two writes can leave behind its key."""
    if not file.exists() or file.read_bytes() != content:
        write_whole(file, content, 0o644)


def write_whole(file: Path, content: bytes, mode: int) -> None:
    """Replaces a file at once: neither a crash nor a second start sees half of it, nor a key with a wrong mode."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "wb") as new:
            os.fchmod(new.fileno(), mode)
            new.write(content)
            new.flush()
            # Without it, a power cut can leave an empty file under the name.
            os.fsync(new.fileno())
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
