"""Connections to a server, for asyncio and for threads: they differ in how they wait."""

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from importlib.metadata import version
from typing import Any, Final, cast

import grpc
from grpc import aio

from token_authority.v1.inspection_service_pb2_grpc import InspectionServiceStub
from token_authority.v1.token_service_pb2_grpc import TokenServiceStub
from token_authority_client import failures
from token_authority_client.errors import ClientClosed

# All of it is idempotent, so what never reached a server may be sent again.
_SERVICE_CONFIG: Final[dict[str, Any]] = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [
                {"service": "token_authority.v1.TokenService"},
                {"service": "token_authority.v1.InspectionService"},
            ],
            "retryPolicy": {
                # About two seconds in all: enough for a server to restart.
                "maxAttempts": 5,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 3,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}
_MIB: Final = 1024 * 1024
_OPTIONS: Final = (
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    ("grpc.primary_user_agent", f"token-authority-python/{version('agora-token-authority')}"),
    # Keeps idle connections open through proxies; the server allows a ping every 20 s.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # A request is kept for another attempt only if it fits in here: batches are larger than the
    # default of 256 KiB.
    ("grpc.per_rpc_retry_buffer_size", _MIB),
    # Not grpc's 4 MiB: what was signed must get through. A full batch of today's comes to 0.7 MB of
    # tokens, times, keys and advisories; a newer server may have more to say.
    ("grpc.max_receive_message_length", 16 * _MIB),
)
# Without TLS the server is on this machine: no proxy of the environment reaches that.
_INSECURE_OPTIONS: Final = (*_OPTIONS, ("grpc.enable_http_proxy", 0))


def _closed() -> ClientClosed:
    advice = "make another one"
    return ClientClosed(f"the client is closed: {advice}", advice=advice)


def _seconds(timeout: timedelta) -> float:
    if not timedelta(0) < timeout <= timedelta(days=1):
        raise ValueError("timeout must be longer than nothing and at most a day")
    return timeout.total_seconds()


def _methods(channel: Any) -> Mapping[str, Any]:
    """Returns the methods of every service by their names, which are unique."""
    return {**vars(TokenServiceStub(channel)), **vars(InspectionServiceStub(channel))}


class AsyncConnection:
    """Calls and awaits the answers. It connects at the first call."""

    def __init__(
        self, target: str, timeout: timedelta, credentials: grpc.ChannelCredentials | None
    ) -> None:
        self._target = target
        self._timeout = _seconds(timeout)
        self._credentials = credentials
        self._channel: aio.Channel | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._methods: Mapping[str, Any] = {}
        self._closed = False

    async def call(self, method: str, request: Any) -> Any:
        """Returns the answer of a method.

        Raises:
            TokenAuthorityError: The call failed.
        """
        if self._closed:
            raise _closed()
        methods = self._methods_of_this_loop()
        try:
            return await methods[method](request, timeout=self._timeout)
        except aio.AioRpcError as error:
            raise failures.error_of(error, self._target) from None
        except asyncio.CancelledError:
            if self._ended_by_close():
                raise _closed() from None
            raise

    async def close(self) -> None:
        """Closes the connection; calls under way fail."""
        self._closed = True
        if self._channel is not None:
            await self._channel.close()

    def _ended_by_close(self) -> bool:
        """Whether not this task was cancelled but, by `close`, its call."""
        task = asyncio.current_task()
        return self._closed and task is not None and not task.cancelling()

    def _methods_of_this_loop(self) -> Mapping[str, Any]:
        loop = asyncio.get_running_loop()
        if self._channel is None:
            # Not before: a channel belongs to the event loop that runs when it is made.
            self._loop = loop
            self._channel = (
                aio.insecure_channel(self._target, options=_INSECURE_OPTIONS)
                if self._credentials is None
                else aio.secure_channel(self._target, self._credentials, options=_OPTIONS)
            )
            self._methods = _methods(self._channel)
        if self._loop is not loop:
            advice = "make a client for each event loop"
            raise ClientClosed(f"the client belongs to another event loop: {advice}", advice=advice)
        return self._methods


class BlockingConnection:
    """Calls and blocks for the answers. It connects at the first call."""

    def __init__(
        self, target: str, timeout: timedelta, credentials: grpc.ChannelCredentials | None
    ) -> None:
        self._target = target
        self._timeout = _seconds(timeout)
        self._channel = (
            grpc.insecure_channel(target, options=_INSECURE_OPTIONS)
            if credentials is None
            else grpc.secure_channel(target, credentials, options=_OPTIONS)
        )
        self._methods = _methods(self._channel)
        self._closed = False

    def call(self, method: str, request: Any) -> Any:
        """Returns the answer of a method.

        Raises:
            TokenAuthorityError: The call failed.
        """
        if self._closed:
            raise _closed()
        try:
            return self._methods[method](request, timeout=self._timeout)
        except grpc.RpcError as error:
            if self._closed:
                raise _closed() from None
            raise failures.error_of(cast("failures.FailedCall", error), self._target) from None

    def close(self) -> None:
        """Closes the connection; calls under way fail."""
        self._closed = True
        self._channel.close()
