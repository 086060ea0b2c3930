"""How a target has done lately: how fast it begins and goes on, and how often it fails or is limited.

Every figure is a mean in which an observation counts half as much after ten minutes. Nothing is known of a target that
was never tried, nor of one that was not tried for an hour: `None` is an answer.
"""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

_HALF_LIFE_S = 600.0
_FORGOTTEN_S = 3600.0
# Fewer tokens, or a shorter time, say more about the network than about the model.
_LEAST_TOKENS = 20
_LEAST_S = 0.05


class Figures(NamedTuple):
    """What is known of a target; None where nothing is.

    `first_content_s` is the time to a stream's first content, `whole_s` that to a whole answer, `tokens_per_s` how fast
    a stream goes on. `error_rate` and `limited_rate` are the shares of attempts that failed by the provider's fault and
    of those that it refused for its limits, from 0 to 1. `tries` is how many attempts this rests on, whatever came of
    them; older ones count less.
    """

    first_content_s: float | None = None
    whole_s: float | None = None
    tokens_per_s: float | None = None
    error_rate: float | None = None
    limited_rate: float | None = None
    tries: float = 0.0

    def latency_s(self, *, is_stream: bool) -> float | None:
        """How long such a call waits for its first content; by calls of the other kind where there were none."""
        first, second = (self.first_content_s, self.whole_s) if is_stream else (self.whole_s, self.first_content_s)
        return second if first is None else first


UNKNOWN = Figures()
_MEANS = Figures._fields[:-1]

type Brief = tuple[float | None, float | None, float | None, float | None, float]
"""`latency_s`, `tokens_per_s`, `error_rate`, `limited_rate` and `tries`: what a plan asks of each target."""

NO_BRIEF: Brief = (None, None, None, None, 0.0)


class Answered(NamedTuple):
    """How fast an attempt was that ended well; times are seconds from its beginning."""

    first_content_s: float
    seconds: float
    output_tokens: int | None
    is_stream: bool


@dataclass(slots=True)
class _Mean:
    weight: float = 0.0
    sum: float = 0.0
    at: float = -math.inf

    def add(self, value: float, now: float) -> None:
        kept = 0.5 ** ((now - self.at) / _HALF_LIFE_S) if now > self.at else 1.0
        self.weight = self.weight * kept + 1.0
        self.sum = self.sum * kept + value
        self.at = max(now, self.at)

    def value(self, now: float) -> float | None:
        return None if now - self.at > _FORGOTTEN_S or self.weight <= 0 else self.sum / self.weight


@dataclass(slots=True)
class Vitals:
    """The observations of one target. All `now` are monotonic seconds."""

    _means: dict[str, _Mean] = field(default_factory=lambda: {name: _Mean() for name in _MEANS})
    _tries: _Mean = field(default_factory=_Mean)
    _figures: Figures = UNKNOWN
    _of_streams: Brief = NO_BRIEF
    _of_wholes: Brief = NO_BRIEF
    _at: float = -math.inf

    def brief(self, now: float, is_stream: bool) -> Brief:
        """What is known, for calls of a kind."""
        if now - self._at > _FORGOTTEN_S:
            return NO_BRIEF
        return self._of_streams if is_stream else self._of_wholes

    def figures(self, now: float) -> Figures:
        """What is known; observations change the means, and time alone only ends them."""
        return self._figures if now - self._at <= _FORGOTTEN_S else UNKNOWN

    def note_tried(self, now: float) -> None:
        """An attempt ended somehow; to be told before what it came to."""
        self._tries.add(1.0, now)
        self._settle(now)

    def note_answered(self, answered: Answered, now: float) -> None:
        """An attempt ended well."""
        if answered.is_stream:
            self._means["first_content_s"].add(answered.first_content_s, now)
            seconds, tokens = answered.seconds - answered.first_content_s, answered.output_tokens or 0
            if tokens >= _LEAST_TOKENS and seconds >= _LEAST_S:
                self._means["tokens_per_s"].add(tokens / seconds, now)
        else:
            self._means["whole_s"].add(answered.seconds, now)
        self.note_ended(now, is_failure=False)

    def note_ended(self, now: float, *, is_failure: bool) -> None:
        """An attempt ended well, or by a fault of the provider."""
        self._means["error_rate"].add(float(is_failure), now)
        self._means["limited_rate"].add(0.0, now)
        self._settle(now)

    def note_limited(self, now: float) -> None:
        """An attempt was refused for the provider's limits."""
        self._means["limited_rate"].add(1.0, now)
        self._settle(now)

    def _settle(self, now: float) -> None:
        self._at = max(now, self._at)
        tries = 0.0 if self._tries.value(now) is None else self._tries.weight
        self._figures = new = Figures._make((*(mean.value(now) for mean in self._means.values()), tries))
        rest = new.tokens_per_s, new.error_rate, new.limited_rate, new.tries
        self._of_streams = new.latency_s(is_stream=True), *rest
        self._of_wholes = new.latency_s(is_stream=False), *rest

    def to_row(self, now: float) -> dict[str, Any]:
        """The observations as plain JSON values, their times as ages in seconds."""
        return {
            name: [mean.weight, mean.sum, now - mean.at]
            for name, mean in self._kept().items()
            if mean.value(now) is not None
        }

    def restore(self, row: dict[str, Any], age_s: float, now: float) -> None:
        """Takes over what `to_row` gave `age_s` seconds ago; raises `ValueError` and `TypeError` where it makes no
        sense."""
        for name, mean in self._kept().items():
            if name in row:
                weight, total, old_s = map(float, row[name])
                if not (0 < weight < math.inf and 0 <= total < math.inf and 0 <= old_s < math.inf):
                    raise ValueError(f"{name} is no mean")
                mean.weight, mean.sum, mean.at = weight, total, now - age_s - old_s
        self._settle(max((mean.at for mean in self._kept().values()), default=now))

    def _kept(self) -> dict[str, _Mean]:
        return self._means | {"tries": self._tries}
