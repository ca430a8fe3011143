"""Stops servers under load, and counts the calls that fail.

Each run starts two servers, calls them at a steady rate through three kinds of client at once, and
sends SIGTERM to the first. Targets:

    list      both addresses, as a headless service resolves to them
    virtual   one address in front; shortly after SIGTERM it leads new connections to the second
              server, as a Kubernetes Service does; connections that exist stay where they are
    restart   one address; the second server is started when the first one has ended, and a
              machine that is busy takes five seconds for that
    kill      the same with SIGKILL, and three seconds until the second server is started

    python tests/attack/drain.py [--notice SECONDS …] [--runs N] [--rate CALLS_PER_SECOND] [--json]

The whole table (`make attack-drain`) takes about ten minutes on two idle cores.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from grpc import aio

sys.path.insert(0, str(Path(__file__).parents[1]))
from attack.replicas import PATH, REQUEST, START_SECONDS, Replica, VirtualAddress
from support.load import Outcome, Send, load
from support.ports import free_port
from support.tcp import tcp_server
from token_authority_client import AsyncTokenAuthorityClient

TIMEOUT_SECONDS: Final = 10.0
BEFORE_SECONDS: Final = 1.0
AFTER_SECONDS: Final = 2.5
MOVE_SECONDS: Final = 0.3
KILLED_SECONDS: Final = 3.0
# The deadline of calls that wait for the second server, which may start slowly.
WAIT_SECONDS: Final = KILLED_SECONDS + START_SECONDS + TIMEOUT_SECONDS
BUSY_SECONDS: Final = 5.0
HEALTH_CONFIG: Final = json.dumps(
    {
        "loadBalancingConfig": [{"round_robin": {}}],
        "healthCheckConfig": {"serviceName": "token_authority.v1.TokenService"},
    }
)


@asynccontextmanager
async def clients(target: str) -> AsyncGenerator[dict[str, Send]]:
    """Opens one client of each kind, and connects it."""
    async with (
        AsyncTokenAuthorityClient(
            target, timeout=timedelta(seconds=TIMEOUT_SECONDS), project="classroom"
        ) as shipped,
        aio.insecure_channel(target) as plain,
        aio.insecure_channel(target, options=[("grpc.service_config", HEALTH_CONFIG)]) as health,
    ):
        waiting = shipped.with_options(wait_for_ready=True, timeout=WAIT_SECONDS)

        def stub(channel: Any) -> Send:
            method = channel.unary_unary(PATH)
            return lambda: method(REQUEST, timeout=TIMEOUT_SECONDS)

        source = shipped.rtc_token_source(channel="c", uid=1, role="publisher")
        senders: dict[str, Send] = {
            "source": source.get,
            "shipped": lambda: shipped.issue_rtc_token(channel="c", uid=1, role="publisher"),
            "wait_for_ready": lambda: waiting.issue_rtc_token(channel="c", uid=1, role="publisher"),
            "plain": stub(plain),
            "health": stub(health),
        }
        await asyncio.gather(plain.channel_ready(), health.channel_ready())
        for send in senders.values():
            await send()
        yield senders
        await source.close()


async def stop_under_load(
    target: str, notice: float, rates: Mapping[str, float], *, after: float = AFTER_SECONDS
) -> dict[str, Outcome]:
    """Makes one run; returns the outcome for each kind of client.

    Args:
        target: One of `KINDS`.
        notice: The servers' drain_notice, in seconds.
        rates: The clients, and the calls per second of each.
        after: For how many seconds they call after the server has been replaced.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first = Replica(folder / "first", free_port(), notice)
        port = int(first.address.rpartition(":")[2]) if target in ("restart", "kill") else None
        second = Replica(folder / "second", port or free_port(), notice)
        address = VirtualAddress(first.address)
        await asyncio.gather(first.start(), *([] if port else [second.start()]))
        try:
            async with tcp_server(address.forward) as virtual:
                named = {
                    "list": f"ipv4:{first.address},{second.address}",
                    "virtual": virtual,
                }.get(target, first.address)
                async with clients(named) as senders:
                    done = asyncio.Event()
                    loads = [
                        asyncio.create_task(load(senders[kind], rate, done))
                        for kind, rate in rates.items()
                    ]
                    await asyncio.sleep(BEFORE_SECONDS)
                    await _stop(target, notice, first, second, address)
                    await asyncio.sleep(after)
                    done.set()
                    return dict(zip(rates, await asyncio.gather(*loads), strict=True))
        finally:
            await first.kill()
            await second.kill()


async def _stop(
    target: str, notice: float, first: Replica, second: Replica, address: VirtualAddress
) -> None:
    if target == "kill":
        first.send(signal.SIGKILL)
        await first.ended()
        await asyncio.sleep(KILLED_SECONDS)
        await second.start()
        return
    first.send(signal.SIGTERM)
    await asyncio.sleep(min(MOVE_SECONDS, notice / 2))
    address.to = second.address
    await first.ended()
    if target == "restart":
        await asyncio.sleep(BUSY_SECONDS)
        await second.start()


KINDS: Final = {
    "list": ("shipped", "plain", "health"),
    "virtual": ("shipped", "plain", "health"),
    "restart": ("shipped",),
    "kill": ("wait_for_ready", "source"),
}


def allowed_failures(kind: str, outcome: Outcome) -> int:
    """How many calls of a client may fail: none, or one in 1,000 by CANCELLED for a plain stub."""
    is_cancelled = set(outcome.failures) == {"CANCELLED"}
    return outcome.calls // 1000 if kind == "plain" and is_cancelled else 0


HEADER: Final = f"{'target':<8} {'notice':>6}  {'client':<14} {'calls':>6} {'failed':>6}  slowest"


async def main() -> int:
    """Prints a row for each target, notice and client; returns 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--notice", type=float, nargs="+", default=[1, 5, 10])
    parser.add_argument("--target", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rate", type=float, default=250)
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each row")
    options = parser.parse_args()
    broken = False
    if not options.json:
        print(HEADER)
    for target in options.target:
        rates = dict.fromkeys(KINDS[target], options.rate)
        for notice in options.notice if target in ("list", "virtual") else [1]:
            totals = {kind: Outcome() for kind in rates}
            for _ in range(options.runs):
                for kind, outcome in (await stop_under_load(target, notice, rates)).items():
                    totals[kind].add(outcome)
            for kind, total in totals.items():
                broken |= total.failures.total() > allowed_failures(kind, total)
                print(_row(target, notice, kind, total, as_json=options.json), flush=True)
    return int(broken)


def _row(target: str, notice: float, kind: str, total: Outcome, *, as_json: bool) -> str:
    if as_json:
        row = {"target": target, "notice_seconds": notice, "client": kind, "calls": total.calls}
        slowest = {"slowest_seconds": round(total.slowest, 3)}
        return json.dumps({**row, "failures": dict(total.failures), **slowest})
    codes = ", ".join(f"{code} {count}" for code, count in total.failures.items()) or "-"
    return (
        f"{target:<8} {notice:>4g} s  {kind:<14} {total.calls:>6} {total.failures.total():>6} "
        f" {total.slowest:>5.2f} s  {codes}"
    )


if __name__ == "__main__":
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    sys.exit(asyncio.run(main()))
