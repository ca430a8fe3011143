"""Server CPU per unary call, as a ratio to a bare grpc.aio echo in the same run.

    python tests/bench/calls.py

Two server processes take the same load in turn, round by round: ours as it is deployed (every rule
checked, every token signed, every call logged), and an echo that answers bytes of the same length
from the same event loop, uvloop, and does nothing else. Counted is the CPU time of the server
process, user and system, as the kernel accounts it; the client's is not in it.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from cpu import cpu_seconds  # type: ignore[import-not-found]  # beside this script
from grpc import aio

from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority.v1.whiteboard_pb2 import (
    WHITEBOARD_ROLE_WRITER,
    IssueWhiteboardTokenRequest,
    WhiteboardRoomScope,
)

SERVICE = "/token_authority.v1.TokenService/"
CALLS, ROUNDS, CONCURRENCY = 2400, 9, 8
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


async def compare(method: str, folder: Path) -> None:
    """Loads both servers in turn and prints medians and the ratio."""
    data = REQUESTS[method]
    ours = start_ours(method, folder / f"{method}.log")
    echo = start_echo(len(await ours.call(data)))
    for server in (ours, echo):
        await server.load(data)
    rounds = [(await ours.load(data), await echo.load(data)) for _ in range(ROUNDS)]
    await ours.stop()
    await echo.stop()
    mine = statistics.median(our[0] for our, _ in rounds)
    bare = statistics.median(other[0] for _, other in rounds)
    ratio = statistics.median(our[0] / other[0] for our, other in rounds)
    speed = statistics.median(our[1] for our, _ in rounds)
    print(
        f"{method}: ours {mine:.0f} µs of server CPU a call, bare echo {bare:.0f} µs, "
        f"ratio {ratio:.2f} ({speed:.0f} calls/s from one client)"
    )


async def main() -> None:
    """Compares both methods."""
    with tempfile.TemporaryDirectory() as folder:
        for method in REQUESTS:
            await compare(method, Path(folder))


if __name__ == "__main__":
    asyncio.run(main())
