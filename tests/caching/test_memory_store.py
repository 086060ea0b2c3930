"""The bound of the memory store is one of real memory, bookkeeping included."""

import asyncio
import subprocess
import sys

import pytest

from llmrouter.caching.memory_store import MemoryStore
from llmrouter.settings.caching import CacheSettings

MEBIBYTE = 2**20

# In a process of its own, whose memory nothing else takes: what it grew by, and how many answers it holds.
FILL = """
import asyncio, os, random, sys
from llmrouter.caching.memory_store import MemoryStore

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

async def main(count, shortest, longest, most_bytes):
    store = MemoryStore(most_bytes, lambda: 1000.0)
    chance, before = random.Random(1), resident()
    for _ in range(count):
        await store.keep(os.urandom(16), "provider/model", chance.randbytes(chance.randint(shortest, longest)), 60.0)
    print(resident() - before, (await store.stats()).entries)

asyncio.run(main(*map(int, sys.argv[1:])))
"""


def filled(*arguments: int) -> tuple[int, int]:
    """How many bytes the process grew by, and how many answers are kept."""
    words = [sys.executable, "-c", FILL, *map(str, arguments)]
    grown_bytes, entries = subprocess.run(words, capture_output=True, check=True, text=True).stdout.split()
    return int(grown_bytes), int(entries)


@pytest.mark.parametrize(
    ("count", "shortest", "longest"), [(400_000, 10, 10), (200_000, 10, 600), (60_000, 2000, 2000), (30_000, 10, 8000)]
)
def test_no_more_memory_is_taken_than_is_allowed(count: int, shortest: int, longest: int) -> None:
    most_bytes = 64 * MEBIBYTE
    grown_bytes, entries = filled(count, shortest, longest, most_bytes)
    assert grown_bytes <= most_bytes
    assert entries < count, "some had to go"
    assert entries * ((shortest + longest) / 2 + 240) > 0.9 * most_bytes, "and the room is used"


def test_the_default_room_is_enough_for_a_million_small_answers() -> None:
    most_bytes = CacheSettings().max_mebibytes * MEBIBYTE
    grown_bytes, entries = filled(1_000_000, 10, 10, most_bytes)
    assert entries == 1_000_000
    assert grown_bytes <= most_bytes


async def test_large_answers_get_the_room_that_many_small_ones_had() -> None:
    store = MemoryStore(8 * MEBIBYTE, lambda: 0.0)
    for number in range(40_000):
        await store.keep(number.to_bytes(16), "a/m", b"small", 60)
    for number in range(100):
        await store.keep(b"large" + number.to_bytes(11), "a/m", bytes(MEBIBYTE), 60)
    assert (await store.stats()).entries == 7


async def test_what_has_expired_goes_when_it_is_asked_for() -> None:
    now = [0.0]
    store = MemoryStore(MEBIBYTE, lambda: now[0])
    await store.keep(b"g", "a/m", b"answer", 60)
    await store.keep(b"g", "b/m", b"answer", 60)
    before = await store.stats()
    assert before.by_provider == {"a": 1, "b": 1}
    now[0] = 61
    assert await store.find(b"g") == []
    after = await store.stats()
    assert (after.entries, after.by_provider) == (0, {})
    assert after.bytes < before.bytes


async def test_finding_never_waits() -> None:
    store = MemoryStore(MEBIBYTE, lambda: 0.0)
    await store.keep(b"g", "a/m", b"answer", 60)
    with pytest.raises(StopIteration) as ended:
        store.find(b"g").send(None)
    assert [kept.data for kept in ended.value.value] == [b"answer"]


async def test_calls_go_on_while_all_is_cleared() -> None:
    store = MemoryStore(8 * MEBIBYTE, lambda: 0.0)
    for number in range(5000):
        await store.keep(number.to_bytes(16), "a/m", b"answer", 60)
    clearing = asyncio.ensure_future(store.clear())
    await asyncio.sleep(0)
    assert len(await store.find((4999).to_bytes(16))) == 1, "not yet cleared"
    await store.keep(b"new", "a/m", b"answer", 60)
    assert await clearing == 5000
    assert len(await store.find(b"new")) == 1
