"""What recorded calls cost at OpenAI, and what they would have cost through the router, by its own plans.

Each call is planned as if it came at the time at which it was recorded, and goes to the first target that its plan
gives: all of them are taken for healthy, and as fast as nobody knows. Limits of requests, tokens and money are counted
as the calls go by, those of concurrency are not. The tokens are those that OpenAI counted, or were estimated; other
models may count others. What OpenAI had cached is taken for cached only where OpenAI answers.
"""

from collections import Counter
from dataclasses import dataclass, field, replace

from llmrouter.caching.admission import Admission, admit, why_not_kept
from llmrouter.caching.keys import SECRET_BYTES, group_of
from llmrouter.calls import Call, Endpoint, JsonObject
from llmrouter.errors import InvalidRequest, Outcome
from llmrouter.hindsight.exchanges import RecordedExchange
from llmrouter.hindsight.recorded_answers import RecordedAnswer, answer_of
from llmrouter.hindsight.recorded_calls import OnlyOpenAI, RecordedCall, call_of
from llmrouter.replies import Usage
from llmrouter.routing.claims import Claim
from llmrouter.routing.course import Course
from llmrouter.routing.estimates import FIRST_CHARACTERS_PER_TOKEN
from llmrouter.routing.health import HealthBook
from llmrouter.routing.plan import Plan, Router
from llmrouter.routing.quotas import QuotaBook
from llmrouter.settings.model import Settings
from llmrouter.targets import Target

_OPENAI = "openai"
_FAILED_IN_PASSING = frozenset({408, 429})
# Who asked is told apart within one run alone.
_SECRET = bytes(SECRET_BYTES)


@dataclass(slots=True)
class Money:
    """A sum of US dollars, and for how many calls something is missing in it."""

    usd: float = 0.0
    unknown: int = 0

    def add(self, usd: float | None) -> None:
        """Adds what a call cost, None where that is not known."""
        if usd is None:
            self.unknown += 1
        else:
            self.usd += usd


@dataclass(slots=True)
class ModelReckoning:
    """What calls for one model came to.

    `calls` were answered by OpenAI; `failed` were not, and cost nothing there. Of the calls, `cached` would have been
    answered by the cache, `served` by `targets`, and `not_served` by none of them, with the `reasons`; `passed_on` are
    those of them that would have gone to OpenAI all the same. `saved` adds up the calls whose cost is known for both.
    """

    model: str
    calls: int = 0
    failed: int = 0
    rescued: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    estimated: int = 0
    unknown_usage: int = 0
    other_tier: int = 0
    cached: int = 0
    served: int = 0
    not_served: int = 0
    passed_on: int = 0
    openai: Money = field(default_factory=Money)
    router: Money = field(default_factory=Money)
    saved: Money = field(default_factory=Money)
    targets: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Course:
    """Where a call would have gone: a target, or why nowhere; and how it asks the quotas."""

    target: Target | None
    claim: Claim
    why_not: str = ""


