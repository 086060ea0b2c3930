"""A call that the cache may answer: from what is kept, with an identical call under way, or by a provider."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace

import orjson

from llmrouter.answering import Answering, Listener, Providers
from llmrouter.caching.admission import Admission, admit, why_not_kept
from llmrouter.caching.coalescing import Flight, Flights, Seat
from llmrouter.caching.collecting import Collector
from llmrouter.caching.entries import Entry, decode, encode
from llmrouter.caching.keys import group_of
from llmrouter.caching.pacing import delays_s
from llmrouter.caching.replay import PIECE_CHARACTERS, as_chunks, as_json
from llmrouter.caching.stores import Store
from llmrouter.call_record import Answer, CallRecord
from llmrouter.calls import Call, Endpoint
from llmrouter.errors import InternalError, NoAnswer, NotCached, RouterError, StreamBroken
from llmrouter.replies import Chunk, Reply
from llmrouter.settings.caching import CacheSettings
from llmrouter.settings.model import RouteSettings
from llmrouter.targets import Target
from llmrouter.tasks import spawn
from llmrouter.telemetry.decisions import CacheUse

logger = logging.getLogger(__name__)

# What is kept of an answer for those who ask meanwhile, and the largest answer that is kept at all.
_MOST_BYTES = 4 * 2**20
# Of the pieces of a stream that comes at a pace: about four tokens, as models send them.
_PACED_CHARACTERS = 16


type _Flight = Flight[Answer, list[Chunk], Entry]
type _Seat = Seat[Answer, list[Chunk], Entry]


@dataclass(frozen=True, slots=True)
class Cache:
    """The response cache in force; `secret` keys the hashes of callers."""

    settings: CacheSettings
    store: Store
    secret: bytes = field(repr=False)
    flights: Flights[Answer, list[Chunk], Entry] = field(default_factory=Flights)

    def admit(self, call: Call, route: RouteSettings | None) -> Admission | None:
        """What the cache may do for a call, None where that is nothing."""
        when = self.settings.when if route is None or route.cache is None else route.cache
        admission = admit(call, when)
        return admission if admission.look_up or admission.store or admission.only_if_cached else None


class CachedAnswering:
    """One call that the cache may answer, or may keep the answer of."""

    def __init__(self, cache: Cache, admission: Admission, providers: Providers, record: CallRecord) -> None:
        self._cache = cache
        self._admission = admission
        self._providers = providers
        self._record = record
        self._call = record.call
        secret = cache.secret if cache.settings.scope == "caller" else None
        self._group = group_of(self._call, secret)
        self._targets: Mapping[str, Target] = {}

    async def answer(self) -> Answer:
        """The answer, from wherever; raises `RouterError`."""
        record, admission = self._record, self._admission
        self._targets, record.policy = self._providers.router.acceptable(self._call)
        record.decision.cache = CacheUse.MISS
        if admission.look_up and (answer := await self._found()) is not None:
            return answer
        if admission.only_if_cached:
            raise NotCached("No kept answer fits this request, and 'only-if-cached' forbids to ask a provider.")
        return await (self._share() if admission.look_up else self._lead())

    # What is kept

    async def _found(self) -> Answer | None:
        """The kept answer of the best target that may answer this call."""
        most_s, targets = self._admission.max_age_s, self._targets
        kept = [one for one in await self._cache.store.find(self._group) if one.target in targets]
        if len(kept) > 1:
            rank = {key: at for at, key in enumerate(targets)}
            kept.sort(key=lambda one: rank[one.target])
        for one in kept:
            entry = decode(one.data) if most_s is None or one.age_s <= most_s else None
            if entry is not None and entry.target == one.target and self._accepts(entry):
                answer = self._replayed(entry, one.age_s, CacheUse.HIT)
                if answer is not None:
                    return answer
        return None

    def _accepts(self, entry: Entry) -> bool:
        """Whether its target may answer this call, and its name still stands for the same server."""
        target = self._targets.get(entry.target)
        return target is not None and target.base_url == entry.place

    def _replayed(self, entry: Entry, age_s: float, use: CacheUse) -> Answer | None:
        """A kept or shared answer as this client wants it; it costs nothing, and saves the full price.

        None where it cannot be told in that way.
        """
        call, record, id = self._call, self._record, f"chatcmpl-{self._call.id}"
        chunks, reply = None, None
        if call.stream:
            size = PIECE_CHARACTERS if self._cache.settings.replay_tokens_per_second is None else _PACED_CHARACTERS
            chunks = as_chunks(entry, id=id, model=call.model, include_usage=call.include_usage, size=size)
            if chunks is None:
                return None
        else:
            whole = as_json(entry, id=None if call.endpoint is Endpoint.EMBEDDINGS else id, model=call.model)
            reply = Reply(whole, entry.usage)
        record.decision.cache, record.decision.age_s = use, age_s
        record.account(entry.target, entry.usage)
        answer = record.answer(self._targets[entry.target])
        answer.headers["age"] = str(int(age_s))
        record.add_money(answer.headers)
        if chunks is None:
            answer.reply = reply
            record.end("answered", 200)
        else:
            answer.chunks = self._told_again(chunks)
        return answer

    async def _told_again(self, chunks: list[Chunk]) -> AsyncGenerator[list[Chunk]]:
        rate = self._cache.settings.replay_tokens_per_second
        try:
            if rate is None:
                yield chunks
            else:
                for chunk, wait_s in zip(chunks, delays_s(chunks, rate), strict=True):
                    await asyncio.sleep(wait_s)
                    yield [chunk]
        except (asyncio.CancelledError, GeneratorExit):
            self._record.end("client_gone", 200)
            raise
        self._record.end("answered", 200)

    # What is under way

    async def _share(self) -> Answer:
        """The answer of an identical call that is under way, or of one that others may share.

        Where a shared call fails that others were waiting for, one of them asks again, and the others share that; once.
        """
        for is_last in (False, True):
            flight = self._cache.flights.find(self._flight_key)
            if flight is None:
                return await self._lead()
            try:
                if (answer := await self._follow(flight)) is not None:
                    return answer
            except (NoAnswer, InternalError):
                if is_last:
                    raise
        return await self._lead()

    @property
    def _flight_key(self) -> tuple[object, ...]:
        """What calls must have in common to share an answer that is not there yet: all that plans look at."""
        wishes = self._call.preferences
        return self._group, self._call.model, wishes.provider, wishes.policy, wishes.max_cost_usd

    async def _lead(self) -> Answer:
        """The answer of a provider, which others may share from now on."""
        record, key = self._record, self._flight_key
        record.decision.cache = CacheUse.MISS
        listener = _Listener(record.decision.at)

        def call_off() -> None:
            task.cancel()

        flight: _Flight = Flight(call_off, _MOST_BYTES, _size_of, self._way)
        seat = flight.join()
        self._cache.flights.add(key, flight)
        task = spawn(self._fly(flight, listener), f"call {self._call.id}")
        # A task that is cancelled before its first step never runs.
        task.add_done_callback(lambda _: self._landed(key, flight))
        try:
            answer = await seat.head()
        except BaseException as error:
            record.is_abandoned = isinstance(error, asyncio.CancelledError)
            seat.leave()
            raise
        if not self._call.stream:
            seat.leave()
            return answer
        return replace(answer, chunks=self._led(seat))

    async def _led(self, seat: _Seat) -> AsyncGenerator[list[Chunk]]:
        try:
            async with aclosing(seat.pieces()) as pieces:
                async for piece in pieces:
                    yield piece
        except (asyncio.CancelledError, GeneratorExit):
            self._record.is_abandoned = True
            raise

    async def _fly(self, flight: _Flight, listener: "_Listener") -> None:
        try:
            answer = await Answering(self._providers, self._record, listener).answer()
            flight.begin(answer)
            if answer.chunks is not None:
                async with aclosing(answer.chunks) as source:
                    async for chunks in source:
                        await flight.put(chunks)
            entry = listener.entry
            if entry is None or not self._is_good(entry):
                # Those who share it already get what the provider gave; nobody else does.
                self._cache.flights.remove(self._flight_key, flight)
                entry = None
            flight.land(listener.entry, is_whole=listener.is_whole)
        except Exception as error:
            if self._record.is_abandoned:
                self._record.end("client_gone")
            if isinstance(error, RouterError):
                flight.fail(error)
                return
            flight.fail(InternalError(f"The router failed: {type(error).__name__}."))
            raise
        # A client may have asked for a newer answer meanwhile, which is the one to be kept.
        if entry is not None and self._cache.flights.has(self._flight_key, flight):
            await self._keep(entry)

    def _landed(self, key: object, flight: _Flight) -> None:
        self._cache.flights.remove(key, flight)
        if not flight.has_ended:
            self._record.end("client_gone")
            flight.fail(InternalError("The call was given up."))

    @property
    def _way(self) -> tuple[bool, bool]:
        """How the client gets its answer: chunks are the same for those who want it in the same way."""
        return self._call.stream, self._call.include_usage

    async def _follow(self, flight: _Flight) -> Answer | None:
        """The shared answer; None where nothing whole came of it, or not in time."""
        seat = flight.join()
        left_s = self._record.ends_by(self._providers.retry.deadline_seconds) - self._record.now()
        try:
            async with asyncio.timeout(left_s):
                return await self._take_seat(flight, seat)
        except TimeoutError:
            seat.leave()
            return None
        except BaseException:
            seat.leave()
            raise

    async def _take_seat(self, flight: _Flight, seat: _Seat) -> Answer | None:
        if not self._call.stream or flight.way != self._way:
            entry = None
            with suppress(StreamBroken):
                entry = await seat.result()
            if entry is None or not self._accepts(entry):
                return None
            return self._replayed(entry, 0.0, CacheUse.SHARED)
        target = (await seat.head()).target
        is_lost = flight.has_ended and not flight.is_whole
        if target is None or self._targets.get(target.key) is not target or is_lost:
            seat.leave()
            return None
        self._record.decision.cache = CacheUse.SHARED
        answer = self._record.answer(target)
        answer.headers["age"] = "0"
        answer.chunks = self._followed(seat, flight, target)
        return answer

    async def _followed(self, seat: _Seat, flight: _Flight, target: Target) -> AsyncGenerator[list[Chunk]]:
        record = self._record
        record.decision.answered_by, record.decision.age_s = target.key, 0.0
        try:
            async with aclosing(seat.pieces()) as pieces:
                async for piece in pieces:
                    yield piece
        except (asyncio.CancelledError, GeneratorExit):
            record.end("client_gone", 200)
            raise
        except RouterError as error:
            record.end("broken", 200, error.message)
            raise
        if not flight.is_whole:
            record.end("broken", 200, "the shared answer broke off")
            return
        record.account(target.key, None if flight.result is None else flight.result.usage)
        record.end("answered", 200)

    # What is kept from now on

    def _is_good(self, entry: Entry) -> bool:
        why_not = why_not_kept(orjson.loads(entry.completion), entry.usage, self._call)
        if why_not is not None:
            logger.debug("the answer to %s is not kept: %s", self._call.id, why_not)
        return why_not is None

    async def _keep(self, entry: Entry) -> None:
        settings = self._cache.settings
        data = encode(entry, settings.compress)
        await self._cache.store.keep(self._group, entry.target, data, settings.ttl_seconds)


def _size_of(chunks: Sequence[Chunk]) -> int:
    return sum(len(chunk.data) + len(chunk.native) for chunk in chunks)


class _Listener(Listener):
    """Puts the answer together while it passes; `entry` is there once it is whole, and could be put together."""

    def __init__(self, wall: float) -> None:
        self.entry: Entry | None = None
        self.is_whole = False
        self._wall = wall
        self._collector = Collector(_MOST_BYTES)

    def passed(self, chunks: Sequence[Chunk]) -> None:
        """The next chunks of a stream."""
        self._collector.add(chunks)

    def ended(self, target: Target, reply: Reply | None, cost_usd: float | None) -> None:
        """The real end: what is whole becomes an entry."""
        self.is_whole = True
        reply = reply or self._collector.reply()
        if reply is not None and len(reply.data) <= _MOST_BYTES:
            self.entry = Entry(reply.data, reply.usage, cost_usd, self._wall, target.key, target.base_url)

    def ended_otherwise(self) -> None:
        """The real end of what was put together from several targets' parts, which no target gave as a whole."""
        self.is_whole = True
