"""The ledger's figures for the dashboard, read in a thread of their own: no page ever waits for the disk."""

import logging
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

from llmrouter.clock import Clock
from llmrouter.dashboard.usage import no_usage, usage_record
from llmrouter.storage.call_rows import NewerLedger
from llmrouter.storage.usage_queries import NoLedger, UnreadableLedger, UsageRecords

logger = logging.getLogger(__name__)

# The dashboard asks every two seconds, from however many windows.
_FRESH_S = 5.0
# A month of a busy router takes a while to add up: however long, a range is read for a tenth of the time at most.
_PAUSE_PER_READING = 9.0


class UsageHistory:
    """What was used, by ranges of time; as it was when it was last read, which is begun anew when somebody looks."""

    def __init__(self, file: Path, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self._known: dict[str, dict[str, Any]] = {}
        self._fresh_until: dict[str, float] = {}
        self._reading = threading.Lock()
        self._told = ""

    def look(self, name: str) -> dict[str, Any]:
        """The figures of a range: `state` is `ready`, `reading` where nothing was read yet, or `failed`, and then
        `reason` says why."""
        is_old = self._clock.monotonic() >= self._fresh_until.get(name, 0.0)
        if is_old and self._reading.acquire(blocking=False):
            threading.Thread(target=self._read, args=(name,), name="reading the ledger", daemon=True).start()
        return self._known.get(name, {"state": "reading", "range": name})

    def _read(self, name: str) -> None:
        began = self._clock.monotonic()
        try:
            self._known[name] = {"range": name, **self._figures(name)}
        finally:
            now = self._clock.monotonic()
            self._fresh_until[name] = now + max(_FRESH_S, (now - began) * _PAUSE_PER_READING)
            self._reading.release()

    def _figures(self, name: str) -> dict[str, Any]:
        try:
            return {"state": "ready", **self._record(name)}
        except NewerLedger as error:
            return self._failed(f"A later version of the router wrote the ledger: {error}.")
        except UnreadableLedger as error:
            return self._failed(str(error))
        except Exception as error:  # noqa: BLE001 - the page says so, and the log says where
            return self._failed(f"The ledger cannot be read ({type(error).__name__}). The log says more.", error)

    def _failed(self, reason: str, defect: Exception | None = None) -> dict[str, Any]:
        if reason != self._told:
            self._told = reason
            logger.warning("the dashboard has no figures over time: %s", reason, exc_info=defect)
        return {"state": "failed", "reason": reason}

    def _record(self, name: str) -> dict[str, Any]:
        try:
            with closing(UsageRecords.open(self._file)) as records:
                return usage_record(records, name, self._clock.wall())
        except UnreadableLedger:
            raise
        except NoLedger:
            return no_usage(name, self._clock.wall())
