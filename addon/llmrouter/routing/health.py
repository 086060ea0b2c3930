"""What is remembered of each target between calls: its breaker, its rests, and how it has done lately."""

import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from llmrouter.errors import Outcome
from llmrouter.routing.breaker import Breaker
from llmrouter.routing.consequences import CONSEQUENCES, Consequence, Rest, Verdict
from llmrouter.routing.hedges import HedgeBook
from llmrouter.routing.under_way import UnderWay
from llmrouter.routing.vitals import UNKNOWN, Answered, Figures, Vitals
from llmrouter.targets import Target

logger = logging.getLogger(__name__)

_NOTHING: frozenset[str] = frozenset()
_FIRST_REST_S = 20.0
_MOCK = "echo"
_LONGEST_REST_S = 600.0
_LONGEST_HEADROOM_REST_S = 60.0
# Models learn new members, and a provider may have erred: what was refused is tried again after a day.
_REFUSAL_LASTS_S = 24 * 3600.0
_TELLS_NOTHING = frozenset({Outcome.CLIENT_GONE, Outcome.HEDGED_OFF, Outcome.NOT_TRANSLATABLE})
_LONGEST_MEMBER, _MOST_MEMBERS = 100, 64


@dataclass(frozen=True, slots=True)
class Resting:
    """Left alone until `until` (monotonic seconds, infinite until the settings change), and why."""

    until: float
    reason: str


@dataclass(slots=True)
class Condition:
    """All that is remembered of one target; `unsupported` are members that it has refused, and until when that holds.

    Only the `HealthBook` changes it.
    """

    breaker: Breaker
    resting: Resting | None = None
    next_limit_rest_s: float = _FIRST_REST_S
    vitals: Vitals = field(default_factory=Vitals)
    unsupported: dict[str, float] = field(default_factory=dict)

    def unsupported_at(self, now: float) -> frozenset[str]:
        """The members that it has refused as unknown to it, in the last day."""
        return frozenset(member for member, until in self.unsupported.items() if until > now)

    @property
    def is_disturbed(self) -> bool:
        """Whether it may be resting, or its breaker not be closed."""
        return self.resting is not None or not self.breaker.is_closed


