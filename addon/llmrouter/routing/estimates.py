"""What a call is expected to use at a target: tokens in and out, and how many of them cost less because it has them.

Both are learned from what answers report. Ratios and means are weighted by what was seen, the latest counting most, and
begin with a first guess that counts like a few calls.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from cachetools import LRUCache

from llmrouter.calls import Call, MediaTokens, Need
from llmrouter.replies import Usage
from llmrouter.routing.prompt_cache import PromptCaches
from llmrouter.targets import Target

FIRST_CHARACTERS_PER_TOKEN = 4.0
"""English has about five characters a token on today's tokenizers, other scripts, code and JSON fewer (provider
reference, section 14)."""

FIRST_OUTPUT_TOKENS = 500.0
_MOST_CHARACTERS_PER_TOKEN = 6.0
# What a learned ratio may be wrong by for one prompt, before a target is left out for its window.
_MARGIN = 1.5
_BOUNDS = (0.5, 12.0)
_FIRST_GUESS_TOKENS = 500.0
_ENOUGH_TOKENS = 5_000.0
_FIRST_GUESS_CALLS = 3.0
# Each call takes a fiftieth from what came before: about the last fifty count.
_KEPT = 0.98
_MEDIA = frozenset({Need.VISION, Need.AUDIO, Need.FILES})
_REMEMBERED_MODELS = 1024
_LONGEST_NAME = 256
_LARGEST_OUTPUT = 1_000_000


@dataclass(slots=True)
class _Ratio:
    """Characters for each token of input at one target."""

    characters: float = FIRST_CHARACTERS_PER_TOKEN * _FIRST_GUESS_TOKENS
    tokens: float = _FIRST_GUESS_TOKENS
    value: float = FIRST_CHARACTERS_PER_TOKEN
    widest: float = _MOST_CHARACTERS_PER_TOKEN

    def learn(self, characters: int, tokens: int) -> None:
        low, high = _BOUNDS
        # A prompt that the provider adds to, or pictures told by URL, would spoil the ratio of plain text.
        tokens_within = min(max(tokens, characters / high), characters / low)
        self.characters = self.characters * _KEPT + characters
        self.tokens = self.tokens * _KEPT + tokens_within
        self.value = self.characters / self.tokens
        self.widest = self.value * _MARGIN
        if self.tokens < _ENOUGH_TOKENS:
            self.widest = max(self.widest, _MOST_CHARACTERS_PER_TOKEN)


_UNLEARNED = _Ratio()


@dataclass(slots=True)
class _Mean:
    """Tokens of output for one requested model."""

    total: float = FIRST_OUTPUT_TOKENS * _FIRST_GUESS_CALLS
    calls: float = _FIRST_GUESS_CALLS

    def learn(self, tokens: int) -> None:
        self.total = self.total * _KEPT + min(tokens, _LARGEST_OUTPUT)
        self.calls = self.calls * _KEPT + 1


class Expected(NamedTuple):
    """What a call is expected to use at one target; `cached_tokens` are part of `input_tokens`.

    `least_input_tokens` is what the prompt comes to if it is unusually easy to tokenize.
    """

    input_tokens: float
    cached_tokens: float
    output_tokens: float
    least_input_tokens: int


@dataclass(slots=True)
class Expectation:
    """What one call is expected to use anywhere, made once for each plan.

    `most_output_tokens` is the client's own limit, or what is expected where it has none; `is_limited` tells which.
    `media` are pictures, sound and files, whose guess is the same at all targets and is not known to be cached.
    """

    characters: int
    output_tokens: float
    most_output_tokens: float
    held: Mapping[str, int]
    caches: PromptCaches
    ratios: Mapping[str, _Ratio]
    is_limited: bool = False
    media: MediaTokens | None = None

    def at(self, target: Target) -> Expected:
        """What is expected at a target."""
        given, cached, least = self.input_at(target.key)
        return Expected(given, cached, self.output_tokens, int(least))

    def input_at(self, key: str) -> tuple[float, float, float]:
        """The tokens of input at a target, by its key; the cached ones among them; and what they come to at least."""
        ratio = self.ratios.get(key, _UNLEARNED)
        value, characters, cached = ratio.value, self.characters, 0.0
        if (held := self.held.get(key)) is not None:
            kept = held * self.caches.yield_of(key)
            cached = (kept if kept < characters else characters) / value
        if self.media is not None:
            return characters / value + self.media.guess, cached, characters / ratio.widest + self.media.least
        return characters / value, cached, characters / ratio.widest


class EstimateBook:
    """What was learned from answers: about the targets' tokenizers and caches, and about what models answer."""

    def __init__(self) -> None:
        self._ratios: dict[str, _Ratio] = {}
        self._outputs: LRUCache[str, _Mean] = LRUCache(_REMEMBERED_MODELS)
        self._caches = PromptCaches()

    def expect(self, call: Call, now: float) -> Expectation:
        """What a call is expected to use, at `now` (monotonic seconds)."""
        mean = self._outputs.get(call.model)
        expected = FIRST_OUTPUT_TOKENS if mean is None else mean.total / mean.calls
        limit = call.max_output_tokens
        return Expectation(
            characters=call.input_characters,
            output_tokens=expected if limit is None else min(expected, limit),
            most_output_tokens=expected if limit is None else limit,
            # To look at a long prompt takes longer than to plan for it.
            held=self._caches.held(call.beginnings.found, call.caller, now) if self._caches.know_any else {},
            caches=self._caches,
            ratios=self._ratios,
            is_limited=limit is not None,
            media=call.media,
        )

    def characters_per_token(self, target: Target) -> float:
        """How long a token is at a target, as far as that was learned."""
        ratio = self._ratios.get(target.key)
        return FIRST_CHARACTERS_PER_TOKEN if ratio is None else ratio.value

    def learn(self, target: Target, call: Call, usage: Usage, now: float) -> None:
        """Takes note of what an answer reported."""
        if usage.output_tokens and len(call.model) <= _LONGEST_NAME:
            if (mean := self._outputs.get(call.model)) is None:
                mean = self._outputs[call.model] = _Mean()
            mean.learn(usage.output_tokens)
        has_media = not call.needs.isdisjoint(_MEDIA)
        if usage.input_tokens and call.input_characters and not has_media:
            if (ratio := self._ratios.get(target.key)) is None:
                ratio = self._ratios[target.key] = _Ratio()
            ratio.learn(call.input_characters, usage.input_tokens)
        beginnings, caches = call.beginnings.found, self._caches
        # The length of base64 tells nothing of the share of the tokens.
        if usage.input_tokens and not has_media and (held := caches.held(beginnings, call.caller, now).get(target.key)):
            caches.learn_yield(target, held / beginnings[-1].characters, usage.cached_tokens / usage.input_tokens)
        caches.note(target, beginnings, call.caller, now)
