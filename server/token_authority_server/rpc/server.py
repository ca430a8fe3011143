"""The gRPC server: what it listens on, its bounds, health, reflection, and how it stops."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import grpc
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from token_authority_server.rpc import unix_socket
from token_authority_server.rpc.contract import SERVICES
from token_authority_server.rpc.handlers import Handlers
from token_authority_server.rpc.public_services import PublicServices, UnknownMethods
from token_authority_server.rpc.server_credentials import ServerCertificates
from token_authority_server.rpc.transport_options import transport_options
from token_authority_server.rpc.unix_socket import ELSEWHERE, ListenError

_UNIX: Final = "unix:"
_NAMES: Final = tuple(service.full_name for service in SERVICES)


class Server:
    """The services of the contract with health and, where wanted, reflection.

    Args:
        service: The handlers.
        with_reflection: Whether clients may read the contract from the server.
        max_request_bytes: The largest request that the handlers accept. 64 KiB above it, a request
            gets RESOURCE_EXHAUSTED from grpc itself.
        listeners: How many addresses `start` will be given.
        certificates: What TLS listeners present; None: no listener has TLS.
    """

    def __init__(
        self,
        service: Handlers,
        *,
        with_reflection: bool,
        max_request_bytes: int,
        listeners: int = 1,
        certificates: ServerCertificates | None = None,
    ) -> None:
        self._service = service
        self._certificates = certificates
        self._serving = False
        self._held = ExitStack()
        self._health = _Health()
        self._server = aio.server(options=transport_options(max_request_bytes, listeners))
        # Generated code takes it for the server with which to register handlers.
        public: Any = PublicServices(service.observer)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, public)
        if with_reflection:
            names = (*_NAMES, health.SERVICE_NAME, reflection.SERVICE_NAME)
            register: Any = reflection_pb2_grpc
            servicer = reflection.aio.ReflectionServicer(names)
            register.add_ServerReflectionServicer_to_server(servicer, public)
        unknown = UnknownMethods(service.observer)
        self._server.add_generic_rpc_handlers((service, public, unknown))

    @property
    def is_serving(self) -> bool:
        """Whether calls are taken."""
        return self._serving

    async def start(self, listen: Sequence[str], mtls_listen: Sequence[str] = ()) -> list[str]:
        """Starts to serve and to report SERVING.

        Args:
            listen: `ADDRESS:PORT` (port 0: any free one), with TLS where there are certificates,
                and `unix:/absolute/path`.
            mtls_listen: `ADDRESS:PORT`, where clients have to show a certificate as well.

        Returns:
            The same addresses with the real ports.

        Raises:
            ListenError: Somebody listens there already, or the address cannot be had.
        """
        bound = [self._listen(address, mutual=False) for address in listen]
        bound += [self._listen(address, mutual=True) for address in mtls_listen]
        # The keys are loaded: `service` could not have been made without them.
        for name in ("", *_NAMES):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        await self._server.start()
        self._serving = True
        return bound

    async def stop(self, *, notice_seconds: float, grace_seconds: float) -> None:
        """Drains: what has begun is answered, what comes is refused.

        First health says NOT_SERVING and new calls get DRAINING, so that clients move on; after
        `notice_seconds` connections are refused as well, and after `grace_seconds` more, whatever
        is still under way gets UNAVAILABLE.
        """
        self._serving = False
        self._service.drain(retry_after_seconds=notice_seconds)
        await self._health.enter_graceful_shutdown()
        await asyncio.sleep(notice_seconds)
        self._health.end_watches()
        await self._server.stop(grace_seconds)
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
            raise ListenError(
                f"cannot listen on {address}: another process does, or the address is not this "
                f"machine's; {ELSEWHERE}"
            ) from None


class _Health(health.aio.HealthServicer):
    """Lets the watchers go when the server stops."""

    def __init__(self) -> None:
        super().__init__()
        self._watches: set[asyncio.Task[Any]] = set()
        self._ending = False

    async def Watch(self, request: Any, context: Any) -> None:  # noqa: N802  # its name in health.proto
        """Streams the health of a service until the client or the server ends it."""
        task = asyncio.current_task()
        assert task
        self._watches.add(task)
        try:
            await super().Watch(request, context)
        except asyncio.CancelledError:
            if not self._ending:
                raise
        finally:
            self._watches.discard(task)

    def end_watches(self) -> None:
        """Ends every stream with OK: else a stopping server would wait for them all its grace."""
        self._ending = True
        for task in self._watches:
            task.cancel()