class Reckoning:
    """Takes recorded exchanges one after another; `models` are what they came to, by the requested model."""

    def __init__(self, router: Router, settings: Settings, quotas: QuotaBook, default_model: str) -> None:
        self.models: dict[str, ModelReckoning] = {}
        self._router = router
        self._settings = settings
        self._quotas = quotas
        self._default_model = default_model
        self._health = HealthBook()
        self._kept: dict[bytes, tuple[float, str]] = {}
        self._now = 0.0

    def add(self, exchange: RecordedExchange) -> None:
        """Takes a request to one of `recorded_calls.PATHS`."""
        # Recordings are in the order in which calls ended.
        self._now = max(self._now, exchange.at)
        try:
            recorded = call_of(exchange, self._default_model)
        except InvalidRequest as error:
            self._add_without_plan(exchange, error.message, is_passed=False)
            return
        except OnlyOpenAI as error:
            self._add_without_plan(exchange, str(error), is_passed=self._settings.unmatched == "passthrough")
            return
        line = self._line(recorded.call.model)
        if not exchange.is_answered:
            self._add_failed(line, recorded.call, exchange.status)
        else:
            self._add_answered(line, recorded, answer_of(exchange, recorded.call))

    def _line(self, model: str) -> ModelReckoning:
        return self.models.setdefault(model, ModelReckoning(model))

    def _add_without_plan(self, exchange: RecordedExchange, why: str, *, is_passed: bool) -> None:
        """A request that the router refuses, or cannot answer whoever is asked."""
        model = _model_in(exchange) or "(not told)"
        line = self._line(model)
        if not exchange.is_answered:
            line.failed += 1
            return
        answer = answer_of(exchange, None)
        charged = self._charged_usd(model, answer)
        _count(line, answer)
        line.openai.add(charged)
        self._add_not_served(line, charged, why, is_passed=is_passed)

    def _add_failed(self, line: ModelReckoning, call: Call, status: int | None) -> None:
        line.failed += 1
        is_passing = status is None or status in _FAILED_IN_PASSING or status >= 500
        if is_passing and self._course(call).target is not None:
            line.rescued += 1

    def _add_answered(self, line: ModelReckoning, recorded: RecordedCall, answer: RecordedAnswer) -> None:
        call, usage = recorded.call, answer.usage
        if recorded.goes_on and usage is not None:
            # What came before is in no request, and yet in the prompt.
            characters = round(usage.input_tokens * FIRST_CHARACTERS_PER_TOKEN)
            call = replace(call, input_characters=max(call.input_characters, characters))
        _count(line, answer)
        charged = self._charged_usd(call.model, answer)
        line.openai.add(charged)
        admission = self._admission(call)
        if admission is not None and self._is_kept(call, admission):
            line.cached += 1
            line.router.add(0.0)
            line.saved.add(charged)
            return
        course = self._course(call)
        if course.target is None:
            self._add_not_served(line, charged, course.why_not, is_passed=self._passes(call))
            return
        self._add_served(line, call, usage, charged, course)
        if admission is not None and admission.store and _is_good(answer, call):
            self._keep(call, course.target)

    def _add_served(
        self, line: ModelReckoning, call: Call, usage: Usage | None, charged: float | None, course: _Course
    ) -> None:
        target = course.target
        assert target is not None
        cost = self._cost_usd(target, usage)
        course.claim.take(target, self._now)
        course.claim.end(Outcome.SUCCESS, usage, cost, self._now)
        if usage is not None:
            self._router.estimates.learn(target, call, usage, self._now)
        line.served += 1
        line.targets[target.key] += 1
        line.router.add(cost)
        line.saved.add(None if cost is None or charged is None else charged - cost)

    @staticmethod
    def _add_not_served(line: ModelReckoning, charged: float | None, why: str, *, is_passed: bool) -> None:
        line.not_served += 1
        line.reasons[why] += 1
        if is_passed:
            line.passed_on += 1
            line.router.add(charged)

    def _course(self, call: Call) -> _Course:
        """Where a call would go now; whoever takes the target tells the claim."""
        now, router = self._now, self._router
        expectation = router.estimates.expect(call, now)
        claim = Claim(self._quotas, lambda target: router.ask(expectation, target, now), 0.0)
        plan = router.plan(call, now, now, claim, expectation)
        retry = self._settings.retry
        step = Course(call, plan, self._health, retry, now + retry.deadline_seconds, claim).next(now)
        claim.leave_line()
        if step is None or step.is_last_resort:
            return _Course(None, claim, self._why_not(call, plan))
        return _Course(step.target, claim)

    def _why_not(self, call: Call, plan: Plan) -> str:
        if not plan.left_out:
            return "no target serves this model" if not plan.candidates else "its limits are used up"
        reasons = Counter(left.reason for left in plan.left_out)
        return "; ".join(f"{reason} ({count} targets)" for reason, count in reasons.most_common(3))

    def _passes(self, call: Call) -> bool:
        """Whether the call would go to OpenAI with the app's own key."""
        if self._settings.unmatched != "passthrough":
            return False
        if call.endpoint is Endpoint.EMBEDDINGS:
            return not self._router.acceptable(call)[0]
        candidates = self._router.catalogue.candidates(call.model)
        return not candidates.targets and candidates.route is None

    def _charged_usd(self, model: str, answer: RecordedAnswer) -> float | None:
        prices = self._router.prices
        sheet = prices.baseline(model) or (None if answer.model is None else prices.baseline(answer.model))
        return None if sheet is None or answer.usage is None else sheet.cost_usd(answer.usage, self._now)

    def _cost_usd(self, target: Target, usage: Usage | None) -> float | None:
        sheet = self._router.prices.sheet(target)
        if sheet is not None and sheet.is_free:
            return 0.0
        if sheet is None or usage is None:
            return None
        at_target = usage if target.brand.name == _OPENAI else replace(usage, cached_tokens=0, cache_write_tokens=0)
        return sheet.cost_usd(at_target, self._now)

    def _admission(self, call: Call) -> Admission | None:
        cache = self._settings.cache
        if cache.backend == "off":
            return None
        route = self._router.catalogue.candidates(call.model).route
        return admit(call, cache.when if route is None or route.cache is None else route.cache)

    def _is_kept(self, call: Call, admission: Admission) -> bool:
        expires, key = self._kept.get(self._group(call), (0.0, "")) if admission.look_up else (0.0, "")
        return self._now < expires and key in self._router.acceptable(call)[0]

    def _keep(self, call: Call, target: Target) -> None:
        self._kept[self._group(call)] = self._now + self._settings.cache.ttl_seconds, target.key

    def _group(self, call: Call) -> bytes:
        return group_of(call, _SECRET if self._settings.cache.scope == "caller" else None)


def _count(line: ModelReckoning, answer: RecordedAnswer) -> None:
    line.calls += 1
    line.estimated += answer.is_estimate
    line.other_tier += not answer.is_standard
    if answer.usage is None:
        line.unknown_usage += 1
    else:
        line.input_tokens += answer.usage.input_tokens
        line.cached_tokens += answer.usage.cached_tokens
        line.output_tokens += answer.usage.output_tokens


def _is_good(answer: RecordedAnswer, call: Call) -> bool:
    """Whether the cache would keep an answer like it; of a stream only its end is looked at."""
    if call.endpoint is not Endpoint.CHAT_COMPLETIONS or answer.completion is None:
        return answer.usage is not None
    return why_not_kept(answer.completion, answer.usage, call) is None


def _model_in(exchange: RecordedExchange) -> str | None:
    """The model that a request names, where that much of it can be read."""
    try:
        model = JsonObject(exchange.body).get("model")
    except ValueError:
        return None
    return model if isinstance(model, str) else None
