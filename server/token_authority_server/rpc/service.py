"""TokenService: every Issue RPC of the contract, served by the kind that has its messages.

Handlers are made from the service descriptor, not from a list kept by hand: a method without a
kind, or a kind without a method, stops the server from starting.
"""

import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, NoReturn, TypeAlias

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import aio

from token_authority.v1 import issued_token_pb2, token_service_pb2
from token_authority_server.authority import Authority, Outcome
from token_authority_server.errors import Refusal, draining, internal_error
from token_authority_server.kinds import KINDS
from token_authority_server.kinds.base import Kind
from token_authority_server.rpc import status
from token_authority_server.rpc.observe import CallLog
from token_authority_server.rpc.validation import RequestParser

SERVICE: Final = token_service_pb2.DESCRIPTOR.services_by_name["TokenService"]

# Who asks, and by what right, until callers can be configured: whoever reaches the loopback.
_LOCAL: Final = "local"

Context: TypeAlias = "aio.ServicerContext[bytes, bytes]"
Handler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"
Unary = Callable[[bytes, "Context"], Awaitable[bytes]]


def kinds_by_method(kinds: Iterable[Kind[Any, Any]] = KINDS) -> Mapping[str, Kind[Any, Any]]:
    """Pairs each method of the service with the one kind that has exactly its messages.

    Raises:
        RuntimeError: The contract and the kinds do not match.
    """
    remaining = list(kinds)
    paired: dict[str, Kind[Any, Any]] = {}
    for method in SERVICE.methods:
        messages = (method.input_type, method.output_type)
        for kind in remaining:
            if messages == (kind.request_type.DESCRIPTOR, kind.response_type.DESCRIPTOR):
                paired[method.name] = kind
                remaining.remove(kind)
                break
        else:
            raise RuntimeError(f"no kind of token has the messages of {method.full_name}")
    if remaining:
        raise RuntimeError(f"no method of {SERVICE.full_name} has the messages of {remaining}")
    return paired


class TokenService(grpc.GenericRpcHandler):
    """The handlers of every method, which take and give bytes.

    They parse requests themselves because an exception in grpc's own deserialiser would reach the
    client as it is.
    """

    def __init__(self, authority: Authority, parser: RequestParser, log: CallLog) -> None:
        self._authority = authority
        self._log = log
        self._handlers = {
            f"/{SERVICE.full_name}/{method}": _handler(self._method(method, kind, parser))
            for method, kind in kinds_by_method().items()
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "Handler | None":
        """Returns the handler of a call; grpc asks when the call begins, not when it has arrived.

        So a call that began before `drain` is still answered.
        """
        return self._handlers.get(handler_call_details.method)

    def drain(self, retry_after_seconds: float) -> None:
        """Refuses every call that begins from now on, with DRAINING."""
        refusal = draining(retry_after_seconds)
        self._handlers = {path: _handler(self._refuse(path, refusal)) for path in self._handlers}

    def _refuse(self, path: str, refusal: Refusal) -> Unary:
        method = path.rpartition("/")[2]

        async def call(data: bytes, context: Context) -> bytes:  # noqa: ARG001  # as every handler
            self._log.refused(context, method, refusal, time.perf_counter_ns())
            return await _abort(refusal, context)

        return call

    def _method(self, method: str, kind: Kind[Any, Any], parser: RequestParser) -> Unary:
        parse = parser.parser(kind.request_type.DESCRIPTOR.full_name)
        issue, log = self._authority.issue, self._log
        response_type: Any = kind.response_type

        async def call(data: bytes, context: Context) -> bytes:
            started_ns = time.perf_counter_ns()
            try:
                outcome = issue(kind, parse(data))
                response: bytes = response_type(**_answer(outcome, kind)).SerializeToString()
            except Refusal as refusal:
                log.refused(context, method, refusal, started_ns)
                return await _abort(refusal, context)
            except Exception as defect:  # noqa: BLE001  # nothing of it may reach the client
                failure = internal_error(secrets.token_hex(8))
                log.failed(context, method, failure, defect, started_ns)
                return await _abort(failure, context)
            log.answered(context, method, outcome, started_ns)
            return response

        return call


def _handler(call: Unary) -> "Handler":
    """Wraps a function of bytes: no serialiser, no deserialiser."""
    return grpc.unary_unary_rpc_method_handler(call)


async def _abort(refusal: Refusal, context: Context) -> NoReturn:
    await context.abort(
        status.CODES[refusal.reason],
        refusal.message,
        (("grpc-status-details-bin", status.details(refusal)),),
    )


def _answer(outcome: Outcome, kind: Kind[Any, Any]) -> Mapping[str, Message]:
    """Returns the one field of the response that is set."""
    terms = outcome.terms
    advisories = [
        issued_token_pb2.Advisory(reason=advisory.reason, description=advisory.description)
        for advisory in terms.advisories
    ]
    if outcome.token is None:
        decision = issued_token_pb2.Decision(
            caller=_LOCAL,
            grant=_LOCAL,
            ttl=_duration(terms.ttl_ms),
            max_ttl=_duration(kind.max_ttl_ms),
            key_id=outcome.key.key_id,
            advisories=advisories,
        )
        return {"decision": decision}
    issued = issued_token_pb2.IssuedToken(
        token=outcome.token,
        token_id=outcome.token_id,
        format=terms.format,
        key_id=outcome.key.key_id,
        app_id=outcome.key.app_id,
        issue_time=_timestamp(terms.issue_ms),
        expire_time=_timestamp(outcome.expire_ms),
        renew_time=_timestamp(outcome.renew_ms),
        advisories=advisories,
    )
    return {"issued_token": issued}


def _timestamp(ms: int | None) -> Timestamp | None:
    return None if ms is None else Timestamp(seconds=ms // 1000, nanos=ms % 1000 * 1_000_000)


def _duration(ms: int | None) -> Duration | None:
    return None if ms is None else Duration(seconds=ms // 1000, nanos=ms % 1000 * 1_000_000)
