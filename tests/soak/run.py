"""Calls instances at a steady rate, while everything that an operator does happens to them.

Three instances with TLS, API keys, a required audit trail and rate limits in Redis. In turn, keys,
certificates and configurations are replaced by good and bad ones, instances are restarted and
killed, Redis stops and hangs, and the audit disk is full. No call may fail, but those that a full
audit disk refuses. In the end, the audit trails must have each token that arrived.

    python tests/soak/run.py [--seconds SECONDS] [--rate CALLS_PER_SECOND] [--limited]

Where the machine permits it, the audit disk is a small file system; else, and with --limited, a
limit on the size of files takes its place.
"""

import argparse
import asyncio
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))
from soak.calling import Caller, account
from soak.events import Events
from soak.files import Files
from soak.fleet import AuditDisk, Instance
from support.machine import missing
from support.redis import redis_server
from support.small_disk import mounting

INSTANCES: Final = 3
_PAUSE_SECONDS: Final = 2.0


@dataclass(frozen=True)
class Options:
    """How long, how much, and on which disk."""

    seconds: float
    """The last event begins before, but each event happens once at least."""
    rate: float
    """Calls per second."""
    pause_seconds: float = _PAUSE_SECONDS
    """How long nothing happens after each event."""
    mounted: bool = False
    """Whether the folder `trails` is a file system of its own."""


async def soak(folder: Path, options: Options, say: Callable[[str], None]) -> list[str]:
    """Runs it.

    Args:
        folder: Where all files go.
        options: How long, how much, and on which disk.
        say: Takes the lines of the report.

    Returns:
        What went wrong.
    """
    trails = folder / "trails"
    trails.mkdir(exist_ok=True)
    async with redis_server() as redis:
        files = Files(folder, redis.url)
        instances = [Instance(number, files, trails) for number in range(1, INSTANCES + 1)]
        try:
            await asyncio.gather(*[instance.start() for instance in instances])
            async with Caller(files, instances, options.rate) as caller:
                disk = AuditDisk(trails, mounted=options.mounted)
                events = Events(files, instances, redis, disk, caller)
                wrong = await _cycles(events, caller, options, say)
            for instance in instances:
                await instance.stop()
        finally:
            for instance in instances:
                await instance.kill()
    wrong += _report_calls(caller, events, say)
    for instance in instances:
        (start, _), (began, end) = instance.rss_mib[0], instance.rss_mib[-1]
        most = max(last for _, last in instance.rss_mib)
        say(
            f"{instance.name}: RSS {start:.0f} MiB at start, {end:.0f} MiB at the end; its "
            f"last process began with {began:.0f} MiB; of {len(instance.rss_mib)} processes, the "
            f"largest had {most:.0f} MiB"
        )
    paths = [instance.trail for instance in instances]
    found, bad = await asyncio.to_thread(account, paths, caller.keys)
    for line in found:
        say(line)
    return wrong + bad


async def _cycles(
    events: Events, caller: Caller, options: Options, say: Callable[[str], None]
) -> list[str]:
    """Lets everything happen in turn; returns what had not the effect that it should have."""
    began = time.monotonic()
    for number, happen in enumerate(itertools.cycle(events.all())):
        at = time.monotonic() - began
        if number >= len(events.all()) and at > options.seconds:
            break
        caller.slowest_seconds = 0.0
        try:
            what = await happen()
        except AssertionError as error:
            return [f"{happen.__name__.strip('_')}: {error}"]
        say(
            f"{at:5.1f} s  {what}; {caller.calls:,} calls, {caller.failures.total()} failed, "
            f"slowest meanwhile {caller.slowest_seconds:.2f} s"
        )
        await asyncio.sleep(options.pause_seconds)
    return []


def _report_calls(caller: Caller, events: Events, say: Callable[[str], None]) -> list[str]:
    refused = len(caller.refused_at)
    outside = sum(
        not any(began <= at <= ended for began, ended in events.full) for at in caller.refused_at
    )
    say(
        f"{caller.outcome.calls:,} calls, {caller.failures.total()} failed, {refused} refused by "
        f"the full audit disk ({outside} at another time), slowest {caller.outcome.slowest:.2f} s"
    )
    wrong = [f"{count} calls failed: {reason}" for reason, count in caller.failures.items()]
    return wrong + ([f"{outside} calls refused while the disk was not full"] if outside else [])


def main() -> int:
    """Prints the report; returns 1 if something went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--rate", type=float, default=250)
    parser.add_argument("--limited", action="store_true", help="mount no file system")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.folder is None:
        with tempfile.TemporaryDirectory() as name:
            return _run_again(Path(name), mount=not (options.limited or missing("mount")))
    chosen = Options(options.seconds, options.rate, mounted=not options.limited)
    print(
        f"{options.seconds:g} s, {options.rate:g} calls/s, {INSTANCES} instances; the audit disk "
        f"is {'a file system' if chosen.mounted else 'limited by RLIMIT_FSIZE'}"
    )
    wrong = asyncio.run(soak(options.folder, chosen, lambda line: print(line, flush=True)))
    for line in wrong:
        print(f"FAILED: {line}")
    return int(bool(wrong))


def _run_again(folder: Path, *, mount: bool) -> int:
    """Runs this script in a folder, whose audit disk is a file system that has room enough."""
    (folder / "trails").mkdir()
    mounted = mounting("150m", folder / "trails") if mount else []
    limited = [] if mount else ["--limited"]
    command = [sys.executable, __file__, "--folder", str(folder), *limited, *sys.argv[1:]]
    environment = {**os.environ, "GRPC_VERBOSITY": "NONE"}
    return subprocess.run([*mounted, *command], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
