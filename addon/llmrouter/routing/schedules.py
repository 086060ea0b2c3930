"""The policy `schedule`: other targets and another policy at some hours of the week."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from llmrouter.routing.policies import CallFacts, Candidate, Policy
from llmrouter.routing.price_sheets import Hours


@dataclass(frozen=True, slots=True)
class Window:
    """Hours of local time, the keys of the targets that are preferred then, and the policy that orders them."""

    hours: Hours
    preferred: frozenset[str]
    policy: Policy


@dataclass(frozen=True, slots=True)
class Schedule:
    """The first window that is open orders: those that it prefers, then the others; outside all `otherwise` does.

    The clock on the wall of `zone` is what counts: over a change to or from summer time hours are skipped or repeated
    as they are there.
    """

    zone: tzinfo
    windows: Sequence[Window]
    otherwise: Policy

    def order(self, candidates: Sequence[Candidate], facts: CallFacts) -> Sequence[Candidate]:
        """Asks the policy of the hour."""
        window = self._open_at(facts.wall)
        if window is None:
            return self.otherwise.order(candidates, facts)
        first = [candidate for candidate in candidates if candidate.target.key in window.preferred]
        others = [candidate for candidate in candidates if candidate.target.key not in window.preferred]
        return [*window.policy.order(first, facts), *window.policy.order(others, facts)]

    def _open_at(self, wall: float) -> Window | None:
        offset = datetime.fromtimestamp(wall, self.zone).utcoffset()
        local = wall if offset is None else wall + offset.total_seconds()
        return next((window for window in self.windows if window.hours.hold(local)), None)
