"""Forwards calls to a server unchanged, including errors."""

from typing import Any

import grpc
from grpc import aio


async def forward(channel: Any, method: str, data: bytes, context: Any) -> bytes:
    """Answers a call with the response of the server at a channel."""
    try:
        answer: bytes = await channel.unary_unary(method)(data)
    except aio.AioRpcError as error:
        trailers = tuple(error.trailing_metadata() or ())
        await context.abort(error.code(), error.details(), trailers)
        raise AssertionError("abort raises") from error
    return answer


class Front(grpc.GenericRpcHandler):
    """Handles the methods that `answer` accepts.

    It is called with a call's details, and returns a function of data and context, or None.
    """

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        call = self._answer(handler_call_details)
        return call and grpc.unary_unary_rpc_method_handler(call)
