"""Where the configuration is, and what the environment says beside it."""

from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
_DEFAULT_CONFIG = Path("config") / "providers.yaml"
# What a request that names no model asks for, where LLMROUTER_DEFAULT_MODEL does not say otherwise.
_DEFAULT_MODEL = "gpt-4o-mini"


def find_config(option: str, environ: Mapping[str, str]) -> Path | None:
    """The configuration file: the option, else LLMROUTER_CONFIG, else config/providers.yaml here or in the repository.

    None where nobody named one and there is none; a named one is returned even if it is missing.
    """
    if named := option or environ.get("LLMROUTER_CONFIG"):
        return Path(named).expanduser()
    places = (Path.cwd() / _DEFAULT_CONFIG, REPOSITORY / _DEFAULT_CONFIG)
    return next((place for place in places if place.is_file()), None)


type Stamp = tuple[int, int]
"""By which a change of a file is seen: when it was written (nanoseconds), and its size."""


def stamp_of(file: Path) -> Stamp | None:
    """The stamp of a file; None where it is not there or cannot be looked at."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def default_model(environ: Mapping[str, str]) -> str:
    """The model of a request that names none."""
    return environ.get("LLMROUTER_DEFAULT_MODEL") or _DEFAULT_MODEL
