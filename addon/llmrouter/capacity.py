"""How much the router takes on at the same time: calls under way, and the bytes of their requests."""

from llmrouter.errors import Overloaded
from llmrouter.settings.operating import OverloadSettings

_MEBIBYTE = 1024 * 1024
# SDKs wait just as long as they are told: those that are refused together are not to come back together.
_RETRY_AFTER_S = (1.0, 2.0, 3.0, 4.0, 5.0)


class Capacity:
    """Gives shares of what the router can take on; `limits` are exchanged when the settings change.

    `is_closed` is set when the router itself ends what is under way still.
    """

    def __init__(self, limits: OverloadSettings) -> None:
        self.limits = limits
        self.is_closed = False
        self.calls = 0
        self.held_bytes = 0
        self._refused_calls = 0
        self._refused_bodies = 0

    def begin_call(self, size: int = 0) -> "Share":
        """The share of one call that holds `size` bytes which nobody else has counted; raises `Overloaded`."""
        self.check_calls()
        share = Share(self, 1)
        self.calls += 1
        try:
            share.grow(size)
        except Overloaded:
            share.give_back()
            raise
        return share

    def check_calls(self) -> None:
        """Raises `Overloaded` where no further call is taken on now."""
        most = self.limits.max_calls
        if self.calls >= most:
            self._refused_calls += 1
            raise self._refusal(f"{most} calls are under way, as many as it takes (overload.max_calls)")

    def begin_body(self) -> "Share":
        """The share of a request's body, which grows as it comes in."""
        return Share(self, 0)

    def check_bytes(self, more: int) -> None:
        """Raises `Overloaded` where so many bytes more are too much; what comes alone is never too much."""
        most = self.limits.max_held_mebibytes
        if more and self.held_bytes and self.held_bytes + more > most * _MEBIBYTE:
            self._refused_bodies += 1
            text = f"the requests under way take all of the {most} MiB that they may (overload.max_held_mebibytes)"
            raise self._refusal(text)

    def figures(self) -> dict[str, float]:
        """Both bounds, what is used of them, and how often they refused since the start."""
        return {
            "calls": self.calls,
            "max_calls": self.limits.max_calls,
            "held_bytes": self.held_bytes,
            "max_held_bytes": self.limits.max_held_mebibytes * _MEBIBYTE,
            "refused_calls": self._refused_calls,
            "refused_bodies": self._refused_bodies,
        }

    def _refusal(self, why: str) -> Overloaded:
        refused = self._refused_calls + self._refused_bodies
        text = f"The router has too much to do: {why}. Try again later."
        return Overloaded(text, retry_after_s=_RETRY_AFTER_S[refused % len(_RETRY_AFTER_S)])


class Share:
    """What one call, or one body, takes of the capacity until it is given back."""

    __slots__ = ("_calls", "_capacity", "_size")

    def __init__(self, capacity: Capacity, calls: int) -> None:
        self._capacity = capacity
        self._calls = calls
        self._size = 0

    @property
    def is_withdrawn(self) -> bool:
        """Whether the router itself ends what it was given for."""
        return self._capacity.is_closed

    def grow(self, size: int) -> None:
        """Holds so many bytes more; raises `Overloaded` where they are too much, and then holds none of them.

        What holds all that is held may grow on: nobody else would be served better without it.
        """
        if self._size < self._capacity.held_bytes:
            self._capacity.check_bytes(size)
        self._size += size
        self._capacity.held_bytes += size

    def give_back(self) -> None:
        """Takes no more part; also more than once."""
        self._capacity.calls -= self._calls
        self._capacity.held_bytes -= self._size
        self._calls = self._size = 0
