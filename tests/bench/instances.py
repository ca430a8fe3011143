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
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from cpu import cpu_seconds  # type: ignore[import-not-found]  # beside this script
from subjects import batch, write_config  # type: ignore[import-not-found]  # beside this script

sys.path[:0] = [str(Path(__file__).parents[1])]

from support.ports import free_port  # noqa: E402  # the path has to be set first

METHOD: Final = "/token_authority.v1.TokenService/BatchIssueTokens"
TOKENS: Final = 100
CONNECTIONS: Final = (1, 8, 32, 64)
IN_FLIGHT: Final = 64
DRAWS: Final = 2000


class Instance:
    """A server process."""

    def __init__(self, process: "subprocess.Popen[bytes]", admin: str) -> None:
        self.process = process
        self._admin = admin

    def tokens(self) -> float:
        """Returns how many tokens it has issued, as it counted them."""
        with urllib.request.urlopen(f"http://{self._admin}/metrics", timeout=10) as page:
            text = page.read().decode()
        counts = re.findall(
            r"^token_authority_tokens_issued_total\{[^}]*\} (\S+)$", text, re.MULTILINE
        )
        return sum(map(float, counts))

    def wait(self) -> None:
        """Waits until it is ready."""
        for _ in range(600):
            assert self.process.poll() is None, "an instance ended"
            try:
                with urllib.request.urlopen(f"http://{self._admin}/readyz", timeout=10):
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("an instance is not ready")


@contextmanager
def running(count: int, folder: Path) -> Generator[tuple[str, list[Instance]]]:
    """Runs instances on one port; yields its URL."""
    folder.mkdir()
    config = write_config(folder / "config", deployed=False)
    port = free_port()
    config.write_text(config.read_text().replace("PORT", str(port)))
    with ExitStack() as stack, (folder / "log").open("wb") as log:
        instances = []
        for _ in range(count):
            admin = f"127.0.0.1:{free_port()}"
            process = subprocess.Popen(
                [sys.executable, "-m", "token_authority_cli", "serve", "--reuse-port"]
                + ["--config", str(config)],
                stdout=log,
                stderr=log,
                env={**os.environ, "TOKEN_AUTHORITY__SERVER__ADMIN_LISTEN": admin},
            )
            stack.callback(process.wait, 60)
            stack.callback(process.terminate)
            instances.append(Instance(process, admin))
        for instance in instances:
            instance.wait()
        yield f"http://127.0.0.1:{port}{METHOD}", instances


def load(url: str, body: Path, connections: int, amount: Sequence[str]) -> tuple[float, int]:
    """Sends batches; returns tokens per second, and how many batches were answered.

    Args:
        url: Where to.
        body: A file with the batch.
        connections: Over how many connections.
        amount: h2load's options for how many, or for how long.
    """
    done = subprocess.run(
        ["h2load", "-t", "1", "-c", str(connections), *amount]
        + ["-m", str(IN_FLIGHT // connections), "-d", str(body)]
        + ["-H", "content-type: application/grpc", "-H", "te: trailers", url],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    good = re.search(r"status codes: (\d+) 2xx", done.stdout)
    assert good
    rate = re.search(r"finished in [\d.]+m?s, ([\d.]+) req/s", done.stdout)
    assert rate
    return float(rate[1]) * TOKENS, int(good[1])


def measure(
    url: str, instances: list[Instance], body: Path, connections: int, amount: Sequence[str]
) -> dict[str, Any]:
    """Makes one round; see `load`."""
    counted = [instance.tokens() for instance in instances]
    used = [cpu_seconds(instance.process.pid) for instance in instances]
    rate, answered = load(url, body, connections, amount)
    cpu = [
        cpu_seconds(instance.process.pid) - before
        for instance, before in zip(instances, used, strict=True)
    ]
    tokens = [
        instance.tokens() - before for instance, before in zip(instances, counted, strict=True)
    ]
    # h2load counts gRPC errors as answers.
    unread = IN_FLIGHT if amount[0] == "-D" else 0
    assert 0 < answered * TOKENS <= sum(tokens) <= (answered + unread) * TOKENS, tokens
    return {
        "tokens_per_second": rate,
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
        body = folder / "body"
        body.write_bytes(batch(TOKENS))
        servers = [
            stack.enter_context(running(number, folder / f"with-{number}")) for number in (1, count)
        ]
        for url, instances in servers:
            measure(url, instances, body, IN_FLIGHT, ("-n", str(IN_FLIGHT * 2)))
        print(
            f"{'connections':>11}  {'1: tok/s':>8}  {f'{count}: tok/s':>8}  ratio (worst)  "
            f"busiest (worst)  CPU µs per token: 1; {count}"
        )
        for connections in CONNECTIONS:
            rounds: list[list[dict[str, Any]]] = [[], []]
            for _ in range(options.rounds):
                for (url, instances), found in zip(servers, rounds, strict=True):
                    found.append(measure(url, instances, body, connections, amount))
            print_row(connections, *rounds)
            kept[connections] = {"1": rounds[0], str(count): rounds[1]}
    print(f"\nshare of the busiest of {count} instances by chance: median, one draw in 20")
    for connections in (1, 2, 4, 8, 16, 32, 64, 128, 256):
        median, rare = chance(connections, count)
        print(
            f"{connections:>11}  {median:>4.0%}  {rare:>4.0%}  {1 / median:.2f} times one instance"
        )
    if options.json:
        options.json.write_text(json.dumps(kept, indent=1))


if __name__ == "__main__":
    main()
