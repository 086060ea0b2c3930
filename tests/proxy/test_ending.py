"""The end by a signal, with everything that it acts on scripted."""

import asyncio
import threading
from dataclasses import dataclass, field
from typing import Any

import pytest

from llmrouter.proxy import ending as module
from llmrouter.proxy.ending import Ending, Steps


@dataclass
class Router:
    """What is under way, and what was done, in order."""

    under_way: int = 0
    unsent: int = 0
    grace_s: float = 60.0
    done: list[str] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    killed: threading.Event = field(default_factory=threading.Event)
    fails: bool = False

    async def stop_listening(self) -> None:
        self.done.append("deaf")
        if self.fails:
            raise OSError("a port that cannot be closed")

    def end(self) -> None:
        self.done.append("ended")
        self.ended.set()

    def ending(self) -> Ending:
        steps = Steps(
            under_way=lambda: self.under_way,
            unsent=lambda: self.unsent,
            grace_s=lambda: self.grace_s,
            stop_listening=self.stop_listening,
            end=self.end,
            kill=self.killed.set,
        )
        return Ending(steps)

    async def until_ended(self) -> None:
        await asyncio.wait_for(self.ended.wait(), 5)


async def test_nothing_under_way_ends_at_once() -> None:
    router = Router()
    ending = router.ending()
    assert not ending.has_begun
    ending.signalled()
    assert ending.has_begun
    await router.until_ended()
    assert router.done == ["deaf", "ended"]


async def test_it_waits_for_what_is_under_way_and_for_the_last_bytes() -> None:
    """Nobody listens any more meanwhile."""
    router = Router(under_way=2, unsent=10)
    router.ending().signalled()
    for name in ("under_way", "unsent"):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(router.ended.wait(), 0.05)
        assert router.done == ["deaf"]
        setattr(router, name, 0)
    await router.until_ended()


async def test_the_grace_is_an_end(caplog: pytest.LogCaptureFixture) -> None:
    """What has not finished by then is told, and ended."""
    router = Router(under_way=3, grace_s=0.05)
    router.ending().signalled()
    await router.until_ended()
    assert "The router ends with 3 under way." in caplog.text


async def test_a_second_signal_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where even the end is stuck, the process is killed; a third signal changes nothing."""
    monkeypatch.setattr(module, "_AT_MOST_S", 0.0)
    router = Router(under_way=3)
    ending = router.ending()
    ending.signalled()
    ending.signalled()
    ending.signalled()
    await router.until_ended()
    assert await asyncio.to_thread(router.killed.wait, 5)
    assert router.done == ["deaf", "ended"]


async def test_a_port_that_cannot_be_closed_does_not_stop_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """What is under way still has its time."""
    router = Router(under_way=1, fails=True)
    router.ending().signalled()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(router.ended.wait(), 0.05)
    assert "Closing the ports failed" in caplog.text
    router.under_way = 0
    await router.until_ended()


async def test_a_loop_without_signals_leaves_all_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows."""

    def refuse(*_: Any) -> None:
        raise NotImplementedError

    monkeypatch.setattr(asyncio.get_running_loop(), "add_signal_handler", refuse)
    ending = Router().ending()
    ending.listen(with_interrupt=True)
    assert not ending.has_begun
