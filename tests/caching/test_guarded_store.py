"""A guarded store never fails, never takes long, and never tells a secret."""

import asyncio
from collections.abc import Sequence

import pytest

from llmrouter.caching.guarded_store import GuardedStore
from llmrouter.caching.memory_store import MemoryStore
from llmrouter.caching.stores import Kept


class Fragile(MemoryStore):
    """Fails with an error, or hangs, as long as it is told to."""

    def __init__(self) -> None:
        super().__init__(1_000_000, lambda: 0.0)
        self.error: Exception | None = None
        self.hangs = False
        self.keeping_error: Exception | None = None
        self.asked = 0

    async def keep(self, group: bytes, target: str, data: bytes, ttl_s: float) -> None:
        if self.keeping_error is not None:
            raise self.keeping_error
        await super().keep(group, target, data, ttl_s)

    async def find(self, group: bytes) -> Sequence[Kept]:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        return await super().find(group)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def guarded() -> tuple[Fragile, GuardedStore, Clock]:
    fragile, clock = Fragile(), Clock()
    store = GuardedStore(fragile, "the test", 0.01, clock)
    await store.keep(b"g", "a/m", b"answer", 60)
    return fragile, store, clock


async def test_errors_are_misses_told_once_and_no_more_asked_for_a_while(caplog: pytest.LogCaptureFixture) -> None:
    fragile, store, clock = await guarded()
    fragile.error = LookupError("at redis://:secret@host")
    for _ in range(20):
        assert await store.find(b"g") == ()
    assert fragile.asked == 3
    told = "Answers cannot be read from the cache in the test, and calls go on without it: LookupError."
    assert caplog.text.count(told) == 1
    assert "secret" not in caplog.text
    clock.now = 9.9
    assert (await store.find(b"g"), fragile.asked) == ((), 3)
    clock.now = 10.1
    assert (await store.find(b"g"), fragile.asked) == ((), 4)
    assert (await store.find(b"g"), fragile.asked) == ((), 4)
    fragile.error = None
    clock.now = 30
    assert [kept.data for kept in await store.find(b"g")] == [b"answer"]
    assert caplog.text.count("cannot be read") == 1


async def test_a_store_that_cannot_keep_is_read_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    fragile, store, _ = await guarded()
    fragile.keeping_error = OSError("disk full")
    for _ in range(5):
        await store.keep(b"h", "a/m", b"answer", 60)
        assert len(await store.find(b"g")) == 1
    assert (
        caplog.text.count("Answers cannot be kept in the cache in the test, and calls go on without it: OSError") == 1
    )


async def test_a_single_error_changes_nothing() -> None:
    fragile, store, _ = await guarded()
    for _ in range(5):
        fragile.error = OSError()
        assert await store.find(b"g") == ()
        fragile.error = None
        assert len(await store.find(b"g")) == 1


async def test_one_that_hangs_is_a_miss(caplog: pytest.LogCaptureFixture) -> None:
    fragile, store, _ = await guarded()
    fragile.hangs = True
    for _ in range(4):
        assert await store.find(b"g") == ()
    assert fragile.asked == 3
    assert "it takes too long" in caplog.text


async def test_while_one_call_finds_out_the_others_do_not_wait() -> None:
    fragile, store, clock = await guarded()
    fragile.hangs = True
    for _ in range(3):
        await store.find(b"g")
    clock.now = 11
    finding_out = asyncio.gather(*(store.find(b"g") for _ in range(5)))
    assert await finding_out == [()] * 5
    assert fragile.asked == 4


async def test_who_asked_may_go_away() -> None:
    fragile, store, _ = await guarded()
    fragile.hangs = True
    finding = asyncio.ensure_future(store.find(b"g"))
    await asyncio.sleep(0)
    finding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await finding
