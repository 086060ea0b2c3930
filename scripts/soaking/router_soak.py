"""One soak of a real router: two providers that do whatever can go wrong, one that works, and clients that check.

What a client is told is held against what the providers truly sent for it. A client that is told a failure is one too
many, since one provider always works.
"""

import asyncio
import contextlib
import itertools
import random
import ssl
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.soaking.soak_clients import SoakClient, Told, Wish, wish
from scripts.soaking.soaked_router import Held, SoakedRouter
from tests.fakes.provider import FakeProvider
from tests.faults.scripted import Scripted, Served, words_of
from tests.faults.told import normal, what_can_have_been_said
from tests.faults.wires import FAULTS, STALLS, Fault, good

_NAMES = ("one", "two", "three")
_FAULTY = 0.35
_STALLING = 0.02
_RELOAD_S = 2.0
_REQUESTS_OF_A_CLIENT = 60
_LOOKS = 8
_LOOK_S = 0.25
_MOST_GROWTH = 0.05
# Pools and buffers fill during the first seconds, so that growth over a short time says nothing.
_LEAST_MEASURED_S = 45.0


@dataclass(slots=True)
class Findings:
    """What came of a soak; `measured_s` is how long it went on after the warm-up."""

    seed: int
    requests: int = 0
    hang_ups: int = 0
    reloads: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    false_ends: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    warm: Held | None = None
    end: Held | None = None
    measured_s: float = 0.0

    @property
    def growth(self) -> float:
        assert self.warm is not None
        assert self.end is not None
        return self.end.resident_bytes / self.warm.resident_bytes - 1

    def broken_bars(self) -> list[str]:
        """What is not as it must be."""
        assert self.warm is not None
        assert self.end is not None
        bars = {
            "a failure was seen while a provider worked": bool(self.failures),
            "a cut answer was told as a whole one": bool(self.false_ends),
            "an answer was wrong": bool(self.wrong),
            "sockets are left open": self.end.sockets > self.warm.sockets,
            "tasks are left": self.end.tasks > self.warm.tasks,
            "memory grows": self.growth > _MOST_GROWTH and self.measured_s >= _LEAST_MEASURED_S,
            "nothing was asked": not self.requests,
        }
        return [bar for bar, is_broken in bars.items() if is_broken]


