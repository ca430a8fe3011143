"""The steps that every method shares: authenticate, read the body, answer bytes or a status.

They are the server's middleware, called directly instead of through a grpc interceptor.
Authentication comes first, from the headers alone: an unauthenticated client is refused before the
body is read. Methods take and return bytes and parse requests themselves, because an exception in
grpc's own deserialiser reaches the client verbatim.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final, NamedTuple, NoReturn, TypeAlias

import grpc

from token_authority_server.errors import Refusal, draining, internal_error
from token_authority_server.identity.call_context import CallContext
from token_authority_server.limits import InFlight
from token_authority_server.rpc import contract, status
from token_authority_server.rpc.authentication import (
    Authenticator,
    Context,
    presented_credentials,
)
from token_authority_server.rpc.observability import Call, Observer
from token_authority_server.rpc.request_body import BodyReader
from token_authority_server.rpc.unfinished import UnfinishedCalls
from token_authority_server.rpc.waits import AuthenticationWaits, Tarpit

# For a call that outlasts the grace of a stopping server: another replica can answer.
_RETRY_SECONDS: Final = 1.0

Handler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"
_Behavior: TypeAlias = "Callable[[object, Context], Awaitable[bytes]]"


class Answer(NamedTuple):
    """A method's answer and its log line."""

    response: bytes
    event: str
    """The log event."""
    fields: Mapping[str, Any]
    """The fields of the log line: no token, no secret."""


Method = Callable[[bytes, CallContext], Coroutine[Any, Any, Answer]]
"""Answers a request of a caller, or raises Refusal."""


class Handlers(grpc.GenericRpcHandler):
    """The handlers of every method of the contract.

    Args:
        methods: By `/package.Service/Method`.
        authenticator: Authenticates each call.
        in_flight: Bounds the calls of known callers, from before their body is read.
        observer: Is notified of the end of each call.
        max_request_bytes: The largest request, decompressed.

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
            raise RuntimeError(f"registered methods do not match the service descriptors: {odd}")
        self._authenticator = authenticator
        self._waits = AuthenticationWaits()
        self._tarpits: dict[str, Tarpit] = {}
        self.in_flight = in_flight
        self.observer = observer
        self._unfinished = UnfinishedCalls()
        self._bodies = BodyReader(max_request_bytes)
        self._handlers = {
            path: _handler(self._unfinished.tracking(self._call(path, methods[path])))
            for path in methods
        }

    def authenticate_with(self, authenticator: Authenticator) -> None:
        """Replaces the authenticator, and with it the callers."""
        self._authenticator = authenticator
        # Calls that wait for a provider that was replaced must not keep others from the new one.
        self._waits = AuthenticationWaits()
        self._tarpits.clear()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "Handler | None":
        """Returns the handler of a method; grpc calls this when the headers have arrived."""
        return self._handlers.get(handler_call_details.method)

    async def idle(self, seconds: float) -> None:
        """Returns in a moment without a call in flight, or after some seconds."""
        await self._unfinished.idle(seconds)

    def refuse_unfinished(self) -> None:
        """Refuses every call in flight with DRAINING: the grace of a stopping server is over."""
        self._unfinished.end()

    def _refused(self, call: Call, refusal: Refusal) -> Refusal:
        try:
            self.observer.refused(call, refusal)
        except Exception as defect:  # noqa: BLE001  # as in `_call`
            return self._failed(call, defect)
        return refusal

    async def _delay(self, caller: str) -> None:
        """Slows a caller, or unauthenticated clients (""), of whom many calls are refused."""
        tarpit = self._tarpits.get(caller)
        if tarpit is None:
            tarpit = self._tarpits[caller] = Tarpit.of(caller)
        if self._unfinished.have_ended:
            return
        try:
            await tarpit.delay()
        except asyncio.CancelledError:
            # At the end of the grace, the refusal is sent at once.
            if not self._unfinished.take_over():
                raise

    def _failed(self, call: Call, defect: Exception) -> Refusal:
        failure = internal_error(secrets.token_hex(8))
        self.observer.failed(call, failure, defect)
        return failure

    def _call(self, path: str, method: Method) -> _Behavior:
        name = method_name(path)
        metrics = self.observer.calls_of(path)

        async def behavior(_: object, context: Context) -> bytes:
            call = Call(name, context.peer(), metrics)
            try:
                answer = await self._answer(call, path, method, context)
                self.observer.answered(call, answer.event, answer.fields)
            except asyncio.CancelledError:
                if not self._unfinished.take_over():
                    self.observer.cancelled(call)
                    raise
                reported = self._refused(call, draining(_RETRY_SECONDS))
            except Refusal as refusal:
                reported = self._refused(call, refusal)
            except Exception as defect:  # noqa: BLE001  # no exception text may reach the client
                reported = self._failed(call, defect)
            else:
                return answer.response
            await self._delay(call.caller)
            return await abort(reported, context)

        return behavior

    async def _answer(self, call: Call, path: str, method: Method, context: Context) -> Answer:
        presented = presented_credentials(context)
        call.request_id = presented.request_id
        authenticator = self._authenticator
        authenticated = await self._waits.run(authenticator.authenticate(presented), call.peer)
        caller = authenticated.caller
        trace_id = ""
        if self.observer.tracer:
            trace_id = self.observer.trace(call, path, context.invocation_metadata() or ())
        call.context = CallContext(
            caller, authenticated.identity, call.peer, call.method, call.request_id, trace_id
        )
        with self.in_flight.enter(caller.name, caller.quota):
            data = await self._bodies.read(context)
            while authenticator is not self._authenticator:
                # A reload may have removed the credential or changed the grants meanwhile.
                authenticator = self._authenticator
                again = await self._waits.run(authenticator.authenticate(presented), call.peer)
                call.context = call.context._replace(caller=again.caller, identity=again.identity)
            return await method(data, call.context)


def method_name(path: str) -> str:
    """Returns the method of `/package.Service/Method`."""
    return path.rpartition("/")[2]


def _handler(behavior: _Behavior) -> "Handler":
    """Registers a method that reads its one message itself, without a (de)serialiser."""
    return grpc.stream_unary_rpc_method_handler(behavior)


async def abort(refusal: Refusal, context: Any) -> NoReturn:
    """Ends a call with the status of a refusal."""
    await context.abort(
        status.status_code(refusal.reason),
        refusal.message,
        (("grpc-status-details-bin", status.details(refusal)),),
    )
    raise AssertionError  # context.abort always raises
