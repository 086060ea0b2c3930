"""A state store in memory."""

import copy
import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import Any

from llmrouter.storage.state.store import Claim, Document, Page, UnknownCursor


class FakeStateStore:
    def __init__(self) -> None:
        self.documents: dict[tuple[str, str, str], Document] = {}
        self.locks: dict[tuple[str, str], str] = {}
        self._count = 0.0

    async def add(
        self, caller: str, kind: str, documents: Sequence[tuple[str, dict[str, Any]]], parent: str = ""
    ) -> list[Document]:
        made = []
        for id, data in documents:
            self._count += 1.0
            made.append(Document(kind, id, parent, self._place(caller, kind, parent), self._count, copy.deepcopy(data)))
            self.documents[caller, kind, id] = made[-1]
        return copy.deepcopy(made)

    def _place(self, caller: str, kind: str, parent: str) -> int:
        """Behind the last one; a place that became free at the end is taken again, as in a database."""
        places = [
            d.position for (who, k, _), d in self.documents.items() if (who, k, d.parent) == (caller, kind, parent)
        ]
        return max(places, default=-1) + 1

    async def get(self, caller: str, kind: str, id: str, parent: str | None = None) -> Document | None:
        found = self.documents.get((caller, kind, id))
        return copy.deepcopy(found) if found is not None and parent in (None, found.parent) else None

    async def replace(self, caller: str, kind: str, id: str, data: dict[str, Any]) -> bool:
        found = self.documents.get((caller, kind, id))
        if found is not None:
            self.documents[caller, kind, id] = dataclasses.replace(found, data=copy.deepcopy(data))
        return found is not None

    async def change(
        self, caller: str, kind: str, id: str, change: Callable[[dict[str, Any]], dict[str, Any] | None]
    ) -> Document | None:
        found = self.documents.get((caller, kind, id))
        if found is not None and (after := change(copy.deepcopy(found.data))) is not None:
            await self.replace(caller, kind, id, after)
        return await self.get(caller, kind, id)

    async def delete(self, caller: str, kind: str, id: str) -> bool:
        if self.documents.pop((caller, kind, id), None) is None:
            return False
        for (owner, inner, key), child in list(self.documents.items()):
            if owner == caller and child.parent == id:
                await self.delete(caller, inner, key)
        return True

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
        found = await self.every(caller, kind, parent)
        if descending:
            found.reverse()
        ids = [document.id for document in found]
        begin, end = 0, len(found)
        for which, cursor in (("after", after), ("before", before)):
            if cursor is None:
                continue
            if cursor not in ids:
                raise UnknownCursor(which, cursor)
            begin, end = (ids.index(cursor) + 1, end) if which == "after" else (begin, ids.index(cursor))
        if before is not None and after is None:
            return Page(found[max(begin, end - limit) : end], end - begin > limit)
        return Page(found[begin : min(end, begin + limit)], end - begin > limit)

    async def every(self, caller: str, kind: str, parent: str) -> list[Document]:
        found = [d for (owner, k, _), d in self.documents.items() if (owner, k, d.parent) == (caller, kind, parent)]
        return copy.deepcopy(sorted(found, key=lambda document: document.position))

    async def claim(self, caller: str, name: str, owner: str) -> str | None:
        holder = self.locks.setdefault((caller, name), owner)
        return None if holder == owner else holder

    async def release(self, caller: str, name: str, owner: str) -> None:
        if self.locks.get((caller, name)) == owner:
            del self.locks[caller, name]

    async def abandoned(self, *prefixes: str) -> list[Claim]:
        """Who asks is taken for another process, and all before it for dead."""
        return [claim for claim in await self.claims() if claim.name.startswith(prefixes)]

    async def beat(self) -> None:
        """Nobody waits for it."""

    async def claims(self) -> list[Claim]:
        return [Claim(caller, name, owner) for (caller, name), owner in self.locks.items()]

    async def prune(self, before: float, lasting: Collection[str] = ()) -> int:
        return 0

    async def close(self) -> None:
        return None
