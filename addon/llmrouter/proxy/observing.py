"""Who is told of every decision: what is always there, and what the settings ask for."""

import logging
from collections.abc import Sequence

from llmrouter.settings.model import LoggingSettings
from llmrouter.telemetry.decisions import DecisionLog, Observer
from llmrouter.telemetry.recent_decisions import RecentDecisions
from llmrouter.telemetry.totals import Totals

logger = logging.getLogger(__name__)


class Observing:
    """The observers of one router; those of the settings are exchanged with them, all others count on.

    `first` are told before all others. `may_print` is off where a screen would be torn by lines.
    """

    def __init__(self, first: Sequence[Observer], *, may_print: bool) -> None:
        self.recent = RecentDecisions()
        self.totals = Totals()
        self._first = tuple(first)
        self._may_print = may_print
        self._log: DecisionLog | None = None

    def take(self, settings: LoggingSettings) -> list[Observer]:
        """Opens what the settings name, and closes what was open; returns all observers."""
        self.close()
        is_wanted = settings.decisions == "json" and (self._may_print or settings.file is not None)
        try:
            self._log = DecisionLog(settings.file) if is_wanted else None
        except OSError as error:
            logger.error("logging.file: decisions cannot be written to %s: %s", settings.file, error.strerror)  # noqa: TRY400 - a traceback would bury the line that helps
        observers: list[Observer] = [*self._first, self.recent, self.totals]
        return observers if self._log is None else [*observers, self._log]

    def close(self) -> None:
        """Writes what still waits."""
        if self._log is not None:
            self._log.close()
            self._log = None
