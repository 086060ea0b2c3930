"""Work that lasts begins again after a crash, and closing goes on past what fails."""

import asyncio
import itertools
import logging

import pytest

from llmrouter.tasks import close_all, keep_going, spawn


async def test_lasting_work_begins_again_after_each_crash(caplog: pytest.LogCaptureFixture) -> None:
    """Each crash is told once, with the pause that follows, which grows up to its bound."""
    numbers = itertools.count(1)

    async def work() -> None:
        if (number := next(numbers)) <= 4:
            raise ValueError(f"crash {number}")

    await keep_going(work, "counting", pause_s=0.0001, most_s=0.0003)

    assert next(numbers) == 6
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        f"counting failed, and begins again in {pause} s" for pause in ("0.0001", "0.0002", *["0.0003"] * 2)
    ]
    assert all(record.exc_info is not None for record in caplog.records)


async def test_lasting_work_ends_with_its_task(caplog: pytest.LogCaptureFixture) -> None:
    """Cancelled, it neither crashes nor begins again."""
    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        await asyncio.Event().wait()

    task = spawn(keep_going(work, "waiting"), "waiting")
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert caplog.records == []


async def test_what_cannot_be_closed_stops_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    """One that fails, one that hangs and one that blocks nobody: the last is closed, and each is told in a line."""
    closed: list[str] = []

    async def hangs() -> None:
        await asyncio.Event().wait()

    def fails() -> None:
        raise OSError("no space left")

    async def well() -> None:
        closed.append("well")

    with caplog.at_level(logging.WARNING):
        await close_all([("one", fails), ("two", hangs), ("three", well)], most_s=0.01)

    assert closed == ["well"]
    assert [record.getMessage() for record in caplog.records] == [
        "Closing one failed: OSError('no space left').",
        "Closing two took longer than 0.01 s.",
    ]
    assert all(record.exc_info is None for record in caplog.records)
