"""Attacks a server and prints what a bystander notices, and what the server's memory and log do.

    python tests/attack/run.py [--tree CHECKOUT] [ATTACK…]

`--tree` attacks the server of another checkout, for the column "before". Every attack is bounded,
on the loopback interface alone, against a server of its own.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("GRPC_VERBOSITY", "NONE")
sys.path.insert(0, str(Path(__file__).parents[1]))

from attack.attacks import ATTACKS
from attack.harness import Result, attacked, victim
from support.jwks import key_server

SECONDS = 3.0
# Measured by this script with --tree on commit 3b5ee0f, two cores under other load: answered calls,
# p50/p99/max of the bystander, growth of peak resident memory, kB of log a second.
BEFORE = {
    "bombs": "305 of 305 4.4/53.9/99 ms 714 MB 10",
    "bombs_everywhere": "236 of 236 2.6/65.7/192 ms 158 MB 4",
    "unfinished_bodies": "936 of 936 2.2/24.4/164 ms 1280 MB 1",
    "unfinished_bodies_everywhere": "408 of 408 2.1/30.7/145 ms 249 MB 2",
    "bombs_of_a_caller": "799 of 799 3.6/42.2/89 ms 54 MB 1",
    "unfinished_bodies_of_a_caller": "523 of 523 3.4/50.1/125 ms 324 MB 1",
    "headers_only": "188 of 371 1.7/23.4/35 ms 277 MB 1",
    "checks_without_message": "130 of 257 5.3/31.4/69 ms 283 MB 1",
    "watches": "117 of 119 4.5/113.5/156 ms 274 MB 2",
    "ended_without_message": "58 of 99 1.1/15.3/15 ms 267 MB 4",
    "made_up_key_ids": "57 of 281 3.5/217.6/218 ms 38 MB 0",
    "silent_connections": "330 of 330 1.8/17.3/52 ms 5 MB 2",
    # The log alone, measured with another client.
    "refusals": "635",
    # These two on commit 3a9808f.
    "refusals_of_a_caller": "138 of 138 22.1/55.5/75 ms 4 MB 443",
    "short_inspections": "164 of 164 20.5/86.0/92 ms 3 MB 509",
    "inspections": "73 of 73 3.3/156.6/157 ms 14 MB 118",
    # Without the bounds of rpc/transport_options.py, growth after six seconds.
    "rapid_resets": "2129 MB",
    "hang_ups": "1424 MB",
    "answers_without_window": "929 MB",
    "endless_headers": "150 MB",
    "validations": "132 of 132 15.0/136.1/140 ms 3 MB 277",
}


async def measure(name: str, tree: str = "") -> Result:
    """Runs one attack."""
    files = 256 if name == "silent_connections" else 0
    max_in_flight = 8 if name.endswith("of_a_caller") else 0
    with tempfile.TemporaryDirectory() as folder, key_server() as provider:
        provider.answer = lambda _: time.sleep(5)
        async with victim(
            Path(folder), provider.url, max_in_flight=max_in_flight, files=files, tree=tree
        ) as server:
            return await attacked(server, name, SECONDS)


async def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tree", default="")
    parser.add_argument("attacks", nargs="*", choices=[*ATTACKS, []])
    arguments = parser.parse_args()
    print(f"{'attack':30} {'answered':>12} {'p50/p99/max':>22} {'peak RSS +':>11} {'log kB/s':>6}")
    for name in arguments.attacks or ATTACKS:
        result = await measure(name, arguments.tree)
        print(f"{name:30} {result.row()}\n{'  before':30} {BEFORE.get(name, '-')}", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
