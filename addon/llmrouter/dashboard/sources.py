"""Where the pages take what they show from, in a router that runs."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmrouter import __version__
from llmrouter.clock import Clock
from llmrouter.dashboard.page import Page
from llmrouter.dashboard.status import target_record, totals_record
from llmrouter.gateway import Gateway
from llmrouter.routing.standings import standing_of
from llmrouter.telemetry.recent_decisions import RecentDecisions
from llmrouter.telemetry.totals import Totals


@dataclass(frozen=True, slots=True)
class LiveSources:
    """A gateway and its observers; `started` is monotonic seconds, `more` what others add to the status."""

    gateway: Gateway
    recent: RecentDecisions
    totals: Totals
    config: Path | None
    clock: Clock
    started: float
    more: Callable[[], dict[str, Any]] = dict
    exposition: Callable[[], Page | None] = lambda: None

    def health(self) -> dict[str, Any]:
        """That it runs, and since when."""
        return {"status": "ok", "name": "llmrouter", "version": __version__, "pid": os.getpid()} | self._uptime()

    def status(self) -> dict[str, Any]:
        """How it is, and what it did since its start."""
        now, wall, gateway = self.clock.monotonic(), self.clock.wall(), self.gateway
        standings = [
            standing_of(one, gateway.health, gateway.quotas, now, wall) for one in gateway.router.catalogue.targets
        ]
        return {
            "version": __version__,
            "pid": os.getpid(),
            **self._uptime(),
            "at": round(wall, 3),
            "config": None if self.config is None else str(self.config),
            "totals": totals_record(self.totals),
            "targets": [target_record(one, self.totals.targets.get(one.target.key)) for one in standings],
            **self.more(),
        }

    def metrics(self) -> Page | None:
        """The figures for Prometheus; None where they are not offered."""
        return self.exposition()

    def _uptime(self) -> dict[str, float]:
        return {"uptime_s": round(self.clock.monotonic() - self.started, 1)}
