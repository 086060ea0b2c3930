"""What a run came to: requests, cost, saving and providers, from what the router counted or from its decisions."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums in US dollars over so many requests; `unknown` of them cost nobody knows what."""

    requests: int = 0
    cost_usd: float = 0.0
    saved_usd: float | None = None
    unknown: int = 0
    by_provider: Mapping[str, int] = field(default_factory=dict)

    def since(self, earlier: "Totals") -> "Totals":
        """What was added since then."""
        added = {name: count - earlier.by_provider.get(name, 0) for name, count in self.by_provider.items()}
        saved = None if self.saved_usd is None else self.saved_usd - (earlier.saved_usd or 0.0)
        return Totals(
            self.requests - earlier.requests,
            max(0.0, self.cost_usd - earlier.cost_usd),
            saved,
            self.unknown - earlier.unknown,
            {name: count for name, count in added.items() if count > 0},
        )


def totals_of_status(told: Mapping[str, Any]) -> Totals | None:
    """From a router's own page; None where it does not hold them."""
    sums = told.get("totals")
    if not isinstance(sums, Mapping):
        return None
    requests, cost = sums.get("requests"), sums.get("cost_usd")
    if not isinstance(requests, int) or not isinstance(cost, int | float):
        return None
    saved, unknown = sums.get("saved_usd"), sums.get("unpriced")
    providers = sums.get("by_provider")
    return Totals(
        requests,
        cost,
        saved if isinstance(saved, int | float) else None,
        unknown if isinstance(unknown, int) else 0,
        {} if not isinstance(providers, Mapping) else {name: _count(row) for name, row in providers.items()},
    )


def _count(row: Any) -> int:
    count = row.get("answered", 0) if isinstance(row, Mapping) else row
    return count if isinstance(count, int) else 0


def totals_of_decisions(lines: Iterable[str]) -> Totals:
    """From the lines that a router printed; what is no decision is passed over."""
    requests, unknown, cost, saved = 0, 0, 0.0, None
    providers: Counter[str] = Counter()
    for line in lines:
        if not line.startswith('{"event":"decision"'):
            continue
        try:
            record = json.loads(line)
        except ValueError:
            # A router that was killed leaves half a line.
            continue
        requests += 1
        known = record["cost_usd"] if record["cost_usd"] is not None else record.get("known_cost_usd", 0.0)
        unknown += record["cost_usd"] is None
        cost += known
        if record.get("saved_usd") is not None:
            saved = (saved or 0.0) + record["saved_usd"]
        if record.get("answered_by"):
            providers[record["answered_by"].partition("/")[0]] += 1
    return Totals(requests, cost, saved, unknown, providers)


def sentence(totals: Totals | None) -> str:
    """All of it in one line for the user; None is a router that does not tell."""
    if totals is None:
        return "llmrouter: this router does not tell what it counted."
    if not totals.requests:
        return "llmrouter: no request came through the router."
    requests = "1 request" if totals.requests == 1 else f"{totals.requests} requests"
    spent = f"{_usd(totals.cost_usd)} spent"
    if totals.unknown:
        spent = f"{spent} and what is not known of {totals.unknown}" if totals.cost_usd else "cost not known"
    saved = "saving not known" if totals.saved_usd is None else f"{_usd(totals.saved_usd)} saved"
    ranked = sorted(totals.by_provider.items(), key=lambda item: (-item[1], item[0]))
    providers = ", ".join(f"{name} {count}" for name, count in ranked) or "nobody"
    return f"llmrouter: {requests}, {spent}, {saved}; answered by {providers}."


def _usd(amount: float) -> str:
    return "$0" if not amount else f"${amount:.2f}" if abs(amount) >= 1 else f"${amount:.6f}"
