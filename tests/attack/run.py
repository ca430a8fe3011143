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
        print(f"{name:30} {result.row()}", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
