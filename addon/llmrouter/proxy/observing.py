"""Who is told of every decision: what is always there, and what the settings ask for."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from prometheus_client.metrics_core import Metric

from llmrouter.custom_policies.own_sinks import LoadedSink
from llmrouter.dashboard.gauges import bounds, process_gauges, target_gauges
from llmrouter.dashboard.page import Page
from llmrouter.dashboard.sources import LiveSources
from llmrouter.routing.standings import Standing
from llmrouter.settings.model import LoggingSettings, Settings
from llmrouter.settings.telemetry import OtelSettings
from llmrouter.telemetry.decision_log import DecisionLog
from llmrouter.telemetry.decisions import Observer
from llmrouter.telemetry.mishaps import Mishaps
from llmrouter.telemetry.prometheus import CONTENT_TYPE, PrometheusMetrics
from llmrouter.telemetry.queued import QueuedSink
from llmrouter.telemetry.recent_decisions import RecentDecisions
from llmrouter.telemetry.totals import Totals

logger = logging.getLogger(__name__)


class Observing:
    """The observers of one router; those of the settings are exchanged with them, all others count on.

    `first` are told before all others. `may_print` is off where a screen would be torn by lines. `uptime_s` and
    `standings` are asked when somebody looks. `overload` gives what bounds the router, by names; whoever does that puts
    it here.
    """

    def __init__(
        self,
        first: Sequence[Observer],
        uptime_s: Callable[[], float],
        standings: Callable[[], Iterable[Standing]],
        *,
        may_print: bool,
    ) -> None:
        self.recent = RecentDecisions()
        self.totals = Totals()
        self.mishaps = Mishaps()
        self.overload: Callable[[], dict[str, float]] = dict
        self._first = tuple(first)
        self._uptime_s = uptime_s
        self._standings = standings
        self._may_print = may_print
        self._log: DecisionLog | None = None
        self._sinks: list[QueuedSink] = []
        self._is_measured = True
        self._metrics = PrometheusMetrics([lambda: target_gauges(standings()), self._collect])

    def take(self, settings: Settings, own: Sequence[LoadedSink] = ()) -> list[Observer]:
        """Opens what the settings name, and closes what was open; returns all observers. `own` are the owner's."""
        self._end()
        most = settings.telemetry.queue_size
        self._sinks = [QueuedSink(one.name, one.take, one.end, most) for one in own]
        if (otel := settings.telemetry.otel).traces or otel.metrics:
            self._open_otel(otel, most)
        self._log = self._open_log(settings.logging)
        self._is_measured = settings.metrics.prometheus
        observers: list[Observer] = [*self._first, self.recent, self.totals, self.mishaps]
        if self._is_measured:
            observers.append(self._metrics)
        return [*observers, *([] if self._log is None else [self._log]), *self._sinks]

    def sources(
        self, config: Path | None, wall: Callable[[], float], history: Callable[[str], dict[str, Any]] | None
    ) -> LiveSources:
        """What the local pages show; `wall` is Unix seconds, `history` what the ledger says, if there is one."""
        live = self._uptime_s, self._standings, self._status, self._metrics_page
        return LiveSources(self.recent, self.totals, config, wall, *live, history)

    def _metrics_page(self) -> Page | None:
        """The figures for Prometheus; None where they are not offered."""
        return Page(200, self._metrics.exposition(), CONTENT_TYPE) if self._is_measured else None

    def _status(self) -> dict[str, Any]:
        """What the sinks lost, what bounds the router, and what it could not do, for the status page."""
        lost = [{"name": one.name, "dropped": one.dropped, "failures": one.failures} for one in self._all_sinks]
        return {"sinks": lost, "overload": self.overload(), "mishaps": self.mishaps.figures()}

    def close(self) -> None:
        """Lets sinks take what still waits, for a few seconds at most."""
        for ending in self._end():
            ending.join()

    def _end(self) -> list[threading.Thread]:
        """Begins to close what is open; a sink that is stuck must not hold up those who change the settings."""
        open_ones: list[DecisionLog | QueuedSink] = [*([] if self._log is None else [self._log]), *self._sinks]
        self._log, self._sinks = None, []
        endings = [threading.Thread(target=one.close, name="closing a sink", daemon=True) for one in open_ones]
        for ending in endings:
            ending.start()
        return endings

    @property
    def _all_sinks(self) -> list[QueuedSink]:
        logs = [] if self._log is None or self._log.sink is None else [self._log.sink]
        return [*logs, *self._sinks]

    def _collect(self) -> Iterable[Metric]:
        dropped = {one.name: one.dropped for one in self._all_sinks}
        failures = {one.name: one.failures for one in self._all_sinks}
        yield from process_gauges(self._uptime_s(), len(asyncio.all_tasks()), dropped, failures)
        yield from bounds(self.overload())

    def _open_otel(self, settings: OtelSettings, most: int) -> None:
        try:
            # Optional, and slow to import: who does not ask for it does not pay for it.
            from llmrouter.telemetry.opentelemetry import open_sink
        except ImportError as error:
            logger.error("telemetry.otel: %s; install it with: pip install 'llmrouter[otel]'", error)  # noqa: TRY400 - a traceback would bury the line that helps
            return
        sink = open_sink(settings)
        self._sinks.append(QueuedSink("opentelemetry", sink.take, sink.close, most))

    def _open_log(self, settings: LoggingSettings) -> DecisionLog | None:
        is_wanted = settings.decisions == "json" and (self._may_print or settings.file is not None)
        try:
            return DecisionLog(settings.file) if is_wanted else None
        except OSError as error:
            logger.error("logging.file: decisions cannot be written to %s: %s", settings.file, error.strerror)  # noqa: TRY400 - a traceback would bury the line that helps
            return None
