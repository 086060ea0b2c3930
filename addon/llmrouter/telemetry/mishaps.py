"""What the router itself could not do lately: told in the log once for each kind, and kept for `llmrouter doctor`."""

import logging
from dataclasses import asdict, dataclass
from typing import Any

from llmrouter.errors import ROUTERS_OWN
from llmrouter.telemetry.decisions import PASSED_THROUGH, Decision

logger = logging.getLogger(__name__)

_KINDS = frozenset(kind.metric for kind in ROUTERS_OWN)


@dataclass(slots=True)
class Mishap:
    """How often one kind happened since the start; `last_at` is Unix seconds, `last` what was told of it."""

    refused: int = 0
    passed_through: int = 0
    last_at: float = 0.0
    last: str = ""


class Mishaps:
    """An observer of decisions."""

    def __init__(self) -> None:
        self._by_kind: dict[str, Mishap] = {}
        self._told: set[tuple[str, bool]] = set()

    def __call__(self, decision: Decision) -> None:
        """Takes a decision; most are of no interest."""
        kind = decision.error_kind
        if kind is None or kind not in _KINDS:
            return
        mishap = self._by_kind.setdefault(kind, Mishap())
        is_passed = decision.result == PASSED_THROUGH
        mishap.passed_through += is_passed
        mishap.refused += not is_passed
        mishap.last_at, mishap.last = decision.at, decision.error or ""
        if (kind, is_passed) not in self._told:
            self._told.add((kind, is_passed))
            what = "passed through to OpenAI with the app's own key" if is_passed else "refused"
            text = "A request was %s (%s): %s Others of this kind are counted; see: llmrouter doctor"
            logger.warning(text, what, kind, mishap.last)

    def figures(self) -> dict[str, Any]:
        """What happened since the start, by kinds, as plain values."""
        return {kind: asdict(mishap) for kind, mishap in self._by_kind.items()}
