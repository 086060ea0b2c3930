"""What is remembered of each target between calls: its breaker, its rests, and how fast it begins to answer."""

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from llmrouter.errors import Outcome
from llmrouter.routing.breaker import Breaker
from llmrouter.routing.consequences import CONSEQUENCES, Consequence, Rest, Verdict
from llmrouter.targets import Target

logger = logging.getLogger(__name__)

_NOTHING: frozenset[str] = frozenset()
_FIRST_REST_S = 20.0
_LONGEST_REST_S = 600.0
_LONGEST_HEADROOM_REST_S = 60.0
# A new latency moves the average by a fifth: about the last ten replies count.
_LATENCY_WEIGHT = 0.2
# Models learn new members, and a provider may have erred: what was refused is tried again after a day.
_REFUSAL_LASTS_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Resting:
    """Left alone until `until` (monotonic seconds, infinite until the settings change), and why."""

    until: float
    reason: str


@dataclass(slots=True)
class _Memory:
    breaker: Breaker
    resting: Resting | None = None
    next_limit_rest_s: float = _FIRST_REST_S
    first_content_s: float | None = None
    unsupported: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class HealthBook:
    """The memory of all targets by key, and of providers by name."""

    _targets: dict[str, _Memory] = field(default_factory=dict)
    _providers: dict[str, Resting] = field(default_factory=dict)
    _current: dict[str, Target] = field(default_factory=dict)

    def breaker(self, target: Target) -> Breaker:
        """The target's breaker."""
        return self._memory(target).breaker

    def first_content_s(self, target: Target) -> float | None:
        """The average time to the first content; None where nothing is known."""
        memory = self._targets.get(target.key)
        return None if memory is None else memory.first_content_s

    def unsupported(self, target: Target, now: float) -> frozenset[str]:
        """Members of calls that the target has refused as unknown to it, in the last day."""
        memory = self._targets.get(target.key)
        if memory is None or not memory.unsupported:
            return _NOTHING
        return frozenset(member for member, until in memory.unsupported.items() if until > now)

    def learn_unsupported(self, target: Target, member: str, now: float) -> None:
        """Takes note that the target does not take a member of calls."""
        memory = self._memory(target)
        if member not in memory.unsupported:
            logger.info("%s does not take '%s', and is not asked so again for a day.", target.key, member)
        memory.unsupported[member] = now + _REFUSAL_LASTS_S

    def note_headroom(self, target: Target, returns_in_s: float | None, now: float) -> None:
        """Lets a target rest whose own headers say that nothing is left of a limit until then (seconds from now).

        At most a minute: many name the time at which the whole limit is back, and give a part of it before.
        """
        if returns_in_s is not None:
            memory, seconds = self._memory(target), min(returns_in_s, _LONGEST_HEADROOM_REST_S)
            memory.resting = _later(memory.resting, Resting(now + seconds, "limit used up"))

    def resting(self, target: Target, now: float) -> Resting | None:
        """The longest rest that the target or its provider is in."""
        memory, shared = self._targets.get(target.key), self._providers.get(target.provider)
        own = None if memory is None else memory.resting
        rest = own if shared is None else _later(own, shared)
        return rest if rest is not None and rest.until > now else None

    def available_at(self, target: Target, now: float) -> float:
        """When the target may be asked again: `now` where it may be asked at once."""
        rest = self.resting(target, now)
        return max(rest.until if rest else now, now + self.breaker(target).opens_again_in(now))

    def record(
        self,
        target: Target,
        outcome: Outcome,
        wait_s: float | None,
        first_content_s: float | None,
        now: float,
        began: float | None = None,
    ) -> None:
        """Takes note of how an attempt ended; `wait_s` is how long the provider asked to be left alone.

        `began` is when the attempt began; without it the breaker takes it for the newest.
        """
        memory, consequence = self._memory(target), CONSEQUENCES[outcome]
        match consequence.verdict:
            case Verdict.SUCCESS:
                memory.breaker.record_success(now, began)
                memory.next_limit_rest_s = _FIRST_REST_S
            case Verdict.FAILURE:
                memory.breaker.record_failure(now, began)
            case Verdict.NOTHING:
                memory.breaker.release(now, began)
        if first_content_s is not None:
            known = memory.first_content_s
            memory.first_content_s = first_content_s if known is None else _average(known, first_content_s)
        if consequence.rest is not Rest.NONE:
            self._rest(target, outcome, consequence, wait_s, now)

    def reload(self, targets: Iterable[Target]) -> None:
        """Keeps what is known of targets that stay, under their new settings, and ends the rests for a wrong key."""
        self._current = by_key = {target.key: target for target in targets}
        self._targets = {key: memory for key, memory in self._targets.items() if key in by_key}
        for key, memory in self._targets.items():
            memory.breaker.adopt(by_key[key].breaker)
        names = {target.provider for target in by_key.values()}
        self._providers = {
            name: rest for name, rest in self._providers.items() if name in names and rest.until < math.inf
        }

    def _rest(
        self, target: Target, outcome: Outcome, consequence: Consequence, wait_s: float | None, now: float
    ) -> None:
        memory = self._memory(target)
        seconds = consequence.rest_s if consequence.rest_s is not None else self._limit_rest_s(memory, wait_s, now)
        rest = Resting(now + seconds, outcome.replace("_", " "))
        if consequence.rest is Rest.TARGET:
            memory.resting = _later(memory.resting, rest)
        elif self._speaks_for_provider(target):
            self._providers[target.provider] = _later(self._providers.get(target.provider), rest)
        else:
            return
        if consequence.loud:
            until = "until its settings change" if seconds == math.inf else f"for {seconds / 60:.0f} minutes"
            logger.warning("Provider %s is %s and rests %s.", target.provider, rest.reason, until)

    def _speaks_for_provider(self, target: Target) -> bool:
        """Whether its key is the one that the next call will use: not a caller's own, nor one of earlier settings."""
        is_retired = bool(self._current) and self._current.get(target.key) is not target
        return not target.uses_caller_key and not is_retired

    @staticmethod
    def _limit_rest_s(memory: _Memory, wait_s: float | None, now: float) -> float:
        """How long a limited target rests: as long as it asks, else twice as long as the last time, up to ten minutes.

        A wait of zero says nothing. What was under way when the target began to rest belongs to the same limit.
        """
        if wait_s:
            return wait_s
        if memory.resting is not None and memory.resting.until > now:
            return 0.0
        seconds = memory.next_limit_rest_s
        memory.next_limit_rest_s = min(seconds * 2, _LONGEST_REST_S)
        return seconds

    def _memory(self, target: Target) -> _Memory:
        memory = self._targets.get(target.key)
        if memory is None:
            memory = self._targets[target.key] = _Memory(Breaker(target.breaker))
        return memory


def _later(known: Resting | None, new: Resting) -> Resting:
    return known if known is not None and known.until > new.until else new


def _average(known: float, new: float) -> float:
    return known + _LATENCY_WEIGHT * (new - known)
