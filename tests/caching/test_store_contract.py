"""What all stores promise, each asked the same."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from llmrouter.caching.guarded_store import GuardedStore
from llmrouter.caching.memory_store import MemoryStore
from llmrouter.caching.opening import NoStore, open_store
from llmrouter.caching.redis_store import RedisStore
from llmrouter.caching.sqlite_store import SqliteStore
from llmrouter.caching.stores import Selection, Store
from llmrouter.clock import Clock
from llmrouter.settings.caching import CacheSettings
from tests.fakes.redis_server import RedisServer

ONE, TWO = b"1" * 16, bytes(range(16))
MEBIBYTE = 2**20


@dataclass
class Time:
    """A wall clock that stands until it is moved."""

    now: float = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[RedisServer]:
    server = RedisServer(tmp_path)
    await server.start()
    yield server
    await server.kill()


@pytest.fixture(params=["memory", "sqlite", "redis", "guarded"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, time: Time) -> AsyncIterator[Store]:
    opened: dict[str, Callable[[], Store]] = {
        "memory": lambda: MemoryStore(MEBIBYTE, time),
        "sqlite": lambda: SqliteStore(tmp_path / "cache" / "c.db", MEBIBYTE, time),
        "guarded": lambda: GuardedStore(MemoryStore(MEBIBYTE, time), "memory", 1.0, lambda: 0.0),
    }
    server: RedisServer | None = None
    if request.param == "redis":
        server = RedisServer(tmp_path)
        await server.start()
        opened["redis"] = lambda: RedisStore(server.url, time, timeout_s=5)
    store = opened[request.param]()
    yield store
    await store.close()
    if server is not None:
        await server.kill()


async def found(store: Store, group: bytes) -> dict[str, tuple[bytes, float]]:
    return {kept.target: (kept.data, kept.age_s) for kept in await store.find(group)}


async def test_all_answers_of_a_group_are_found_with_their_age(store: Store, time: Time) -> None:
    await store.keep(ONE, "a/m", b"first", 60)
    time.now += 10
    await store.keep(ONE, "b/m/x", b"\x00\xff second", 60)
    await store.keep(TWO, "a/m", b"other", 60)
    time.now += 5
    assert await found(store, ONE) == {"a/m": (b"first", 15.0), "b/m/x": (b"\x00\xff second", 5.0)}
    assert await found(store, TWO) == {"a/m": (b"other", 5.0)}
    assert await found(store, b"nothing") == {}


async def test_a_newer_answer_replaces_an_older_one(store: Store, time: Time) -> None:
    await store.keep(ONE, "a/m", b"old", 60)
    time.now += 50
    await store.keep(ONE, "a/m", b"new", 60)
    time.now += 50
    assert await found(store, ONE) == {"a/m": (b"new", 50.0)}


async def test_an_answer_is_kept_for_its_time_and_no_longer(store: Store, time: Time) -> None:
    await store.keep(ONE, "a/m", b"short", 30)
    await store.keep(ONE, "b/m", b"long", 60)
    time.now += 29.9
    assert set(await found(store, ONE)) == {"a/m", "b/m"}
    time.now += 0.2
    assert set(await found(store, ONE)) == {"b/m"}
    assert [one.target async for one in store.every()] == ["b/m"]
    time.now += 30
    assert await found(store, ONE) == {}


async def test_a_clock_that_was_set_back_makes_nothing_younger_than_new(store: Store, time: Time) -> None:
    await store.keep(ONE, "a/m", b"answer", 60)
    time.now -= 1000
    assert await found(store, ONE) == {"a/m": (b"answer", 0.0)}


@pytest.mark.parametrize(
    ("selection", "left"),
    [
        (Selection(), set()),
        (Selection(provider="a"), {"b/m", "b/n/o"}),
        (Selection(provider="b"), {"a/m", "a/n/o"}),
        (Selection(model="m"), {"a/n/o", "b/n/o"}),
        (Selection(model="n/o"), {"a/m", "b/m"}),
        (Selection(provider="a", model="m"), {"a/n/o", "b/m", "b/n/o"}),
        (Selection(provider="a%"), {"a/m", "a/n/o", "b/m", "b/n/o"}),
        (Selection(before=1_795_000_010.0), {"b/m", "b/n/o"}),
    ],
)
async def test_clearing(store: Store, time: Time, selection: Selection, left: set[str]) -> None:
    for target in ("a/m", "a/n/o"):
        await store.keep(ONE, target, b"x", 60)
    time.now += 20
    for target in ("b/m", "b/n/o"):
        await store.keep(TWO if target == "b/m" else ONE, target, b"x", 60)
    assert await store.clear(selection) == 4 - len(left)
    assert set(await found(store, ONE)) | set(await found(store, TWO)) == left
    assert {one.target async for one in store.every()} == left


async def test_all_can_be_listed_and_counted(store: Store, time: Time) -> None:
    for number in range(1200):
        await store.keep(number.to_bytes(16), f"{'ab'[number % 2]}/m", b"%d" % number, 60)
    stats = await store.stats()
    assert (stats.entries, stats.by_provider) == (1200, {"a": 600, "b": 600})
    assert stats.bytes >= sum(len(b"%d" % number) for number in range(1200))
    listed = {one.group: one async for one in store.every()}
    assert len(listed) == 1200
    one = listed[(7).to_bytes(16)]
    assert (one.target, one.data, one.created, one.expires) == ("b/m", b"7", time.now, time.now + 60)


async def test_what_is_kept_at_any_time_is_what_was_given_last(store: Store, time: Time) -> None:
    chance = random.Random(7)
    known: dict[tuple[bytes, str], tuple[bytes, float]] = {}
    groups, targets = [bytes([n]) * 16 for n in range(6)], ["a/m", "b/m", "c/m"]
    for _ in range(400):
        time.now += chance.choice((0, 1, 5))
        group, target = chance.choice(groups), chance.choice(targets)
        if chance.random() < 0.5:
            data, ttl_s = chance.randbytes(chance.choice((0, 10, 3000))), chance.choice((3, 30))
            await store.keep(group, target, data, ttl_s)
            known[group, target] = data, time.now + ttl_s
        else:
            expected = {t: known[g, t][0] for g, t in known if g == group and known[g, t][1] > time.now}
            assert {kept.target: kept.data for kept in await store.find(group)} == expected


def store_of(kind: str, file: Path, most_bytes: int, time: Time) -> Store:
    return MemoryStore(most_bytes, time) if kind == "memory" else SqliteStore(file, most_bytes, time)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_the_least_used_go_first_and_the_bound_holds(kind: str, tmp_path: Path, time: Time) -> None:
    store = store_of(kind, tmp_path / "c.db", MEBIBYTE, time)
    loved = b"loved" + bytes(11)
    await store.keep(loved, "a/m", b"x" * 1000, 1000)
    chance = random.Random(1)
    for number in range(1500):
        time.now += 0.01
        await store.keep(number.to_bytes(16), "a/m", chance.randbytes(chance.choice((10, 500, 2000, 9000))), 1000)
        assert len(await store.find(loved)) == 1
        assert (await store.stats()).bytes <= MEBIBYTE
    assert 250 < (await store.stats()).entries < 500
    kept = {int.from_bytes(one.group) async for one in store.every() if one.group != loved}
    assert kept == set(range(min(kept), 1500)), "in the order of their use"
    await store.close()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_an_answer_of_more_than_half_the_room_does_not_push_out_the_others(
    kind: str, tmp_path: Path, time: Time
) -> None:
    store = store_of(kind, tmp_path / "c.db", MEBIBYTE, time)
    await store.keep(ONE, "a/m", b"answer", 60)
    await store.keep(ONE, "b/m", b"x" * (MEBIBYTE // 2 + 1), 60)
    await store.keep(TWO, "b/m", b"x" * (MEBIBYTE // 2 + 1), 60)
    assert await found(store, ONE) == {"a/m": (b"answer", 0.0)}
    assert await found(store, TWO) == {}
    await store.close()


async def test_a_file_grows_no_larger_than_it_may(tmp_path: Path, time: Time) -> None:
    file, chance = tmp_path / "c.db", random.Random(2)
    store = SqliteStore(file, 2 * MEBIBYTE, time)
    for _ in range(1500):
        time.now += 1
        await store.keep(chance.randbytes(16), "a/m", chance.randbytes(chance.choice((10, 2100, 30_000))), 1000)
    await store.close()
    # What a single answer needs before another has gone, and no more.
    assert MEBIBYTE < file.stat().st_size <= 2 * MEBIBYTE + 65_536


async def test_keeping_costs_no_more_in_a_file_that_is_full_than_in_a_small_one(tmp_path: Path, time: Time) -> None:
    """Calls wait behind it: a scan of all answers would take longer than their time-out."""

    async def steps_of(most_bytes: int) -> int:
        store = SqliteStore(tmp_path / f"{most_bytes}.db", most_bytes, time)
        for number in range(most_bytes // 1000):
            time.now += 1
            await store.keep(number.to_bytes(16), "a/m", bytes(2000), 1e9)
        steps = itertools.count()
        await store._run(lambda: store._open().set_progress_handler(lambda: next(steps) * 0, 100))
        for number in range(100):
            time.now += 1
            await store.keep(b"new" + number.to_bytes(13), "a/m", bytes(2000), 1e9)
        await store.close()
        return next(steps)

    small, large = await steps_of(2 * MEBIBYTE), await steps_of(8 * MEBIBYTE)
    assert 0 < large < 1.5 * small


async def test_expired_answers_make_room_before_others(tmp_path: Path, time: Time) -> None:
    store = SqliteStore(tmp_path / "c.db", MEBIBYTE, time)
    await store.keep(ONE, "a/m", b"x" * 400_000, 1000)
    await store.keep(TWO, "a/m", b"x" * 400_000, 5)
    await store.find(TWO)
    time.now += 6
    await store.keep(b"3", "a/m", b"x" * 400_000, 1000)
    assert len(await store.find(ONE)) == 1
    await store.close()


async def test_a_bound_that_was_made_smaller_holds_after_some_answers(tmp_path: Path, time: Time) -> None:
    for most_bytes in (4 * MEBIBYTE, MEBIBYTE):
        store = SqliteStore(tmp_path / "c.db", most_bytes, time)
        for number in range(2000 if most_bytes > MEBIBYTE else 10):
            await store.keep(bytes([most_bytes >> 20]) + number.to_bytes(15), "a/m", bytes(1500), 1000)
        assert (await store.stats()).bytes <= most_bytes
        await store.close()


def modes_in(folder: Path) -> set[int]:
    return {path.stat().st_mode & 0o777 for path in folder.iterdir()}


async def test_a_file_outlasts_a_restart_and_serves_two_routers(tmp_path: Path, time: Time) -> None:
    first, second = (SqliteStore(tmp_path / "c.db", MEBIBYTE, time) for _ in range(2))
    await first.keep(ONE, "a/m", b"answer", 60)
    assert modes_in(tmp_path) == {0o600}
    assert await found(second, ONE) == {"a/m": (b"answer", 0.0)}
    await second.keep(TWO, "a/m", b"another", 60)
    assert await found(first, TWO) == {"a/m": (b"another", 0.0)}
    await first.close()
    await second.close()
    third = SqliteStore(tmp_path / "c.db", MEBIBYTE, time)
    assert (await third.stats()).entries == 2
    await third.close()


async def test_a_file_that_is_no_database_is_set_aside(
    tmp_path: Path, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "c.db"
    file.write_bytes(b"not a database " * 1000)
    store = GuardedStore(SqliteStore(file, MEBIBYTE, time), "file", 5.0, lambda: 0.0)
    assert await store.find(ONE) == ()
    await store.keep(ONE, "a/m", b"answer", 60)
    assert await found(store, ONE) == {"a/m": (b"answer", 0.0)}
    assert (tmp_path / "c.db.damaged").read_bytes().startswith(b"not a database")
    assert "a new one is begun" in caplog.text
    await store.close()


async def test_several_routers_share_a_redis(redis: RedisServer, time: Time) -> None:
    first, second = (RedisStore(redis.url, time, timeout_s=5) for _ in range(2))
    await first.keep(ONE, "a/m", b"answer", 60)
    assert await found(second, ONE) == {"a/m": (b"answer", 0.0)}
    for store in (first, second):
        await store.close()


async def test_redis_forgets_by_itself(redis: RedisServer, time: Time) -> None:
    store = RedisStore(redis.url, time, timeout_s=5)
    await store.keep(ONE, "a/m", b"answer", 59.5)
    assert await store._redis.ttl(b"llmrouter:cache:" + ONE) in (59, 60)
    await store.close()


async def test_a_reply_to_another_question_is_nobodys_answer(redis: RedisServer, time: Time) -> None:
    store = RedisStore(redis.url, time, timeout_s=5)
    await store.keep(ONE, "a/m", b"answer", 60)
    await store._redis.rename(b"llmrouter:cache:" + ONE, b"llmrouter:cache:" + TWO)
    assert await found(store, TWO) == {}
    await store.close()


async def test_a_redis_that_goes_and_comes_is_a_miss_meanwhile(
    redis: RedisServer, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    clock = itertools.count()
    seconds = [0.0]
    store = GuardedStore(RedisStore(redis.url, time, timeout_s=1), "Redis", 1.0, lambda: seconds[0])
    await store.keep(ONE, "a/m", b"answer", 60)
    assert len(await store.find(ONE)) == 1
    await redis.kill()
    for _ in clock:
        assert await store.find(ONE) == ()
        if store._finding._failures >= 3:
            break
    told = "Answers cannot be read from the cache in Redis, and calls go on without it: ConnectionError."
    assert caplog.text.count(told) == 1
    await redis.start()
    assert await store.find(ONE) == (), "it is left alone for a while"
    seconds[0] += 11
    assert await store.find(ONE) == []
    await store.keep(ONE, "a/m", b"new", 60)
    assert await found(store, ONE) == {"a/m": (b"new", 0.0)}
    await store.close()


async def test_more_calls_at_once_than_connections_are_no_failure(redis: RedisServer, time: Time) -> None:
    store = RedisStore(redis.url, time, timeout_s=5)
    await store.keep(ONE, "a/m", b"answer", 60)
    answers = await asyncio.gather(*(store.find(ONE) for _ in range(500)))
    assert [len(answer) for answer in answers] == [1] * 500
    await store.close()


@pytest.mark.parametrize("option", ["socket_timeout=secret", "secret=1", "db=secret"])
def test_an_address_with_options_that_are_not_understood_is_told_without_them(
    option: str, tmp_path: Path, time: Time
) -> None:
    settings = CacheSettings(backend="redis", url=f"redis://127.0.0.1:1?{option}")
    with pytest.raises(NoStore, match="the options of the address are not understood") as raised:
        open_store(settings, {}, tmp_path, Clock())
    assert "secret" not in str(raised.value)


async def test_a_redis_that_does_not_answer_costs_little_time(redis: RedisServer, time: Time) -> None:
    store = GuardedStore(RedisStore(redis.url, time, timeout_s=0.05), "Redis", 0.05, lambda: 0.0)
    await store.keep(ONE, "a/m", b"answer", 60)
    await redis.pause()
    assert [await store.find(ONE) for _ in range(50)] == [()] * 50
    await store.close()
