"""CPU time of the hot paths in this process, and what it is spent on.

    python tests/bench/profiling.py [NAME …] [--functions]

Prints microseconds of one thread, the fastest of many rounds: other work on the machine makes
rounds slower and never faster. With --functions, the functions that take the most (by cProfile,
which makes calls of Python functions look more expensive than they are). A call's transport, and
what the log's and the audit trail's threads do, are not in it: `calls.py` has both.
"""

import argparse
import asyncio
import cProfile
import pstats
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import uvloop

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.counting import Discard, run
from bench.hot_paths import HotPath, hot_paths

ROUNDS, RUNS = 60, 50
SHOWN: Final = 45


async def microseconds(path: HotPath) -> float:
    """Returns the CPU time of one run."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.thread_time_ns()
        for _ in range(RUNS):
            await run(path)
        best = min(best, (time.thread_time_ns() - started) / RUNS / 1000)
    return best


async def functions(path: HotPath) -> None:
    """Prints the functions that a path spends its time in."""
    profile = cProfile.Profile()
    with profile:
        for _ in range(ROUNDS * RUNS):
            await run(path)
    pstats.Stats(profile).sort_stats("tottime").print_stats(SHOWN)


async def main() -> None:
    """Times the paths that are named, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--functions", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths, trail = await hot_paths(Discard(), Path(folder))
        for name, path in paths.items():
            if not arguments.names or name in arguments.names:
                print(f"{name:24} {await microseconds(path):.1f} µs", flush=True)
                if arguments.functions:
                    await functions(path)
        await asyncio.to_thread(trail.close)


if __name__ == "__main__":
    uvloop.run(main())
