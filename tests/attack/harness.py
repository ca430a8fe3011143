"""A server under attack in a process of its own, a bystander's calls, and what both cost."""

import asyncio
import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import trustme
from grpc import aio

from attack.target import VALID, Target
from support import granting
from support.certificates import write_tls
from support.jwks import AUDIENCE, ISSUER
from support.live import PROJECT
from support.serving import write_config
from token_authority.v1.token_service_pb2_grpc import TokenServiceStub

TESTS: Final = Path(__file__).parents[1]
ATTACKER_KEY: Final = "tak_" + "a" * 43
_PACE_SECONDS: Final = 0.01
_LIMIT_SECONDS: Final = 60


@dataclass
class Result:
    """What an attack did: to a bystander, and to the server's memory and log."""

    answered: int
    failed: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    rss_growth_mb: float
    """Peak resident memory above that of a server that has just answered some calls."""
    log_kb_per_second: float

    def row(self) -> str:
        """Writes a line of the table."""
        calls = f"{self.answered} of {self.answered + self.failed}"
        times = f"{self.p50_ms:.1f}/{self.p99_ms:.1f}/{self.max_ms:.0f} ms"
        return f"{calls:>12} {times:>22} {self.rss_growth_mb:8.0f} MB {self.log_kb_per_second:6.0f}"


class Victim:
    """A running server."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path, target: Target) -> None:
        self.process = process
        self.folder = folder
        self.target = target

    @property
    def peak_mb(self) -> float:
        """The most resident memory so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) / 1000

    @property
    def log_bytes(self) -> int:
        """The size of the log so far."""
        return (self.folder / "stderr").stat().st_size

    def channel(self) -> Any:
        """A connection of its own."""
        trusted = Path(self.target.ca).read_bytes()
        options = (("grpc.use_local_subchannel_pool", 1),)
        credentials = grpc.ssl_channel_credentials(trusted)
        return aio.secure_channel(self.target.address, credentials, options)


def configuration(jwks_url: str) -> str:
    """A server with TLS, mTLS, a bystander, and a caller who turns on it."""
    attacker = f"api-key:sha256:{hashlib.sha256(ATTACKER_KEY.encode()).hexdigest()}"
    callers = "".join(
        f"""
[[callers]]
name = "{name}"
identities = {json.dumps(identities)}
{more}
[[callers.grants]]
name = "all"
project = "classroom"
tokens = ["rtc"]
roles = ["*"]
channels = ["*"]
users = ["*"]
allow = ["inspect"]
"""
        for name, identities, more in (
            ("bystander", [granting.API_KEY_IDENTITY], ""),
            ("attacker", [attacker, "jwt:sub=nobody"], ""),
        )
    )
    jwt = f'[authentication.jwt]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\njwks = "{jwks_url}"'
    return f"""
[server]
listen = ["127.0.0.1:0"]
mtls_listen = ["127.0.0.1:0"]
reflection = true
drain_notice = "0s"
drain = "0s"
[server.tls]
certificate = "tls.pem"
private_key = "tls.key"
client_ca = "ca.pem"
[log]
format = "json"
{jwt}
{PROJECT}
{callers}
"""


