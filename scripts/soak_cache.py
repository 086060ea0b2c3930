"""Asks a hundred thousand questions of the cached gateway while everything goes wrong, and checks every answer.

Answers tell which question of which caller they are to, so that a wrong one is seen. Streams are cut, answers filtered,
clients leave, entries are evicted, Redis is killed, paused, flushed and started again.

    scripts/soak_cache.py [--requests 100000] [--backend memory --backend sqlite --backend redis] [--seed 1]
"""

import argparse
import asyncio
import logging
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.soaking.cache_soak import BACKENDS, Soak


def main() -> None:
    """Prints what came of each backend; exit code 1 where any answer was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000, help="for all backends together")
    parser.add_argument("--backend", action="append", choices=BACKENDS, help="may be given several times; default: all")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    # Cut streams and stores that fail are the point here, not news.
    logging.disable(logging.WARNING)
    backends = options.backend or BACKENDS
    wrong = 0
    for backend in backends:
        with tempfile.TemporaryDirectory(prefix="llmrouter-soak-") as folder:
            soak = Soak(backend, Path(folder), options.seed)
            asyncio.run(soak.run(options.requests // len(backends)))
        wrong += len(soak.wrong)
        print(f"{backend}: {soak.told()}", flush=True)
        for mistake in soak.wrong[:5]:
            print(f"  {mistake}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
