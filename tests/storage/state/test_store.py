"""The contract of all places for documents, kept by SQLite and by a real PostgreSQL."""

import asyncio
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmrouter.clock import Clock
from llmrouter.errors import StateUnavailable
from llmrouter.storage.state.opening import open_state
from llmrouter.storage.state.store import Claim, Page, UnknownCursor
from tests.storage.state.conftest import Open, WallClock


def ids(page: Page) -> list[str]:
    return [document.id for document in page.documents]


async def test_documents_are_kept_for_one_caller(open_store: Open, wall: WallClock) -> None:
    store = open_store()
    (added,) = await store.add("me", "thread", [("t1", {"a": "ü"})])
    assert (added.kind, added.id, added.parent, added.created, added.data) == ("thread", "t1", "", wall.now, {"a": "ü"})
    assert await store.get("me", "thread", "t1") == added
    for caller, kind, id in (("you", "thread", "t1"), ("me", "run", "t1"), ("me", "thread", "t2")):
        assert await store.get(caller, kind, id) is None
    assert await open_store().get("me", "thread", "t1") == added


async def test_a_document_belongs_to_its_parent(open_store: Open) -> None:
    store = open_store()
    await store.add("me", "message", [("m1", {})], parent="t1")
    assert await store.get("me", "message", "m1", parent="t1") is not None
    assert await store.get("me", "message", "m1", parent="t2") is None


async def test_lists_keep_their_order(open_store: Open) -> None:
    store = open_store()
    await store.add("me", "message", [("b", {}), ("a", {})], parent="t1")
    await store.add("me", "message", [("x", {})], parent="t2")
    await store.add("me", "message", [("c", {})], parent="t1")
    assert [one.id for one in await store.every("me", "message", "t1")] == ["b", "a", "c"]
    assert await store.add("me", "message", [], parent="t1") == []


PAGES: list[tuple[dict[str, Any], str, bool]] = [
    ({"limit": 2}, "ab", True),
    ({"limit": 5}, "abcde", False),
    ({"limit": 2, "descending": True}, "ed", True),
    ({"limit": 2, "after": "b"}, "cd", True),
    ({"limit": 2, "after": "c"}, "de", False),
    ({"limit": 2, "after": "c", "descending": True}, "ba", False),
    ({"limit": 2, "before": "d"}, "bc", True),
    ({"limit": 5, "before": "d"}, "abc", False),
    ({"limit": 2, "before": "b", "descending": True}, "dc", True),
    ({"limit": 5, "after": "a", "before": "d"}, "bc", False),
    ({"limit": 5, "after": "e"}, "", False),
]


@pytest.mark.parametrize(("asked", "told", "more"), PAGES)
async def test_pages(open_store: Open, asked: dict[str, Any], told: str, more: bool) -> None:
    store = open_store()
    await store.add("me", "message", [(id, {}) for id in "abcde"], parent="t1")
    page = await store.page("me", "message", "t1", **({"descending": False} | asked))
    assert ("".join(ids(page)), page.has_more) == (told, more)


async def test_a_cursor_must_be_in_the_list(open_store: Open) -> None:
    store = open_store()
    await store.add("me", "message", [("a", {})], parent="t1")
    for asked in ({"after": "x"}, {"before": "x"}):
        with pytest.raises(UnknownCursor) as caught:
            await store.page("me", "message", "t1", limit=1, descending=False, **asked)
        assert (caught.value.which, caught.value.id) == next(iter(asked.items()))
    with pytest.raises(UnknownCursor):
        await store.page("me", "message", "t2", limit=1, descending=False, after="a")


async def test_documents_are_changed_by_what_they_are(open_store: Open) -> None:
    store = open_store()
    await store.add("me", "run", [("r1", {"status": "queued", "n": 1})])
    changed = await store.change("me", "run", "r1", lambda data: data | {"status": "done"})
    assert changed is not None
    assert changed.data == {"status": "done", "n": 1}
    left = await store.change("me", "run", "r1", lambda _: None)
    assert left == await store.get("me", "run", "r1") == changed
    assert await store.change("you", "run", "r1", lambda data: data) is None
    assert await store.replace("me", "run", "r1", {"new": True})
    assert not await store.replace("me", "run", "r2", {})


async def test_changes_at_once_are_all_made(open_store: Open) -> None:
    stores = [open_store(), open_store()]
    await stores[0].add("me", "run", [("r1", {"n": 0})])
    await asyncio.gather(
        *(stores[n % 2].change("me", "run", "r1", lambda data: {"n": data["n"] + 1}) for n in range(20))
    )
    found = await stores[1].get("me", "run", "r1")
    assert found is not None
    assert found.data == {"n": 20}


