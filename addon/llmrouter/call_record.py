"""One call's decision, from its beginning until it is published, and what the reply's headers tell of it."""

import logging
import math
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from llmrouter.calls import Call
from llmrouter.capacity import Share
from llmrouter.clock import Clock
from llmrouter.endpoints import chat
from llmrouter.errors import ROUTERS_OWN, Outcome, RouterError
from llmrouter.providers.wire import UpstreamRequest
from llmrouter.replies import Chunk, Reply, Usage
from llmrouter.routing.price_book import PriceBook
from llmrouter.targets import Target
from llmrouter.telemetry.decisions import PASSED_THROUGH, CacheUse, Decision, Observer

logger = logging.getLogger(__name__)

_STOPPED = "The router was stopped."
# An answer that is shared costs nothing, as one from the cache; the record tells them apart.
_CACHE_HEADER = {use: "hit" if use is CacheUse.SHARED else use.value for use in CacheUse}


@dataclass(slots=True)
class Answer:
    """What a call came to, not yet in its client's words: a whole `reply`, the `chunks` of a stream, or an `error`.

    The first chunks hold content. They end after a real end, and raise `StreamBroken` where the answer broke off.
    `request` is what was sent to the provider that answers, None for an error or a mock. `is_passed_through` tells that
    OpenAI is to be asked in spite of the error. `ends_by` is when the provider's stream has to be read, in monotonic
    seconds.
    """

    status: int
    headers: dict[str, str]
    decision: Decision
    reply: Reply | None = None
    chunks: AsyncGenerator[list[Chunk]] | None = None
    error: RouterError | None = None
    target: Target | None = None
    request: UpstreamRequest | None = None
    is_passed_through: bool = False
    ends_by: float = math.inf


class CallRecord:
    """The record of one call; `started` is monotonic seconds, `prices` are those in force when it came.

    `is_abandoned` is set where the client left, but the call goes on for others; `share` is what it takes of the
    router's capacity until it ends. `may_pass` allows to ask OpenAI where the router itself cannot answer.
    """

    def __init__(self, call: Call, clock: Clock, prices: PriceBook, observers: Sequence[Observer]) -> None:
        self.call = call
        self.now = clock.monotonic
        self.started = clock.monotonic()
        self.decision = Decision(call.id, clock.wall(), call.surface or call.endpoint, call.model, call.stream)
        self.decision.trace = call.caller.trace
        self.prices = prices
        self.policy: str | None = None
        self.is_abandoned = False
        self.share: Share | None = None
        self.may_pass = False
        self._observers = observers
        self._ended = False

    def ends_by(self, deadline_s: float) -> float:
        """When the call has to end: so long after the client's request, of which it may not be the first call."""
        return (self.started if self.call.began is None else self.call.began) + deadline_s

    def account(self, target_key: str, usage: Usage | None) -> None:
        """Who answered, what that used, what all attempts cost by now, and what was saved."""
        decision = self.decision
        decision.answered_by, decision.usage = target_key, usage
        self._add_up()
        if usage is not None and decision.cost_usd is not None:
            baseline = self.prices.baseline(self.call.model)
            if baseline is not None:
                decision.saved_usd = baseline.cost_usd(usage, decision.at) - decision.cost_usd

    def _add_up(self) -> None:
        """What all attempts cost; of a call that nobody answered that is not known where none of them says."""
        decision, attempts = self.decision, self.decision.attempts
        if decision.answered_by is None and not any(one.cost_usd is not None or one.is_unpriced for one in attempts):
            return
        decision.known_cost_usd = sum(attempt.cost_usd or 0.0 for attempt in attempts)
        decision.cost_usd = None if any(one.is_unpriced for one in attempts) else decision.known_cost_usd

    def answer(self, target: Target, request: UpstreamRequest | None = None) -> Answer:
        """The beginning of an answer, with the headers that are known by now."""
        headers = self._headers() | dict(chat.headers_for(self.call.stream))
        headers["x-llmrouter-provider"] = target.provider
        headers["x-llmrouter-model"] = target.model
        return Answer(200, headers, self.decision, target=target, request=request)

    def refuse(self, error: RouterError) -> Answer:
        """The error as an answer."""
        headers = self._headers() | dict(chat.headers_for(stream=False)) | error.retry_headers()
        self.decision.error_kind = error.metric
        self._add_up()
        self.add_money(headers)
        is_passed = self.may_pass and isinstance(error, ROUTERS_OWN) and not self.decision.attempts
        self.end(PASSED_THROUGH if is_passed else "failed", None if is_passed else error.status, error.message)
        return Answer(error.status, headers, self.decision, error=error, is_passed_through=is_passed)

    def end(self, result: str, status: int | None = None, error: str | None = None) -> None:
        """Publishes the decision, once."""
        if self._ended:
            return
        self._ended = True
        decision = self.decision
        result = "client_gone" if self.is_abandoned else result
        if (share := self.share) is not None:
            share.give_back()
            if result == "client_gone" and share.is_withdrawn:
                result, error = "failed" if status is None else "broken", _STOPPED
                decision.error_kind = "stopped"
        decision.result = result
        decision.status, decision.error = status, error
        if decision.answered_by is None:
            self._add_up()
        decision.seconds = self.now() - self.started
        decision.call = self.call
        for observer in self._observers:
            try:
                observer(decision)
            except Exception:
                logger.exception("an observer of decisions failed")
        decision.call = None

    def sent(self) -> int:
        """How many attempts went to a provider, those that have ended."""
        return sum(attempt.outcome != Outcome.NOT_TRANSLATABLE for attempt in self.decision.attempts)

    def add_money(self, headers: dict[str, str]) -> None:
        """What the call cost and saved, once that is known."""
        if self.decision.cost_usd is not None:
            headers["x-llmrouter-cost-usd"] = _dollars(self.decision.cost_usd)
        if self.decision.saved_usd is not None:
            headers["x-llmrouter-saved-usd"] = _dollars(self.decision.saved_usd)

    def _headers(self) -> dict[str, str]:
        headers = {
            "x-request-id": self.call.id,
            "x-llmrouter-request-id": self.call.id,
            "x-llmrouter-attempts": str(self.sent()),
            "x-llmrouter-cache": _CACHE_HEADER[self.decision.cache],
        }
        if self.policy is not None:
            headers["x-llmrouter-policy"] = self.policy
        return headers


def _dollars(amount: float) -> str:
    return f"{amount:.10f}".rstrip("0").rstrip(".") or "0"
