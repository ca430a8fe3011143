"""Both clients behind one interface, and fake servers with given responses."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import grpc
from grpc import aio

from token_authority.v1 import (
    authority_service_pb2,
    encryption_service_pb2,
    inspection_service_pb2,
    token_service_pb2,
)
from token_authority_client import AsyncTokenAuthorityClient, TokenAuthorityClient

CLIENTS: Final = (AsyncTokenAuthorityClient, TokenAuthorityClient)
SERVICES: Final = tuple(
    service
    for module in (
        token_service_pb2,
        inspection_service_pb2,
        authority_service_pb2,
        encryption_service_pb2,
    )
    for service in module.DESCRIPTOR.services_by_name.values()
)


class Either:
    """Wraps either client so that its methods can be awaited."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.is_async = isinstance(client, AsyncTokenAuthorityClient)

    @property
    def validate_only(self) -> "Either":
        """The view whose methods only validate."""
        view = Either(self.client.validate_only)
        view.is_async = self.is_async
        return view

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self.client, name)

        async def call(*arguments: Any, **named: Any) -> Any:
            if self.is_async:
                return await method(*arguments, **named)
            # The server runs on this loop, which a blocking call must not hold up.
            return await asyncio.to_thread(method, *arguments, **named)

        return call


def method_name(rpc: str) -> str:
    """Returns the client's method for an RPC: "issue_rtc_token" for "IssueRtcToken"."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in rpc).lstrip(
        "_"
    )


@asynccontextmanager
async def answering(
    call: Callable[[bytes, Any], Awaitable[bytes]], credentials: Any = None
) -> AsyncGenerator[str]:
    """Runs a server that answers every method with `call`; yields its address."""
    server = aio.server()
    handlers = [
        grpc.method_handlers_generic_handler(
            service.full_name,
            {method.name: grpc.unary_unary_rpc_method_handler(call) for method in service.methods},
        )
        for service in SERVICES
    ]
    server.add_generic_rpc_handlers(handlers)
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        # Not localhost, for which gRPC serves ::1 alone where 127.0.0.1 has no such port left.
        port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    yield f"{'127.0.0.1' if credentials is None else 'localhost'}:{port}"
    await server.stop(None)
