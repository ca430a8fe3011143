"""Services that need no credential, bounded: health and reflection.

Their requests are read like those of callers, from the headers on, by few calls at a time and in
small sizes only. Health watches, which stay open, have separate bounds.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NoReturn

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health

from token_authority_server.errors import Refusal, too_many_unread_responses, undecodable_request
from token_authority_server.rpc.handlers import abort, method_name
from token_authority_server.rpc.observability import Call, Observer
from token_authority_server.rpc.request_body import BodyReader, decompressed
from token_authority_server.rpc.waits import Tarpit

MAX_REQUEST_BYTES: Final = 4096
"""The largest request: the name of a service, a file or a symbol."""
MAX_READS: Final = 32
"""Calls that may wait for their request at once."""
MAX_READS_PER_CONNECTION: Final = 4
MAX_WATCHES: Final = 1000
"""Health watches that may be open at once, each some 20 KB."""
MAX_WATCHES_PER_CONNECTION: Final = 16
"""A gRPC client that checks health opens one for each connection and service."""
MAX_UNREAD_PER_CONNECTION: Final = 16
"""Responses that may wait until the client reads them, each some 23 KB."""

_WATCH: Final = f"/{health.SERVICE_NAME}/Watch"

Context = Any  # grpc's own servicers are not typed
Handler = Any


class PublicServices(grpc.GenericRpcHandler):
    """Handlers of servicers that are registered here instead of with the server."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._reader = BodyReader(
            MAX_REQUEST_BYTES,
            max_waiting=MAX_READS,
            max_waiting_per_connection=MAX_READS_PER_CONNECTION,
        )
        self._tarpit = Tarpit()
        self._watches: Counter[str] = Counter()
        self._unread: Counter[str] = Counter()
        self._handlers: dict[str, Handler] = {}

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Accepts what generated code registers twice; see `add_registered_method_handlers`."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """Registers the methods of a service."""
        for method, handler in handlers.items():
            path = f"/{service}/{method}"
            self._handlers[path] = self._bounded(path, handler)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler:
        """Returns the handler of a call; None: it calls no public method."""
        return self._handlers.get(handler_call_details.method)

    def _bounded(self, path: str, handler: Handler) -> Handler:
        is_unary = handler.unary_unary is not None
        behavior = (self._unary_behavior if is_unary else self._stream_behavior)(path, handler)
        # Unary ones too, so that they write their response themselves: grpc would do it after them,
        # unbounded, for as long as the client reads nothing.
        wrap: Any = grpc.stream_stream_rpc_method_handler
        return wrap(behavior, None, handler.response_serializer)

    def _unary_behavior(self, path: str, handler: Handler) -> Any:
        async def behavior(_: object, context: Context) -> None:
            try:
                request = _decoded(path, handler, await self._reader.read(context))
                await self._write(await handler.unary_unary(request, context), context)
            except Refusal as refusal:
                await self._refuse(path, refusal, context)

        return behavior

    def _stream_behavior(self, path: str, handler: Handler) -> Any:
        async def behavior(_: object, context: Context) -> Any:
            try:
                if handler.stream_stream:
                    requests = self._requests(path, handler, context)
                    async for response in handler.stream_stream(requests, context):
                        await self._write(response, context)
                    return None
                request = _decoded(path, handler, await self._reader.read(context))
            except Refusal as refusal:
                return await self._refuse(path, refusal, context)
            with _counting(self._watches, context.peer()) as others:
                has_room = (
                    self._watches.total() <= MAX_WATCHES and others < MAX_WATCHES_PER_CONNECTION
                )
                if not has_room:
                    # To gRPC clients that check health, UNIMPLEMENTED means: use the server
                    # without. By any other status they would take it for unhealthy.
                    await context.abort(grpc.StatusCode.UNIMPLEMENTED, "too many health watches")
                return await _streamed(handler.unary_stream, request, context)

        return behavior

    async def _requests(self, path: str, handler: Handler, context: Context) -> AsyncIterator[Any]:
        while (data := await self._reader.read_raw(context)) is not None:
            yield _decoded(path, handler, decompressed(data, MAX_REQUEST_BYTES))

    async def _write(self, response: Any, context: Context) -> None:
        """Sends a response.

        Raises:
            Refusal: TOO_MANY_IN_FLIGHT: the client leaves too many others unread.
        """
        with _counting(self._unread, context.peer()) as others:
            if others >= MAX_UNREAD_PER_CONNECTION:
                raise too_many_unread_responses()
            await context.write(response)

    async def _refuse(self, path: str, refusal: Refusal, context: Context) -> NoReturn:
        call = Call(method_name(path), context.peer(), self._observer.calls_of(path))
        self._observer.refused(call, refusal)
        await self._tarpit.delay()
        await abort(refusal, context)


@contextmanager
def _counting(calls: Counter[str], peer: str) -> Generator[int]:
    """Counts a call of a connection until it ends; yields how many others the connection has."""
    calls[peer] += 1
    try:
        yield calls[peer] - 1
    finally:
        calls[peer] -= 1
        if not calls[peer]:
            del calls[peer]


def _decoded(path: str, handler: Handler, data: bytes) -> Any:
    """Decodes a request.

    Raises:
        Refusal: INVALID_REQUEST.
    """
    try:
        return handler.request_deserializer(data)
    except DecodeError:
        raise undecodable_request(f"request of {path}") from None


class _LatestResponse:
    """A call's context whose `write` never waits: only the latest response is sent.

    grpc's health servicer writes while it holds the lock that all watches of a service share: a
    client that reads nothing would delay all others, and the server's stop.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._response: Any = None
        self._changed = asyncio.Event()

    async def write(self, response: Any) -> None:
        """Replaces the response that is sent next."""
        self._response = response
        self._changed.set()

    async def send(self) -> None:
        """Sends responses until it is cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._context.write(self._response)


async def _streamed(behavior: Any, request: Any, context: Context) -> None:
    """Runs a method that streams states, of which the latest counts."""
    latest = _LatestResponse(context)
    sending = asyncio.create_task(latest.send())
    try:
        await behavior(request, latest)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


class UnknownMethods(grpc.GenericRpcHandler):
    """The last handler: reports calls of methods that do not exist, which grpc refuses unread."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> None:
        """Returns no handler."""
        self._observer.unknown_method(handler_call_details.method)
