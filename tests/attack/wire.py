"""A hostile HTTP/2 client: one connection, as many half-finished requests as the server admits."""

import asyncio
import contextlib
import gzip
import ssl
from collections.abc import Iterable
from typing import Final

from support.http2 import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
    request_headers,
)

Header = tuple[bytes, bytes]
_MAX_FRAME: Final = 16_384
_DEFAULT_WINDOW: Final = 65_535
_INITIAL_WINDOW_SIZE: Final = 4
GZIP: Final[Header] = (b"grpc-encoding", b"gzip")


def message(data: bytes, *, compressed: bool = False) -> bytes:
    """Returns a gRPC message: flag, length, data."""
    return bytes((compressed,)) + len(data).to_bytes(4) + data


def gzip_bomb(inflated_bytes: int) -> bytes:
    """Returns a gRPC message of gzip data that inflates to so many bytes."""
    return message(gzip.compress(bytes(inflated_bytes), mtime=0), compressed=True)


class HostileConnection:
    """One connection. It obeys flow control, because the server closes connections that do not."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, authority: str
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._authority = authority
        self._next_stream = 1
        self._window = _DEFAULT_WINDOW
        self._stream_window = _DEFAULT_WINDOW
        self._windows: dict[int, int] = {}
        self._credit = asyncio.Event()
        self.ended: set[int] = set()
        """Streams that the server has answered or reset."""
        self.closed = False
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, address: str, tls: ssl.SSLContext | None = None) -> "HostileConnection":
        """Connects and sends the HTTP/2 preface."""
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port), ssl=tls)
        writer.write(PREFACE + frame(SETTINGS, 0, 0, b""))
        return cls(reader, writer, address)

    async def begin(
        self,
        path: str,
        headers: Iterable[Header] = (),
        body: bytes = b"",
        *,
        end: bool = False,
        patience: float = 2.0,
    ) -> int:
        """Begins a request.

        Args:
            path: `/package.Service/Method`.
            headers: More headers.
            body: What to send of the body.
            end: Whether to end the stream.
            patience: Seconds to wait for flow control; then the rest of the body is not sent.

        Returns:
            The stream.
        """
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        flags = END_HEADERS | (END_STREAM if end and not body else 0)
        self._windows[stream] = self._stream_window
        block = request_headers(path, self._authority, headers)
        await self._send(frame(HEADERS, flags, stream, block))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._send_body(stream, body, end=end)
        return stream

    async def settle(self, seconds: float) -> None:
        """Waits until every stream has ended, for so many seconds at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self.closed and len(self.ended) < self._next_stream // 2:
                    self._credit.clear()
                    await self._credit.wait()

    async def close(self) -> None:
        """Closes the connection."""
        self._reading.cancel()
        self._writer.transport.abort()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading

    async def _send_body(self, stream: int, body: bytes, *, end: bool) -> None:
        while body and not self.closed and stream not in self.ended:
            room = min(self._window, self._windows[stream], _MAX_FRAME)
            if room <= 0:
                self._credit.clear()
                await self._credit.wait()
                continue
            chunk, body = body[:room], body[room:]
            self._window -= len(chunk)
            self._windows[stream] -= len(chunk)
            await self._send(frame(DATA, END_STREAM if end and not body else 0, stream, chunk))

    async def _send(self, data: bytes) -> None:
        if not self.closed:
            self._writer.write(data)
            with contextlib.suppress(ConnectionError):
                await self._writer.drain()

    async def _read(self) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            while True:
                head = await self._reader.readexactly(9)
                payload = await self._reader.readexactly(int.from_bytes(head[:3]))
                kind, flags, stream = head[3], head[4], int.from_bytes(head[5:])
                if kind == GOAWAY and int.from_bytes(payload[4:8]):
                    break
                self._handle(kind, flags, stream, payload)
        self.closed = True
        self._credit.set()

    def _handle(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == SETTINGS and not flags & ACK:
            for at in range(0, len(payload), 6):
                if int.from_bytes(payload[at : at + 2]) == _INITIAL_WINDOW_SIZE:
                    size = int.from_bytes(payload[at + 2 : at + 6])
                    change, self._stream_window = size - self._stream_window, size
                    self._windows = {one: left + change for one, left in self._windows.items()}
            self._writer.write(frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            self._writer.write(frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE:
            if stream == 0:
                self._window += int.from_bytes(payload)
            elif stream in self._windows:
                self._windows[stream] += int.from_bytes(payload)
        elif kind == RST_STREAM or (kind == HEADERS and flags & END_STREAM):
            self.ended.add(stream)
        self._credit.set()