async def test_what_is_added_at_once_has_places_of_its_own(open_store: Open) -> None:
    stores = [open_store(), open_store()]
    await asyncio.gather(
        *(stores[n % 2].add("me", "message", [(f"{n}a", {}), (f"{n}b", {})], parent="t1") for n in range(15))
    )
    every = await stores[0].every("me", "message", "t1")
    assert sorted(one.position for one in every) == list(range(30))
    assert all(one.id[:-1] == two.id[:-1] for one, two in zip(every[::2], every[1::2], strict=True))


async def test_what_belongs_to_a_document_goes_with_it(open_store: Open) -> None:
    store = open_store()
    for caller in ("me", "you"):
        await store.add(caller, "thread", [("t1", {})])
        await store.add(caller, "run", [("r1", {})], parent="t1")
        await store.add(caller, "run_step", [("s1", {})], parent="r1")
    assert await store.delete("me", "thread", "t1")
    assert not await store.delete("me", "thread", "t1")
    for kind, id in (("thread", "t1"), ("run", "r1"), ("run_step", "s1")):
        assert await store.get("me", kind, id) is None
        assert await store.get("you", kind, id) is not None


async def test_a_lock_has_one_owner(open_store: Open) -> None:
    one, other = open_store(), open_store()
    assert await one.claim("me", "run:t1", "r1") is None
    assert await one.claim("me", "run:t1", "r1") is None
    assert await other.claim("me", "run:t1", "r2") == "r1"
    assert await other.claim("you", "run:t1", "r3") is None
    assert sorted(await other.claims()) == [Claim("me", "run:t1", "r1"), Claim("you", "run:t1", "r3")]
    await other.release("me", "run:t1", "r2")
    assert await other.claim("me", "run:t1", "r2") == "r1"
    await one.release("me", "run:t1", "r1")
    assert await other.claim("me", "run:t1", "r2") is None


async def test_a_lock_that_many_want_goes_to_one(open_store: Open) -> None:
    stores = [open_store(), open_store()]
    told = await asyncio.gather(*(stores[n % 2].claim("me", "run:t1", f"r{n}") for n in range(20)))
    assert told.count(None) == 1
    assert set(told) - {None} == {f"r{told.index(None)}"}


async def test_what_nobody_changed_for_long_goes(open_store: Open, wall: WallClock) -> None:
    store = open_store()
    start = wall.now
    for kind, id in (("thread", "old"), ("thread", "used"), ("assistant", "a1"), ("response", "changed")):
        await store.add("me", kind, [(id, {})])
    await store.add("me", "message", [("m1", {})], parent="old")
    await store.add("me", "run_step", [("s1", {})], parent="m1")
    wall.now = start + 100
    await store.add("me", "message", [("m2", {})], parent="used")
    await store.replace("me", "response", "changed", {"a": 1})
    assert await store.prune(start + 50) == 3
    for kind, id in (("thread", "used"), ("message", "m2"), ("assistant", "a1"), ("response", "changed")):
        assert await store.get("me", kind, id) is not None
    for kind, id in (("thread", "old"), ("message", "m1"), ("run_step", "s1")):
        assert await store.get("me", kind, id) is None
    assert await store.prune(start + 50) == 0


async def test_many_old_documents_go_at_once(open_store: Open, wall: WallClock) -> None:
    store = open_store()
    await store.add("me", "response", [(f"r{n}", {}) for n in range(1500)])
    await store.add("me", "item", [(f"i{n}", {}) for n in range(1500)], parent="r1400")
    assert await store.prune(wall.now + 1) == 3000


async def test_who_leaves_breaks_nothing(open_store: Open) -> None:
    store = open_store()
    await store.add("me", "run", [("r1", {"n": 0})])
    for _ in range(30):
        asking = asyncio.ensure_future(store.change("me", "run", "r1", lambda data: {"n": data["n"] + 1}))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    changed = await store.change("me", "run", "r1", lambda data: {"n": data["n"] + 1})
    assert changed is not None
    assert 1 <= changed.data["n"] <= 31


async def test_ids_that_no_database_can_hold_are_unknown(open_store: Open) -> None:
    store = open_store()
    await store.add("me", "run", [("r1", {})])
    for id in ("a\0b", "\ud800"):
        assert await store.get("me", "run", id) is None
        assert await store.change("me", "run", id, lambda data: data) is None
        assert not await store.delete("me", "run", id)
        with pytest.raises(UnknownCursor):
            await store.page("me", "run", limit=1, descending=False, after=id)


