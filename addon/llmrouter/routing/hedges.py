"""When a second target is asked beside the first: what is late for each target, and how often that may be."""

from collections import deque
from collections.abc import Collection

_KEPT = 200
# A 95th percentile of fewer says nothing.
_LEAST = 20
# After so many calls what was before counts half: the share holds over the last ones, and for ever.
_CALLS = 1000


class HedgeBook:
    """How soon each target begins, streams and whole answers apart; and how many calls were hedged."""

    def __init__(self) -> None:
        self._times: dict[tuple[str, bool], deque[float]] = {}
        self._calls = 0.0
        self._hedged = 0.0

    def reload(self, keys: Collection[str]) -> None:
        """Forgets targets that are gone."""
        self._times = {(key, is_stream): times for (key, is_stream), times in self._times.items() if key in keys}

    def note_call(self) -> None:
        """A call that might be hedged begins."""
        self._calls += 1
        if self._calls > _CALLS:
            self._calls, self._hedged = self._calls / 2, self._hedged / 2

    def note_content(self, key: str, seconds: float, *, is_stream: bool) -> None:
        """A target's answer has begun, so long after it was asked."""
        self._times.setdefault((key, is_stream), deque(maxlen=_KEPT)).append(seconds)

    def late_after_s(self, key: str, share: float, *, is_stream: bool) -> float | None:
        """The time that this share of a target's answers did not exceed; None where it is not known yet."""
        times = self._times.get((key, is_stream))
        if times is None or len(times) < _LEAST:
            return None
        return sorted(times)[int(share * (len(times) - 1))]

    def has_room(self, most_share: float) -> bool:
        """Whether one more call may be hedged."""
        return self._hedged + 1 <= most_share * self._calls

    def note_hedged(self) -> None:
        """A call is hedged."""
        self._hedged += 1
