"""Puts a real router under load while everything goes wrong, and checks every answer and what the router holds on to.

Two providers reset, stall, cut, lie and mix up their answers, one works; the configuration changes all the time;
clients hang up. Bars: no answer that is cut but told as whole, none that is wrong, no failure that a client sees, no
socket and no task that is left over, and resident memory that grows by less than 5 % after the warm-up.

    scripts/soak.py [--minutes 2] [--clients 16] [--seed 1]
"""

import argparse
import asyncio
import signal
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.soaking.router_soak import Findings, RouterSoak

_TOLD = 5
_WARM_UP_SHARE = 0.25


def main() -> None:
    """Prints what came of it; exit code 1 where a bar is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2.0, help="in all; a quarter of it warms up")
    parser.add_argument("--clients", type=int, default=16, help="how many ask at the same time")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    # Who ends the soak ends its router, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    seconds = options.minutes * 60
    with tempfile.TemporaryDirectory(prefix="llmrouter-soak-") as folder:
        soak = RouterSoak(Path(folder), options.seed, options.clients)
        warm_up_s = seconds * _WARM_UP_SHARE
        findings = asyncio.run(soak.run(warm_up_s, seconds - warm_up_s))
        log = soak.router.log.read_text(errors="replace")
    tell(findings)
    broken = findings.broken_bars()
    for bar in broken:
        print(f"BROKEN: {bar}")
    if broken:
        print(log[-4000:])
    sys.exit(1 if broken else 0)


def tell(findings: Findings) -> None:
    """What came of it, for people."""
    warm, end = findings.warm, findings.end
    assert warm is not None
    assert end is not None
    kinds = ", ".join(f"{name} {count}" for name, count in sorted(findings.by_kind.items()))
    faults = ", ".join(f"{name} {count}" for name, count in sorted(findings.faults.items()))
    print(f"requests         {findings.requests} ({kinds})")
    print(f"providers        {faults}")
    print(f"hang-ups         {findings.hang_ups}, reloads {findings.reloads}, seed {findings.seed}")
    for name, found in (
        ("failures seen", findings.failures),
        ("false ends", findings.false_ends),
        ("wrong answers", findings.wrong),
    ):
        print(f"{name:16} {len(found)}")
        for one in found[:_TOLD]:
            print(f"    {one}")
    print(f"resident memory  {warm.mebibytes:.1f} MiB after the warm-up, {end.mebibytes:.1f} MiB at the end", end=" ")
    print(f"({findings.growth:+.1%} in {findings.measured_s:.0f} s)")
    print(f"open sockets     {warm.sockets} after the warm-up, {end.sockets} at the end")
    print(f"tasks            {warm.tasks} after the warm-up, {end.tasks} at the end")


if __name__ == "__main__":
    main()
