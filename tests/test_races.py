"""Two attempts side by side: whoever ends how and when, each is booked once and what it got is let go of."""

import asyncio
from dataclasses import dataclass, field

import pytest

from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.hedging import Race, Try
from llmrouter.routing.claims import no_claim
from llmrouter.transports import Attempt
from tests.routing.samples import target_of

AT_ONCE, NEVER = 0.0, 3600.0


@dataclass
class Track:
    """Two attempts that end when the test says so, and what was booked for them."""

    ends: dict[str, asyncio.Future[str]] = field(default_factory=dict)
    asked: dict[str, asyncio.Event] = field(default_factory=dict)
    slow_to_close: asyncio.Event | None = None
    booked: list[tuple[str, str]] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    tries: dict[str, Try] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("one", "two"):
            self.ends[name] = asyncio.get_running_loop().create_future()
            self.asked[name] = asyncio.Event()
            attempt = Attempt(target_of(f"{name}/m"), 0.0, 1.0)
            self.tries[name] = Try(attempt, no_claim(), None)  # type: ignore[arg-type]  # a race books by its callbacks
        self.race: Race[str] = Race(self.tries["one"], self.ask, self.failed, self.lost, self.release)

    async def ask(self, attempt: Attempt) -> str:
        name = attempt.target.provider
        self.asked[name].set()
        try:
            return await self.ends[name]
        except asyncio.CancelledError:
            if self.slow_to_close is not None:
                await self.slow_to_close.wait()
            raise

    def failed(self, one: Try, error: Exception) -> None:
        self.booked.append((one.attempt.target.provider, str(error)))

    def lost(self, one: Try, result: str | None, why: AttemptFailed) -> None:
        self.booked.append((one.attempt.target.provider, why.outcome))

    async def release(self, result: str) -> None:
        self.released.append(result)

    async def start(self) -> asyncio.Task[str]:
        """Both are under way."""
        running = asyncio.ensure_future(self.race.run(AT_ONCE, lambda: self.tries["two"]))
        await self.asked["one"].wait()
        await self.asked["two"].wait()
        return running

    @property
    def leader(self) -> str:
        return self.race.leader.attempt.target.provider


async def settle() -> None:
    """Lets all that is ready run."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_fails_is_booked_once_also_where_the_client_leaves_then() -> None:
    track = Track()
    running = await track.start()
    track.ends["one"].set_exception(AttemptFailed(Outcome.SERVER_ERROR, "503"))
    await settle()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    # Whoever began the race books the leader.
    assert (track.booked, track.leader) == ([("one", "503")], "two")


async def test_a_client_that_leaves_while_the_loser_is_closed_is_not_overheard() -> None:
    track = Track(slow_to_close=asyncio.Event())
    running = await track.start()
    track.ends["two"].set_result("two's answer")
    await settle()
    running.cancel()
    await settle()
    assert track.slow_to_close is not None
    track.slow_to_close.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (track.booked, track.leader) == ([("one", Outcome.HEDGED_OFF)], "two")
    assert track.released == ["two's answer"]


async def test_what_comes_at_the_moment_at_which_the_client_leaves_is_let_go_of() -> None:
    track = Track()
    running = await track.start()
    track.ends["one"].set_result("one's answer")
    track.ends["two"].set_result("two's answer")
    # Their tasks have ended before the race wakes up.
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert sorted(track.released) == ["one's answer", "two's answer"]
    assert (track.booked, track.leader) == ([("two", Outcome.CLIENT_GONE)], "one")


async def test_who_fails_while_another_wins_is_booked_as_failed() -> None:
    track = Track()
    running = await track.start()
    track.ends["one"].set_result("one's answer")
    track.ends["two"].set_exception(AttemptFailed(Outcome.RATE_LIMITED, "429"))
    assert await running == "one's answer"
    assert (track.booked, track.leader) == ([("two", "429")], "one")
    assert track.released == []


async def test_both_answer_at_once_and_the_first_of_the_plan_wins() -> None:
    track = Track()
    running = await track.start()
    track.ends["two"].set_result("two's answer")
    track.ends["one"].set_result("one's answer")
    assert await running == "one's answer"
    assert (track.booked, track.released) == ([("two", Outcome.HEDGED_OFF)], ["two's answer"])


async def test_a_defect_that_one_answer_brings_to_light_does_not_end_the_other() -> None:
    track = Track()
    running = await track.start()
    track.ends["two"].set_exception(KeyError("a defect"))
    await settle()
    track.ends["one"].set_result("one's answer")
    assert await running == "one's answer"
    assert (track.booked, track.leader) == ([("two", "'a defect'")], "one")


async def test_the_last_failure_is_the_races_own() -> None:
    track = Track()
    running = await track.start()
    track.ends["two"].set_exception(AttemptFailed(Outcome.SERVER_ERROR, "503"))
    await settle()
    track.ends["one"].set_exception(AttemptFailed(Outcome.TIMED_OUT, "late"))
    with pytest.raises(AttemptFailed, match="late"):
        await running
    assert (track.booked, track.leader) == ([("two", "503")], "one")


async def test_who_begins_in_time_has_no_rival() -> None:
    track = Track()
    track.ends["one"].set_result("one's answer")
    assert await track.race.run(NEVER, lambda: pytest.fail("nobody is late")) == "one's answer"


async def test_no_task_is_left_behind() -> None:
    before = asyncio.all_tasks()
    for end in ("win", "fail", "leave"):
        track = Track()
        running = await track.start()
        if end == "win":
            track.ends["two"].set_result("two's answer")
        elif end == "fail":
            track.ends["one"].set_exception(AttemptFailed(Outcome.TIMED_OUT, "late"))
            track.ends["two"].set_exception(AttemptFailed(Outcome.TIMED_OUT, "late"))
        else:
            running.cancel()
        await asyncio.wait([running])
        assert running.cancelled() or running.exception() is not None or running.result()
        assert asyncio.all_tasks() == before
