"""The bound of the memory store is one of real memory, bookkeeping included."""

import subprocess
import sys

import pytest

# In a process of its own, whose memory nothing else takes: what it grew by, and how many answers it holds.
FILL = """
import asyncio, os, sys
from llmrouter.caching.memory_store import MemoryStore

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

async def main(count, size, most_bytes):
    store = MemoryStore(most_bytes, lambda: 1000.0)
    before = resident()
    for _ in range(count):
        await store.keep(os.urandom(16), "provider/model", os.urandom(size), 60.0)
    print(resident() - before, (await store.stats()).entries)

asyncio.run(main(*map(int, sys.argv[1:])))
"""


@pytest.mark.parametrize(("count", "size", "most_mebibytes"), [(200_000, 10, 64), (60_000, 2000, 64)])
def test_no_more_memory_is_taken_than_is_allowed(count: int, size: int, most_mebibytes: int) -> None:
    most_bytes = most_mebibytes * 2**20
    arguments = [sys.executable, "-c", FILL, str(count), str(size), str(most_bytes)]
    told = subprocess.run(arguments, capture_output=True, check=True, text=True).stdout
    grown_bytes, entries = map(int, told.split())
    assert grown_bytes <= most_bytes
    assert entries < count, "some had to go"
    assert entries * (size + 800) > 0.9 * most_bytes, "and the room is used"
