"""What it costs to know who asks: server CPU per unary call, with all of it and without.

    python tests/bench/authentication.py

Server processes of the same build take the same load in turn, round by round. The plain one
authenticates local callers, without audit trail and quota; each of the others adds to the one
before it. The last compares how long a refusal takes for an unknown key, and for one that differs
from a caller's in its last character only. The CPU time is that of the server process, user and
system, as the kernel accounts it.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import grpc
import trustme
from cpu import cpu_seconds  # type: ignore[import-not-found]  # beside this script
from grpc import aio

sys.path.insert(0, str(Path(__file__).parents[1]))

from support import granting
from support.certificates import write_tls
from support.live import AUDIT, BEARER, LOG, PROJECT, caller
from support.serving import command, write_config
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest

CALLS, ROUNDS, CONCURRENCY = 1600, 7, 8
PATH: Final = "/token_authority.v1.TokenService/IssueRtcToken"
DATA: Final = IssueRtcTokenRequest(
    channel_name="7d72365eb983485397e3e3f9d460bdda", uid=2882341273, role=RTC_ROLE_PUBLISHER
).SerializeToString()
SERVER: Final = '[server]\nlisten = ["127.0.0.1:0"]\nadmin_listen = "127.0.0.1:0"\n'
TLS: Final = '[server.tls]\ncertificate = "tls.pem"\nprivate_key = "tls.key"\n'
LIMITED: Final = caller(
    granting.API_KEY_IDENTITY,
    more='rate_limit = "100000/second; 100000000/hour"\nmax_in_flight = 100',
)
ALL: Final = PROJECT + LIMITED
DEPLOYED: Final = SERVER + AUDIT + 'fsync = "always"\n' + ALL
VARIANTS: Final[Mapping[str, str]] = {
    "plain": SERVER + PROJECT + caller("local"),
    "API key": SERVER + PROJECT + caller(granting.API_KEY_IDENTITY),
    "and limits": SERVER + ALL,
    "and audit, fsync never": SERVER + AUDIT + 'fsync = "never"\n' + ALL,
    "and audit, fsync always": DEPLOYED,
    "and TLS": SERVER + TLS + AUDIT + 'fsync = "always"\n' + ALL,
}


class Server:
    """A server process under load."""

    def __init__(self, folder: Path, text: str, ca: trustme.CA) -> None:
        folder.mkdir()
        write_tls(folder, ca)
        path = write_config(folder, text + LOG)
        self._metadata: Any = () if '"local"' in text else BEARER
        log = folder / "log"
        with log.open("w") as stderr:
            self._process = subprocess.Popen(
                [*command(), "serve", "--config", str(path)], stderr=stderr
            )
        while '"serving"' not in log.read_text():
            time.sleep(0.05)
            assert self._process.poll() is None, log.read_text()
        address = log.read_text().split('"listen": ["')[1].split('"')[0]
        credentials = grpc.ssl_channel_credentials(ca.cert_pem.bytes())
        self._channel: Any = (
            aio.secure_channel(address, credentials)
            if TLS in text
            else aio.insecure_channel(address)
        )

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    async def load(
        self,
        path: str = PATH,
        data: bytes = DATA,
        calls: int = CALLS,
        concurrency: int = CONCURRENCY,
    ) -> float:
        """Makes calls; returns microseconds of server CPU per call."""
        method: Any = self._channel.unary_unary(path)

        async def client() -> None:
            for _ in range(calls // concurrency):
                await method(data, metadata=self._metadata)

        before: float = cpu_seconds(self._process.pid)
        await asyncio.gather(*[client() for _ in range(concurrency)])
        after: float = cpu_seconds(self._process.pid)
        return (after - before) / calls * 1e6

    async def refusal(self, key: str) -> float:
        """Asks with a key that is none; returns the seconds that took."""
        method: Any = self._channel.unary_unary(PATH)
        began = time.perf_counter()
        try:
            await method(DATA, metadata=(("authorization", f"Bearer {key}"),))
        except aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAUTHENTICATED:
                raise
        return time.perf_counter() - began

    async def stop(self) -> None:
        """Ends the process."""
        await self._channel.close()
        self._process.terminate()
        self._process.wait()


async def compare_refusals(server: Server) -> None:
    """Prints how long refusals take, alternating, and how sure that is."""
    unknown, near = f"tak_{'q' * 43}", granting.API_KEY[:-1] + "x"
    pairs = [(await server.refusal(unknown), await server.refusal(near)) for _ in range(1500)]
    differences = sorted((one - other) * 1e6 for one, other in pairs)
    spread = statistics.quantiles(differences, n=4)
    middle = statistics.median(one for one, _ in pairs) * 1e6
    print(
        f"refusal of an unknown key: {middle:.0f} µs; a known one but for its end: "
        f"{spread[1]:+.1f} µs (half of the differences within {spread[0]:+.0f} to "
        f"{spread[2]:+.0f} µs)"
    )


async def main() -> None:
    """Loads all servers in turn and prints medians and ratios."""
    ca = trustme.CA()
    with tempfile.TemporaryDirectory() as folder:
        servers = {
            name: Server(Path(folder) / name.replace(" ", "-"), text, ca)
            for name, text in VARIANTS.items()
        }
        for server in servers.values():
            await server.load()
        rounds = [
            {name: await server.load() for name, server in servers.items()} for _ in range(ROUNDS)
        ]
        await compare_refusals(servers["API key"])
        for server in servers.values():
            await server.stop()
    for name in VARIANTS:
        cost = statistics.median(one[name] for one in rounds)
        ratio = statistics.median(one[name] / one["plain"] for one in rounds)
        print(f"{name}: {cost:.0f} µs of server CPU a call, ratio to plain {ratio:.2f}")


if __name__ == "__main__":
    asyncio.run(main())
