"""One call from start to finish: whoever answers it, and the record of it."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from llmrouter.answering import Answering, Providers
from llmrouter.cached_answering import Cache, CachedAnswering
from llmrouter.call_record import Answer, CallRecord
from llmrouter.calls import Call
from llmrouter.capacity import Capacity, Share
from llmrouter.clock import Clock
from llmrouter.errors import InternalError, NotCached, RouterError
from llmrouter.routing.health import HealthBook
from llmrouter.routing.plan import Router
from llmrouter.routing.quotas import QuotaBook
from llmrouter.settings.model import HedgeSettings, RetrySettings
from llmrouter.settings.operating import OverloadSettings
from llmrouter.telemetry.decisions import Observer
from llmrouter.transports import Transport

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Gateway:
    """Answers calls; `router`, `retry`, `hedge` and `cache` are exchanged when the settings change.

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
    hedge: HedgeSettings | None = None
    capacity: Capacity = field(default_factory=lambda: Capacity(OverloadSettings()))

    async def answer(self, call: Call, *, may_pass: bool = False) -> Answer:
        """Answers a call from the cache or from the first target that can; an error is an answer, too.

        `may_pass` allows to leave it to OpenAI where the router itself cannot answer.
        """
        record = CallRecord(call, self.clock, self.router.prices, self.observers)
        record.may_pass = may_pass
        try:
            record.share = self._take_on(call)
            return await self._answer(record)
        except RouterError as error:
            return record.refuse(error)
        except asyncio.CancelledError:
            if not record.is_abandoned:
                record.end("client_gone")
            raise
        except Exception:
            logger.exception("the router failed on call %s", call.id)
            return record.refuse(InternalError("The router failed on this request. Its log says why."))

    async def _answer(self, record: CallRecord) -> Answer:
        call = record.call
        providers = Providers(self.router, self.retry, self.health, self.quotas, self.transports, self.hedge)
        if (cache := self.cache) is not None:
            route = self.router.catalogue.candidates(call.model).route
            if (admission := cache.admit(call, route)) is not None:
                return await CachedAnswering(cache, admission, providers, record).answer()
        elif call.preferences.cache.only_if_cached:
            raise NotCached("The cache is off, and 'only-if-cached' forbids to ask a provider.")
        return await Answering(providers, record).answer()

    def refuse(self, call: Call, error: RouterError, *, may_pass: bool = False) -> Answer:
        """The refusal of a call that is not begun, recorded as any other; `may_pass` leaves it to OpenAI."""
        record = CallRecord(call, self.clock, self.router.prices, self.observers)
        record.may_pass = may_pass
        return record.refuse(error)

    def _take_on(self, call: Call) -> Share:
        # What clients send is counted as it comes in; the calls of other surfaces are made of what is kept.
        size = sum(map(call.body.size_of, call.body)) if call.surface else 0
        return self.capacity.begin_call(size)
