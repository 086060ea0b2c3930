"""The log of decisions: one line of JSON for each."""

import asyncio
import logging
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import orjson

from llmrouter.telemetry.decisions import Decision
from llmrouter.telemetry.queued import QueuedSink

logger = logging.getLogger(__name__)

# To write each line by itself takes a twentieth of a call's CPU.
_GATHER_S = 0.05


class DecisionLog:
    """Writes one JSON line per decision, to a file where one is named, else to standard output.

    A file is written behind a queue (`sink`), so that a slow disk never slows a call. Standard output is written by the
    event loop, as mitmproxy writes its own lines there: from two threads, lines would tear each other apart. What comes
    within a twentieth of a second is written together.
    """

    def __init__(self, file: str | None) -> None:
        self.sink: QueuedSink | None = None
        self._stream: TextIO = sys.stdout
        self._waiting: list[Decision] = []
        self._writing = threading.Lock()
        if file is not None:
            self._stream = _open(file)
            self.sink = QueuedSink("decision log", self._write, self._close)

    def __call__(self, decision: Decision) -> None:
        """Takes a decision."""
        if self.sink is not None:
            self.sink(decision)
            return
        self._waiting.append(decision)
        if len(self._waiting) == 1:
            try:
                asyncio.get_running_loop().call_later(_GATHER_S, self._write_waiting)
            except RuntimeError:
                self._write_waiting()

    def close(self) -> None:
        """Writes what still waits, for at most two seconds."""
        if self.sink is not None:
            self.sink.close()
        else:
            self._write_waiting()

    def _write_waiting(self) -> None:
        # It is closed from another thread.
        with self._writing:
            waiting, self._waiting = self._waiting, []
            if waiting:
                self._write(*waiting)

    def _write(self, *decisions: Decision) -> None:
        try:
            lines = [orjson.dumps(decision.to_record(), option=orjson.OPT_APPEND_NEWLINE) for decision in decisions]
            self._stream.write(b"".join(lines).decode())
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
