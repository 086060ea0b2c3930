"""Where the pages take what they show from, in a router that runs."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmrouter import __version__
from llmrouter.dashboard.page import Page
from llmrouter.dashboard.status import target_record, totals_record
from llmrouter.routing.standings import Standing
from llmrouter.telemetry.recent_decisions import RecentDecisions
from llmrouter.telemetry.totals import Totals


@dataclass(frozen=True, slots=True)
class LiveSources:
    """What observers keep, and how targets stand; `more` is what others add to the status, `wall` Unix seconds,
    `history` the ledger's figures by ranges of time, None where there is no ledger."""

    recent: RecentDecisions
    totals: Totals
    config: Path | None
    wall: Callable[[], float]
    uptime_s: Callable[[], float]
    standings: Callable[[], Iterable[Standing]]
    more: Callable[[], dict[str, Any]] = dict
    exposition: Callable[[], Page | None] = lambda: None
    history: Callable[[str], dict[str, Any]] | None = None

    def health(self) -> dict[str, Any]:
        """That it runs, and since when."""
        return {"status": "ok", "name": "llmrouter", "version": __version__, "pid": os.getpid()} | self._uptime()

    def status(self) -> dict[str, Any]:
        """How it is, and what it did since its start."""
        return {
            "version": __version__,
            "pid": os.getpid(),
            **self._uptime(),
            "at": round(self.wall(), 3),
            "config": None if self.config is None else str(self.config),
            "totals": totals_record(self.totals),
            "targets": [target_record(one, self.totals.targets.get(one.target.key)) for one in self.standings()],
            **self.more(),
        }

    def usage(self, range: str) -> dict[str, Any]:
        """What was used in a range of time; `state` is `ready`, `reading`, `failed`, or `off` where none
        is written."""
        return {"state": "off", "range": range} if self.history is None else self.history(range)

    def metrics(self) -> Page | None:
        """The figures for Prometheus; None where they are not offered."""
        return self.exposition()

    def _uptime(self) -> dict[str, float]:
        return {"uptime_s": round(self.uptime_s(), 1)}