@dataclass(slots=True)
class HealthBook:
    """The memory of all targets by key, and of providers by name; and which attempts are under way."""

    under_way: UnderWay = field(default_factory=UnderWay)
    hedges: HedgeBook = field(default_factory=HedgeBook)
    _targets: dict[str, Condition] = field(default_factory=dict)
    _providers: dict[str, Resting] = field(default_factory=dict)
    _current: dict[str, Target] = field(default_factory=dict)
    _disabled: set[str] = field(default_factory=set)

    def breaker(self, target: Target) -> Breaker:
        """The target's breaker."""
        return self._memory(target).breaker

    def condition(self, target: Target) -> Condition | None:
        """All that is known of a target by itself, in one look-up; None where it was never tried."""
        return self._targets.get(target.key)

    @property
    def conditions(self) -> Mapping[str, Condition]:
        """What is known of targets by themselves, by their keys; those that were never tried are not there."""
        return self._targets

    def has_resting_providers(self, now: float) -> bool:
        """Whether any provider is resting as a whole."""
        return any(rest.until > now for rest in self._providers.values())

    def figures(self, target: Target, now: float) -> Figures:
        """How it has done lately."""
        memory = self._targets.get(target.key)
        return UNKNOWN if memory is None else memory.vitals.figures(now)

    def unsupported(self, target: Target, now: float) -> frozenset[str]:
        """Members of calls that the target has refused as unknown to it, in the last day."""
        memory = self._targets.get(target.key)
        return _NOTHING if memory is None else memory.unsupported_at(now)

    def learn_unsupported(self, target: Target, member: str, now: float) -> None:
        """Takes note that the target does not take a member of calls."""
        memory = self._memory(target)
        if member not in memory.unsupported:
            # Clients choose the names: more than any model refuses are not remembered.
            if len(member) > _LONGEST_MEMBER or len(memory.unsupported) >= _MOST_MEMBERS:
                return
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
        answered: Answered | None,
        now: float,
        began: float | None = None,
    ) -> None:
        """Takes note of how an attempt ended; `wait_s` is how long the provider asked to be left alone.

        `answered` tells how fast one was that ended well. `began` is when the attempt began; without that the breaker
        takes it for the newest.
        """
        memory, consequence = self._memory(target), CONSEQUENCES[outcome]
        if outcome not in _TELLS_NOTHING:
            memory.vitals.note_tried(now)
        match consequence.verdict:
            case Verdict.SUCCESS:
                memory.breaker.record_success(now, began)
                if answered is None:
                    memory.vitals.note_ended(now, is_failure=False)
                else:
                    memory.vitals.note_answered(answered, now)
                memory.next_limit_rest_s = _FIRST_REST_S
            case Verdict.FAILURE:
                memory.breaker.record_failure(now, began)
                memory.vitals.note_ended(now, is_failure=True)
            case Verdict.NOTHING:
                memory.breaker.release(now, began)
        if outcome is Outcome.RATE_LIMITED:
            memory.vitals.note_limited(now)
        if consequence.rest is not Rest.NONE:
            self._rest(target, outcome, consequence, wait_s, now)

    def let_probe(self, target: Target, now: float) -> None:
        """Something else than a call says that the target can be reached: the next call may try it."""
        memory = self._targets.get(target.key)
        if memory is not None:
            memory.breaker.let_probe(now)

    def reset(self, targets: Iterable[Target]) -> None:
        """Closes the breakers of targets and ends their rests and their providers'; who is disabled stays so."""
        for target in targets:
            if (memory := self._targets.get(target.key)) is not None:
                memory.breaker.reset()
                memory.resting, memory.next_limit_rest_s = None, _FIRST_REST_S
            if target.provider not in self._disabled:
                self._providers.pop(target.provider, None)

    def disable(self, provider: str) -> None:
        """Lets a provider rest until `enable`, also where the settings change."""
        self._disabled.add(provider)
        self._providers[provider] = Resting(math.inf, "disabled by the owner")

    def enable(self, provider: str) -> None:
        """Ends what `disable` began; the provider's other rests end with it."""
        self._disabled.discard(provider)
        self._providers.pop(provider, None)

    def snapshot(self, now: float) -> list[tuple[str, dict[str, Any]]]:
        """What is worth to be known after a restart, by the keys of targets, as plain JSON values; mocks are not.

        Times are in seconds from now. Rests of whole providers are not kept: whoever paid, or has another key, may
        start the router again for it.
        """
        current = self._current
        rows = ((key, _row_of(memory, now)) for key, memory in self._targets.items())
        return [(key, row) for key, row in rows if row and not (key in current and current[key].brand.name == _MOCK)]

    def restore(self, rows: Iterable[tuple[str, float, dict[str, Any]]], targets: Iterable[Target], now: float) -> None:
        """Takes over an earlier run's snapshot: key, age in seconds, and row; what makes no sense is left out."""
        self._current = {target.key: target for target in targets}
        for key, age_s, row in rows:
            if (target := self._current.get(key)) is None:
                continue
            try:
                _restore(self._memory(target), row, age_s, now)
            except (TypeError, ValueError, AttributeError, OverflowError) as error:
                logger.warning("What was known of %s is not used: %s.", key, error)

    def reload(self, targets: Iterable[Target]) -> None:
        """Keeps what is known of targets that stay, under their new settings, and ends the rests for a wrong key."""
        self._current = by_key = {target.key: target for target in targets}
        self._targets = {key: memory for key, memory in self._targets.items() if key in by_key}
        self.hedges.reload(by_key)
        for key, memory in self._targets.items():
            memory.breaker.adopt(by_key[key].breaker)
        names = {target.provider for target in by_key.values()}
        self._disabled &= names
        self._providers = {
            name: rest
            for name, rest in self._providers.items()
            if name in names and (rest.until < math.inf or name in self._disabled)
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
    def _limit_rest_s(memory: Condition, wait_s: float | None, now: float) -> float:
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

    def _memory(self, target: Target) -> Condition:
        memory = self._targets.get(target.key)
        if memory is None:
            memory = self._targets[target.key] = Condition(Breaker(target.breaker))
        return memory


def _row_of(memory: Condition, now: float) -> dict[str, Any]:
    row: dict[str, Any] = {}
    if vitals := memory.vitals.to_row(now):
        row["vitals"] = vitals
    if memory.resting is not None:
        row |= _row_of_rest(memory.resting, now)
    row |= memory.breaker.to_row(now)
    if unsupported := {member: until - now for member, until in memory.unsupported.items() if until > now}:
        row["unsupported"] = unsupported
    return row


def _row_of_rest(rest: Resting, now: float) -> dict[str, Any]:
    return {"rests_s": rest.until - now, "reason": rest.reason} if now < rest.until < math.inf else {}


def _restore(memory: Condition, row: dict[str, Any], age_s: float, now: float) -> None:
    memory.vitals.restore(row.get("vitals", {}), age_s, now)
    memory.resting = _rest_of(row, age_s, now)
    memory.breaker.restore(row, age_s, now)
    left = {str(member): float(seconds) - age_s for member, seconds in row.get("unsupported", {}).items()}
    memory.unsupported = {member: now + seconds for member, seconds in left.items() if seconds > 0}


def _rest_of(row: dict[str, Any], age_s: float, now: float) -> Resting | None:
    seconds = float(row.get("rests_s", 0)) - age_s
    return Resting(now + seconds, str(row["reason"])) if 0 < seconds < math.inf and "reason" in row else None


def _later(known: Resting | None, new: Resting) -> Resting:
    return known if known is not None and known.until > new.until else new
