"""What every place for documents offers; they differ in where documents lie."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

LASTING_KINDS = frozenset({"assistant"})
"""What stays until its owner deletes it, as at OpenAI: an app makes an assistant once, and uses it for years."""


@dataclass(frozen=True, slots=True)
class Document:
    """One object of a caller; `parent` is the id of what it belongs to, or empty.

    `position` rises within the documents of one kind and parent; `created` is Unix seconds.
    """

    kind: str
    id: str
    parent: str
    position: int
    created: float
    data: dict[str, Any]


class Page(NamedTuple):
    """Part of a list, and whether there is more of it in the direction that was asked for."""

    documents: list[Document]
    has_more: bool


class Claim(NamedTuple):
    """A lock that somebody holds."""

    caller: str
    name: str
    owner: str


class UnknownCursor(Exception):
    """A list was to begin at a document that is not in it; `which` is "after" or "before"."""

    def __init__(self, which: str, id: str) -> None:
        super().__init__(f"{which}={id}")
        self.which, self.id = which, id


class StateStore(Protocol):
    """Documents by caller, kind and id; `caller` is the keyed hash of a credential.

    Every method is one transaction, and raises `StateUnavailable` where the place cannot be reached in time.
    """

    async def add(
        self, caller: str, kind: str, documents: Sequence[tuple[str, dict[str, Any]]], parent: str = ""
    ) -> list[Document]:
        """Adds documents of new ids, all or none, at the end of their list; what they belong to counts as changed."""
        ...

    async def get(self, caller: str, kind: str, id: str, parent: str | None = None) -> Document | None:
        """One document; with a `parent`, only where it belongs to that."""
        ...

    async def replace(self, caller: str, kind: str, id: str, data: dict[str, Any]) -> bool:
        """Gives a document new data; False where it is not there."""
        ...

    async def change(
        self, caller: str, kind: str, id: str, change: Callable[[dict[str, Any]], dict[str, Any] | None]
    ) -> Document | None:
        """Changes a document by what it is now; None from `change` leaves it. The document as it is after that.

        `change` may run on another thread.
        """
        ...

    async def delete(self, caller: str, kind: str, id: str) -> bool:
        """Removes a document with all that belongs to it; False where it is not there."""
        ...

    async def page(
        self,
        caller: str,
        kind: str,
        parent: str = "",
        *,
        limit: int,
        descending: bool,
        after: str | None = None,
        before: str | None = None,
    ) -> Page:
        """Part of a list in its order, behind one document and ahead of another; raises `UnknownCursor`.

        With `before` alone it is the part that ends right ahead of that.
        """
        ...

    async def every(self, caller: str, kind: str, parent: str) -> list[Document]:
        """A whole list, oldest first."""
        ...

    async def claim(self, caller: str, name: str, owner: str) -> str | None:
        """Takes a lock; None where it is the owner's now, else who has it."""
        ...

    async def release(self, caller: str, name: str, owner: str) -> None:
        """Gives a lock up, where the owner has it."""
        ...

    async def claims(self) -> list[Claim]:
        """The locks of all callers."""
        ...

    async def abandoned(self, *prefixes: str) -> list[Claim]:
        """The locks, of names that begin so, that processes left which are dead; they are this process's from now on.

        Each is given to one process alone, whoever asks at the same time.
        """
        ...

    async def beat(self) -> None:
        """Tells the others that this process lives; to be called more often than they wait for it."""
        ...

    async def prune(self, before: float, lasting: Collection[str] = LASTING_KINDS) -> int:
        """Removes what belongs to nothing and was not changed since then, with all that belongs to it; how many."""
        ...

    async def close(self) -> None:
        """Ends what is under way; nothing may be asked after that."""
        ...
