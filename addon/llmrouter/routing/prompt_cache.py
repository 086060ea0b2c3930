"""Which targets have the beginning of a prompt in their cache, as far as can be told from what was sent there.

Providers keep what they computed for a prompt's beginning for some minutes, and take less for it. They do not say what
they hold; so this remembers hashes of the beginnings that each target answered, never a word of them, and how much of
what it expected was then reported as cached.
"""

from collections.abc import Mapping, Sequence

from cachetools import LRUCache

from llmrouter.calls import Beginning, Caller
from llmrouter.targets import Target

_LASTS_S = 300.0
"""Anthropic keeps a prompt for five minutes after its last use, OpenAI for five to ten."""

_LEAST_CHARACTERS = 4096
"""OpenAI and Anthropic cache nothing below 1,024 tokens, of about four characters."""

_REMEMBERED = 20_000
_MOST_TARGETS = 16
_FIRST_YIELD = 0.5
_YIELD_WEIGHT = 0.2
_NOTHING: Mapping[str, int] = {}


class PromptCaches:
    """The beginnings that were sent, by their hashes: to whom, for which caller, and when (monotonic seconds).

    A target that is asked with the caller's own key has a cache for each caller.
    """

    def __init__(self) -> None:
        self._sent: LRUCache[int, dict[tuple[str, int], float]] = LRUCache(_REMEMBERED)
        self._yields: dict[str, float] = {}

    @property
    def know_any(self) -> bool:
        """Whether any beginning is remembered."""
        return len(self._sent) > 0

    def held(self, beginnings: Sequence[Beginning], caller: Caller, now: float) -> Mapping[str, int]:
        """How many characters of a prompt each target was sent lately, by its key; others were sent none."""
        if not beginnings or beginnings[-1].characters < _LEAST_CHARACTERS:
            return _NOTHING
        found: dict[str, int] = {}
        callers, known = (0, _name_of(caller)), 0
        for beginning in reversed(beginnings):
            if beginning.characters < _LEAST_CHARACTERS:
                break
            sent = self._sent.get(beginning.digest, {})
            # Who was sent a prompt was sent all its beginnings: as many are the same ones.
            if len(sent) == known:
                continue
            known = len(sent)
            for (key, name), at in sent.items():
                if now - at <= _LASTS_S and name in callers and key not in found:
                    found[key] = beginning.characters
        return found

    def note(self, target: Target, beginnings: Sequence[Beginning], caller: Caller, now: float) -> None:
        """A target has answered a prompt: it may have each of its beginnings from now on."""
        key = target.key, _name_of(caller) if target.uses_caller_key else 0
        for beginning in beginnings:
            if beginning.characters >= _LEAST_CHARACTERS:
                targets = self._sent.get(beginning.digest)
                if targets is None:
                    targets = self._sent[beginning.digest] = {}
                targets.pop(key, None)
                targets[key] = now
                if len(targets) > _MOST_TARGETS:
                    del targets[next(iter(targets))]

    def learn_yield(self, target: Target, held_share: float, cached_share: float) -> None:
        """A target that was sent `held_share` of a prompt lately reported `cached_share` of it as cached."""
        seen = min(cached_share / held_share, 1.0)
        known = self._yields.get(target.key, _FIRST_YIELD)
        self._yields[target.key] = known + _YIELD_WEIGHT * (seen - known)

    def yield_of(self, key: str) -> float:
        """How much of what it was sent a target reports as cached, from 0 to 1; its key is given."""
        return self._yields.get(key, _FIRST_YIELD)


def _name_of(caller: Caller) -> int:
    """A caller by its credential, as a number that says nothing about it outside this process."""
    return 0 if caller.authorization is None else hash(caller.authorization.get_secret_value())
