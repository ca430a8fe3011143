"""What one RTC token costs here, and in servers around other libraries: `make bench-peers`.

    python tests/bench/compare.py [--rounds N] [--only TEXT …] [--write]

Every server runs on this machine, one after the other, in interleaved rounds. h2load, a native
client, loads each with the same request:
- CPU per token: user and system time of the server's processes, as the kernel accounts it, divided
  by the tokens that the server answered; the client's time is not in it.
- tokens/s: at saturation, 8 connections with 8 requests in flight each.
- p50 and p99: at half of that rate.
- RSS after the load, and the time from start to the first token.
The number of tokens that our server counted has to equal the number that was sent. Printed are
medians of the rounds with the smallest and largest. --only names parts of the servers' names;
--write replaces COMPARISON.md, compare.svg and compare.json (every round) beside this script.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from report import (  # type: ignore[import-not-found]  # beside this script
    table,
    write,
)
from servers import load, running  # type: ignore[import-not-found]  # beside this script
from subjects import Subject, subjects  # type: ignore[import-not-found]  # beside this script

CONNECTIONS, STREAMS, SECONDS, HALF_SECONDS = 8, 8, 4, 3


def measure(subject: Subject, folder: Path) -> dict[str, float]:
    """One round of one server."""
    streams = ["-c", str(CONNECTIONS), "-m", str(STREAMS if subject.is_grpc else 1)]
    with running(subject, folder) as server:
        # The same number of calls every time, so that the count can be compared.
        warm = load(subject, server, folder, ["-n", "400", *streams])
        counted = server.tokens() if subject.config else 0
        speed = load(subject, server, folder, ["-n", "400", *streams])["per_second"]
        calls = max(400, int(speed * SECONDS))
        before = server.cpu_seconds()
        full = load(subject, server, folder, ["-n", str(calls), *streams])
        cpu = server.cpu_seconds() - before
        tokens = full["done"] * subject.tokens_per_call
        if subject.config:
            answered = server.tokens() - counted
            sent = (400 + full["done"]) * subject.tokens_per_call
            assert answered == sent, f"{subject.name}: {sent} sent, {answered} counted"
        assert warm["done"] == 400
        assert full["done"] == calls, f"{subject.name}: {full['done']} of {calls} answered"
        log = folder / "times"
        log.unlink(missing_ok=True)
        per_client = max(1, int(full["per_second"] / 2 / CONNECTIONS))
        load(
            subject,
            server,
            folder,
            [*streams, "--rps", str(per_client), "-D", str(HALF_SECONDS), f"--log-file={log}"],
        )
        times = sorted(int(line.split()[2]) for line in log.read_text().splitlines())
        return {
            "cpu_us_per_token": cpu / tokens * 1e6,
            "tokens_per_second": full["per_second"] * subject.tokens_per_call,
            "p50_ms": times[len(times) // 2] / 1000,
            "p99_ms": times[len(times) * 99 // 100] / 1000,
            "rss_mib": server.rss_mib(),
            "start_ms": server.start_to_token_ms,
        }


def main() -> None:
    """Runs the rounds and prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = [
            one
            for one in subjects(folder)
            if not arguments.only or any(word in one.name for word in arguments.only)
        ]
        for number in range(arguments.rounds):
            for subject in found:
                subject.rounds.append(measure(subject, folder))
                print(f"round {number + 1}: {subject.name}", file=sys.stderr, flush=True)
    rounds = {subject.name: subject.rounds for subject in found}
    print(table(rounds))
    if arguments.write:
        write(rounds)


if __name__ == "__main__":
    main()
