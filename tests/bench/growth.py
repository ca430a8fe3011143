"""How costs grow with what a server is given: configuration, audit trail, connections, batches.

    python tests/bench/growth.py [--small] [--only NAME …] [--write]

Prints CPU time (so that other work on the machine matters little) or memory for each size, and how
fast the cost grows between the two largest: an exponent of 0 is constant, 1 is linear. Exits with 1
if a cost grows faster than linearly. `--small` leaves out the largest sizes; without it, the audit
trail has 1 GB in the end, and there are 10,000 connections. `--write` replaces growth.json and
growth.svg beside this script.
"""

import argparse
import asyncio
import io
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.decisions import RTC, context
from bench.growth_connections import bytes_of_connection
from bench.growth_plot import plot
from bench.growth_trail import audit_command
from bench.hot_paths import INSPECT, TOKEN_SERVICE, Server, batch_of, plain
from support import granting
from support.keys import APP_ID, NOW_MS
from support.live import PROJECT, SERVER, caller
from support.serving import no_trail, write_config
from token_authority.v1.inspection_pb2 import InspectTokenRequest
from token_authority_server.access.callers import Caller
from token_authority_server.access.denial import Denial
from token_authority_server.access.denials import Denials
from token_authority_server.config import ConfigFile
from token_authority_server.families.rtc import Rtc
from token_authority_server.identity.directory import API_KEY, Callers
from token_authority_server.keyring import AppCertificate, Keyring, KeyState, Project, Secret

HERE: Final = Path(__file__).parent
# Above 1, because what no longer fits the processor's caches costs up to twice as much.
MAX_EXPONENT: Final = 1.3
ROUNDS: Final = 5
LATER_MS: Final = NOW_MS + 3_600_000


@dataclass(frozen=True)
class Growth:
    """What is measured, for which sizes."""

    unit: str
    sizes: Sequence[int]
    measure: Callable[[int], float]
    slack: float = 0.0
    """A cost below which its growth does not matter."""


def cpu_us(function: Callable[[], object], times: int) -> float:
    """Returns the CPU time of one call in microseconds: the median of some rounds."""
    rounds: list[float] = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(times):
            function()
        rounds.append((time.process_time() - began) / times * 1e6)
    return statistics.median(rounds)


