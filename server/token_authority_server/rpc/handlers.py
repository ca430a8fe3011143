"""What every method has in common: a caller, bytes in, bytes out, refusals as statuses.

Methods take and give bytes and parse requests themselves because an exception in grpc's own
deserialiser would reach the client as it is.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeAlias

import grpc

from token_authority_server.authority import CallContext
from token_authority_server.errors import (
    Refusal,
    draining,
    internal_error,
    oversized_request,
)
from token_authority_server.limits import InFlight
from token_authority_server.rpc import contract, status
from token_authority_server.rpc.authentication import Authenticator, Context, credentials
from token_authority_server.rpc.observability import Call, Observer
from token_authority_server.rpc.unfinished import UnfinishedCalls

# What is left to do when the grace of a stopping server is over: another replica is a try away.
_RETRY_SECONDS: Final = 1.0

Handler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a method answers, and what the log says of it."""

    response: bytes
    event: str
    """What happened, in a word."""
    fields: Mapping[str, Any]
    """What it was about: no token, no secret."""


Method = Callable[[bytes, CallContext], Coroutine[Any, Any, Answer]]
"""Answers a request of a caller, or raises Refusal."""


class Handlers(grpc.GenericRpcHandler):
    """The handlers of every method of the contract.

    Args:
        methods: By `/package.Service/Method`.
        authenticator: Says who asks.
        in_flight: Bounds the calls under way.
        observer: Sees the end of each call.
        max_request_bytes: A larger request is refused.

    Raises:
        RuntimeError: The methods are not those of the contract.
    """

    def __init__(
        self,
        methods: Mapping[str, Method],
        authenticator: Authenticator,
        in_flight: InFlight,
        observer: Observer,
        max_request_bytes: int,
    ) -> None:
        if odd := sorted(methods.keys() ^ contract.paths()):
            raise RuntimeError(f"served and promised are not the same: {odd}")
        self._authenticator = authenticator
        self._in_flight = in_flight
        self._observer = observer
        self._unfinished = UnfinishedCalls()
        self._max_request_bytes = max_request_bytes
        self._handlers = {
            path: _handler(self._unfinished.tracking(self._call(path, methods[path])))
            for path in methods
        }

    def authenticate_with(self, authenticator: Authenticator) -> None:
        """Goes on with other callers."""
        self._authenticator = authenticator

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "Handler | None":
        """Returns the handler of a method; grpc asks when the headers of a call are there."""
        return self._handlers.get(handler_call_details.method)

    async def idle(self, seconds: float) -> None:
        """Returns in a moment without a call in flight, or after some seconds."""
        await self._unfinished.idle(seconds)

    def refuse_unfinished(self) -> None:
        """Refuses every call in flight with DRAINING: the grace of a stopping server is over."""
        self._unfinished.end()

    def _check_size(self, data: bytes) -> None:
        if len(data) > self._max_request_bytes:
            raise oversized_request(self._max_request_bytes)

    def _refused(self, this: Call, refusal: Refusal) -> Refusal:
        try:
            self._observer.refused(this, refusal)
        except Exception as defect:  # noqa: BLE001  # as in `_call`
            return self._failed(this, defect)
        return refusal

    def _failed(self, this: Call, defect: Exception) -> Refusal:
        failure = internal_error(secrets.token_hex(8))
        self._observer.failed(this, failure, defect)
        return failure

    def _call(self, path: str, method: Method) -> "Callable[[bytes, Context], Awaitable[bytes]]":
        name = _name(path)

        async def call(data: bytes, context: Context) -> bytes:
            this = Call(name, context.peer())
            try:
                brought = credentials(context)
                this.request_id = brought.request_id
                who = await self._authenticator.identify(brought, context)
                caller = who.caller
                this.context = CallContext(
                    caller, who.identity, this.peer, name, brought.request_id
                )
                self._check_size(data)
                with self._in_flight.enter(caller.name, caller.quota):
                    answer = await method(data, this.context)
                self._observer.answered(this, answer.event, answer.fields)
            except asyncio.CancelledError:
                if not self._unfinished.take_over():
                    self._observer.cancelled(this)
                    raise
                told = self._refused(this, draining(_RETRY_SECONDS))
            except Refusal as refusal:
                told = self._refused(this, refusal)
            except Exception as defect:  # noqa: BLE001  # nothing of it may reach the client
                told = self._failed(this, defect)
            else:
                return answer.response
            return await _abort(told, context)

        return call


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _handler(call: "Callable[[bytes, Context], Awaitable[bytes]]") -> "Handler":
    """Wraps a function of bytes: no serialiser, no deserialiser."""
    return grpc.unary_unary_rpc_method_handler(call)


async def _abort(refusal: Refusal, context: Context) -> NoReturn:
    await context.abort(
        status.status_code(refusal.reason),
        refusal.message,
        (("grpc-status-details-bin", status.details(refusal)),),
    )
