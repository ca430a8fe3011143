"""Memory of idle connections, in a server process of its own."""

import asyncio
import contextlib
import resource
import ssl
import tempfile
from pathlib import Path

import trustme

from support.certificates import write_tls
from support.http2 import ACK, PREFACE, SETTINGS, frame
from support.live import BY_KEY, PROJECT, SERVER, live
from support.memory import resident_mib

_AT_ONCE = 50
_SETTLING_SECONDS = 2.0


def bytes_of_connection(count: int, *, tls: bool) -> float:
    """Returns how much resident memory each of so many idle connections takes."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return asyncio.run(_measure(count, tls=tls))


async def _measure(count: int, *, tls: bool) -> float:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = SERVER
        trusted = None
        if tls:
            trusted = ssl.create_default_context(cadata=write_tls(folder, trustme.CA()).decode())
            trusted.set_alpn_protocols(["h2"])
            text += '[server.tls]\ncertificate = "tls.pem"\nprivate_key = "tls.key"\n'
        async with live(folder, text + PROJECT + BY_KEY) as server:
            opened = [await _open(server.address, trusted) for _ in range(10)]
            await asyncio.sleep(_SETTLING_SECONDS)
            before = resident_mib(server.process.pid)
            for _ in range(0, count, _AT_ONCE):
                opening = [_open(server.address, trusted) for _ in range(_AT_ONCE)]
                opened += await asyncio.gather(*opening)
            await asyncio.sleep(_SETTLING_SECONDS)
            after = resident_mib(server.process.pid)
            for writer in opened:
                writer.transport.abort()
            return max(after - before, 1) * 1_048_576 / count


async def _open(address: str, trusted: ssl.SSLContext | None) -> asyncio.StreamWriter:
    host, _, port = address.rpartition(":")
    server_name = "localhost" if trusted else None
    _, writer = await asyncio.open_connection(
        host, int(port), ssl=trusted, server_hostname=server_name
    )
    writer.write(PREFACE + frame(SETTINGS, 0, 0, b"") + frame(SETTINGS, ACK, 0, b""))
    with contextlib.suppress(ConnectionError):
        await writer.drain()
    return writer
