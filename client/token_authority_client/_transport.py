"""The two ways to wait for a server, for asyncio and for threads, and the channels they open."""

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Mapping
from importlib.metadata import version
from typing import Any, Final, TypeVar

import grpc
from grpc import aio

from token_authority.v1 import (
    authority_service_pb2,
    inspection_service_pb2,
    token_service_pb2,
)
from token_authority.v1.authority_service_pb2_grpc import AuthorityServiceStub
from token_authority.v1.inspection_service_pb2_grpc import InspectionServiceStub
from token_authority.v1.token_service_pb2_grpc import TokenServiceStub
from token_authority_client._errors import ClientClosed
from token_authority_client._security import Security, TlsMaterial
from token_authority_client._target import Target

_SERVICES: Final = tuple(
    [
        service
        for module in (token_service_pb2, inspection_service_pb2, authority_service_pb2)
        for service in module.DESCRIPTOR.services_by_name.values()
    ]
)
PATHS: Final[Mapping[str, str]] = {
    method.name: f"/{service.full_name}/{method.name}"
    for service in _SERVICES
    for method in service.methods
}
"""Every method as it travels, by its name, which is unique among all services."""
HEALTH_PATH: Final = "/grpc.health.v1.Health/Check"

# All of it is idempotent, so what never reached a server may be sent again.
_SERVICE_CONFIG: Final[dict[str, Any]] = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{"service": service.full_name} for service in _SERVICES],
            "retryPolicy": {
                # About three seconds in all: enough for a server to restart.
                "maxAttempts": 5,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 3,
                # CANCELLED: a server that stops did not begin the call (grpc/grpc#41785).
                "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
            },
        }
    ],
}
_MIB: Final = 1024 * 1024
_OPTIONS: Final[tuple[tuple[str, Any], ...]] = (
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    ("grpc.primary_user_agent", f"token-authority-python/{version('agora-token-authority')}"),
    # Keeps idle connections open through proxies; the server allows a ping every 20 s.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # Not grpc's two minutes between attempts to connect: the retries of one call find a server that
    # is back.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A request is kept for another attempt only if it fits in here: batches are larger than the
    # default of 256 KiB.
    ("grpc.per_rpc_retry_buffer_size", _MIB),
    # Not grpc's 4 MiB: what was signed must get through. A full batch of today's comes to 0.7 MB of
    # tokens, times, keys and advisories; a newer server may have more to say.
    ("grpc.max_receive_message_length", 16 * _MIB),
)

ResultT = TypeVar("ResultT")


class Channel:
    """An open channel and its methods. Calls hold on to it; the last one to let go closes it."""

    def __init__(self, module: Any, target: Target, security: Security) -> None:
        credentials = security.channel_credentials()
        options = _channel_options(target, security)
        self.material: TlsMaterial | None = security.material
        self.channel: Any = (
            module.insecure_channel(target.for_grpc, options=options)
            if credentials is None
            else module.secure_channel(target.for_grpc, credentials, options=options)
        )
        self.methods: Mapping[str, Any] = {
            **vars(TokenServiceStub(self.channel)),
            **vars(InspectionServiceStub(self.channel)),
            **vars(AuthorityServiceStub(self.channel)),
        }


def _channel_options(target: Target, security: Security) -> list[tuple[str, Any]]:
    options: list[tuple[str, Any]] = [*_OPTIONS]
    if target.is_local:
        # No proxy of the environment reaches what is on this machine.
        options.append(("grpc.enable_http_proxy", 0))
    if security.server_name is not None:
        options.append(("grpc.ssl_target_name_override", security.server_name))
        options.append(("grpc.default_authority", security.server_name))
    return options


class AsyncTransport:
    """Awaits answers, on the event loop of the first call."""

    def __init__(self, target: Target, security: Security) -> None:
        self._target = target
        self._security = security
        self._channel: Channel | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, coroutine: Coroutine[Any, Any, ResultT]) -> Coroutine[Any, Any, ResultT]:
        """Returns the coroutine, for the caller to await."""
        return coroutine

    async def call(self, method: str, request: Any, **options: Any) -> Any:
        """Sends a request and awaits the answer.

        Raises:
            grpc.RpcError: The call failed.
            ClientClosed: The first call was on another event loop.
        """
        channel = self._open_channel()
        return await channel.methods[method](request, **options)

    async def run_blocking(self, function: Callable[[], ResultT]) -> ResultT:
        """Calls a function that blocks in a thread."""
        return await asyncio.to_thread(function)

    async def close(self) -> None:
        """Closes the channel; calls under way are cancelled."""
        if self._channel is not None:
            await self._channel.channel.close()

    def _open_channel(self) -> Channel:
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        if self._loop is not loop:
            advice = "make a client for each event loop"
            raise ClientClosed(f"the client belongs to another event loop: {advice}", advice=advice)
        if self._channel is None or self._channel.material != self._security.material:
            # Not before: a channel belongs to the event loop that runs when it is made.
            self._channel = Channel(aio, self._target, self._security)
        return self._channel


class BlockingTransport:
    """Blocks for answers, in any number of threads."""

    def __init__(self, target: Target, security: Security) -> None:
        self._target = target
        self._security = security
        self._lock = threading.Lock()
        self._channel: Channel | None = None

    def run(self, coroutine: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Runs a coroutine that waits by this transport only, so never, and returns its result."""
        try:
            coroutine.send(None)
        except StopIteration as done:
            result: ResultT = done.value
            return result
        coroutine.close()
        raise AssertionError("something waits that should block")

    async def call(self, method: str, request: Any, **options: Any) -> Any:
        """Sends a request and blocks for the answer.

        Raises:
            grpc.RpcError: The call failed.
        """
        channel = self._open_channel()
        return channel.methods[method](request, **options)

    async def run_blocking(self, function: Callable[[], ResultT]) -> ResultT:
        """Calls a function that blocks."""
        return function()

    async def close(self) -> None:
        """Closes the channel; calls under way fail."""
        with self._lock:
            if self._channel is not None:
                self._channel.channel.close()

    def _open_channel(self) -> Channel:
        with self._lock:
            if self._channel is None or self._channel.material != self._security.material:
                self._channel = Channel(grpc, self._target, self._security)
            return self._channel


Transport = AsyncTransport | BlockingTransport
"""One of the ways to wait."""
