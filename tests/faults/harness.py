"""Three faulty providers and a real gateway over them; after each run all that must always hold is checked."""

import asyncio
import contextlib
import functools
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmrouter.calls import Preferences
from llmrouter.telemetry.decisions import Decision
from tests.fakes.provider import FakeProvider
from tests.faults.scripted import Scripted, Served, words_of
from tests.faults.told import heard, normal, what_can_have_been_said
from tests.faults.wires import Fault, good
from tests.gateways import GatewayUnderTest, Told, gateway, provider

NAMES = ("one", "two", "three")
MOST_S = 20.0
_IMPATIENT = {"first_byte": 0.15, "idle": 0.15}
_FAILED_IN_VAIN = ("unreachable", "not_translatable")
_CUT = ("broken_stream", "out_of_time", "client_gone", "hedged_off")
# Who gives up early may do so before the request has arrived, on a busy machine above all.
_EARLY = ("timed_out", "hedged_off")


@dataclass(frozen=True, slots=True)
class Run:
    """One request: what each provider does with it, and how it is asked."""

    faults: tuple[Fault, ...] = ()
    stream: bool = True
    alone: bool = False
    include_usage: bool = True

    def fault_of(self, place: int) -> Fault:
        return self.faults[place] if place < len(self.faults) else good


@dataclass(slots=True)
class Outcome:
    """All that is known of one run after it."""

    run: Run
    number: int
    told: Told
    decisions: list[Decision]
    served: list[Served]


class Harness:
    """Runs, each against all that must hold."""

    def __init__(self, fakes: dict[str, FakeProvider], router: GatewayUnderTest) -> None:
        self.router = router
        self.runs: dict[int, Run] = {}
        self.served: dict[int, list[Served]] = {}
        self._fakes = fakes
        self._numbers = itertools.count(1)
        self._few = asyncio.Semaphore(24)
        for place, (name, fake) in enumerate(fakes.items()):
            fake.default = Scripted(name, functools.partial(self._answer, name, place), self._note)

    def _answer(self, name: str, place: int, number: int) -> tuple[list[str], Fault]:
        return words_of(name, number), self.runs[number].fault_of(place)

    def _note(self, number: int, served: Served) -> None:
        self.served[number].append(served)

    async def all(self, runs: Sequence[Run]) -> list[Outcome]:
        """Several runs at once."""
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(self.one(run)) for run in runs]
        await self.nothing_is_left_open()
        return [one.result() for one in running]

    async def one(self, run: Run) -> Outcome:
        """One run, in bounded time, and what must hold after it."""
        number = next(self._numbers)
        self.runs[number], self.served[number] = run, []
        wants_usage = run.stream and run.include_usage
        options: dict[str, Any] = {"stream_options": {"include_usage": True}} if wants_usage else {}
        preferences = Preferences(provider=NAMES[0]) if run.alone else None
        messages = [{"role": "user", "content": str(number)}]
        async with self._few, asyncio.timeout(MOST_S):
            told = await self.router.ask(stream=run.stream, preferences=preferences, messages=messages, **options)
        id = told.answer.headers["x-request-id"]
        decisions = [decision for decision in self.router.decisions if decision.id == id]
        outcome = Outcome(run, number, told, decisions, self.served[number])
        check(outcome)
        return outcome

    async def nothing_is_left_open(self) -> None:
        """No connection is in use any more, and no attempt under way."""
        async with asyncio.timeout(MOST_S):
            while self._in_use():  # noqa: ASYNC110  # aiohttp tells nobody when a connection is given back
                await asyncio.sleep(0.005)

    def _in_use(self) -> int:
        session = self.router.runtime._upstream._session
        if session is None:
            return 0
        assert session.connector is not None
        return len(session.connector._acquired)


