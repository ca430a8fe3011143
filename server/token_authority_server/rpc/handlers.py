"""What every method has in common: bytes in, bytes out, one log line, refusals as statuses.

Methods take and give bytes and parse requests themselves because an exception in grpc's own
deserialiser would reach the client as it is.
"""

import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

import grpc
from grpc import aio

from token_authority_server.errors import Refusal, draining, internal_error
from token_authority_server.rpc import contract, status
from token_authority_server.rpc.observe import CallLog

Context: TypeAlias = "aio.ServicerContext[bytes, bytes]"
Handler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a method answers, and what the log says of it."""

    response: bytes
    event: str
    """What happened, in a word."""
    fields: Mapping[str, Any]
    """What it was about: no token, no secret."""


Method = Callable[[bytes], Coroutine[Any, Any, Answer]]
"""Answers a request, or raises Refusal."""


class Handlers(grpc.GenericRpcHandler):
    """The handlers of every method of the contract.

    Args:
        methods: By `/package.Service/Method`.
        log: Gets a line for each call.

    Raises:
        RuntimeError: The methods are not those of the contract.
    """

    def __init__(self, methods: Mapping[str, Method], log: CallLog) -> None:
        if odd := sorted(methods.keys() ^ contract.paths()):
            raise RuntimeError(f"served and promised are not the same: {odd}")
        self._log = log
        self._handlers = {path: _handler(self._call(path, methods[path])) for path in methods}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "Handler | None":
        """Returns the handler of a call; grpc asks when the call begins, not when it has arrived.

        So a call that began before `drain` is still answered.
        """
        return self._handlers.get(handler_call_details.method)

    def drain(self, retry_after_seconds: float) -> None:
        """Refuses every call that begins from now on, with DRAINING."""
        refusal = draining(retry_after_seconds)

        async def refuse(data: bytes) -> Answer:  # noqa: ARG001  # as every method
            raise refusal

        self._handlers = {path: _handler(self._call(path, refuse)) for path in self._handlers}

    def _call(self, path: str, method: Method) -> "Callable[[bytes, Context], Awaitable[bytes]]":
        name = path.rpartition("/")[2]
        log = self._log

        async def call(data: bytes, context: Context) -> bytes:
            started_ns = time.perf_counter_ns()
            try:
                answer = await method(data)
            except Refusal as refusal:
                log.refused(context, name, refusal, started_ns)
                return await _abort(refusal, context)
            except Exception as defect:  # noqa: BLE001  # nothing of it may reach the client
                failure = internal_error(secrets.token_hex(8))
                log.failed(context, name, failure, defect, started_ns)
                return await _abort(failure, context)
            log.answered(context, name, answer.event, answer.fields, started_ns)
            return answer.response

        return call


def _handler(call: "Callable[[bytes, Context], Awaitable[bytes]]") -> "Handler":
    """Wraps a function of bytes: no serialiser, no deserialiser."""
    return grpc.unary_unary_rpc_method_handler(call)


async def _abort(refusal: Refusal, context: Context) -> NoReturn:
    await context.abort(
        status.CODES[refusal.reason],
        refusal.message,
        (("grpc-status-details-bin", status.details(refusal)),),
    )
