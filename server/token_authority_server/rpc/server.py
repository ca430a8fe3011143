"""The gRPC server: listeners, limits, health, reflection, and graceful shutdown."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import grpc
from grpc import aio
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from token_authority_server.rpc import unix_socket
from token_authority_server.rpc.contract import SERVICES
from token_authority_server.rpc.handlers import Handlers
from token_authority_server.rpc.health import Health
from token_authority_server.rpc.public_services import PublicServices, UnknownMethods
from token_authority_server.rpc.server_credentials import ServerCertificates
from token_authority_server.rpc.transport_options import transport_options

_UNIX: Final = "unix:"
_NAMES: Final = tuple(service.full_name for service in SERVICES)

# Before GOAWAY: how long clients that watch health have to move on.
_MOVING_SECONDS: Final = 0.5
# Before GOAWAY: how long to wait for a moment without a call. What the event loop has not begun by
# then gets CANCELLED (grpc/grpc#41785).
_IDLE_SECONDS: Final = 1.0
# How long GOAWAY may take to reach clients.
_GOAWAY_SECONDS: Final = 0.5
# How long refusals at the end of the grace may take to be sent; then grpc cancels what is left.
_REFUSING_SECONDS: Final = 1.0


class Server:
    """The services of the contract, health and, optionally, reflection.

    Args:
        service: The handlers.
        with_reflection: Whether clients may read the contract from the server.
        max_request_bytes: The largest request that the handlers accept. 64 KiB above it, a request
            gets RESOURCE_EXHAUSTED from grpc itself.
        listeners: How many addresses `start` will be given.
        reuse_port: Whether other servers may listen on the same ports, if all of them allow it.
        certificates: What TLS listeners present; None: no listener has TLS.
    """

    def __init__(
        self,
        service: Handlers,
        *,
        with_reflection: bool,
        max_request_bytes: int,
        listeners: int = 1,
        reuse_port: bool = False,
        certificates: ServerCertificates | None = None,
    ) -> None:
        self._service = service
        self._certificates = certificates
        self._serving = False
        self._held = ExitStack()
        self._health = Health()
        options = transport_options(max_request_bytes, listeners, reuse_port=reuse_port)
        self._server = aio.server(options=options)
        # Generated code registers handlers with it as if it were the server.
        public: Any = PublicServices(service.observer)
        self._health.add_to(public)
        if with_reflection:
            names = (*_NAMES, health.SERVICE_NAME, reflection.SERVICE_NAME)
            register: Any = reflection_pb2_grpc
            servicer = reflection.aio.ReflectionServicer(names)
            register.add_ServerReflectionServicer_to_server(servicer, public)
        unknown = UnknownMethods(service.observer)
        self._server.add_generic_rpc_handlers((service, public, unknown))

    @property
    def is_serving(self) -> bool:
        """Whether the server has started and is not draining."""
        return self._serving

    async def report(self, not_ready: Collection[str]) -> None:
        """Reports in grpc.health.v1 whether tokens can be issued; see `Health.report`."""
        await self._health.report(not_ready)

    async def start(self, listen: Sequence[str], mtls_listen: Sequence[str] = ()) -> list[str]:
        """Starts to serve and to report SERVING.

        Args:
            listen: `ADDRESS:PORT` (port 0: any free one), with TLS if there are certificates,
                and `unix:/absolute/path`.
            mtls_listen: `ADDRESS:PORT`, where clients must present a certificate as well.

        Returns:
            The same addresses with the real ports.

        Raises:
            ListenError: Another process listens there, or the address is not this machine's.
        """
        bound = [self._listen(address, mutual=False) for address in listen]
        bound += [self._listen(address, mutual=True) for address in mtls_listen]
        await self._health.start()
        await self._server.start()
        self._serving = True
        return bound

    async def stop(self, *, notice_seconds: float, grace_seconds: float) -> None:
        """Drains without failing a call.

        Health turns NOT_SERVING at once, so that load balancers move on; calls are still answered
        for `notice_seconds`. Then connections get GOAWAY and nothing new is accepted. What is in
        flight `grace_seconds` later is refused with DRAINING.
        """
        self._serving = False
        self._health.drain()
        moving_seconds = min(_MOVING_SECONDS, notice_seconds / 2)
        await asyncio.sleep(notice_seconds - moving_seconds)
        self._health.end_watches()
        await asyncio.sleep(moving_seconds)
        await self._service.idle(_IDLE_SECONDS if notice_seconds else 0)
        stopping = asyncio.ensure_future(self._server.stop(grace_seconds + _REFUSING_SECONDS))
        # After GOAWAY: a client whose watch ends on a connection that it uses fails its calls.
        await asyncio.wait({stopping}, timeout=min(_GOAWAY_SECONDS, grace_seconds))
        self._health.cut_watches()
        await asyncio.wait({stopping}, timeout=grace_seconds)
        self._service.refuse_unfinished()
        await stopping
        self._held.close()

    def _listen(self, address: str, *, mutual: bool) -> str:
        path = address.removeprefix(_UNIX)
        if path == address:
            shown = self._certificates
            credentials = shown.credentials(mutual=mutual) if shown else None
            port = self._add_port(address, credentials)
            return f"{address.rpartition(':')[0]}:{port}"
        self._held.enter_context(unix_socket.held(Path(path)))
        with unix_socket.for_owner_and_group():
            self._add_port(address, None)
        return address

    def _add_port(self, address: str, credentials: grpc.ServerCredentials | None) -> int:
        try:
            if credentials is None:
                return self._server.add_insecure_port(address)
            return self._server.add_secure_port(address, credentials)
        except RuntimeError:
            raise unix_socket.cannot_listen(address) from None
