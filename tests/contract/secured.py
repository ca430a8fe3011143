"""A server that wants TLS and an API key, in front of a real one."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import trustme
from grpc import aio
from grpc_reflection.v1alpha import reflection

from support.clients import SERVICES
from support.keys import access_key, certificate
from support.serving import running
from token_authority_server.keyring import Keyring, Project

API_KEY: Final = "a-test-api-key"
# One project: a request need not name it.
KEYS: Final = Keyring([Project("classroom", (certificate(), access_key()))])


@dataclass(frozen=True)
class Secured:
    """Where it is, and whom to trust."""

    target: str
    """`localhost:PORT`."""
    ca: Path
    wrong_ca: Path


class _Keyed(grpc.GenericRpcHandler):
    """Hands calls that bring the key on to a server."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        method, metadata = handler_call_details.method, handler_call_details.invocation_metadata
        if not method.startswith("/token_authority."):
            return None
        keyed = dict(metadata or ()).get("authorization") == f"Bearer {API_KEY}"

        async def call(data: bytes, context: Any) -> Any:
            if not keyed:
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "send an API key")
            try:
                return await self._channel.unary_unary(method)(data)
            except aio.AioRpcError as error:
                trailers = tuple(error.trailing_metadata() or ())
                await context.abort(error.code(), error.details(), trailers)

        return grpc.unary_unary_rpc_method_handler(call)


@asynccontextmanager
async def secured(folder: Path) -> AsyncGenerator[Secured]:
    """Starts it, with certificates of its own in a folder; it has reflection."""
    ca = trustme.CA()
    for name, authority in (("ca.pem", ca), ("wrong-ca.pem", trustme.CA())):
        authority.cert_pem.write_to_path(str(folder / name))
    certificate = ca.issue_cert("localhost")
    chain = b"".join(pem.bytes() for pem in certificate.cert_chain_pems)
    credentials = grpc.ssl_server_credentials([(certificate.private_key_pem.bytes(), chain)])
    async with running(KEYS) as server:
        front = aio.server(options=(("grpc.so_reuseport", 0),))
        front.add_generic_rpc_handlers((_Keyed(server.channel),))
        names = [service.full_name for service in SERVICES]
        reflection.enable_server_reflection([*names, reflection.SERVICE_NAME], front)
        port = front.add_secure_port("127.0.0.1:0", credentials)
        await front.start()
        try:
            yield Secured(f"localhost:{port}", folder / "ca.pem", folder / "wrong-ca.pem")
        finally:
            await front.stop(None)
