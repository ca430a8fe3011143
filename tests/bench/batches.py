"""What a batch saves, and what it costs others.

    python tests/bench/batches.py

Server CPU per token: batches of 100 against single calls, to the same server process, round by
round; from one client that waits for each answer, and from eight at once, whose calls the server
takes in together. Then what another client notices: its single calls alone, and while batches of
500 run without a break. And the longest time for which a batch of 500 holds an event loop.
"""

import asyncio
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import authentication  # type: ignore[import-not-found]  # beside this script
import trustme
import uvloop
from calls import (  # type: ignore[import-not-found]  # beside this script
    REQUESTS,
    SERVICE,
    Server,
    start_ours,
)

from token_authority.v1.batch_pb2 import BatchIssueTokensRequest
from token_authority_server.audit import AuditTrail, FileSink
from token_authority_server.authority import Authority
from token_authority_server.authorization import PolicySnapshot
from token_authority_server.config.dev import dev_settings
from token_authority_server.families import Moment
from token_authority_server.identity.call_context import CallContext
from token_authority_server.limits import RateLimiter
from token_authority_server.rpc.batch import BatchIssueTokens
from token_authority_server.rpc.validation import RequestParser
from token_authority_server.telemetry.metrics import Metrics

MEMBERS = {"IssueRtcToken": "rtc", "IssueWhiteboardToken": "whiteboard"}
BATCH, ROUNDS, BATCHES, CALLS, SINGLES = 100, 9, 40, 1600, 2000
Load = Callable[[int, int], Awaitable[float]]
"""Makes a number of calls from some clients at once; returns µs of server CPU per call."""
CLIENTS = {1: "one client", 8: "eight at once"}


def batch_of(method: str, count: int) -> bytes:
    """Returns a batch of requests, each for another user or room."""
    batch = BatchIssueTokensRequest()
    for number in range(count):
        entry = batch.requests.add()
        getattr(entry, MEMBERS[method]).MergeFromString(REQUESTS[method])
        if entry.HasField("rtc"):
            entry.rtc.uid -= number
        else:
            entry.whiteboard.room.room_uuid = f"4a50cb3b6a0c4b5e9a1d1c1f{number:08x}"
    return batch.SerializeToString()


async def compare(name: str, single: Load, batched: Load) -> None:
    """Prints server CPU per token, in batches and alone."""
    await single(CALLS, 8)
    await batched(BATCHES, 8)
    for clients, words in CLIENTS.items():
        rounds = [
            (await single(CALLS, clients), await batched(BATCHES, clients) / BATCH)
            for _ in range(ROUNDS)
        ]
        alone, token = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratio = statistics.median(token / alone for alone, token in rounds)
        print(
            f"{name}, {words}: {token:.1f} µs of server CPU a token in batches of {BATCH}, "
            f"{alone:.0f} µs alone, ratio {ratio:.3f} (1/{1 / ratio:.1f})"
        )


async def compare_plain(method: str, folder: Path) -> None:
    """Compares on the development server."""
    server = start_ours(method, folder / f"{method}.log")
    batches, data = server.method("BatchIssueTokens"), batch_of(method, BATCH)

    async def single(calls: int, clients: int) -> float:
        return float((await server.load(REQUESTS[method], calls, clients))[0])

    async def batched(calls: int, clients: int) -> float:
        return float((await batches.load(data, calls, clients))[0])

    await compare(method, single, batched)
    await server.stop()


async def compare_deployed(folder: Path) -> None:
    """Compares on a server with API keys, quotas, and an audit trail on the disk."""
    server = authentication.Server(folder / "deployed", authentication.DEPLOYED, trustme.CA())
    path, data = SERVICE + "BatchIssueTokens", batch_of("IssueRtcToken", BATCH)

    async def single(calls: int, clients: int) -> float:
        return float(await server.load(calls=calls, concurrency=clients))

    async def batched(calls: int, clients: int) -> float:
        return float(await server.load(path, data, calls, clients))

    await compare("IssueRtcToken, with API keys, quotas and audit", single, batched)
    await server.stop()


async def waiting_times(server: Server, data: bytes) -> list[float]:
    """Makes calls one after the other; returns how long each took, in ms, in order of size."""
    times = []
    for _ in range(SINGLES):
        started = time.perf_counter()
        await server.call(data)
        times.append((time.perf_counter() - started) * 1000)
    return sorted(times)


async def stall(folder: Path) -> None:
    """Prints how long another client waits while batches of 500 run."""
    method = "IssueRtcToken"
    server = start_ours(method, folder / "stall.log")
    script = Path(__file__).with_name("flood.py")
    data = folder / "batch"
    data.write_bytes(batch_of(method, 500))
    await server.load(REQUESTS[method])
    alone = await waiting_times(server, REQUESTS[method])
    flood = await asyncio.create_subprocess_exec(
        sys.executable, script, server.address, data, stdout=asyncio.subprocess.PIPE
    )
    assert flood.stdout
    await flood.stdout.readline()
    beside = await waiting_times(server, REQUESTS[method])
    flood.terminate()
    count = (await flood.communicate())[0].count(b"\n")
    await server.stop()
    for name, times in (("alone", alone), (f"beside {count} batches of 500", beside)):
        print(
            f"another client, {name}: median {times[SINGLES // 2]:.2f} ms, "
            f"p99 {times[SINGLES * 99 // 100]:.2f} ms, longest {times[-1]:.2f} ms"
        )


async def longest_hold(trail: AuditTrail) -> float:
    """Returns the longest time in ms between two turns of a task beside batches of 500."""
    settings = dev_settings(["127.0.0.1:0"], {})
    callers = settings.callers_by_identity()
    authority = Authority(
        PolicySnapshot(settings.keyring(), callers),
        lambda: Moment(time.time_ns() // 1_000_000, 1, bytes(16)),
        RateLimiter("memory", on_degraded=print, on_recovered=print),
        trail,
    )
    batch = BatchIssueTokens(authority, RequestParser(), Metrics())
    data = batch_of("IssueRtcToken", 500)
    who = callers.local()
    context = CallContext(who.caller, who.identity, "", "BatchIssueTokens")
    await batch(data, context)
    # As the server does, or a full collection is what gets measured.
    gc.freeze()

    async def batches() -> None:
        for _ in range(20):
            await batch(data, context)

    task = asyncio.create_task(batches())
    longest, last = 0.0, time.perf_counter()
    while not task.done():
        await asyncio.sleep(0)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    return longest * 1000


async def main() -> None:
    """Prints all three."""
    with tempfile.TemporaryDirectory() as folder:
        for method in MEMBERS:
            await compare_plain(method, Path(folder))
        await compare_deployed(Path(folder))
        await stall(Path(folder))
        for sinks in ([], [FileSink(Path(folder) / "audit.jsonl", "never", "0" * 32)]):
            trail = AuditTrail(
                sinks, required=True, clock=lambda: 0, on_failure=print, on_recovery=print
            )
            held = await longest_hold(trail)
            trail.close()
            words = "with an audit trail" if sinks else "without"
            print(f"a batch of 500, {words}, holds the event loop for {held:.2f} ms at most")


if __name__ == "__main__":
    uvloop.run(main())
