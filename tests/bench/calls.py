"""Server CPU per token, as a ratio to a bare grpc.aio echo in the same run.

    python tests/bench/calls.py

Server processes take the same load in turn, round by round: an echo that answers bytes of the same
length from the same event loop, uvloop, and does nothing else; ours as `serve --dev` runs it, for
an RTC token, a room token and batches of 100; and ours fully deployed, with an API key, grants,
limits and an audit trail that is synchronised for each group of records, without and with TLS.
Counted is the CPU time of the server process, user and system, as the kernel accounts it; the
client's is not in it.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import authentication  # type: ignore[import-not-found]  # beside this script
import trustme
from cpu import cpu_seconds  # type: ignore[import-not-found]  # beside this script
from grpc import aio

from token_authority.v1.batch_pb2 import BatchIssueTokensRequest
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority.v1.whiteboard_pb2 import (
    WHITEBOARD_ROLE_WRITER,
    IssueWhiteboardTokenRequest,
    WhiteboardRoomScope,
)

SERVICE = "/token_authority.v1.TokenService/"
CALLS, ROUNDS, CONCURRENCY, BATCH = 1600, 9, 8, 100
ECHO_NAME, PLAIN = "bare echo", "RTC token"
Load = Callable[[], Awaitable[float]]
"""Makes calls; returns microseconds of server CPU per token."""
REQUESTS: dict[str, bytes] = {
    "IssueRtcToken": IssueRtcTokenRequest(
        channel_name="7d72365eb983485397e3e3f9d460bdda", uid=2882341273, role=RTC_ROLE_PUBLISHER
    ).SerializeToString(),
    "IssueWhiteboardToken": IssueWhiteboardTokenRequest(
        room=WhiteboardRoomScope(room_uuid="4a50cb3b6a0c4b5e9a1d1c1f0e6d7c8b"),
        role=WHITEBOARD_ROLE_WRITER,
    ).SerializeToString(),
}
ECHO = """
import asyncio, sys
import grpc, uvloop
from grpc import aio

async def main() -> None:
    answer = bytes(int(sys.argv[1]))

    async def call(data, context):
        return answer

    server = aio.server(options=(("grpc.so_reuseport", 0),))
    methods = {"Echo": grpc.unary_unary_rpc_method_handler(call)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Echo", methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()

uvloop.run(main())
"""


class Server:
    """A server process under load."""

    def __init__(self, process: "subprocess.Popen[str]", address: str, path: str) -> None:
        self._process = process
        self.address = address
        self._path = path
        self._channel = aio.insecure_channel(address)

    def method(self, name: str) -> "Server":
        """The same server, for the load of another method of TokenService."""
        return self.at(SERVICE + name)

    def at(self, path: str) -> "Server":
        """The same server, for the load of any method."""
        return Server(self._process, self.address, path)

    async def call(self, data: bytes) -> bytes:
        """Makes one call."""
        method: Any = self._channel.unary_unary(self._path)
        answer: bytes = await method(data)
        return answer

    async def load(
        self, data: bytes, calls: int = CALLS, concurrency: int = CONCURRENCY
    ) -> tuple[float, float]:
        """Makes calls; returns microseconds of server CPU per call, and calls per second."""
        method: Any = self._channel.unary_unary(self._path)

        async def caller() -> None:
            for _ in range(calls // concurrency):
                await method(data)

        count = calls // concurrency * concurrency
        before, started = cpu_seconds(self._process.pid), time.perf_counter()
        await asyncio.gather(*[caller() for _ in range(concurrency)])
        elapsed = time.perf_counter() - started
        return (cpu_seconds(self._process.pid) - before) / count * 1e6, count / elapsed

    async def stop(self) -> None:
        """Ends the process."""
        await self._channel.close()
        self._process.terminate()
        self._process.wait()


def start_echo(size: int) -> Server:
    """Starts an echo with answers of a size."""
    command = [sys.executable, "-c", ECHO, str(size)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    return Server(process, f"127.0.0.1:{process.stdout.readline().strip()}", "/bench.Echo/Echo")


def start_ours(method: str, log: Path) -> Server:
    """Starts a token authority that logs to a file, JSON lines, as in production."""
    command = [sys.executable, "-m", "token_authority_cli", "serve", "--dev"]
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [*command, "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    assert process.stdout
    address = process.stdout.readline().split()[-1]
    while not process.stdout.readline().startswith("Try it"):
        pass
    return Server(process, address, SERVICE + method)


def batch_of(request: IssueRtcTokenRequest, count: int) -> bytes:
    """Returns a batch of requests, each for another user."""
    batch = BatchIssueTokensRequest()
    for number in range(count):
        batch.requests.add().rtc.MergeFrom(request)
        batch.requests[-1].rtc.uid -= number
    return batch.SerializeToString()


async def start_all(folder: Path) -> tuple[dict[str, Load], list[Any]]:
    """Starts the servers; returns the loads by name, and what to stop."""
    rtc = REQUESTS["IssueRtcToken"]
    ours = start_ours("IssueRtcToken", folder / "plain.log")
    echo = start_echo(len(await ours.call(rtc)))
    room, batches = ours.method("IssueWhiteboardToken"), ours.method("BatchIssueTokens")
    ca, full = trustme.CA(), authentication.VARIANTS
    audited = authentication.Server(folder / "audited", full["and audit, fsync always"], ca)
    with_tls = authentication.Server(folder / "tls", full["and TLS"], ca)
    batch = batch_of(IssueRtcTokenRequest.FromString(rtc), BATCH)

    def alone(server: Server, data: bytes) -> Load:
        async def load() -> float:
            return (await server.load(data))[0]

        return load

    async def batched() -> float:
        return (await batches.load(batch, CALLS // 20))[0] / BATCH

    return {
        ECHO_NAME: alone(echo, rtc),
        PLAIN: alone(ours, rtc),
        "room token": alone(room, REQUESTS["IssueWhiteboardToken"]),
        f"RTC token in a batch of {BATCH}": batched,
        "RTC token, fully deployed": audited.load,
        "RTC token, fully deployed, TLS": with_tls.load,
    }, [ours, echo, audited, with_tls]


async def main() -> None:
    """Loads all in turn; prints medians and ratios."""
    with tempfile.TemporaryDirectory() as folder:
        loads, servers = await start_all(Path(folder))
        for load in loads.values():
            await load()
        rounds = [{name: await load() for name, load in loads.items()} for _ in range(ROUNDS)]
        for server in servers:
            await server.stop()
    for name in loads:
        cost = statistics.median(one[name] for one in rounds)
        to_echo, to_plain = (
            statistics.median(one[name] / one[other] for one in rounds)
            for other in (ECHO_NAME, PLAIN)
        )
        print(f"{name}: {cost:.1f} µs, echo times {to_echo:.2f}, RTC token times {to_plain:.2f}")


if __name__ == "__main__":
    asyncio.run(main())