@asynccontextmanager
async def victim(
    folder: Path, jwks_url: str, *, max_in_flight: int = 0, files: int = 0, tree: str = ""
) -> AsyncGenerator[Victim]:
    """Starts a server.

    Args:
        folder: Where its files go.
        jwks_url: Where its identity provider is.
        max_in_flight: The attacker's own; 0: none.
        files: How many file descriptors it may have; 0: as many as we.
        tree: Another checkout whose server to run; "": this one's.
    """
    ca = write_tls(folder, trustme.CA())
    (folder / "ca.pem").write_bytes(ca)
    text = configuration(jwks_url)
    if max_in_flight:
        text = text.replace(
            'jwt:sub=nobody"]\n', f'jwt:sub=nobody"]\nmax_in_flight = {max_in_flight}\n'
        )
    path = write_config(folder, text)
    command = [sys.executable, "-m", "token_authority_cli", "serve", "--config", str(path)]
    if files:
        command = ["sh", "-c", f'ulimit -n {files} && exec "$@"', "sh", *command]
    paths = [f"{tree}/client", f"{tree}/server"] if tree else []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    with (folder / "stderr").open("wb") as err:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.DEVNULL, stderr=err, env=environment
        )
    try:
        addresses = await _addresses(process, folder / "stderr")
        address, mtls_address = addresses
        ca_file = str(folder / "ca.pem")
        yield Victim(process, folder, Target(address, mtls_address, ca_file, ATTACKER_KEY))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _addresses(process: asyncio.subprocess.Process, log: Path) -> list[str]:
    for _ in range(1500):
        for line in log.read_text().splitlines():
            if '"event": "serving"' in line:
                addresses: list[str] = json.loads(line)["listen"]
                return addresses
        assert process.returncode is None, log.read_text()
        await asyncio.sleep(0.02)
    raise AssertionError("the server does not start")


async def attacked(server: Victim, attack: str, seconds: float) -> Result:
    """Attacks a server while a bystander calls it, for so many seconds after the attack stands."""
    async with server.channel() as channel:
        bystander = _Bystander(channel)
        await bystander.warm_up()
        before_mb, before_bytes = server.peak_mb, server.log_bytes
        started = time.perf_counter()
        calling = asyncio.create_task(bystander.run())
        async with _attacker(attack, server.target):
            await asyncio.sleep(seconds)
            calling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await calling
            elapsed = time.perf_counter() - started
            logged = server.log_bytes - before_bytes - bystander.log_bytes
            return bystander.result(server.peak_mb - before_mb, logged / elapsed / 1000)


class _Bystander:
    """Calls once every 10 ms, on a connection of its own, one call after the other."""

    def __init__(self, channel: Any) -> None:
        self._stub: Any = TokenServiceStub(channel)
        self._ms: list[float] = []
        self._failed = 0

    @property
    def log_bytes(self) -> int:
        """About what its own calls add to the log."""
        return 330 * len(self._ms)

    async def warm_up(self) -> None:
        """Makes some calls that do not count."""
        for _ in range(50):
            await self._call()
        self._ms, self._failed = [], 0

    async def run(self) -> None:
        """Calls until it is cancelled."""
        while True:
            began = time.perf_counter()
            await self._call()
            await asyncio.sleep(max(0.0, _PACE_SECONDS - (time.perf_counter() - began)))

    async def _call(self) -> None:
        metadata = (("authorization", f"Bearer {granting.API_KEY}"),)
        began = time.perf_counter()
        try:
            await self._stub.IssueRtcToken(VALID, metadata=metadata, timeout=2)
        except aio.AioRpcError:
            self._failed += 1
        else:
            self._ms.append((time.perf_counter() - began) * 1000)

    def result(self, rss_growth_mb: float, log_kb_per_second: float) -> Result:
        """Sums up."""
        ranked = sorted(self._ms) or [float("nan")]
        return Result(
            len(self._ms),
            self._failed,
            _quantile(ranked, 0.5),
            _quantile(ranked, 0.99),
            ranked[-1],
            rss_growth_mb,
            log_kb_per_second,
        )


def _quantile(ranked: Sequence[float], share: float) -> float:
    return ranked[min(len(ranked) - 1, int(len(ranked) * share))]


@asynccontextmanager
async def _attacker(attack: str, target: Target) -> AsyncGenerator[None]:
    """Runs an attack in a process of its own; the block runs once all of it is in place."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(TESTS / "attack" / "attacks.py"),
        attack,
        json.dumps(asdict(target)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout
        line = await asyncio.wait_for(process.stdout.readline(), _LIMIT_SECONDS)
        assert line == b"holding\n", f"the attack {attack} failed"
        yield
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
