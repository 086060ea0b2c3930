"""The targets that may answer calls of a kind, found once for all calls of that kind."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cachetools import LRUCache

from llmrouter.calls import Call
from llmrouter.routing.catalog import LONGEST_NAME, Catalogue
from llmrouter.routing.gates import LeftOut, refuse
from llmrouter.routing.vector_spaces import refuse_other_space, space_of
from llmrouter.settings.model import RouteSettings
from llmrouter.targets import Target

_REMEMBERED_KINDS = 512
# OpenAI's own members, all together, are shorter.
_LONGEST_MEMBERS = 1024

type _Kind = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Shortlist:
    """Targets for a kind of call: those that are able and wanted, tier by tier with their places of declaration, and
    those that are not, with the reasons. `by_key` are the able ones again."""

    able: tuple[tuple[int, Target], ...]
    left_out: tuple[LeftOut, ...]
    route: RouteSettings | None
    by_key: Mapping[str, Target] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_key", {target.key: target for _, target in self.able})


class Shortlists:
    """The lists of one configuration; calls are of a kind that ask for the same endpoint, model,
    needs, members, provider and tools of OpenAI's own."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._known: LRUCache[_Kind, Shortlist] = LRUCache(_REMEMBERED_KINDS)

    def of(self, call: Call) -> Shortlist:
        """The list for a call."""
        hosted = call.responses.hosted if call.responses is not None else None
        kind = call.endpoint, call.model, call.needs, call.members, call.preferences.provider, hosted
        found = self._known.get(kind)
        if found is None:
            found = self._make(call)
            # Clients choose the names of members, too: what nobody can know is not kept.
            if len(call.model) <= LONGEST_NAME and sum(map(len, (*call.members, *(hosted or ())))) <= _LONGEST_MEMBERS:
                self._known[kind] = found
        return found

    def _make(self, call: Call) -> Shortlist:
        found = self._catalogue.candidates(call.model)
        able: list[tuple[int, Target]] = []
        left_out: list[LeftOut] = []
        space = space_of(call, found)
        for position, target in enumerate(found.targets):
            refusal = refuse(target, call, found.route) or refuse_other_space(target, call, space)
            if refusal is None:
                able.append((position, target))
            else:
                left_out.append(LeftOut(target, *refusal))
        able.sort(key=lambda one: (one[1].priority, one[0]))
        return Shortlist(tuple(able), tuple(left_out), found.route)
