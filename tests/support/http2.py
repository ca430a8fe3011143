"""Hand-written HTTP/2, for headers that grpc's clients refuse to send."""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Final

from support.serving import PATH

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _GOAWAY = 0, 1, 3, 4, 7
_END_STREAM, _END_HEADERS = 1, 4


async def call_raw(address: str, method: str, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Makes a unary call with an empty request and waits for its end."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    block = b"".join(
        _literal(name, value)
        for name, value in (
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", f"{PATH}{method}".encode()),
            (b":authority", address.encode()),
            (b"te", b"trailers"),
            (b"content-type", b"application/grpc"),
            *headers,
        )
    )
    writer.write(
        _PREFACE
        + _frame(_SETTINGS, 0, 0, b"")
        + _frame(_HEADERS, _END_HEADERS, 1, block)
        + _frame(_DATA, _END_STREAM, 1, bytes(5))
    )
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        async with asyncio.timeout(10):
            while True:
                head = await reader.readexactly(9)
                await reader.readexactly(int.from_bytes(head[:3]))
                is_over = head[3] == _HEADERS and head[4] & _END_STREAM
                if is_over or head[3] in {_RST_STREAM, _GOAWAY}:
                    break
    writer.close()


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


def _literal(name: bytes, value: bytes) -> bytes:
    """Encodes a header as an HPACK literal without indexing and Huffman coding."""
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
