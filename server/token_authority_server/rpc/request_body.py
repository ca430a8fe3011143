"""Reads request bodies: after authentication, within a deadline, and bounded once decompressed.

Methods are registered as stream_unary and read their one message themselves, because grpc reads a
unary request before the handler runs. To a client they are unary: the wire is the same.
"""

import asyncio
import zlib
from typing import Any, Final, TypeAlias, cast

from grpc import aio

from token_authority_server.errors import (
    Refusal,
    missing_request,
    overdue_request,
    oversized_request,
    too_many_open_requests,
    undecodable_compression,
)

Context: TypeAlias = "aio.ServicerContext[bytes, bytes]"

BODY_SECONDS: Final = 10.0
"""How long a request's body may take: 1 MiB at 1 Mbit/s."""
READ_MARGIN_BYTES: Final = 65_536
"""How much more than `max_request_bytes` the transport reads, so that a request that is a little
too large is refused with advice. Beyond it, grpc itself answers RESOURCE_EXHAUSTED."""

# No request of the contract begins like these: 0x1f is no protobuf tag, and none has a field 15.
_GZIP_MAGIC: Final = 0x1F8B
_ZLIB_METHOD: Final = 0x78
_GZIP_WINDOW_BITS: Final = 31
_ZLIB_WINDOW_BITS: Final = 15


class BodyReader:
    """Reads the message of a call.

    Args:
        max_bytes: The largest message, decompressed.
        seconds: How long a message may take.
        max_waiting: How many calls may wait for their message at once; None: any number. Where
            there is no room, the call of the same connection, else of any, that has waited longest
            is refused: a message that comes with its headers is read within a millisecond.
        max_waiting_per_connection: How many of these may be of one connection.
    """

    def __init__(
        self,
        max_bytes: int,
        *,
        seconds: float = BODY_SECONDS,
        max_waiting: int | None = None,
        max_waiting_per_connection: int | None = None,
    ) -> None:
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._max_waiting = max_waiting
        self._max_per_connection = max_waiting_per_connection
        # In the order in which they began, which is the order of their deadlines.
        self._waiting: dict[asyncio.Task[Any], tuple[float, str]] = {}
        self._refused: dict[asyncio.Task[Any], Refusal] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def read(self, context: Context) -> bytes:
        """Returns the message, decompressed.

        Raises:
            Refusal: INVALID_REQUEST: no message came, in time or at all, or it is too large or not
                decompressible. TOO_MANY_IN_FLIGHT: too many calls wait for their message.
        """
        data = await self.read_raw(context)
        if data is None:
            raise missing_request(self._max_bytes)
        return decompressed(data, self._max_bytes)

    async def read_raw(self, context: Context) -> bytes | None:
        """Returns the message as it was sent; None if the client ended the stream without one.

        Raises:
            Refusal: As `read`, except for size and compression, which are not checked.
        """
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        if self._max_waiting is not None:
            self._make_room(context.peer())
        loop = asyncio.get_running_loop()
        peer = context.peer() if self._max_waiting is not None else ""
        self._waiting[task] = (loop.time() + self._seconds, peer)
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._expire)
        try:
            data: Any = await context.read()
        except asyncio.CancelledError:
            refusal = self._refused.get(task)
            # As asyncio.timeout does: a cancellation by somebody else has precedence.
            if refusal is None or task.uncancel():
                raise
            raise refusal from None
        finally:
            self._waiting.pop(task, None)
            self._refused.pop(task, None)
        return None if data is aio.EOF else data

    def _make_room(self, peer: str) -> None:
        own = [task for task, (_, other) in self._waiting.items() if other == peer]
        if len(own) >= cast("int", self._max_per_connection):
            self._refuse(own[0])
        elif len(self._waiting) >= cast("int", self._max_waiting):
            self._refuse(next(iter(self._waiting)))

    def _refuse(self, task: "asyncio.Task[Any]", refusal: Refusal | None = None) -> None:
        del self._waiting[task]
        self._refused[task] = refusal or too_many_open_requests()
        task.cancel()

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._timer = None
        for task, (deadline, _) in list(self._waiting.items()):
            if deadline > now:
                self._timer = loop.call_at(deadline, self._expire)
                break
            self._refuse(task, overdue_request(self._seconds))


def decompressed(data: bytes, max_bytes: int) -> bytes:
    """Returns a message's data, decompressed if it is compressed.

    grpc hands messages over as they came (`grpc.per_message_decompression`): its own decompression
    has no bound but the transport's limit in some versions.

    Raises:
        Refusal: INVALID_REQUEST: too large, or broken.
    """
    window_bits = _window_bits(data)
    if window_bits:
        inflater = zlib.decompressobj(window_bits)
        try:
            data = inflater.decompress(data, max_bytes + 1)
        except zlib.error:
            raise undecodable_compression() from None
        if len(data) <= max_bytes and not inflater.eof:
            raise undecodable_compression()
    if len(data) > max_bytes:
        raise oversized_request(max_bytes)
    return data


def _window_bits(data: bytes) -> int:
    """Returns zlib's `wbits` for what the data is compressed with; 0: it is not."""
    start = int.from_bytes(data[:2])
    if start == _GZIP_MAGIC:
        return _GZIP_WINDOW_BITS
    # RFC 1950: the two bytes are a multiple of 31.
    if start >> 8 == _ZLIB_METHOD and start % 31 == 0:
        return _ZLIB_WINDOW_BITS
    return 0