def grants_per_caller(count: int) -> float:
    """Authorizes by the last of a caller's grants."""
    who, family = context(count), Rtc()
    return cpu_us(
        lambda: who.find_grant("classroom", family.read(RTC, NOW_MS)), max(3, 20_000 // count)
    )


def callers(count: int) -> float:
    """Finds one of many callers by its API key."""
    one = granting.caller(granting.grant()).caller()
    by_name = {
        f"caller-{number}": Caller(f"caller-{number}", one.grants, one.quota)
        for number in range(count)
    }
    keys = {f"{API_KEY}{number:064x}": f"caller-{number}" for number in range(count)}
    directory = Callers(by_name, keys)
    last = f"{count - 1:064x}"
    return cpu_us(lambda: directory.of_api_key(last, 0.0), 5000)


def denials(count: int) -> float:
    """Finds none of so many denials that applies to a request: users, channels, both, patterns."""
    rows = [
        (
            Denial("classroom", LATER_MS, f"uid:{number + 10}"),
            Denial("classroom", LATER_MS, channel=f"hall-{number}-*"),
            Denial("classroom", LATER_MS, channel=f"*-{number + 10}"),
            Denial("classroom", LATER_MS, f"account:al-{number}", f"lesson-{number % 100 + 10}"),
        )[number % 4]
        for number in range(count)
    ]
    known, wanted = Denials(rows), Rtc().read(RTC, NOW_MS).accesses
    return cpu_us(lambda: known.find("classroom", wanted, NOW_MS), 2000)


def loading(count: int) -> float:
    """Loads a configuration with so many callers."""
    text = SERVER + PROJECT
    text += "".join(caller(f"{API_KEY}{n:064x}", f"caller-{n}") for n in range(count))
    with tempfile.TemporaryDirectory() as folder:
        file = ConfigFile(write_config(Path(folder), text), {})
        began = time.process_time()
        file.load().policy()
        return time.process_time() - began


def _inspection(keys: Keyring, inspected: str) -> float:
    grant = granting.everything(inspected)
    server = plain(io.StringIO())
    token: Any = asyncio.run(_result(server.sign("rtc")))
    server = Server(granting.callers(granting.caller(grant)), no_trail(), io.StringIO(), keys=keys)
    call = server.call(INSPECT, InspectTokenRequest(token=token.token).SerializeToString())
    return cpu_us(lambda: asyncio.run(_result(call)), 5)


async def _result(call: Callable[[], Awaitable[object]]) -> object:
    return await call()


def projects(count: int) -> float:
    """Inspects a token with the key of one of many projects."""
    keys = Keyring(Project(f"p{number}", (_key(number),)) for number in range(count))
    return _inspection(keys, "p0")


def keys_per_project(count: int) -> float:
    """Inspects a token that none of a project's keys has signed."""
    retired = [_key(number, KeyState.VERIFY_ONLY) for number in range(1, count)]
    return _inspection(Keyring([Project("p0", (_key(0), *retired))]), "p0")


def _key(number: int, state: KeyState = KeyState.ACTIVE) -> AppCertificate:
    return AppCertificate(f"c{number}", state, APP_ID, Secret(f"{number:032x}"))


def batch_size(count: int) -> float:
    """Issues a batch of RTC tokens, all of the call's Python included."""
    call = plain(io.StringIO()).call(f"{TOKEN_SERVICE}BatchIssueTokens", batch_of("rtc", count))
    return cpu_us(lambda: asyncio.run(_result(call)), max(2, 200 // count))


GROWTHS: Final[Mapping[str, Growth]] = {
    "grants per caller": Growth("µs per decision", (1, 10, 100, 1000, 10_000), grants_per_caller),
    "callers": Growth("µs to find one", (10, 1000, 10_000, 100_000), callers, slack=20),
    "denials": Growth("µs per decision", (10, 1000, 10_000, 100_000), denials, slack=50),
    "callers, loading": Growth("CPU seconds", (100, 1000, 10_000, 100_000), loading),
    "projects": Growth("µs per inspection", (1, 10, 100, 1000, 10_000), projects),
    "keys per project": Growth("µs per inspection", (1, 10, 100, 1000), keys_per_project),
    "batch size": Growth("µs per batch", (1, 10, 100, 500), batch_size),
    "audit verify": Growth(
        "CPU seconds by MB", (1, 10, 100, 1000), audit_command("verify"), slack=2
    ),
    "audit find": Growth(
        "CPU seconds by MB", (1, 10, 100, 1000), audit_command("find", "f" * 32), slack=2
    ),
    "audit verify, memory": Growth(
        "peak MiB by MB", (1, 10, 100), audit_command("verify", peak=True), slack=150
    ),
    "idle connections": Growth(
        "bytes each", (100, 1000, 10_000), lambda count: bytes_of_connection(count, tls=False)
    ),
    "idle TLS connections": Growth(
        "bytes each", (100, 1000, 10_000), lambda count: bytes_of_connection(count, tls=True)
    ),
}


def exponent(costs: Mapping[int, float]) -> float:
    """Returns how fast a cost grows between the two largest sizes."""
    (small, low), (large, high) = list(costs.items())[-2:]
    return math.log(high / low) / math.log(large / small)


def write(measured: Mapping[str, Mapping[int, float]]) -> None:
    """Writes growth.json, and growth.svg; what was not measured this time stays."""
    file = HERE / "growth.json"
    kept: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    every = {
        name: {int(size): cost for size, cost in (measured.get(name) or kept[name]).items()}
        for name in GROWTHS
        if name in measured or name in kept
    }
    file.write_text(json.dumps(every, indent=1) + "\n")
    (HERE / "growth.svg").write_text(plot(every, {name: GROWTHS[name].unit for name in every}))


def main() -> int:
    """Prints the table; returns 1 if something grows faster than linearly."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only", nargs="+", choices=list(GROWTHS), default=list(GROWTHS))
    options = parser.parse_args()
    measured: dict[str, dict[int, float]] = {}
    too_fast: list[str] = []
    for name in options.only:
        growth = GROWTHS[name]
        sizes = growth.sizes[:-1] if options.small else growth.sizes
        costs = measured[name] = {size: growth.measure(size) for size in sizes}
        speed = exponent(costs)
        if speed > MAX_EXPONENT and max(costs.values()) > growth.slack:
            too_fast.append(name)
        values = "  ".join(f"{size:,}: {cost:,.4g}" for size, cost in costs.items())
        print(f"{name:22} {growth.unit:18} exponent {speed:5.2f}   {values}", flush=True)
    if options.write:
        write(measured)
    for name in too_fast:
        print(f"{name} grows faster than linearly")
    return int(bool(too_fast))


if __name__ == "__main__":
    sys.exit(main())
