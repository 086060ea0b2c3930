"""Background tasks that are not lost: a reference is kept, a crash is logged, and lasting work begins again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

logger = logging.getLogger(__name__)
_running: set[asyncio.Task[Any]] = set()

# Lasting work that went well for so long has got over what made it crash before.
_WELL_S = 600.0
_CLOSE_S = 5.0


def spawn[T](work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    """Runs `work` beside the caller; a result nobody awaits is dropped, an exception nobody awaits is logged."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    _running.add(task)
    task.add_done_callback(_ended)
    return task


def _ended(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("%s failed", task.get_name(), exc_info=error)


async def keep_going(
    begin: Callable[[], Coroutine[Any, Any, None]], name: str, *, pause_s: float = 1.0, most_s: float = 300.0
) -> None:
    """Does lasting work until it is done or cancelled; after a crash it begins again, each time after a longer pause.

    `pause_s` is the first pause, and `most_s` the longest; each crash is logged once.
    """
    loop = asyncio.get_running_loop()
    next_s = pause_s
    while True:
        began = loop.time()
        try:
            return await begin()
        except Exception:
            if loop.time() - began > _WELL_S:
                next_s = pause_s
            logger.exception("%s failed, and begins again in %g s", name, next_s)
        await asyncio.sleep(next_s)
        next_s = min(next_s * 2, most_s)


async def close_all(
    steps: Sequence[tuple[str, Callable[[], Awaitable[object] | None]]], most_s: float = _CLOSE_S
) -> None:
    """Closes one after the other, by names for the log: what fails, or takes longer than `most_s`, stops no other."""
    for name, close in steps:
        try:
            async with asyncio.timeout(most_s):
                if (closing := close()) is not None:
                    await closing
        except TimeoutError:
            logger.warning("Closing %s took longer than %g s.", name, most_s)
        except Exception as error:  # noqa: BLE001 - the others are to be closed
            logger.warning("Closing %s failed: %r.", name, error)
