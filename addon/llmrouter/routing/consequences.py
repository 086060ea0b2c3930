"""What follows from each outcome of an attempt: design 6.2 as a table."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from llmrouter.errors import Outcome


class Next(StrEnum):
    """Who is asked after a failure."""

    TARGET = "target"
    LARGER_WINDOW = "larger window"
    ONE_OTHER = "one other"
    NOBODY = "nobody"


class Verdict(StrEnum):
    """What the breaker makes of an outcome."""

    SUCCESS = "success"
    FAILURE = "failure"
    NOTHING = "nothing"


class Rest(StrEnum):
    """Who is left alone after a failure: nobody, this model there, or all that the provider offers."""

    NONE = "none"
    TARGET = "target"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True)
class Consequence:
    """One row. `rest_s` is in seconds, None where the provider or the book says; a `loud` one is warned about.

    `retry_same` tells that the same target may be asked again within the call, when nothing else is left.
    """

    verdict: Verdict
    next: Next
    rest: Rest = Rest.NONE
    rest_s: float | None = None
    loud: bool = False
    retry_same: bool = False


CONSEQUENCES: Mapping[Outcome, Consequence] = MappingProxyType(
    {
        Outcome.SUCCESS: Consequence(Verdict.SUCCESS, Next.NOBODY),
        Outcome.UNREACHABLE: Consequence(Verdict.FAILURE, Next.TARGET, retry_same=True),
        Outcome.DISCONNECTED: Consequence(Verdict.FAILURE, Next.TARGET, retry_same=True),
        Outcome.TIMED_OUT: Consequence(Verdict.FAILURE, Next.TARGET),
        Outcome.SERVER_ERROR: Consequence(Verdict.FAILURE, Next.TARGET, retry_same=True),
        Outcome.BAD_REPLY: Consequence(Verdict.FAILURE, Next.TARGET, retry_same=True),
        Outcome.RATE_LIMITED: Consequence(Verdict.NOTHING, Next.TARGET, Rest.TARGET),
        Outcome.OUT_OF_CREDIT: Consequence(Verdict.NOTHING, Next.TARGET, Rest.PROVIDER, 3600, loud=True),
        Outcome.UNAUTHORIZED: Consequence(Verdict.NOTHING, Next.TARGET, Rest.PROVIDER, math.inf, loud=True),
        Outcome.MODEL_GONE: Consequence(Verdict.NOTHING, Next.TARGET, Rest.TARGET, 600),
        Outcome.CONTEXT_EXCEEDED: Consequence(Verdict.NOTHING, Next.LARGER_WINDOW),
        Outcome.UNSUPPORTED: Consequence(Verdict.NOTHING, Next.TARGET),
        Outcome.NOT_TRANSLATABLE: Consequence(Verdict.NOTHING, Next.TARGET),
        Outcome.REFUSED: Consequence(Verdict.NOTHING, Next.ONE_OTHER),
        Outcome.BROKEN_STREAM: Consequence(Verdict.FAILURE, Next.NOBODY),
        Outcome.OUT_OF_TIME: Consequence(Verdict.NOTHING, Next.NOBODY),
        Outcome.CLIENT_GONE: Consequence(Verdict.NOTHING, Next.NOBODY),
        Outcome.HEDGED_OFF: Consequence(Verdict.NOTHING, Next.NOBODY),
    }
)