class RouterSoak:
    """A soak with so many clients at once; `seed` decides what goes wrong."""

    def __init__(self, folder: Path, seed: int, clients: int) -> None:
        self.findings = Findings(seed)
        self.router = SoakedRouter(folder)
        self._folder = folder
        self._chance = random.Random(seed)
        self._clients = clients
        self._numbers = itertools.count(1)
        self._served: dict[int, list[Served]] = {}
        self._fakes: dict[str, FakeProvider] = {}

    async def run(self, warm_up_s: float, measured_s: float) -> Findings:
        """Warms up, measures, loads, and measures again."""
        findings = self.findings
        findings.measured_s = measured_s
        async with contextlib.AsyncExitStack() as stack:
            for name in _NAMES:
                self._fakes[name] = await stack.enter_async_context(FakeProvider())
                self._fakes[name].default = Scripted(name, self._answer_of(name), self._note)
            self.router.configure(self._config(0))
            stack.push_async_callback(self.router.stop)
            await self.router.start({f"KEY_{name.upper()}": f"key-of-{name}" for name in _NAMES})
            self._tls = ssl.create_default_context(cafile=str(self.router.ca_file))
            await self._load(warm_up_s)
            findings.warm = await self._quiet()
            await self._load(measured_s)
            findings.end = await self._quiet()
        return findings

    def _answer_of(self, name: str) -> Any:
        chance = random.Random(self._chance.random())

        def answer(number: int) -> tuple[list[str], Fault]:
            fault = self._fault(name, chance)
            self.findings.faults[fault.__name__] += 1
            return words_of(name, number, chance.randrange(3, 40)), fault

        return answer

    @staticmethod
    def _fault(name: str, chance: random.Random) -> Fault:
        if name == _NAMES[-1]:
            return good
        draw = chance.random()
        if draw < _STALLING:
            return chance.choice(STALLS)
        return chance.choice(FAULTS) if draw < _FAULTY else good

    def _note(self, number: int, served: Served) -> None:
        # Requests whose client has left are nobody's any more.
        if number in self._served:
            self._served[number].append(served)

    def _config(self, number: int) -> dict[str, Any]:
        providers: list[dict[str, Any]] = []
        for place, name in enumerate(_NAMES):
            patience = {} if name == _NAMES[-1] else {"timeouts": {"first_byte": 0.5, "idle": 0.5}}
            one: dict[str, Any] = {"name": name, "type": "openai_compatible", "base_url": self._fakes[name].base_url}
            one |= {"model": f"model-of-{name}", "priority": place, "api_key_env": f"KEY_{name.upper()}"}
            providers.append(one | patience | {"weight": 1 + number % 3})
        return {
            "providers": providers,
            "breaker": {"failure_threshold": 8, "failure_rate": 1.0, "recovery_seconds": 1},
            "retry": {"deadline_seconds": 50 + number % 5},
            "logging": {"decisions": "off"},
            "storage": {"url": f"sqlite:///{self._folder}/llmrouter.db"},
        }

    async def _load(self, seconds: float) -> None:
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for _ in range(self._clients):
                group.create_task(self._client(random.Random(self._chance.random()), stop))
            group.create_task(self._reload(stop))
            await asyncio.sleep(seconds)
            stop.set()

    async def _client(self, chance: random.Random, stop: asyncio.Event) -> None:
        while not stop.is_set():
            client = SoakClient(self.router.port, self.router.api_port, self._tls)
            for _ in range(_REQUESTS_OF_A_CLIENT):
                if stop.is_set():
                    break
                await self._ask(client, wish(next(self._numbers), chance))
            await client.close()

    async def _ask(self, client: SoakClient, wish: Wish) -> None:
        findings = self.findings
        findings.requests += 1
        findings.by_kind[wish.kind] += 1
        self._served[wish.number] = []
        try:
            told = await client.ask(wish)
        except (AssertionError, ValueError, LookupError) as error:
            findings.wrong.append(f"{wish}: {error!r}")
            told = None
        served = self._served.pop(wish.number)
        if told is None:
            findings.hang_ups += 1
        else:
            self._check(wish, told, served)

    def _check(self, wish: Wish, told: Told, served: list[Served]) -> None:
        findings = self.findings
        if told.failure is not None:
            findings.failures.append(f"{wish}: {told.failure}")
        said, text = what_can_have_been_said(served), normal(told.text)
        if not any(normal(whole).startswith(text) for whole, _ in said):
            findings.wrong.append(f"{wish}: {told.text!r} instead of one of {[whole for whole, _ in said]}")
        elif told.is_whole and text not in {normal(end) for _, ends in said for end in ends}:
            findings.false_ends.append(f"{wish}: {told.text!r} is not the whole of {[whole for whole, _ in said]}")

    async def _reload(self, stop: asyncio.Event) -> None:
        """New settings now and then, and once in a while some that cannot be read."""
        for number in itertools.count(1):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RELOAD_S):
                    await stop.wait()
            if stop.is_set():
                return
            self.router.configure("providers: [" if number % 5 == 0 else self._config(number))
            self.findings.reloads += 1

    async def _quiet(self) -> Held:
        """What the router holds when nobody wants anything of it, and no provider keeps a connection open."""
        for fake in self._fakes.values():
            fake.drop_connections()
        looks: list[Held] = []
        for _ in range(_LOOKS):
            await asyncio.sleep(_LOOK_S)
            looks.append(await self.router.held())
        # What ends a moment later than its request is no leak.
        return Held(looks[-1].resident_bytes, min(look.sockets for look in looks), min(look.tasks for look in looks))
