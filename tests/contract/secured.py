"""A server that wants TLS and an API key, in front of a real one."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import grpc
import trustme
from grpc import aio
from grpc_reflection.v1alpha import reflection

from contract.forwarding import Front, forward
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


def _keyed(channel: Any, details: grpc.HandlerCallDetails) -> Any:
    """Hands calls that bring the key on to a server."""
    if not details.method.startswith("/token_authority."):
        return None
    keyed = dict(details.invocation_metadata or ()).get("authorization") == f"Bearer {API_KEY}"

    async def call(data: bytes, context: Any) -> bytes:
        if not keyed:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "send an API key")
        return await forward(channel, details.method, data, context)

    return call


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
        front.add_generic_rpc_handlers((Front(partial(_keyed, server.channel)),))
        names = [service.full_name for service in SERVICES]
        reflection.enable_server_reflection([*names, reflection.SERVICE_NAME], front)
        port = front.add_secure_port("127.0.0.1:0", credentials)
        await front.start()
        try:
            yield Secured(f"localhost:{port}", folder / "ca.pem", folder / "wrong-ca.pem")
        finally:
            await front.stop(None)
