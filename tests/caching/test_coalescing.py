"""Shared calls: everybody gets all of the answer, whoever comes and goes."""

import asyncio
import random
from contextlib import aclosing

import pytest

from llmrouter.caching.coalescing import Flight, Flights, Seat
from llmrouter.tasks import spawn

type TextFlight = Flight[str, bytes, str]


def flight_of(most_bytes: int = 1_000_000) -> tuple[TextFlight, list[str]]:
    """A flight, and the list that tells when it was called off."""
    called_off: list[str] = []
    return Flight(lambda: called_off.append("off"), most_bytes, len), called_off


async def read(seat: Seat[str, bytes, str]) -> bytes:
    return b"".join([piece async for piece in seat.pieces()])


async def test_everybody_gets_all_of_it_whenever_they_came() -> None:
    flight, called_off = flight_of()
    first = flight.join()
    waiting = asyncio.gather(first.head(), flight.join().head())
    await asyncio.sleep(0)
    flight.begin("head")
    one, other = await waiting
    assert (one, other) == ("head", "head")
    reading = spawn(read(first), "reading")
    await flight.put(b"one ")
    await flight.put(b"two ")
    late = flight.join()
    late_reading = spawn(read(late), "reading late")
    await flight.put(b"three")
    flight.land("result", is_whole=True)
    assert (await reading, await late_reading) == (b"one two three", b"one two three")
    assert await flight.join().result() == "result"
    assert called_off == []


async def test_who_comes_after_the_end_gets_all_of_it() -> None:
    flight, _ = flight_of()
    seat = flight.join()
    flight.begin("head")
    await flight.put(b"all")
    flight.land("result", is_whole=True)
    seat.leave()
    assert flight.is_open
    after = flight.join()
    assert (await after.head(), await read(after)) == ("head", b"all")


async def test_it_goes_on_when_the_first_leaves_and_is_called_off_with_the_last() -> None:
    flight, called_off = flight_of()
    first, second = flight.join(), flight.join()
    first.leave()
    first.leave()
    assert (called_off, flight.is_open) == ([], True)
    second.leave()
    assert (called_off, flight.is_open) == (["off"], False)


async def test_who_stops_reading_has_left() -> None:
    flight, called_off = flight_of()
    async with aclosing(flight.join().pieces()) as pieces:
        await flight.put(b"piece")
        assert await anext(pieces) == b"piece"
    assert called_off == ["off"]


async def test_an_error_reaches_all_that_wait() -> None:
    flight, _ = flight_of()
    waits = [flight.join().head(), flight.join().result(), read(flight.join())]
    waiting = asyncio.gather(*waits, return_exceptions=True)
    await asyncio.sleep(0)
    flight.fail(LookupError("nobody"))
    assert [str(error) for error in await waiting] == ["nobody"] * 3
    assert not flight.is_open


async def test_one_that_ends_without_a_result_takes_nobody_in() -> None:
    flight, _ = flight_of()
    seat = flight.join()
    flight.land(None, is_whole=False)
    assert (flight.is_open, await seat.result()) == (False, None)


async def test_the_provider_waits_for_the_fastest_alone() -> None:
    """One that does not read holds nobody up; but when nobody reads, no more is asked for."""
    flight, _ = flight_of()
    fast, slow = flight.join(), flight.join()
    piece = b"x" * 60_000
    await flight.put(piece)
    putting = spawn(flight.put(piece), "putting")
    await asyncio.sleep(0)
    assert not putting.done()
    async with aclosing(fast.pieces()) as pieces:
        for _ in range(2):
            await anext(pieces)
        await putting
        flight.land("result", is_whole=True)
        assert len(await read(slow)) == 120_000


async def test_one_that_waits_for_the_result_does_not_hold_it_up() -> None:
    flight, _ = flight_of()
    waiting = spawn(flight.join().result(), "waiting")
    await asyncio.sleep(0)
    for _ in range(10):
        await asyncio.wait_for(flight.put(b"x" * 60_000), 1)
    flight.land("all", is_whole=True)
    assert await waiting == "all"


