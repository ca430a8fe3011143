"""What a second instance on the same port adds: `make bench-instances`.

    python tests/bench/instances.py [--instances N] [--rounds N] [--batches N] [--seconds N]
                                    [--json FILE]

One and N instances (default 2) share a port by SO_REUSEPORT. h2load, a native client, sends
batches of 100 RTC tokens over 1, 8, 32 and 64 connections, 64 batches in flight in all. By default
every connection sends the same number of batches, as clients with a given load do, so that the
busiest instance decides when all are answered. With --seconds, each sends as many as are answered
in that time: what the instances can do together. Printed for each number of connections:
- tokens/s of one and of N instances, and their ratio: medians of the rounds, with the worst.
- busiest: the share of the tokens that the busiest instance signed, as the instances counted them.
  The kernel assigns each connection to an instance by a hash of its addresses and ports, so that
  few connections spread unevenly. Every round draws anew, as `max_connection_age` does for each
  connection of a client about every 30 minutes.
- CPU: µs per token of each instance, user and system, as the kernel accounts it.
Then the share of the busiest instance that chance leads to, without a load.

The ratio means something only on a machine with N cores to spare beside the client, which takes a
few percent of one. The other figures hold on any machine.
"""

import argparse
import json
import random
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from cpu import cpu_seconds  # type: ignore[import-not-found]  # beside this script
from servers import (  # type: ignore[import-not-found]  # beside this script
    Running,
    counted,
    load,
    running,
)
from subjects import (  # type: ignore[import-not-found]  # beside this script
    Subject,
    ours,
    write_config,
)

TOKENS: Final = 100
CONNECTIONS: Final = (1, 8, 32, 64)
IN_FLIGHT: Final = 64
DRAWS: Final = 2000


def measure(
    subject: Subject, server: Running, folder: Path, connections: int, amount: Sequence[str]
) -> dict[str, Any]:
    """Makes one round.

    Args:
        subject: What is sent.
        server: The instances.
        folder: Where the body is written.
        connections: Over how many connections.
        amount: h2load's options for how many batches, or for how long.
    """
    pids = [process.pid for process in server.processes]
    before = [counted(admin) for admin in server.admins]
    used = [cpu_seconds(pid) for pid in pids]
    streams = ["-c", str(connections), "-m", str(IN_FLIGHT // connections)]
    loaded = load(subject, server, folder, [*amount, *streams])
    cpu = [cpu_seconds(pid) - seconds for pid, seconds in zip(pids, used, strict=True)]
    tokens = [counted(admin) - count for admin, count in zip(server.admins, before, strict=True)]
    answered = loaded["done"]
    # h2load counts gRPC errors as answers.
    unread = IN_FLIGHT if amount[0] == "-D" else 0
    assert 0 < answered * TOKENS <= sum(tokens) <= (answered + unread) * TOKENS, tokens
    return {
        "tokens_per_second": loaded["per_second"] * TOKENS,
        "busiest": max(tokens) / sum(tokens),
        "cpu_us_per_token": [
            used * 1e6 / count if count else None for used, count in zip(cpu, tokens, strict=True)
        ],
    }


def chance(connections: int, instances: int) -> tuple[float, float]:
    """Returns the share of the busiest instance: the median of many draws, and one in 20."""
    draw = random.Random(1)  # noqa: S311  # no secret
    shares = sorted(
        max(map(hits.count, range(instances))) / connections
        for hits in ([draw.randrange(instances) for _ in range(connections)] for _ in range(DRAWS))
    )
    return shares[DRAWS // 2], shares[DRAWS * 19 // 20]


def print_row(connections: int, alone: list[dict[str, Any]], shared: list[dict[str, Any]]) -> None:
    """Prints the rounds of one number of connections."""
    one, many = ([found["tokens_per_second"] for found in rounds] for rounds in (alone, shared))
    ratios = [after / before for before, after in zip(one, many, strict=True)]
    busiest = [found["busiest"] for found in shared]
    cpu = [
        statistics.median(figures)
        for number in range(len(shared[0]["cpu_us_per_token"]))
        if (figures := [used for found in shared if (used := found["cpu_us_per_token"][number])])
    ]
    before = statistics.median(found["cpu_us_per_token"][0] for found in alone)
    print(
        f"{connections:>11}  {statistics.median(one):>8.0f}  {statistics.median(many):>8.0f}  "
        f"{statistics.median(ratios):>5.2f} ({min(ratios):.2f})  "
        f"{statistics.median(busiest):>6.0%} ({max(busiest):.0%})  "
        f"{before:.1f}; {', '.join(f'{used:.1f}' for used in cpu)}",
        flush=True,
    )


def print_chances(count: int) -> None:
    """Prints the shares of the busiest instance that chance leads to."""
    print(f"\nshare of the busiest of {count} instances by chance: median, one draw in 20")
    for connections in (1, 2, 4, 8, 16, 32, 64, 128, 256):
        median, rare = chance(connections, count)
        print(
            f"{connections:>11}  {median:>4.0%}  {rare:>4.0%}  {1 / median:.2f} times one instance"
        )


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--instances", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=1280, help="of 100 tokens, in each round")
    parser.add_argument("--seconds", type=int, help="how long to send in each round")
    parser.add_argument("--json", type=Path, help="keep every round in this file")
    options = parser.parse_args()
    count = options.instances
    amount = ("-D", str(options.seconds)) if options.seconds else ("-n", str(options.batches))
    kept: dict[int, dict[str, list[dict[str, Any]]]] = {}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        config = write_config(folder / "config", deployed=False)
        (batches,) = [one for one in ours("plain", config) if one.tokens_per_call == TOKENS]
        servers = []
        for number in (1, count):
            subject = replace(batches, instances=number)
            own = folder / f"with-{number}"
            own.mkdir(exist_ok=True)
            server = stack.enter_context(running(subject, own))
            servers.append((subject, server, own))
            measure(*servers[-1], IN_FLIGHT, ("-n", str(IN_FLIGHT * 2)))
        print(
            f"{'connections':>11}  {'1: tok/s':>8}  {f'{count}: tok/s':>8}  ratio (worst)  "
            f"busiest (worst)  CPU µs per token: 1; {count}"
        )
        for connections in CONNECTIONS:
            rounds: list[list[dict[str, Any]]] = [[], []]
            for _ in range(options.rounds):
                for served, found in zip(servers, rounds, strict=True):
                    found.append(measure(*served, connections, amount))
            print_row(connections, *rounds)
            kept[connections] = {"1": rounds[0], str(count): rounds[1]}
    print_chances(count)
    if options.json:
        options.json.write_text(json.dumps(kept, indent=1))


if __name__ == "__main__":
    main()
