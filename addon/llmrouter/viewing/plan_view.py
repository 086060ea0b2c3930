"""A plan in words and tables, for people who have not read how the router decides."""

from collections.abc import Callable, Mapping
from typing import Any

from llmrouter.calls import Call
from llmrouter.routing.plan import Plan, Router
from llmrouter.routing.policies import Candidate
from llmrouter.routing.price_sheets import PriceSheet
from llmrouter.targets import Target
from llmrouter.viewing.reasons_in import why_in

type Left = tuple[int | None, int | None]
"""How many requests and tokens are left of a target's limits, None without a limit."""

_UNKNOWN = "?"
_USUAL = "openai_compatible"


def to_record(plan: Plan, number: int, left: Left) -> dict[str, Any]:
    """What the plan knew of one of its candidates, by its place, and why it is in, as plain JSON values."""
    reasons = why_in(plan, number)
    return plan.candidates[number].to_record() | {
        "requests_left": left[0],
        "tokens_left": left[1],
        "why_in": reasons,
    }


class PlanView:
    """One call's plan; `left_of` tells what is left of a target's limits."""

    def __init__(self, call: Call, plan: Plan, router: Router, left_of: Callable[[Target], Left]) -> None:
        self._call, self._plan, self._router, self._left_of = call, plan, router, left_of

    def lines(self, ending: str | None) -> list[str]:
        """All of it; `ending` says what becomes of a call that nobody answers."""
        plan = self._plan
        lines = [*self._about(), ""]
        if plan.candidates:
            lines += [
                "Tried in this order, lower tiers first, until one answers:",
                *_table(list(map(self._row, plan.candidates))),
            ]
            lines += ["", "Prices are US dollars per million tokens, in / out. ? is not known.", *self._notes()]
            lines += ["", "Why in, and in this order:"]
            lines += [f"  {one.target.key}: {why_in(plan, at)}" for at, one in enumerate(plan.candidates)]
        if ending is not None:
            lines.append(ending)
        if plan.left_out:
            lines += ["", "Left out:", *(f"  {left.target.key}: {left.reason}" for left in plan.left_out)]
        return [*lines, ""]

    def _about(self) -> list[str]:
        call, plan = self._call, self._plan
        route = self._router.catalogue.candidates(call.model).route
        lines = [
            f"Requested: {call.model}, {call.input_characters} characters of input"
            f"{', streamed' if call.stream else ''}; it needs {', '.join(sorted(call.needs)) or 'nothing special'}.",
            f"Policy: {plan.policy}, within tiers; {f'route {route.model}' if route else 'no route'}.",
        ]
        if plan.policy_failure is not None:
            lines.append(f"The policy failed, and least_cost ordered: {plan.policy_failure}")
        if plan.expectation is not None:
            made = plan.expectation.output_tokens
            lines.append(f"Expected: about {made:.0f} tokens of output, and input as the targets count it.")
            if (media := plan.expectation.media) is not None:
                lines.append(
                    f"Pictures, sound and files are guessed to count for {media.guess} tokens of the input, by OpenAI's"
                    " rules; other models may count three times as much or as little."
                )
        return lines

    def _row(self, candidate: Candidate) -> Mapping[str, str]:
        target, given, cached = candidate.target, candidate.input_tokens, round(candidate.cached_tokens)
        requests, tokens = self._left_of(target)
        wait = f", in {candidate.quota_wait_s:.1f} s" if candidate.quota_wait_s else ""
        seconds = candidate.first_content_s
        return {
            "target": target.key,
            "tier": str(target.priority),
            "would cost": _UNKNOWN if candidate.expected_usd is None else f"${candidate.expected_usd:.6f}",
            "input tokens": (_UNKNOWN if given is None else f"{given:.0f}") + (f" ({cached} cached)" if cached else ""),
            "price": _price(self._router.prices.sheet(target)),
            "first content": _UNKNOWN if seconds is None else f"{seconds:.2f} s",
            "failures": _share(candidate.error_rate),
            "rate limited": _share(candidate.limited_rate),
            "left of limits": _left(requests, tokens) + wait,
        }

    def _notes(self) -> list[str]:
        """What a row has no place for."""
        dialects = ((c.target.key, c.target.dialect.for_members(self._call.members)) for c in self._plan.candidates)
        notes = [f"{one.target.key}: {one.note}." for one in self._plan.candidates if one.note]
        return notes + [f"{key} is spoken to as {d.wire_format}." for key, d in dialects if d.wire_format != _USUAL]


def _price(sheet: PriceSheet | None) -> str:
    if sheet is None:
        return "not known: last in its tier"
    kind = "free" if sheet.is_free else f"{sheet.input:g} / {sheet.output:g}"
    return f"{kind}, {sheet.source}"


def _share(rate: float | None) -> str:
    return _UNKNOWN if rate is None else f"{rate:.0%}"


def _left(requests: int | None, tokens: int | None) -> str:
    parts = [] if requests is None else [f"{requests} requests"]
    parts += [] if tokens is None else [f"{tokens} tokens"]
    return ", ".join(parts) or "no limits"


def _table(rows: list[Mapping[str, str]]) -> list[str]:
    numbered = [{"": f"{number}."} | dict(row) for number, row in enumerate(rows, 1)]
    head = {name: name for name in numbered[0]}
    widths = {name: max(len(row[name]) for row in (head, *numbered)) for name in head}
    return ["  ".join(row[name].ljust(width) for name, width in widths.items()).rstrip() for row in (head, *numbered)]
