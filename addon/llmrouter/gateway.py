"""One call from start to finish: whoever answers it, and the record of it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from llmrouter.answering import Answering, Providers
from llmrouter.cached_answering import Cache, CachedAnswering
from llmrouter.call_record import Answer, CallRecord
from llmrouter.calls import Call
from llmrouter.clock import Clock
from llmrouter.errors import NotCached, RouterError
from llmrouter.routing.health import HealthBook
from llmrouter.routing.plan import Router
from llmrouter.routing.quotas import QuotaBook
from llmrouter.settings.model import RetrySettings
from llmrouter.telemetry.decisions import Observer
from llmrouter.transports import Transport


@dataclass(slots=True)
class Gateway:
    """Answers calls; `router`, `retry` and `cache` are exchanged when the settings change.

    Calls under way keep theirs.
    """

    router: Router
    retry: RetrySettings
    health: HealthBook
    transports: Mapping[str, Transport]
    clock: Clock
    observers: Sequence[Observer] = field(default_factory=list)
    quotas: QuotaBook = field(default_factory=QuotaBook)
    cache: Cache | None = None

    async def answer(self, call: Call) -> Answer:
        """Answers a call from the cache or from the first target that can; an error is an answer, too."""
        record = CallRecord(call, self.clock, self.router.prices, self.observers)
        try:
            providers = Providers(self.router, self.retry, self.health, self.quotas, self.transports)
            if (cache := self.cache) is not None:
                route = self.router.catalogue.candidates(call.model).route
                if (admission := cache.admit(call, route)) is not None:
                    return await CachedAnswering(cache, admission, providers, record).answer()
            elif call.preferences.cache.only_if_cached:
                raise NotCached("The cache is off, and 'only-if-cached' forbids to ask a provider.")
            return await Answering(providers, record).answer()
        except RouterError as error:
            return record.refuse(error)
        except asyncio.CancelledError:
            if not record.is_abandoned:
                record.end("client_gone")
            raise
