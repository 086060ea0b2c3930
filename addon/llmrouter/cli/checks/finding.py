"""What a check found."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is: a warning leaves the router working."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """`about` is what was looked at, `what` how it is, `remedy` what to do about it."""

    level: Level
    about: str
    what: str
    remedy: str | None = None


def ok(about: str, what: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, about, what)


def warning(about: str, what: str, remedy: str | None = None) -> Finding:
    """It works, but not as it should."""
    return Finding(Level.WARNING, about, what, remedy)


def problem(about: str, what: str, remedy: str | None = None) -> Finding:
    """It does not work."""
    return Finding(Level.PROBLEM, about, what, remedy)
