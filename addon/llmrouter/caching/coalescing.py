"""One upstream call for all clients that ask the same at the same time.

A `Flight` is the call under way: whoever asked first makes it start, and each client has a `Seat` in it. The flight is
flown by a task of its own, so that it goes on when the first client leaves; it is called off when the last one does.
Who comes late gets what has passed at once, and the rest live.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Hashable

# How far the provider is read ahead of the fastest client, before it has to wait for that.
_HIGH_WATER_BYTES = 64 * 1024


class Flight[H, P, R]:
    """A call that is shared: first its head, then pieces of a stream, in the end a result; or an error.

    `call_off` is called when nobody wants it any more. `most_bytes` is how much is kept for those who come late: an
    answer that gets larger takes nobody in any more, and goes on at the pace of the slowest. `size_of` tells the bytes
    of a piece. `way` says in which form
    its pieces are; `is_whole` that they came to a real end.
    """

    def __init__(
        self, call_off: Callable[[], None], most_bytes: int, size_of: Callable[[P], int], way: Hashable = None
    ) -> None:
        self._size_of = size_of
        self.way = way
        self._call_off = call_off
        self._most_bytes = most_bytes
        self._seats: set[Seat[H, P, R]] = set()
        self._pieces: deque[tuple[P, int]] = deque()
        self._first = 0
        self._kept_bytes = 0
        self._made_bytes = 0
        self._is_too_large = False
        self._changed = asyncio.Event()
        self._head: list[H] = []
        self._ending: list[R | None] = []
        self.is_whole = False
        self._error: Exception | None = None

    # Those who want the answer

    @property
    def is_open(self) -> bool:
        """Whether somebody may still join: all of the answer is at hand, and it has not failed or been called off."""
        is_flying = bool(self._seats) and not self.has_ended
        return not self._is_too_large and (is_flying or self.result is not None)

    @property
    def has_ended(self) -> bool:
        """Whether nothing more comes."""
        return bool(self._ending) or self._error is not None

    @property
    def result(self) -> R | None:
        """What came of it, None where nothing did, or not yet."""
        return self._ending[0] if self._ending else None

    def join(self) -> "Seat[H, P, R]":
        """A seat, from the beginning of the answer on; whoever takes it has to `leave` it."""
        seat = Seat(self)
        self._seats.add(seat)
        return seat

    def _left(self, seat: "Seat[H, P, R]") -> None:
        self._seats.discard(seat)
        self._tell()
        if not self._seats and not self.has_ended:
            self._call_off()

    # Who flies it

    def begin(self, head: H) -> None:
        """The answer has begun."""
        self._head.append(head)
        self._tell()

    async def put(self, piece: P) -> None:
        """The next piece; waits while all who read are too far behind."""
        size = self._size_of(piece)
        self._pieces.append((piece, size))
        self._kept_bytes += size
        self._made_bytes += size
        self._is_too_large = self._is_too_large or self._kept_bytes > self._most_bytes
        self._tell()
        while self._is_too_far_ahead():
            await self._changed.wait()

    def land(self, result: R | None, *, is_whole: bool) -> None:
        """The answer has come to its end, a real one or not; the result is None where it cannot be told otherwise."""
        self.is_whole = is_whole
        self._ending.append(result)
        self._tell()

    def fail(self, error: Exception) -> None:
        """There is no answer, or no more of it."""
        if not self.has_ended:
            self._error = error
            self._tell()

    def _is_too_far_ahead(self) -> bool:
        readers = [seat.read_bytes for seat in self._seats if not seat.is_waiting_for_result]
        # Who waits for all of it is not held up by those who read slowly, unless there will be no result for them.
        if not readers or (len(readers) < len(self._seats) and not self._is_too_large):
            return False
        if self._made_bytes - max(readers) > _HIGH_WATER_BYTES:
            return True
        return self._is_too_large and self._made_bytes - min(readers) > self._most_bytes

    def _tell(self) -> None:
        event, self._changed = self._changed, asyncio.Event()
        event.set()

    def _drop_what_all_have_read(self) -> None:
        if self._is_too_large:
            readers = [seat.next for seat in self._seats if not seat.is_waiting_for_result]
            while self._pieces and self._first < min(readers, default=self._first + len(self._pieces)):
                self._kept_bytes -= self._pieces.popleft()[1]
                self._first += 1


class Seat[H, P, R]:
    """One client's part in a flight; its methods raise what the flight failed with."""

    def __init__(self, flight: Flight[H, P, R]) -> None:
        self._flight = flight
        self.next = flight._first
        self.read_bytes = 0
        self.is_waiting_for_result = False

    async def head(self) -> H:
        """What the answer begins with."""
        flight = self._flight
        while not flight._head:
            self._raise_error()
            await flight._changed.wait()
        return flight._head[0]

    async def pieces(self) -> AsyncGenerator[P]:
        """All pieces, those that have passed first; ends with the answer, and leaves the seat."""
        flight = self._flight
        try:
            while True:
                while self.next < flight._first + len(flight._pieces):
                    piece, size = flight._pieces[self.next - flight._first]
                    self.next += 1
                    self.read_bytes += size
                    flight._drop_what_all_have_read()
                    flight._tell()
                    yield piece
                if flight._ending:
                    return
                self._raise_error()
                await flight._changed.wait()
        finally:
            self.leave()

    async def result(self) -> R | None:
        """What came of it, when it is over, None where it is too large to be kept; leaves the seat."""
        flight = self._flight
        self.is_waiting_for_result = True
        flight._tell()
        try:
            while not flight._ending:
                if flight._is_too_large:
                    return None
                self._raise_error()
                await flight._changed.wait()
            return flight._ending[0]
        finally:
            self.leave()

    def leave(self) -> None:
        """Gives the seat up; a second time, this changes nothing."""
        if self in self._flight._seats:
            self._flight._left(self)

    def _raise_error(self) -> None:
        if self._flight._error is not None:
            raise self._flight._error


class Flights[H, P, R]:
    """The flights that are under way, by what is asked."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, Flight[H, P, R]] = {}

    def find(self, key: Hashable) -> Flight[H, P, R] | None:
        """The flight to join, where there is one that takes somebody in."""
        flight = self._flights.get(key)
        return flight if flight is not None and flight.is_open else None

    def add(self, key: Hashable, flight: Flight[H, P, R]) -> None:
        """Others may join from now on."""
        self._flights[key] = flight

    def has(self, key: Hashable, flight: Flight[H, P, R]) -> bool:
        """Whether it is still the newest one of its kind."""
        return self._flights.get(key) is flight

    def remove(self, key: Hashable, flight: Flight[H, P, R]) -> None:
        """It is over: the next one who asks the same makes a new one."""
        if self._flights.get(key) is flight:
            del self._flights[key]
