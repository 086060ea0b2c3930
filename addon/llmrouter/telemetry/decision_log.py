"""The log of decisions: one line of JSON for each."""

import logging
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import orjson

from llmrouter.telemetry.decisions import Decision
from llmrouter.telemetry.queued import QueuedSink

logger = logging.getLogger(__name__)


class DecisionLog:
    """Writes one JSON line per decision, to a file where one is named, else to standard output.

    A file is written behind a queue (`sink`), so that a slow disk never slows a call. Standard output is written at
    once, as mitmproxy writes its own lines there: from two threads, lines would tear each other apart.
    """

    def __init__(self, file: str | None) -> None:
        self.sink: QueuedSink | None = None
        self._stream: TextIO = sys.stdout
        if file is not None:
            self._stream = _open(file)
            self.sink = QueuedSink("decision log", self._write, self._close)

    def __call__(self, decision: Decision) -> None:
        """Takes a decision."""
        if self.sink is None:
            self._write(decision)
        else:
            self.sink(decision)

    def close(self) -> None:
        """Writes what still waits, for at most two seconds."""
        if self.sink is not None:
            self.sink.close()

    def _write(self, decision: Decision) -> None:
        try:
            self._stream.write(orjson.dumps(decision.to_record()).decode() + "\n")
            self._stream.flush()
        except (OSError, ValueError) as error:
            logger.warning("a decision could not be logged: %s", error)

    def _close(self) -> None:
        with suppress(OSError):
            self._stream.close()


def _open(file: str) -> TextIO:
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("a", encoding="utf-8", buffering=1)
