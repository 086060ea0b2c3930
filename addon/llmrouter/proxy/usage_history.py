"""The ledger's figures for the dashboard, read in a thread of their own: no page ever waits for the disk."""

import logging
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

from llmrouter.clock import Clock
from llmrouter.dashboard.usage import no_usage, usage_record
from llmrouter.storage.call_rows import NewerLedger
from llmrouter.storage.usage_queries import NoLedger, UsageRecords

logger = logging.getLogger(__name__)

# The dashboard asks every two seconds, from however many windows.
_FRESH_S = 2.0


class UsageHistory:
    """What was used, by ranges of time; as it was when it was last read, which is begun anew when somebody looks."""

    def __init__(self, file: Path, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self._known: dict[str, dict[str, Any]] = {}
        self._read_at: dict[str, float] = {}
        self._reading = threading.Lock()

    def look(self, name: str) -> dict[str, Any]:
        """The figures of a range: `state` is `ready`, or `reading` where nothing was read yet."""
        now = self._clock.monotonic()
        if now - self._read_at.get(name, -_FRESH_S) >= _FRESH_S and self._reading.acquire(blocking=False):
            self._read_at[name] = now
            threading.Thread(target=self._read, args=(name,), name="reading the ledger", daemon=True).start()
        return self._known.get(name, {"state": "reading", "range": name})

    def _read(self, name: str) -> None:
        try:
            self._known[name] = {"state": "ready", "range": name, **self._record(name)}
        except NewerLedger as error:
            logger.warning("the dashboard cannot read the ledger: %s", error)
        except Exception:
            logger.exception("the dashboard cannot read the ledger")
        finally:
            self._reading.release()

    def _record(self, name: str) -> dict[str, Any]:
        try:
            with closing(UsageRecords.open(self._file)) as records:
                return usage_record(records, name, self._clock.wall())
        except NoLedger:
            return no_usage(name, self._clock.wall())
