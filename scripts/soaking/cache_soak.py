"""One soak: a gateway over a provider that answers by the question, a store that suffers, and clients that check."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import orjson
from pydantic import SecretStr

from llmrouter.brands import BRANDS
from llmrouter.cached_answering import Cache
from llmrouter.caching.guarded_store import GuardedStore
from llmrouter.caching.memory_store import MemoryStore
from llmrouter.caching.opening import open_unguarded
from llmrouter.caching.stores import Store
from llmrouter.calls import Call, Caller, Preferences
from llmrouter.clock import Clock
from llmrouter.endpoints import chat
from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.gateway import Gateway
from llmrouter.replies import Chunk, Reply, Usage
from llmrouter.routing.catalog import build_targets
from llmrouter.routing.health import HealthBook
from llmrouter.routing.plan import Router
from llmrouter.routing.price_book import PriceBook
from llmrouter.settings.model import Settings
from llmrouter.tasks import spawn
from llmrouter.telling import tell
from llmrouter.transports import Attempt
from tests.fakes.redis_server import RedisServer

BACKENDS = ("memory", "sqlite", "redis")
_CLIENTS = 40
_QUESTIONS = 4_000
_CALLERS = 3


def expected_text(question: str, caller: str) -> str:
    """The only right answer to a question of a caller; some are long, so that entries differ in size."""
    words = 5 + sum(question.encode()) % 60
    return f"[{caller}|{question}] " + " ".join(f"{question}-{number}" for number in range(words))


class _Provider:
    """Answers by the question, and fails in every way that must not be kept."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.asked = 0

    async def complete(self, call: Call, attempt: Attempt) -> Reply:
        """The whole answer; filtered or failed now and then."""
        text, reason = await self._begin(call)
        message = {"role": "assistant", "content": text if reason == "stop" else text[: len(text) // 2]}
        choices = [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}]
        usage = Usage(10, len(text) // 4)
        whole = {"id": call.id, "object": "chat.completion", "created": 1, "model": call.model, "choices": choices}
        return Reply(orjson.dumps(whole | {"usage": usage.to_openai()}), usage)

    async def stream(self, call: Call, attempt: Attempt) -> AsyncGenerator[list[Chunk]]:
        """The answer word by word; cut now and then."""
        text, reason = await self._begin(call)
        words = [f"{word} " for word in text.split(" ")]
        words[-1] = words[-1][:-1]
        if reason != "stop":
            words = words[: len(words) // 2]
        cut_at = self._chance.randrange(len(words) + 1) if self._chance.random() < 0.05 else -1
        yield [_chunk(call, {"role": "assistant"}, None)]
        for number, word in enumerate(words):
            if number == cut_at:
                raise AttemptFailed(Outcome.BROKEN_STREAM, "cut")
            if self._chance.random() < 0.1:
                await asyncio.sleep(0)
            yield [_chunk(call, {"content": word}, None)]
        yield [_chunk(call, {}, reason), Chunk(b"", is_content=False, usage=Usage(10, len(text) // 4))]

    async def _begin(self, call: Call) -> tuple[str, str]:
        self.asked += 1
        await asyncio.sleep(self._chance.choice((0, 0, 0.001, 0.003)))
        if self._chance.random() < 0.03:
            raise AttemptFailed(Outcome.SERVER_ERROR, "HTTP 500", 500)
        credential = call.caller.authorization
        text = expected_text(call.body["messages"][0]["content"], credential.get_secret_value() if credential else "")
        return text, "content_filter" if self._chance.random() < 0.03 else "stop"


def _chunk(call: Call, delta: dict[str, Any], reason: str | None) -> Chunk:
    choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]
    whole = {"id": call.id, "object": "chat.completion.chunk", "created": 1, "model": call.model, "choices": choices}
    return Chunk(orjson.dumps(whole), is_content=bool(delta.get("content")) or reason is not None)


class Soak:
    """So many requests against one backend; `wrong` tells each answer that was not the right one.

    Under the scope `shared` callers get each other's answers, which are wrong here.
    """

    def __init__(self, backend: str, folder: Path, seed: int, scope: str = "caller") -> None:
        self._scope = scope
        self.backend = backend
        self.wrong: list[str] = []
        self.counts: Counter[str] = Counter()
        self._folder = folder
        self._chance = random.Random(seed)
        self._provider = _Provider(random.Random(seed + 1))
        self._redis = RedisServer(folder) if backend == "redis" else None

    def told(self) -> str:
        """What came of it, in one line."""
        counts = ", ".join(f"{name} {count}" for name, count in sorted(self.counts.items()))
        return f"{len(self.wrong)} wrong answers; {counts}; the provider was asked {self._provider.asked} times"

    async def run(self, requests: int) -> None:
        """Asks them all."""
        if self._redis is not None:
            await self._redis.start()
        gateway, cache = self._gateway()
        suffering = spawn(self._suffer(cache), "what goes wrong")
        numbers = iter(range(requests))

        async def work(chance: random.Random) -> None:
            for number in numbers:
                await self._ask(gateway, number, chance)

        await asyncio.gather(*(work(random.Random(self._chance.random())) for _ in range(_CLIENTS)))
        suffering.cancel()
        with suppress(asyncio.CancelledError):
            await suffering
        await cache.store.close()
        if self._redis is not None:
            await self._redis.kill()

    def _gateway(self) -> tuple[Gateway, Cache]:
        places = {"sqlite": "sqlite:///soak.db", "redis": self._redis.url if self._redis else None}
        # Small enough that entries are pushed out all the time.
        cache_settings = {"backend": self.backend, "url": places.get(self.backend), "max_mebibytes": 2}
        model = {"id": "m", "serves": ["*"], "price": {"input": 1, "output": 1}}
        provider = {"type": "openai_compatible", "name": "p", "base_url": "https://p.test/v1", "models": [model]}
        breaker = {"failure_threshold": 1_000_000, "failure_rate": 1.0}
        settings = Settings.model_validate(
            {
                "providers": [provider],
                "breaker": breaker,
                "cache": cache_settings | {"compress": True, "timeout_seconds": 0.05, "scope": self._scope},
                "retry": {"max_attempts": 1, "max_wait_seconds": 0},
            }
        )
        catalogue, clock = build_targets(settings, BRANDS, {}), Clock()
        store: Store = MemoryStore(2 * 2**20, clock.wall)
        if self.backend != "memory":
            outside, name = open_unguarded(settings.cache, {}, self._folder, clock)
            # A shorter rest than the router's own: else most of the soak would do without the store.
            store = GuardedStore(outside, name, 0.05, clock.monotonic, rest_s=0.1)
        cache, health = Cache(settings.cache, store, b"s" * 32), HealthBook()
        router = Router(settings, catalogue, health, PriceBook(catalogue.targets))
        transports = {"openai_compatible": self._provider}
        return Gateway(router, settings.retry, health, transports, clock, cache=cache), cache

    async def _suffer(self, cache: Cache) -> None:
        """Entries vanish; Redis is paused, flushed, killed and started again."""
        while True:
            await asyncio.sleep(self._chance.uniform(0.1, 0.6))
            if self._redis is None:
                if self._chance.random() < 0.1:
                    self.counts["clearings"] += 1
                    await cache.store.clear()
                continue
            match self._chance.choice(("pause", "flush", "kill", "nothing")):
                case "pause":
                    self.counts["pauses"] += 1
                    await self._redis.pause(self._chance.choice((30, 120)))
                case "flush":
                    self.counts["flushes"] += 1
                    await self._redis.flush()
                case "kill":
                    self.counts["kills"] += 1
                    await self._redis.kill()
                    await self._redis.start()
                case _:
                    pass

    async def _ask(self, gateway: Gateway, number: int, chance: random.Random) -> None:
        # A few questions are asked all the time, most of them seldom.
        question = f"q{int(_QUESTIONS * chance.random() ** 5)}"
        caller = f"key-{chance.randrange(_CALLERS)}"
        stream = chance.random() < 0.6
        body: dict[str, Any] = {"messages": [{"role": "user", "content": question}], "temperature": 0, "stream": stream}
        if stream and chance.random() < 0.3:
            body["stream_options"] = {"include_usage": True}
        call = chat.parse(
            json.dumps(body).encode(),
            chance.choice(("gpt-4o", "gpt-4o", "gpt-4o-mini")),
            id=f"req-{number}",
            caller=Caller(SecretStr(caller)),
            preferences=Preferences(),
        )
        leaves = chance.random() < 0.05
        asking = asyncio.ensure_future(self._read(gateway, call))
        if leaves:
            await asyncio.sleep(chance.choice((0, 0.001, 0.002)))
            asking.cancel()
        try:
            use, status, text, is_whole = await asking
        except asyncio.CancelledError:
            if not leaves:
                raise
            self.counts["left"] += 1
            return
        self._check(call, use, status, (text, is_whole), expected_text(question, caller))

    def _check(self, call: Call, use: str, status: int, got: tuple[str, bool], expected: str) -> None:
        text, is_whole = got
        if status != 200:
            self.counts["failed"] += 1
            return
        self.counts[use] += 1
        is_right = text == expected if is_whole else expected.startswith(text)
        if not is_right or (not is_whole and use == "hit"):
            self.wrong.append(f"{call.id} ({use}, whole {is_whole}): {text[:80]!r} instead of {expected[:80]!r}")
        if not is_whole:
            self.counts["cut or filtered"] += 1

    async def _read(self, gateway: Gateway, call: Call) -> tuple[str, int, str, bool]:
        """How the cache was used, the status, the text, and whether that is whole by its own account."""
        answer = await gateway.answer(call)
        result = tell(call, answer)
        if answer.status != 200:
            return answer.decision.cache, answer.status, "", False
        if result.frames is None:
            choice = orjson.loads(result.body)["choices"][0]
            return answer.decision.cache, 200, choice["message"]["content"], choice["finish_reason"] == "stop"
        text, reason, is_done = "", None, False
        async with aclosing(result.frames) as frames:
            async for frame in frames:
                for event in frame.split(b"\n\n"):
                    data = event.removeprefix(b"data: ")
                    if data == b"[DONE]":
                        is_done = True
                    elif data and (choices := orjson.loads(data).get("choices")):
                        text += choices[0]["delta"].get("content") or ""
                        reason = choices[0].get("finish_reason") or reason
        return answer.decision.cache, 200, text, is_done and reason == "stop"