async def test_an_id_is_kept_once(open_store: Open) -> None:
    store = open_store()
    await store.add("me", "run", [("r1", {"n": 1})])
    with pytest.raises(StateUnavailable) as caught:
        await store.add("me", "run", [("r2", {}), ("r1", {"n": 2})])
    assert "documents" not in str(caught.value)
    assert await store.get("me", "run", "r2") is None


async def test_what_belongs_to_nothing_goes(open_store: Open, wall: WallClock) -> None:
    store = open_store()
    await store.add("me", "message", [("m1", {})], parent="deleted")
    assert await store.prune(wall.now) == 0
    assert await store.prune(wall.now + 1) == 1


async def test_a_lock_that_is_given_up_meanwhile_is_taken(open_store: Open) -> None:
    stores = [open_store(), open_store()]
    for _ in range(20):
        assert await stores[0].claim("me", "run:t", "r1") is None
        _, told = await asyncio.gather(stores[0].release("me", "run:t", "r1"), stores[1].claim("me", "run:t", "r2"))
        holders = [claim.owner for claim in await stores[0].claims()]
        assert (told, holders) in ((None, ["r2"]), ("r1", []))
        await stores[1].release("me", "run:t", "r2")


async def test_what_a_living_process_holds_is_not_taken_over(open_store: Open, wall: WallClock) -> None:
    mine, other = open_store(), open_store()
    other.process = replace(other.process, pid=os.getppid())
    await mine.claim("me", "run:t1", "r1")
    await other.claim("me", "run:t2", "r2")
    assert await mine.abandoned("run:") == []
    assert await other.abandoned("run:") == []


def dead_pid() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        return ended.pid


async def test_a_process_elsewhere_is_dead_when_it_says_nothing(tmp_path: Path, wall: WallClock) -> None:
    here, there = (open_state("sqlite:///kept.db", tmp_path, Clock(time.monotonic, wall)) for _ in range(2))
    there.process = replace(there.process, host="another-machine")
    await there.claim("me", "run:t1", "r1")
    wall.now += 29
    assert await here.abandoned("run:") == []
    await there.beat()
    wall.now += 29
    assert await here.abandoned("run:") == []
    wall.now += 2
    assert await here.abandoned("run:") == [Claim("me", "run:t1", "r1")]
    await here.close()
    await there.close()


async def test_a_number_that_somebody_else_has_now_keeps_nobody_alive(tmp_path: Path, wall: WallClock) -> None:
    """Nor does one that nobody has reaped yet: who says nothing is dead, on this machine as well."""
    here, gone = (open_state("sqlite:///kept.db", tmp_path, Clock(time.monotonic, wall)) for _ in range(2))
    gone.process = replace(gone.process, pid=os.getppid())
    await gone.claim("me", "run:t1", "r1")
    for _ in range(3):
        assert await here.abandoned("run:") == []
        wall.now += 10
        await here.beat()
    assert await here.abandoned("run:") == [Claim("me", "run:t1", "r1")]
    await here.close()
    await gone.close()


async def test_who_was_away_takes_nobody_for_dead_at_once(tmp_path: Path, wall: WallClock) -> None:
    """A database that nobody reached, or a machine that slept: the others were as silent, and may be about to speak."""
    here, there = (open_state("sqlite:///kept.db", tmp_path, Clock(time.monotonic, wall)) for _ in range(2))
    there.process = replace(there.process, host="another-machine")
    await here.beat()
    await there.claim("me", "run:t1", "r1")
    wall.now += 100
    for _ in range(3):
        await here.beat()
        assert await here.abandoned("run:") == []
        wall.now += 10
    await here.beat()
    assert await here.abandoned("run:") == [Claim("me", "run:t1", "r1")]
    await here.close()
    await there.close()


async def test_what_a_dead_process_held_is_given_to_one(open_store: Open) -> None:
    dead, *others = (open_store() for _ in range(4))
    dead.process = replace(dead.process, pid=dead_pid())
    for store, pid in zip(others, (os.getpid(), os.getppid(), 1), strict=True):
        store.process = replace(store.process, pid=pid)
    await dead.claim("me", "run:t1", "r1")
    await dead.claim("me", "response:x", "x")
    given = await asyncio.gather(*(store.abandoned("run:") for store in others))
    assert sorted(given) == [[], [], [Claim("me", "run:t1", "r1")]]
    assert await others[0].abandoned("run:") == []
    assert await others[1].abandoned("conversation:", "response:") == [Claim("me", "response:x", "x")]
