"""CPU per request of the router beside mitmproxy alone, in front of the same stub, in one run.

CPU is the processes' own accounting, user and system time, in short blocks by turns; wall time plays no part in it.

    scripts/bench_proxy.py                                     all rows: about three minutes
    scripts/bench_proxy.py --only connection --csv out.csv     some rows; CSV; --chart out.svg draws them
    scripts/bench_proxy.py --latency                           what the router adds to a call's time, too
    scripts/bench_proxy.py --peer litellm --peer portkey       other gateways beside it, where they are installed
    scripts/bench_proxy.py --check                             the short form of CI: fails where it became slower
    scripts/bench_proxy.py --record                            keeps the measured ratios, for --check
    scripts/bench_proxy.py --memory                            resident memory as requests go by
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.bench import latency, memory, peers, processes, regression, report
from scripts.bench.certificates import make_certificate
from scripts.bench.measuring import Result, Side, compare, way_to
from scripts.bench.processes import Program
from scripts.bench.rows import CONFIG, IN_REDIS, ROWS, Row

_SECOND_LOOKS = 4


@dataclass(frozen=True)
class Stand:
    """All that runs; `router_with_redis` is None where no Redis is installed or asked for."""

    folder: Path
    stub: Program
    tls_stub: Program
    alone: Program
    router: Program
    router_with_redis: Program | None


@contextmanager
def stand(*, with_redis: bool) -> Iterator[Stand]:
    """Starts everything, and ends it."""
    folder = Path(tempfile.mkdtemp(prefix="llmrouter-bench-"))
    certificate = folder / "stub.pem"
    make_certificate(certificate)
    running: list[Program] = []

    def kept(program: Program) -> Program:
        running.append(program)
        return program

    try:
        stub, tls_stub = kept(processes.start_stub()), kept(processes.start_stub(certificate))

        def config(more: str = "") -> str:
            return CONFIG.format(port=stub.api, tls_port=tls_stub.api, more=more)

        alone = kept(processes.start_mitmproxy(stub.api, folder, certificate))
        router = kept(processes.start_router(config(), folder, certificate))
        shared = None
        if with_redis and (redis := processes.start_redis()) is not None:
            in_redis = config(IN_REDIS.format(port=kept(redis).api))
            shared = kept(processes.start_router(in_redis, folder, certificate))
        yield Stand(folder, stub, tls_stub, alone, router, shared)
    finally:
        for program in reversed(running):
            program.stop()
        shutil.rmtree(folder)


def measured(rows: list[Row], on: Stand, options: argparse.Namespace, *, more: int = 1) -> list[Result]:
    """The rows, each as it is measured; those that need a Redis are left out where there is none."""
    results = []
    for row in rows:
        router = on.router_with_redis if row.in_redis else on.router
        if router is None:
            continue
        ours = Side(router, way_to(router, tunnelled=row.tunnelled, host="api.openai.com", port=443), row.asked)
        way = way_to(on.alone, tunnelled=row.tunnelled, host="localhost", port=on.tls_stub.api)
        alone = Side(on.alone, way, row.alone or row.asked)
        result = compare(
            row, ours, alone, requests=options.requests * more, clients=options.clients, rounds=options.rounds * more
        )
        results.append(result)
        print(f"{row.name}: {result.ratio:.2f}", file=sys.stderr, flush=True)
    return results


def check(rows: list[Row], on: Stand, options: argparse.Namespace) -> int:
    """The exit status: what seems slower is measured again, and longer; what is slower each time counts.

    A neighbour on the machine may spoil some rounds, and code that became slower spoils all of them.
    """
    known = regression.recorded()
    results = measured(rows, on, options)
    print(report.markdown(results, [], None))
    for _ in range(_SECOND_LOOKS):
        suspects = [one.row for one in results if regression.slower([one], known)]
        if not suspects:
            return 0
        results = measured(suspects, on, options, more=2)
    slower = regression.slower(results, known)
    for line in slower:
        print(line, file=sys.stderr)
    return 1 if slower else 0


def show(rows: list[Row], on: Stand, options: argparse.Namespace) -> None:
    """Measures and prints all that is asked for."""
    results = measured(rows, on, options)
    asked = ROWS[0].asked
    beside = []
    for name in options.peer:
        counted = {"requests": options.requests, "clients": options.clients}
        found = peers.compare_peer(name, on.router, asked, on.stub.api, on.folder, **counted)
        if found is None:
            print(f"{name} is not installed, and left out.", file=sys.stderr)
        else:
            beside.append(found)
    times = latency.measure(on.stub, on.router, on.alone, asked, options.requests) if options.latency else None
    print(report.markdown(results, beside, times))
    if options.csv is not None:
        options.csv.write_text(report.table(results))
    if options.chart is not None:
        options.chart.write_text(report.chart(results))
    if options.record:
        regression.record([one for one in results if "short" in one.row.tags])


def main() -> int:
    """Does what the arguments say; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=4000, help="of the cheapest rows; others get a part of that")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=9, help="blocks by turns in each row")
    parser.add_argument("--only", action="append", default=[], metavar="WORDS", help="rows whose names hold these")
    parser.add_argument("--peer", action="append", default=[], choices=sorted(peers.PEERS))
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--chart", type=Path)
    for name in ("latency", "memory", "short", "check", "record"):
        parser.add_argument(f"--{name}", action="store_true")
    options = parser.parse_args()
    is_short = options.short or options.check
    rows = [row for row in ROWS if not is_short or "short" in row.tags]
    rows = [row for row in rows if not options.only or any(words in row.name for words in options.only)]
    with stand(with_redis=any(row.in_redis for row in rows)) as on:
        if options.memory:
            memory.print_memory(on.router)
        elif options.check:
            return check(rows, on, options)
        else:
            show(rows, on, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