@contextlib.asynccontextmanager
async def harness(
    folder: Path, *, patient: bool = False, hedges: bool = False, **settings: Any
) -> AsyncIterator[Harness]:
    """Three providers, each with a key of its own, and a gateway; at the end no task and no connection is left.

    The first two providers are not waited for in silence, unless it is `patient`. Where it `hedges`, everybody has been
    so quick so far that they are late now, and all calls may be hedged.
    """
    before = asyncio.all_tasks()
    timeouts = {} if patient else {"timeouts": _IMPATIENT}
    patience: tuple[dict[str, Any], ...] = (timeouts, timeouts, {})
    off = {"failure_threshold": 1_000_000, "failure_rate": 1.0, "min_requests": 1_000_000}
    retry = {"max_wait_seconds": 0, "deadline_seconds": MOST_S - 5} | settings.pop("retry", {})
    if hedges:
        settings["hedge"] = {"max_share": 1.0, "paid": True}
    async with contextlib.AsyncExitStack() as stack:
        fakes = {name: await stack.enter_async_context(FakeProvider()) for name in NAMES}
        providers = [
            provider(name, fakes[name], api_key_env=f"KEY_{name}".upper(), **patience[place])
            for place, name in enumerate(NAMES)
        ]
        environ = {f"KEY_{name}".upper(): f"key-of-{name}" for name in NAMES}
        router = await stack.enter_async_context(
            gateway(folder, *providers, environ=environ, breaker=off, retry=retry, **settings)
        )
        if hedges:
            _make_late(router)
        yield Harness(fakes, router)
    async with asyncio.timeout(MOST_S):
        while left := asyncio.all_tasks() - before:
            await asyncio.wait(left, timeout=0.05)


def _make_late(router: GatewayUnderTest) -> None:
    book = router.runtime.gateway.health.hedges
    for name in NAMES:
        for number in range(40):
            book.note_content(f"{name}/model-of-{name}", 0.0001, is_stream=number % 2 == 0)
            book.note_call()


def check(outcome: Outcome) -> None:
    """All that must hold after every run, whatever happened."""
    _keys_stay_where_they_belong(outcome)
    _books_are_right(outcome)
    if outcome.run.stream and outcome.told.answer.status == 200:
        _stream_is_true(outcome)
    else:
        _whole_is_true(outcome)


def _keys_stay_where_they_belong(outcome: Outcome) -> None:
    keys = {f"key-of-{name}" for name in NAMES} | {"key-of-the-app", "org-1"}
    for served in outcome.served:
        everything = json.dumps([served.seen.path, dict(served.seen.headers), served.seen.body.decode()])
        assert served.seen.headers["authorization"] == f"Bearer key-of-{served.target}"
        assert [key for key in keys if key in everything] == [f"key-of-{served.target}"]
    answer = outcome.told.answer.headers, outcome.told.body
    assert not [key for key in keys if key in str(answer)]


def _books_are_right(outcome: Outcome) -> None:
    """One decision, whose attempts are the requests that arrived; what was served is booked."""
    (decision,) = outcome.decisions
    sent = [attempt for attempt in decision.attempts if attempt.outcome not in _FAILED_IN_VAIN]
    for name in NAMES:
        attempts = [attempt for attempt in sent if attempt.target.startswith(f"{name}/")]
        served = [one for one in outcome.served if one.target == name]
        again = sum(one.is_unanswered_again for one in served)
        late = sum(attempt.outcome in _EARLY for attempt in attempts)
        assert len(served) - again <= len(attempts) <= len(served) + late, (attempts, served)
        told = [truth.output_tokens for one in served for truth in one.truths]
        for attempt in attempts:
            if attempt.outcome == "success":
                assert (attempt.usage.output_tokens if attempt.usage else None) in told, (attempt, served)
            elif attempt.outcome in _CUT:
                assert attempt.usage is not None or attempt.guessed_usage is not None
    winners = [attempt for attempt in sent if attempt.outcome == "success"]
    assert len(winners) <= 1
    if winners:
        assert decision.answered_by == winners[0].target


def _whole_is_true(outcome: Outcome) -> None:
    (decision,) = outcome.decisions
    told = outcome.told
    if told.answer.status != 200:
        assert decision.result == "failed"
        assert told.json["error"]["message"]
        return
    assert decision.result == "answered"
    content = told.json["choices"][0]["message"]["content"] or ""
    own = [served for served in outcome.served if f"{served.target}/model-of-{served.target}" == decision.answered_by]
    assert content in [truth.text for one in own for truth in one.truths if truth.has_ended], (content, own)


def _stream_is_true(outcome: Outcome) -> None:
    (decision,) = outcome.decisions
    text, reasons, is_error, is_done = heard(outcome.told.body)
    said = what_can_have_been_said(outcome.served)
    assert any(normal(whole).startswith(normal(text)) for whole, _ in said), (text, said)
    assert is_done != is_error
    assert (decision.result == "answered") == is_done
    if is_done:
        assert reasons
    if is_done or reasons:
        ends = {normal(end) for _, whole_ends in said for end in whole_ends}
        assert normal(text) in ends, (text, ends)
