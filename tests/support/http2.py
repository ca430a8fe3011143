"""Hand-written HTTP/2 frames, for what gRPC clients refuse to send."""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Final

from support.serving import PATH

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1


async def call_raw(address: str, method: str, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Makes a unary call with an empty request and waits for its end."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    block = request_headers(f"{PATH}{method}", address, headers)
    writer.write(
        PREFACE
        + frame(SETTINGS, 0, 0, b"")
        + frame(HEADERS, END_HEADERS, 1, block)
        + frame(DATA, END_STREAM, 1, bytes(5))
    )
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        async with asyncio.timeout(10):
            while True:
                head = await reader.readexactly(9)
                await reader.readexactly(int.from_bytes(head[:3]))
                is_over = head[3] == HEADERS and head[4] & END_STREAM
                if is_over or head[3] in {RST_STREAM, GOAWAY}:
                    break
    writer.close()


def request_headers(
    path: str, authority: str, headers: Iterable[tuple[bytes, bytes]] = ()
) -> bytes:
    """Returns the header block of a gRPC request."""
    return b"".join(
        literal(name, value)
        for name, value in (
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", path.encode()),
            (b":authority", authority.encode()),
            (b"te", b"trailers"),
            (b"content-type", b"application/grpc"),
            *headers,
        )
    )


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Returns one frame."""
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


def literal(name: bytes, value: bytes) -> bytes:
    """Returns a header as an HPACK literal without indexing or Huffman coding."""
    return b"\0" + _text(name) + _text(value)


def _text(data: bytes) -> bytes:
    length = len(data)
    if length < 127:
        return bytes((length,)) + data
    packed, rest = bytearray((127,)), length - 127
    while rest >= 128:
        packed.append(rest % 128 + 128)
        rest //= 128
    return bytes((*packed, rest)) + data
