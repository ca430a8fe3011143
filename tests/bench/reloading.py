"""Measures how long a reload of a large configuration delays a caller that is not involved.

    python tests/bench/reloading.py [CALLERS …]

For each number of callers (5,000 and 20,000 by default), with 1,000 projects and 1,000 grants for
one caller: starts a server, changes one caller, sends SIGHUP, and issues tokens one after the other
until the reload is logged. Prints the bystander's latency before and during the reload, the latency
of a second server that does not reload (what the machine's other work costs), how long the reload
took, and the server's resident memory: before, at its peak, and after three reloads. Exits with 1
if the slowest call during a reload took longer than the second server's slowest by more than is
allowed: 50 ms, or 100 ms from 20,000 callers on.

Then measures how long a revoked API key still works with `reload_interval = "500ms"`: at most that,
0.2 s, and the time of a reload.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from grpc import aio

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.granting import API_KEY_IDENTITY
from support.keys import APP_ID
from support.live import BEARER, LOG, Live, live
from support.memory import resident_mib
from support.replacing import replace
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority.v1.token_service_pb2_grpc import TokenServiceStub

PROJECTS, GRANTS, RELOADS, REVOCATIONS = 1_000, 1_000, 3, 5
MAX_SECONDS: Final = 120
REQUEST: Final = IssueRtcTokenRequest(
    project="project-0", channel_name="lesson-1", uid=7, role=RTC_ROLE_PUBLISHER
)
SERVER: Final = """
[server]
listen = ["127.0.0.1:0"]
admin_listen = "127.0.0.1:0"
reload_interval = "0s"
drain_notice = "0s"
drain = "2s"
"""


def project(number: int) -> str:
    """Writes one project."""
    return f"""
[projects.project-{number}.agora]
app_id = "{APP_ID}"
[[projects.project-{number}.agora.certificates]]
id = "cert"
secret = {{ file = "cert" }}
state = "active"
"""


def caller(number: int, identity: str, grants: int = 1) -> str:
    """Writes one caller."""
    return f"""
[[callers]]
name = "caller-{number}"
identities = ["{identity}"]
rate_limit = "100000/second"
""" + "".join(
        f"""[[callers.grants]]
name = "lessons-{grant}"
project = "project-{grant % PROJECTS}"
tokens = ["rtc"]
roles = ["publisher"]
channels = ["lesson-*"]
users = ["uid:*"]
"""
        for grant in range(grants)
    )


def configuration(callers: int, changed: int) -> str:
    """Writes a configuration of which one caller has another identity for each `changed`."""
    keys = [f"api-key:sha256:{number:060x}beef" for number in range(1, callers)]
    keys[7] = f"api-key:sha256:{changed:060x}cafe"
    return (
        SERVER
        + "".join(map(project, range(PROJECTS)))
        + caller(0, "local", GRANTS)
        + "".join(caller(number, key) for number, key in enumerate(keys, 1))
    )


async def bystander(stub: Any, is_over: Callable[[], bool]) -> list[float]:
    """Issues tokens until something is over, or too long; returns milliseconds for each."""
    taken: list[float] = []
    ends = time.monotonic() + MAX_SECONDS
    while not is_over() and time.monotonic() < ends:
        started = time.perf_counter()
        await stub.IssueRtcToken(REQUEST, timeout=MAX_SECONDS)
        taken.append((time.perf_counter() - started) * 1000)
        await asyncio.sleep(0.001)
    return taken


def described(taken: list[float]) -> str:
    """Writes the median, the 99th percentile and the slowest."""
    ordered = sorted(taken)
    p99 = ordered[len(ordered) * 99 // 100]
    return f"p50 {statistics.median(ordered):.1f}, p99 {p99:.1f}, max {ordered[-1]:.0f} ms"


async def reload(server: Live, stub: Any, callers: int, number: int) -> tuple[list[float], float]:
    """Reloads once; returns the bystander's latencies and the seconds it took."""
    text = await asyncio.to_thread(configuration, callers, number)
    (server.folder / "token-authority.toml").write_text(text + LOG)
    log = server.folder / "stderr"
    offset = log.stat().st_size

    def is_over() -> bool:
        with log.open("rb") as file:
            file.seek(offset)
            return b'"configuration reloaded"' in file.read()

    started = time.monotonic()
    server.hang_up()
    taken = await bystander(stub, is_over)
    seconds = time.monotonic() - started
    # What the old configuration leaves behind is cleared away after that.
    cleared = time.monotonic() + seconds / 4
    taken += await bystander(stub, lambda: time.monotonic() > cleared)
    return taken, seconds


async def measure(folder: Path, callers: int) -> bool:
    """Prints one row; returns whether no call took too long."""
    (folder / "large").mkdir()
    (folder / "small").mkdir()
    async with (
        live(folder / "large", configuration(callers, 0)) as server,
        live(folder / "small", configuration(10, 0)) as other,
        aio.insecure_channel(server.address) as channel,
        aio.insecure_channel(other.address) as other_channel,
    ):
        pid = server.process.pid
        stub = TokenServiceStub(channel)
        await bystander(stub, iter([False] * 50 + [True]).__next__)
        idle = await bystander(stub, iter([False] * 500 + [True]).__next__)
        before = resident_mib(pid)
        over = asyncio.Event()
        control = asyncio.create_task(bystander(TokenServiceStub(other_channel), over.is_set))
        rounds = [await reload(server, stub, callers, number + 1) for number in range(RELOADS)]
        over.set()
        beside = await control
        during = [taken for calls, _ in rounds for taken in calls]
        print(
            f"{callers} callers: idle {described(idle)}; while reloading {described(during)}; "
            f"a server beside it {described(beside)}; "
            f"a reload takes {max(seconds for _, seconds in rounds):.1f} s; resident memory "
            f"{before:.0f} MiB, peak {resident_mib(pid, 'VmHWM'):.0f} MiB, in the end "
            f"{resident_mib(pid):.0f} MiB",
            flush=True,
        )
    return max(during) - max(beside) < (100 if callers >= 20_000 else 50)


async def revoke(folder: Path) -> bool:
    """Prints how long a revoked API key still works; returns whether that is short enough."""
    text = SERVER.replace('"0s"', '"500ms"') + project(0)
    slowest = 0.0
    for number in range(REVOCATIONS):
        async with (
            live(folder, text + caller(0, API_KEY_IDENTITY)) as server,
            aio.insecure_channel(server.address) as channel,
        ):
            stub = TokenServiceStub(channel)
            await stub.IssueRtcToken(REQUEST, metadata=BEARER)
            # At another point of the interval each time.
            await asyncio.sleep(number * 0.5 / REVOCATIONS)
            replace(folder / "token-authority.toml", text + caller(0, "local") + LOG)
            revoked = time.monotonic()
            while time.monotonic() < revoked + MAX_SECONDS:
                try:
                    await stub.IssueRtcToken(REQUEST, metadata=BEARER)
                except aio.AioRpcError:
                    break
                await asyncio.sleep(0.005)
            slowest = max(slowest, time.monotonic() - revoked)
    print(f"a revoked API key works for {slowest:.2f} s at most (interval 0.50 s + 0.20 s)")
    return slowest < 0.5 + 0.2 + 0.3


async def main() -> int:
    """Measures each size."""
    sizes = [int(text) for text in sys.argv[1:]] or [5_000, 20_000]
    fine = []
    for callers in sizes:
        with tempfile.TemporaryDirectory() as folder:
            fine.append(await measure(Path(folder), callers))
    with tempfile.TemporaryDirectory() as folder:
        fine.append(await revoke(Path(folder)))
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
