"""Replays a day of traffic against providers with outages, limits and changing prices, under each policy.

The real gateway decides; providers and time are simulated, so that a day takes seconds and the same seed gives the same
table. The oracle knows all outages and answers in advance.

    scripts/simulate.py [--seed 1] [--calls 20000] [--policy least_cost ...] [--json]
"""

import argparse
import json
import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.simulation.day import DayResult, make_day, run_day
from scripts.simulation.oracle import OracleResult
from scripts.simulation.own_policy import OWN_POLICY

POLICIES = ("least_cost", "least_latency", "round_robin", "weighted", "quality", "schedule", OWN_POLICY)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--policy", action="append", choices=POLICIES, help="may be given several times; default: all")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--failures", action="store_true", help="print each call that failed")
    options = parser.parse_args()
    # Breakers that open and rests are the point here, not news.
    logging.disable(logging.WARNING)
    day = make_day(options.calls, options.seed)
    oracle = day.oracle()
    results = [run_day(day, policy, options.seed) for policy in options.policy or POLICIES]
    if options.json:
        rows = [row_of(result, oracle.cost_usd) for result in results]
        print(json.dumps({"oracle_usd": round(oracle.cost_usd, 4), "policies": rows}, indent=2))
        return
    print(table(results, oracle, options.calls))
    if options.failures:
        print("\n".join(failure for result in results for failure in result.failures))


def table(results: list[DayResult], oracle: OracleResult, calls: int) -> str:
    """The results in Markdown, each beside the oracle's."""
    columns = ("policy", "cost", "to the oracle's", "failed", "preventable", "over a limit", "attempts", "p95 content")
    rows = [_columns_of(one, oracle, calls) for one in results]
    known = ["oracle", f"${oracle.cost_usd:.2f}", "1.00", str(oracle.unanswerable), "0", "0", "1.00", ""]
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], known, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _columns_of(one: DayResult, oracle: OracleResult, calls: int) -> list[str]:
    money = [f"${one.cost_usd:.2f}", f"{one.cost_usd / oracle.cost_usd:.2f}"]
    wrong = [str(one.failed), str(one.preventable), str(one.over_limit)]
    return [f"`{one.policy}`", *money, *wrong, f"{one.attempts / calls:.2f}", f"{one.p95_s:.2f} s"]


def row_of(result: DayResult, oracle_usd: float) -> dict[str, object]:
    """A policy's row as JSON values."""
    return {
        "policy": result.policy,
        "cost_usd": round(result.cost_usd, 4),
        "to_oracle": round(result.cost_usd / oracle_usd, 4),
        "failed": result.failed,
        "preventable": result.preventable,
        "over_limit": result.over_limit,
        "attempts": result.attempts,
        "p95_s": round(result.p95_s, 3),
    }


if __name__ == "__main__":
    main()
