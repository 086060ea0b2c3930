"""What is known of each target now, a line each."""

import math
from collections.abc import Iterable, Iterator

from llmrouter.routing.health import HealthBook
from llmrouter.targets import Target


def state_lines(targets: Iterable[Target], health: HealthBook, now: float) -> Iterator[str]:
    """Each target's state; `now` is monotonic seconds."""
    for target in targets:
        figures = health.figures(target, now)
        parts = [f"{target.key}: {_state(target, health, now)}"]
        if figures.first_content_s is not None:
            parts.append(f"first content after {figures.first_content_s:.2f} s")
        if figures.error_rate is not None:
            parts.append(f"{figures.error_rate:.0%} failed lately")
        yield ", ".join(parts)


def _state(target: Target, health: HealthBook, now: float) -> str:
    if (rest := health.resting(target, now)) is not None:
        until = "" if rest.until == math.inf else f" for {rest.until - now:.0f} s"
        return f"rests{until} ({rest.reason})"
    condition = health.condition(target)
    if condition is None or condition.breaker.is_closed:
        return "may be asked"
    wait_s = condition.breaker.opens_again_in(now)
    return f"its breaker is open for {wait_s:.0f} s" if wait_s > 0 else "its breaker lets one call try it"
