"""Where answers are kept. A store sees keys and bytes, and knows nothing of what they mean.

A key has two parts: the *group* is what was asked and for whom, the *target* ("provider/model") who answered. All
answers of a group are found in one go. A store may lose anything at any time, and raises whatever its library raises.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Kept(NamedTuple):
    """One answer of a group, and how old it is in seconds."""

    target: str
    data: bytes
    age_s: float


class Stored(NamedTuple):
    """One answer with all that is known of it; times are Unix seconds."""

    group: bytes
    target: str
    data: bytes
    created: float
    expires: float


@dataclass(frozen=True, slots=True)
class StoreStats:
    """What is in a store; `bytes` include its own bookkeeping where it is bounded by that."""

    entries: int
    bytes: int
    by_provider: dict[str, int]


class Selection(NamedTuple):
    """Which answers are meant: of a provider, of a model, created before a time (Unix seconds); None for all."""

    provider: str | None = None
    model: str | None = None
    before: float | None = None

    def has(self, target: str, created: float) -> bool:
        """Whether an answer is meant."""
        provider, _, model = target.partition("/")
        return (
            (self.provider is None or provider == self.provider)
            and (self.model is None or model == self.model)
            and (self.before is None or created < self.before)
        )


ALL = Selection()


def count_providers(targets: Iterable[str]) -> dict[str, int]:
    """How many answers each provider gave, by the targets of all answers."""
    return dict(Counter(target.partition("/")[0] for target in targets))


class Store(Protocol):
    """A place for answers; `now` of all of them is the wall clock, so that they outlast a restart."""

    async def find(self, group: bytes) -> Sequence[Kept]:
        """All answers of a group that have not expired."""
        ...

    async def keep(self, group: bytes, target: str, data: bytes, ttl_s: float) -> None:
        """Keeps an answer for so many seconds, in place of an earlier one."""
        ...

    async def clear(self, selection: Selection = ALL) -> int:
        """Forgets answers, and says how many."""
        ...

    def every(self) -> AsyncIterator[Stored]:
        """All answers, in no order; those that come or go meanwhile may be missing."""
        ...

    async def stats(self) -> StoreStats:
        """How much there is."""
        ...

    async def close(self) -> None:
        """Lets go of connections and files; what was kept is written."""
        ...