async def test_one_that_waits_for_the_result_is_not_held_up_by_one_that_does_not_read() -> None:
    flight, _ = flight_of()
    slow = flight.join()
    waiting = spawn(flight.join().result(), "waiting")
    await asyncio.sleep(0)
    for _ in range(5):
        await asyncio.wait_for(flight.put(b"x" * 60_000), 1)
    flight.land("all", is_whole=True)
    assert await waiting == "all"
    assert len(await read(slow)) == 300_000


async def test_one_that_waits_for_a_result_that_gets_too_large_waits_no_longer() -> None:
    flight, _ = flight_of(most_bytes=100_000)
    reader = flight.join()
    waiting = spawn(flight.join().result(), "waiting")
    await asyncio.sleep(0)
    await flight.put(b"x" * 90_000)
    putting = spawn(flight.put(b"x" * 90_000), "putting")
    assert await asyncio.wait_for(waiting, 1) is None
    reading = spawn(read(reader), "reading")
    await asyncio.wait_for(putting, 1)
    flight.land("all", is_whole=True)
    assert len(await reading) == 180_000


async def test_an_answer_that_gets_too_large_is_not_kept_and_goes_at_the_pace_of_the_slowest() -> None:
    flight, _ = flight_of(most_bytes=100_000)
    fast, slow = flight.join(), flight.join()
    got: list[bytes] = []
    received = asyncio.Event()

    async def read_fast() -> None:
        async for piece in fast.pieces():
            got.append(piece)
            received.set()

    reading = spawn(read_fast(), "reading")
    await flight.put(b"a" * 60_000)
    await asyncio.sleep(0)
    putting = spawn(flight.put(b"b" * 60_000), "putting")
    await asyncio.sleep(0)
    while len(got) < 2:
        received.clear()
        await received.wait()
    assert (putting.done(), flight.is_open) == (False, False)
    slow_reading = spawn(read(slow), "reading slowly")
    await putting
    for _ in range(5):
        await flight.put(b"c" * 60_000)
    flight.land("whole", is_whole=True)
    assert len(await slow_reading) == 7 * 60_000
    await reading
    assert sum(map(len, got)) == 7 * 60_000
    assert flight._kept_bytes < 100_000


@pytest.mark.parametrize("seed", range(5))
async def test_any_coming_and_going_gives_everybody_the_same(seed: int) -> None:
    """Readers that come at chance, read at chance, and leave at chance, of small and too large answers."""
    chance = random.Random(seed)
    pieces = [chance.randbytes(chance.choice((10, 1000, 30_000))) for _ in range(200)]
    whole = b"".join(pieces)
    flight, called_off = flight_of(most_bytes=chance.choice((50_000, 10_000_000)))

    async def read_some(seat: Seat[str, bytes, str], most: int) -> tuple[bytes, bool]:
        got = b""
        async with aclosing(seat.pieces()) as stream:
            async for piece in stream:
                got += piece
                for _ in range(chance.choice((0, 0, 3))):
                    await asyncio.sleep(0)
                if len(got) > most:
                    return got, False
        return got, True

    readers = [spawn(read_some(flight.join(), len(whole)), "the first")]
    for piece in pieces:
        await asyncio.wait_for(flight.put(piece), 5)
        if flight.is_open and chance.random() < 0.1:
            readers.append(spawn(read_some(flight.join(), chance.choice((5_000, len(whole)))), "another"))
    flight.land("end", is_whole=True)
    for reader in readers:
        got, is_all = await reader
        assert whole.startswith(got)
        assert not is_all or got == whole
    assert called_off == []


async def test_the_register_finds_what_is_open() -> None:
    flights: Flights[str, bytes, str] = Flights()
    flight, _ = flight_of()
    seat = flight.join()
    flights.add("key", flight)
    assert (flights.find("key"), flights.find("other")) == (flight, None)
    seat.leave()
    assert flights.find("key") is None
    newer, _ = flight_of()
    newer.join()
    flights.add("key", newer)
    flights.remove("key", flight)
    assert flights.find("key") is newer
    assert (flights.has("key", newer), flights.has("key", flight)) == (True, False)
    flights.remove("key", newer)
    assert flights.find("key") is None
