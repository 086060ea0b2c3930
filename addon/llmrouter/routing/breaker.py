"""The circuit breaker of one target: leaves it alone while it keeps failing, and probes with one request at a time."""

import math
from collections import deque
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from llmrouter.settings.model import BreakerSettings

_BUCKETS = 10
_MAX_GROWTH = 16
_FORGOTTEN_S = 3600.0
# A probe whose end was never told must not shut the target out for good; no attempt lasts longer than this by default.
_PROBE_LEASE_S = 600.0
# A probe's verdict may come at any moment, so whoever waits for it looks again soon.
_LOOK_AGAIN_S = 1.0


class BreakerState(StrEnum):
    """Closed lets all through, open none, half-open one probe at a time."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Event(StrEnum):
    """What moves a breaker."""

    TRIPPED = "tripped"
    RECOVERY_ELAPSED = "recovery elapsed"
    PROBE_SUCCEEDED = "probe succeeded"
    PROBE_FAILED = "probe failed"


_TRANSITIONS = {
    (BreakerState.CLOSED, Event.TRIPPED): BreakerState.OPEN,
    (BreakerState.OPEN, Event.RECOVERY_ELAPSED): BreakerState.HALF_OPEN,
    (BreakerState.HALF_OPEN, Event.PROBE_SUCCEEDED): BreakerState.CLOSED,
    (BreakerState.HALF_OPEN, Event.PROBE_FAILED): BreakerState.OPEN,
}


def transition(state: BreakerState, event: Event) -> BreakerState:
    """The state after an event; raises `ValueError` for one that cannot happen there."""
    try:
        return _TRANSITIONS[state, event]
    except KeyError:
        raise ValueError(f"a breaker that is {state} cannot take '{event}'") from None


class _Window:
    """Successes and failures of the last `seconds`, in a fixed number of buckets."""

    def __init__(self, seconds: float) -> None:
        self._bucket_s = seconds / _BUCKETS
        self._buckets: deque[list[int]] = deque(maxlen=_BUCKETS + 1)

    def add(self, now: float, *, failed: bool) -> None:
        number = math.floor(now / self._bucket_s)
        if not self._buckets or self._buckets[-1][0] != number:
            self._buckets.append([number, 0, 0])
        self._buckets[-1][1] += 1
        self._buckets[-1][2] += failed

    def totals(self, now: float) -> tuple[int, int]:
        """Requests and failures within the window."""
        oldest = math.floor(now / self._bucket_s) - _BUCKETS
        kept = [bucket for bucket in self._buckets if bucket[0] > oldest]
        return sum(bucket[1] for bucket in kept), sum(bucket[2] for bucket in kept)


class Breaker:
    """Opens after `failure_threshold` failures in a row, or when the failure rate of the window is reached.

    Each probe that fails doubles the recovery time, up to sixteen times `recovery_seconds`. `began` is when the request
    that ended was let through: one from before the last probe is older news than the probe, and changes nothing.
    """

    def __init__(self, settings: BreakerSettings) -> None:
        self._settings = settings
        self.reset()

    def reset(self) -> None:
        """Closes the breaker and forgets what happened."""
        self._state = BreakerState.CLOSED
        self._failures_in_a_row = 0
        self._window = _Window(self._settings.window_seconds)
        self._recovery_s = self._settings.recovery_seconds
        self._opened_at = 0.0
        self._probe_until: float | None = None
        self._probe_began = -math.inf

    def adopt(self, settings: BreakerSettings) -> None:
        """Goes on under other settings; what happened so far still counts, unless the window itself changed."""
        if settings.window_seconds != self._settings.window_seconds:
            self._window = _Window(settings.window_seconds)
        if settings.recovery_seconds != self._settings.recovery_seconds:
            self._recovery_s = settings.recovery_seconds
        self._settings = settings

    def to_row(self, now: float) -> dict[str, float]:
        """What a restart must not forget, as plain JSON values: empty while it is closed.

        A half-open one opens in no time at all: a probe under way ends with the process, and the next request is one.
        """
        if self.is_closed:
            return {}
        opens_in_s = 0.0 if self.is_half_open else self._opened_at + self._recovery_s - now
        return {"opens_again_in_s": opens_in_s, "recovery_s": self._recovery_s}

    def restore(self, row: Mapping[str, Any], age_s: float, now: float) -> None:
        """Goes on as `to_row` told `age_s` seconds ago, half-open where its time is over; for an hour after that.

        Raises `ValueError` and `TypeError` where the row makes no sense.
        """
        if "opens_again_in_s" not in row:
            return
        usual_s = self._settings.recovery_seconds
        opens_in_s, recovery_s = float(row["opens_again_in_s"]) - age_s, float(row.get("recovery_s", usual_s))
        if not (math.isfinite(opens_in_s) and math.isfinite(recovery_s)):
            raise ValueError("no breaker opens so")
        if opens_in_s > -_FORGOTTEN_S:
            self._state = BreakerState.OPEN
            self._recovery_s = min(max(recovery_s, usual_s), usual_s * _MAX_GROWTH)
            self._opened_at = now + opens_in_s - self._recovery_s

    def let_probe(self, now: float) -> None:
        """Lets the next request through as a probe: there is reason to believe that it would succeed.

        Only where none has failed since it opened: a good sign that means nothing would cost request after request.
        """
        if self._state is BreakerState.OPEN and self._recovery_s <= self._settings.recovery_seconds:
            self._opened_at = now - self._recovery_s

    @property
    def is_closed(self) -> bool:
        """Whether it lets all through, whatever the time."""
        return self._state is BreakerState.CLOSED

    @property
    def is_half_open(self) -> bool:
        """Whether it lets probes through, whatever the time."""
        return self._state is BreakerState.HALF_OPEN

    def state(self, now: float) -> BreakerState:
        """Its state at this moment."""
        if self._state is BreakerState.OPEN and now >= self._opened_at + self._recovery_s:
            return BreakerState.HALF_OPEN
        return self._state

    def opens_again_in(self, now: float) -> float:
        """Seconds until a request is let through; 0 where one is now, at most a second while a probe is under way."""
        match self.state(now):
            case BreakerState.CLOSED:
                return 0.0
            case BreakerState.OPEN:
                return self._opened_at + self._recovery_s - now
            case BreakerState.HALF_OPEN:
                lease_s = 0.0 if self._probe_until is None else max(self._probe_until - now, 0.0)
                return min(lease_s, _LOOK_AGAIN_S)

    def try_acquire(self, now: float) -> bool:
        """Whether a request may go; in half-open this takes the one place of the probe, for ten minutes at most."""
        if self.state(now) is BreakerState.CLOSED:
            return True
        if self.opens_again_in(now) > 0:
            return False
        if self._state is BreakerState.OPEN:
            self._state = transition(self._state, Event.RECOVERY_ELAPSED)
        self._probe_began, self._probe_until = now, now + _PROBE_LEASE_S
        return True

    def release(self, now: float, began: float | None = None) -> None:
        """A request ended without saying anything about the target's health: a probe gives its place back."""
        if not self._is_old_news(began):
            self._probe_until = None

    def record_success(self, now: float, began: float | None = None) -> None:
        """A reply ended well; it can still be the one that completes a window with too many failures."""
        if self._is_old_news(began):
            return
        self._failures_in_a_row = 0
        self._window.add(now, failed=False)
        if self._state is BreakerState.HALF_OPEN:
            self._state = transition(self._state, Event.PROBE_SUCCEEDED)
            self._recovery_s = self._settings.recovery_seconds
            self._window = _Window(self._settings.window_seconds)
        elif self._state is BreakerState.CLOSED and self._is_too_much(now):
            self._open(now, Event.TRIPPED)
        self._probe_until = None

    def record_failure(self, now: float, began: float | None = None) -> None:
        """An attempt failed."""
        if self._is_old_news(began):
            return
        self._failures_in_a_row += 1
        self._window.add(now, failed=True)
        was_probe, self._probe_until = self._probe_until is not None, None
        if self._state is BreakerState.HALF_OPEN and was_probe:
            self._recovery_s = min(self._recovery_s * 2, self._settings.recovery_seconds * _MAX_GROWTH)
            self._open(now, Event.PROBE_FAILED)
        elif self._state is BreakerState.CLOSED and self._is_too_much(now):
            self._open(now, Event.TRIPPED)

    def _is_old_news(self, began: float | None) -> bool:
        return began is not None and began < self._probe_began

    def _open(self, now: float, event: Event) -> None:
        self._state = transition(self._state, event)
        self._opened_at = now

    def _is_too_much(self, now: float) -> bool:
        settings = self._settings
        if self._failures_in_a_row >= settings.failure_threshold:
            return True
        requests, failures = self._window.totals(now)
        return requests >= settings.min_requests and failures / requests >= settings.failure_rate
