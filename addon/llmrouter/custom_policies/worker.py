"""One thread for code that is not ours: it may take too long or never return, and who asks waits no longer for it."""

import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

type _Jobs = SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]


class OutOfTime(Exception):
    """The job was not done in time; it still runs."""


class Occupied(Exception):
    """An earlier job that was out of time still runs; this one was not begun."""


class Worker:
    """Runs one job at a time. The thread ends with the worker, and never keeps the process from ending."""

    def __init__(self, name: str) -> None:
        jobs: _Jobs = SimpleQueue()
        self._jobs = jobs
        self._last: Future[Any] | None = None
        threading.Thread(target=_work, args=(jobs,), name=name, daemon=True).start()
        weakref.finalize(self, jobs.put, None)

    def run[T](self, job: Callable[[], T], patience_s: float) -> T:
        """What the job returns or raises; raises `OutOfTime` after `patience_s` seconds, and `Occupied` at once.

        Where no time is left, the job is not begun.
        """
        if self._last is not None and not self._last.done():
            raise Occupied
        if patience_s <= 0:
            raise OutOfTime
        future: Future[T] = Future()
        self._last = future
        self._jobs.put((future, job))
        try:
            error = future.exception(patience_s)
        except TimeoutError:
            raise OutOfTime from None
        if error is not None:
            raise error
        return future.result()


def _work(jobs: _Jobs) -> None:
    while (item := jobs.get()) is not None:
        future, job = item
        try:
            future.set_result(job())
        except BaseException as error:  # noqa: BLE001 - an exit that was asked for in a job ends the job alone
            future.set_exception(error)
        # Else what a job returned would be kept until the next one.
        del item, future, job
