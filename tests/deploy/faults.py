"""Servers with the faults that alerts are for: see prometheus.py."""

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import trustme
from grpc import aio

from support.jwks import Signer, key_server
from support.live import BEARER, BY_PLACE, PROJECT, SERVER, Live, live
from support.monitored import RTC, STRANGER, UNGRANTED, call_each_way, monitored
from support.redis import redis_server
from support.replacing import replace
from token_authority.v1.token_service_pb2_grpc import TokenServiceStub

PATH: Final = "/token_authority.v1.TokenService/IssueRtcToken"
STDOUT: Final = "[audit]\nstdout = true\n"
Step = Callable[[], Coroutine[Any, Any, None]]


async def ignoring(*calls: Any) -> None:
    """Awaits calls; a refusal is as good as an answer."""
    for call in calls:
        with contextlib.suppress(aio.AioRpcError):
            await call


def write_certificate(folder: Path, life: timedelta) -> None:
    """Writes a TLS certificate that ends so much later."""
    issued = trustme.CA().issue_cert("localhost", not_after=datetime.now(UTC) + life)
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    for name, data in (("tls.key", issued.private_key_pem.bytes()), ("tls.pem", chain)):
        replace(folder / name, data)


def rewrite(server: Live, *changes: tuple[str, str]) -> None:
    """Changes the configuration."""
    path = server.folder / "token-authority.toml"
    text = path.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    replace(path, text)


@asynccontextmanager
async def everything_fails(folder: Path) -> AsyncGenerator[tuple[Live, Step, Step]]:
    """Yields a server with all options, a step that breaks what it needs, and one of load."""
    signer = Signer("ES256")
    async with redis_server() as redis:
        with key_server(signer) as provider:
            async with monitored(folder, redis.url, provider, rate_limit="5/second") as (
                server,
                stub,
            ):
                await call_each_way(stub, signer)

                async def fail() -> None:
                    write_certificate(folder, timedelta(days=1))
                    expires = (datetime.now(UTC) + timedelta(days=30)).strftime("expires = %Y-%m-")
                    soon = (datetime.now(UTC) + timedelta(days=7)).isoformat(timespec="seconds")
                    text = (folder / "token-authority.toml").read_text()
                    start = text.index(expires)
                    dated = text[start : text.index("}", start)]
                    old = 'state = "active"'
                    rewrite(
                        server,
                        (dated, f"expires = {soon}"),
                        (old, f"{old}\nactive_since = 2020-01-01T00:00:00Z"),
                    )
                    await server.reloaded(1)
                    await asyncio.sleep(1)
                    rewrite(server, ("[limits]", "[limit]"))
                    await redis.kill()
                    provider.body = b"out of order"

                async def load() -> None:
                    jwt = (("authorization", f"Bearer {Signer('ES256', 'unknown').sign()}"),)
                    await ignoring(*(stub.IssueRtcToken(STRANGER) for _ in range(40)))
                    await ignoring(*(stub.IssueRtcToken(UNGRANTED, metadata=BEARER) for _ in "123"))
                    await ignoring(*(stub.IssueRtcToken(RTC, metadata=BEARER) for _ in range(9)))
                    await ignoring(stub.IssueRtcToken(RTC, metadata=jwt))
                    server.process.send_signal(signal.SIGSTOP)
                    await asyncio.sleep(0.5)
                    server.process.send_signal(signal.SIGCONT)

                yield server, fail, load


@asynccontextmanager
async def small(folder: Path) -> AsyncGenerator[tuple[Live, Step]]:
    """Yields a server that accepts two calls at once, and a step that keeps them waiting."""
    text = SERVER + "max_in_flight = 2\n" + PROJECT + BY_PLACE
    async with live(folder, text) as server, aio.insecure_channel(server.address) as channel:
        held: list[Any] = []

        async def load() -> None:
            for call in held:
                call.cancel()
            held[:] = [channel.stream_unary(PATH)() for _ in range(2)]
            await asyncio.sleep(0)

        yield server, load
        for call in held:
            call.cancel()


@asynccontextmanager
async def unwritable(folder: Path) -> AsyncGenerator[tuple[Live, Step, Step]]:
    """Yields a server whose required audit trail and log break, and a step of load."""
    reader, writer = os.pipe()
    text = SERVER + STDOUT + "required = true\n" + PROJECT + BY_PLACE
    # The log is a file: the limit is for it alone.
    prefix = ("prlimit", "--fsize=9000")
    async with (
        live(folder, text, prefix=prefix, stdout=writer) as server,
        aio.insecure_channel(server.address) as channel,
    ):
        os.close(writer)
        stub: Any = TokenServiceStub(channel)
        await stub.IssueRtcToken(RTC)

        async def fail() -> None:
            os.close(reader)
            await ignoring(stub.IssueRtcToken(RTC))

        async def load() -> None:
            await ignoring(*(stub.IssueRtcToken(RTC) for _ in range(10)))

        yield server, fail, load


@asynccontextmanager
async def stalled(folder: Path) -> AsyncGenerator[tuple[Live, Step, Step]]:
    """Yields a server whose audit trail stalls, so that calls are slow, and a step of load."""
    reader, writer = os.pipe()
    async with (
        live(folder, SERVER + STDOUT + PROJECT + BY_PLACE, stdout=writer) as server,
        aio.insecure_channel(server.address) as channel,
    ):
        stub: Any = TokenServiceStub(channel)
        await stub.IssueRtcToken(RTC)
        waiting: list[Any] = []

        async def fail() -> None:
            os.set_blocking(writer, False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(writer, b" " * 512)
            # Shared with the server, which takes a full pipe of a non-blocking writer for a fault.
            os.set_blocking(writer, True)
            waiting.extend(stub.IssueRtcToken(RTC) for _ in range(40))

        async def load() -> None:
            await asyncio.sleep(0)

        with draining(reader):
            yield server, fail, load
            await ignoring(*waiting)
        os.close(writer)


@contextmanager
def draining(reader: int) -> Generator[None]:
    """Reads a pipe to its end, but only once the block is over: until then it fills up."""
    over = threading.Event()

    def read() -> None:
        over.wait()
        while os.read(reader, 65_536):
            pass
        os.close(reader)

    threading.Thread(target=read, daemon=True).start()
    try:
        yield
    finally:
        over.set()


@asynccontextmanager
async def expired(folder: Path) -> AsyncGenerator[Live]:
    """Yields a server whose certificate expires in a few seconds."""
    write_certificate(folder, timedelta(seconds=12))
    text = SERVER + '[server.tls]\ncertificate = "tls.pem"\nprivate_key = "tls.key"\n'
    async with live(folder, text + PROJECT + BY_PLACE) as server:
        yield server
