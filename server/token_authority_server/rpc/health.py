"""grpc.health.v1: whether this server should get calls, for load balancers, clients and probes."""

import asyncio
from collections.abc import Collection
from typing import Any, Final

from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from token_authority_server.rpc.contract import SERVICES

REASON_METADATA: Final = "token-authority-not-ready"
"""Trailing metadata of a Check: the components that make it NOT_SERVING, by name."""
DRAINING: Final = "draining"
"""The name in `REASON_METADATA` while the server shuts down."""

_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING
# The services that a fault of this instance stops; inspection and AuthorityService continue.
_ISSUING: Final = ("", "token_authority.v1.TokenService")


class Health(health.aio.HealthServicer):
    """Health of the whole server ("") and of each service.

    Not ready: "" and TokenService are NOT_SERVING. Draining: all are.
    """

    def __init__(self) -> None:
        super().__init__()
        self._watches: set[asyncio.Task[Any]] = set()
        self._draining = False
        self._ending = False
        self._reasons: tuple[str, ...] = ()

    def add_to(self, server: Any) -> None:
        """Registers the service with a gRPC server."""
        health_pb2_grpc.add_HealthServicer_to_server(self, server)

    async def start(self) -> None:
        """Reports SERVING for every service."""
        for service in SERVICES:
            await self.set(service.full_name, _SERVING)
        await self.set("", _SERVING)

    async def report(self, not_ready: Collection[str]) -> None:
        """Reports whether tokens can be issued.

        Args:
            not_ready: The names of the components that prevent it; empty if none does.
        """
        reasons = tuple(sorted(not_ready))
        if reasons == self._reasons or self._draining:
            return
        self._reasons = reasons
        for name in _ISSUING:
            await self.set(name, _NOT_SERVING if reasons else _SERVING)

    def drain(self) -> None:
        """Answers every Check with NOT_SERVING; watches continue until `end_watches`."""
        self._reasons = (DRAINING,)
        self._draining = True

    def end_watches(self) -> None:
        """Ends every stream with OK, and leaves new ones without a message.

        A gRPC client then treats its connection as not ready yet: it uses other addresses, or
        queues its calls until GOAWAY makes it reconnect. After NOT_SERVING a client with a single
        address would fail its calls instead, although the server still answers them.
        """
        self._ending = True
        self.cut_watches()

    def cut_watches(self) -> None:
        """Ends the open streams: a stopping server would wait for them until its grace ends."""
        for task in self._watches:
            task.cancel()

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802  # its name in health.proto
        """Returns the health of a service, with the reason in the trailing metadata."""
        if self._reasons:
            context.set_trailing_metadata(((REASON_METADATA, ",".join(self._reasons)),))
        response = await super().Check(request, context)
        return health_pb2.HealthCheckResponse(status=_NOT_SERVING) if self._draining else response

    async def Watch(self, request: Any, context: Any) -> None:  # noqa: N802  # its name in health.proto
        """Streams the health of a service until the client or the server ends it."""
        task = asyncio.current_task()
        assert task
        self._watches.add(task)
        try:
            if self._ending:
                await asyncio.Event().wait()
            await super().Watch(request, context)
        except asyncio.CancelledError:
            if not self._ending:
                raise
        finally:
            self._watches.discard(task)
