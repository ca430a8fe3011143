"""What a batch saves, and what it costs others.

    python tests/bench/batches.py

Server CPU per token: batches of 100 against single calls, to the same server process, round by
round. Then what another client notices: its single calls alone, and while batches of 500 run
without a break. And the longest time for which a batch of 500 holds an event loop.
"""

import asyncio
import gc
import statistics
import sys
import tempfile
import time
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

from token_authority.v1.batch_pb2 import BatchIssueTokensRequest, IssueTokenRequest
from token_authority_server.audit import AuditTrail
from token_authority_server.authority import Asker, Authority, Policy
from token_authority_server.config.dev import dev_settings
from token_authority_server.kinds.base import Moment
from token_authority_server.limits import RateLimiter
from token_authority_server.metrics import Metrics
from token_authority_server.rpc.batch import BatchIssueTokens
from token_authority_server.rpc.validation import RequestParser

MEMBERS = {"IssueRtcToken": "rtc", "IssueWhiteboardToken": "whiteboard"}
BATCH, ROUNDS, BATCHES, SINGLES = 100, 9, 40, 2000


def batch_of(method: str, count: int) -> bytes:
    """Returns a batch of one request over and over."""
    entry = IssueTokenRequest()
    getattr(entry, MEMBERS[method]).MergeFromString(REQUESTS[method])
    return BatchIssueTokensRequest(requests=[entry] * count).SerializeToString()


async def compare_cpu(method: str, folder: Path) -> None:
    """Prints server CPU per token, in batches and alone."""
    server = start_ours(method, folder / f"{method}.log")
    batches = server.method("BatchIssueTokens")
    data = batch_of(method, BATCH)
    await server.load(REQUESTS[method])
    await batches.load(data, BATCHES)
    rounds = [
        ((await server.load(REQUESTS[method]))[0], (await batches.load(data, BATCHES))[0] / BATCH)
        for _ in range(ROUNDS)
    ]
    await server.stop()
    single = statistics.median(alone for alone, _ in rounds)
    batched = statistics.median(token for _, token in rounds)
    ratio = statistics.median(token / alone for alone, token in rounds)
    print(
        f"{method}: {batched:.1f} µs of server CPU a token in batches of {BATCH}, "
        f"{single:.0f} µs alone, ratio {ratio:.3f} (1/{1 / ratio:.1f})"
    )


async def compare_deployed(folder: Path) -> None:
    """Prints the same for a server with API keys, quotas, and an audit trail on the disk."""
    server = authentication.Server(folder / "deployed", authentication.DEPLOYED, trustme.CA())
    path, data = SERVICE + "BatchIssueTokens", batch_of("IssueRtcToken", BATCH)
    await server.load()
    await server.load(path, data, BATCHES)
    rounds = [
        (await server.load(), await server.load(path, data, BATCHES) / BATCH) for _ in range(ROUNDS)
    ]
    await server.stop()
    single, batched = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratio = statistics.median(token / alone for alone, token in rounds)
    print(
        f"IssueRtcToken, with API keys, quotas and audit: {batched:.1f} µs a token in batches of "
        f"{BATCH}, {single:.0f} µs alone, ratio {ratio:.3f} (1/{1 / ratio:.1f})"
    )


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


async def longest_hold() -> float:
    """Returns the longest time in ms between two turns of a task beside batches of 500."""
    settings = dev_settings(["127.0.0.1:0"], {})
    callers = settings.callers_by_identity()
    authority = Authority(
        Policy(settings.keyring(), callers),
        lambda: Moment(time.time_ns() // 1_000_000, 1, bytes(16)),
        RateLimiter("memory", on_degraded=print, on_recovered=print),
        AuditTrail([], required=False, clock=lambda: 0, on_failure=print, on_recovery=print),
    )
    batch = BatchIssueTokens(authority, RequestParser(), Metrics())
    data = batch_of("IssueRtcToken", 500)
    who = callers.local()
    asker = Asker(who.caller, who.identity, "", "BatchIssueTokens")
    await batch(data, asker)
    # As the server does, or a full collection is what gets measured.
    gc.freeze()

    async def batches() -> None:
        for _ in range(20):
            await batch(data, asker)

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
            await compare_cpu(method, Path(folder))
        await compare_deployed(Path(folder))
        await stall(Path(folder))
    print(f"a batch of 500 holds the event loop for {await longest_hold():.2f} ms at most")


if __name__ == "__main__":
    uvloop.run(main())
