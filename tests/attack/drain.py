"""Stops servers under load, and counts the calls that fail.

Each run starts two servers, calls them at a steady rate through three kinds of client at once, and
sends SIGTERM to the first. Targets:

    list      both addresses, as a headless service resolves to them
    virtual   one address in front; shortly after SIGTERM it leads new connections to the second
              server, as a Kubernetes Service does; connections that exist stay where they are
    restart   one address; the second server is started when the first one has ended, and a
              machine that is busy takes five seconds for that
    kill      the same with SIGKILL, and three seconds until the second server is started

    python tests/attack/drain.py [--notice SECONDS …] [--runs N] [--rate CALLS_PER_SECOND]
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from grpc import aio

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.ports import free_port
from support.serving import CONFIG, command, write_config
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority_client import AsyncTokenAuthorityClient, TokenAuthorityError

PATH: Final = "/token_authority.v1.TokenService/IssueRtcToken"
REQUEST: Final = IssueRtcTokenRequest(
    project="classroom", channel_name="c", uid=1, role=RTC_ROLE_PUBLISHER
).SerializeToString()
TIMEOUT_SECONDS: Final = 10.0
BEFORE_SECONDS: Final = 1.0
AFTER_SECONDS: Final = 2.5
MOVE_SECONDS: Final = 0.3
KILLED_SECONDS: Final = 3.0
BUSY_SECONDS: Final = 5.0
HEALTH_CONFIG: Final = json.dumps(
    {
        "loadBalancingConfig": [{"round_robin": {}}],
        "healthCheckConfig": {"serviceName": "token_authority.v1.TokenService"},
    }
)


class Replica:
    """A server process on a port of its own."""

    def __init__(self, folder: Path, port: int, notice: float) -> None:
        self.address = f"127.0.0.1:{port}"
        folder.mkdir(exist_ok=True)
        text = (
            CONFIG.replace("127.0.0.1:0", self.address)
            .replace('"500ms"', f'"{int(notice * 1000)}ms"\ndrain = "5s"')
            .replace("[log]", '[log]\nlevel = "error"')
        )
        self._config = write_config(folder, text)
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Starts it; returns when it answers calls."""
        self._process = await asyncio.create_subprocess_exec(
            *command(),
            *["serve", "--config", str(self._config)],
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with aio.insecure_channel(self.address) as channel:
            call: Any = channel.unary_unary(PATH)
            await call(REQUEST, wait_for_ready=True, timeout=30)

    def send(self, signal_number: signal.Signals) -> None:
        """Sends a signal."""
        assert self._process
        self._process.send_signal(signal_number)

    async def ended(self) -> None:
        """Waits for the end."""
        assert self._process
        await asyncio.wait_for(self._process.wait(), 60)

    async def kill(self) -> None:
        """Ends it, if it still runs."""
        if self._process and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


class VirtualAddress:
    """Forwards each new connection to where it points then."""

    def __init__(self, to: str) -> None:
        self.to = to
        self._tasks: set[asyncio.Task[Any]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        """Listens; returns the address."""
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{host}:{port}"

    def close(self) -> None:
        """Stops listening, and cuts what is open."""
        assert self._server
        self._server.close()
        for task in self._tasks:
            task.cancel()

    async def _forward(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        host, _, port = self.to.rpartition(":")
        with contextlib.suppress(OSError, asyncio.CancelledError):
            far, forth = await asyncio.open_connection(host, int(port))
            try:
                await asyncio.gather(_copy(near, forth), _copy(far, back))
            finally:
                forth.close()
                back.close()


async def _copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        to.write(data)
        await to.drain()
    to.close()


@dataclass
class Outcome:
    """What became of the calls of one client."""

    calls: int = 0
    failures: Counter[str] = field(default_factory=Counter[str])
    slowest: float = 0.0

    def add(self, other: "Outcome") -> None:
        """Adds the calls of another run."""
        self.calls += other.calls
        self.failures += other.failures
        self.slowest = max(self.slowest, other.slowest)


Send = Callable[[], Awaitable[Any]]


async def load(send: Send, rate: float, until: asyncio.Event) -> Outcome:
    """Calls at a steady rate until an event is set; returns what became of all of them."""
    outcome, tasks = Outcome(), set[asyncio.Task[None]]()

    async def one() -> None:
        started = time.perf_counter()
        outcome.calls += 1
        try:
            await send()
        except aio.AioRpcError as error:
            outcome.failures[error.code().name] += 1
        except TokenAuthorityError as error:
            outcome.failures[f"{type(error).__name__}/{error.reason or error.code}"] += 1
        outcome.slowest = max(outcome.slowest, time.perf_counter() - started)

    began = time.perf_counter()
    for number in range(1_000_000):
        if until.is_set():
            break
        task = asyncio.create_task(one())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        await asyncio.sleep(max(0.0, began + (number + 1) / rate - time.perf_counter()))
    await asyncio.gather(*tasks)
    return outcome


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
        waiting = shipped.with_options(wait_for_ready=True)

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
    target: str, notice: float, rate: float, kinds: Sequence[str], *, after: float = AFTER_SECONDS
) -> dict[str, Outcome]:
    """Makes one run; returns the outcome for each kind of client.

    Args:
        target: One of `KINDS`.
        notice: The servers' drain_notice, in seconds.
        rate: Calls per second of each client.
        kinds: The clients.
        after: How many seconds they go on calling once the server has been replaced.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first = Replica(folder / "first", free_port(), notice)
        port = int(first.address.rpartition(":")[2]) if target in ("restart", "kill") else None
        second = Replica(folder / "second", port or free_port(), notice)
        address = VirtualAddress(first.address)
        await asyncio.gather(first.start(), *([] if port else [second.start()]))
        try:
            named = {
                "list": f"ipv4:{first.address},{second.address}",
                "virtual": await address.start(),
            }.get(target, first.address)
            async with clients(named) as senders:
                done = asyncio.Event()
                loads = [asyncio.create_task(load(senders[kind], rate, done)) for kind in kinds]
                await asyncio.sleep(BEFORE_SECONDS)
                await _stop(target, notice, first, second, address)
                await asyncio.sleep(after)
                done.set()
                return dict(zip(kinds, await asyncio.gather(*loads), strict=True))
        finally:
            address.close()
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


async def main() -> int:
    """Prints a row for each target, notice and client; returns 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--notice", type=float, nargs="+", default=[1, 5, 10])
    parser.add_argument("--target", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rate", type=float, default=250)
    options = parser.parse_args()
    broken = False
    print(f"{'target':<8} {'notice':>6}  {'client':<14} {'calls':>6} {'failed':>6}  slowest  codes")
    for target in options.target:
        for notice in options.notice if target in ("list", "virtual") else [1]:
            totals = {kind: Outcome() for kind in KINDS[target]}
            for _ in range(options.runs):
                outcomes = await stop_under_load(target, notice, options.rate, KINDS[target])
                for kind, outcome in outcomes.items():
                    totals[kind].add(outcome)
            for kind, total in totals.items():
                codes = ", ".join(f"{code} {n}" for code, n in total.failures.items()) or "-"
                failed = total.failures.total()
                allowed = total.calls // 1000 if set(total.failures) == {"CANCELLED"} else 0
                broken |= failed > (allowed if kind == "plain" else 0)
                print(
                    f"{target:<8} {notice:>4g} s  {kind:<14} {total.calls:>6} {failed:>6} "
                    f" {total.slowest:>5.2f} s  {codes}",
                    flush=True,
                )
    return int(broken)


if __name__ == "__main__":
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    sys.exit(asyncio.run(main()))
