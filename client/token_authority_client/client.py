"""The clients: one for asyncio, one that blocks. They differ in how they wait, in nothing else."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from datetime import timedelta
from importlib.metadata import version
from types import TracebackType
from typing import Any, Final, Self, cast

import grpc
from grpc import aio

from token_authority.v1.token_service_pb2_grpc import TokenServiceStub
from token_authority_client import answers
from token_authority_client.errors import ClientClosed
from token_authority_client.requests import IssueRequest, TokenMethods
from token_authority_client.values import Decision, IssuedToken

DEFAULT_TARGET: Final = "127.0.0.1:50051"
DEFAULT_TIMEOUT: Final = timedelta(seconds=5)

# Issuing is idempotent, so what never reached a server may be sent again.
_SERVICE_CONFIG: Final[dict[str, Any]] = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{"service": "token_authority.v1.TokenService"}],
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
_OPTIONS: Final = (
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    ("grpc.primary_user_agent", f"token-authority-python/{version('agora-token-authority')}"),
    # Keeps idle connections open through proxies; the server allows a ping every 20 s.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
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


class AsyncTokenAuthorityClient(TokenMethods[Coroutine[Any, Any, IssuedToken]]):
    """Asks a token authority for tokens, from asyncio.

        async with AsyncTokenAuthorityClient("127.0.0.1:50051") as client:
            issued = await client.issue_rtc_token(channel="lesson-1", uid=7, role="publisher")

    One client serves any number of tasks of one event loop. It connects at the first call.

    Args:
        target: Where the server is: "host:port", "unix:/path", or any other gRPC target.
        project: The project to ask for where a call names none; "": the server's only one.
        timeout: How long a call may take, retries included, before DeadlineExceeded.
        credentials: How to secure the connection; None: not at all, for loopback and unix sockets.
    """

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        project: str = "",
        timeout: timedelta = DEFAULT_TIMEOUT,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        self._target = target
        self._project = project
        self._timeout = _seconds(timeout)
        self._credentials = credentials
        self._channel: aio.Channel | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stub: Any = None
        self._closed = False

    @property
    def validate_only(self) -> TokenMethods[Coroutine[Any, Any, Decision]]:
        """The same methods, which sign nothing and say why a request is allowed."""
        return _AsyncValidation(self._call)

    async def close(self) -> None:
        """Closes the connection; calls under way fail."""
        self._closed = True
        if self._channel is not None:
            await self._channel.close()

    async def __aenter__(self) -> Self:
        """Opens nothing yet: the first call connects."""
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the connection."""
        await self.close()

    async def _issue(self, method: str, request: IssueRequest) -> IssuedToken:
        return answers.issued_token(await self._call(method, request))

    async def _call(self, method: str, request: IssueRequest) -> Any:
        if self._closed:
            raise _closed()
        request.project = request.project or self._project
        stub = self._stub_of_this_loop()
        try:
            return await getattr(stub, method)(request, timeout=self._timeout)
        except aio.AioRpcError as error:
            raise answers.error_of(error, self._target) from None
        except asyncio.CancelledError:
            if self._ended_by_close():
                raise _closed() from None
            raise

    def _ended_by_close(self) -> bool:
        """Whether not this task was cancelled but, by `close`, its call."""
        task = asyncio.current_task()
        return self._closed and task is not None and not task.cancelling()

    def _stub_of_this_loop(self) -> Any:
        loop = asyncio.get_running_loop()
        if self._channel is None:
            # Not before: a channel belongs to the event loop that runs when it is made.
            self._loop = loop
            self._channel = (
                aio.insecure_channel(self._target, options=_INSECURE_OPTIONS)
                if self._credentials is None
                else aio.secure_channel(self._target, self._credentials, options=_OPTIONS)
            )
            self._stub = TokenServiceStub(self._channel)
        if self._loop is not loop:
            advice = "make a client for each event loop"
            raise ClientClosed(f"the client belongs to another event loop: {advice}", advice=advice)
        return self._stub


class _AsyncValidation(TokenMethods[Coroutine[Any, Any, Decision]]):
    def __init__(self, call: Callable[[str, IssueRequest], Coroutine[Any, Any, Any]]) -> None:
        self._call = call

    async def _issue(self, method: str, request: IssueRequest) -> Decision:
        request.validate_only = True
        return answers.decision(await self._call(method, request))


class TokenAuthorityClient(TokenMethods[IssuedToken]):
    """Asks a token authority for tokens, and blocks for the answers.

        with TokenAuthorityClient("127.0.0.1:50051") as client:
            issued = client.issue_rtc_token(channel="lesson-1", uid=7, role="publisher")

    One client serves any number of threads. It connects at the first call.

    Args:
        target: Where the server is: "host:port", "unix:/path", or any other gRPC target.
        project: The project to ask for where a call names none; "": the server's only one.
        timeout: How long a call may take, retries included, before DeadlineExceeded.
        credentials: How to secure the connection; None: not at all, for loopback and unix sockets.
    """

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        project: str = "",
        timeout: timedelta = DEFAULT_TIMEOUT,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        self._target = target
        self._project = project
        self._timeout = _seconds(timeout)
        self._channel = (
            grpc.insecure_channel(target, options=_INSECURE_OPTIONS)
            if credentials is None
            else grpc.secure_channel(target, credentials, options=_OPTIONS)
        )
        self._stub: Any = TokenServiceStub(self._channel)
        self._closed = False

    @property
    def validate_only(self) -> TokenMethods[Decision]:
        """The same methods, which sign nothing and say why a request is allowed."""
        return _Validation(self._call)

    def close(self) -> None:
        """Closes the connection; calls under way fail."""
        self._closed = True
        self._channel.close()

    def __enter__(self) -> Self:
        """Opens nothing yet: the first call connects."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the connection."""
        self.close()

    def _issue(self, method: str, request: IssueRequest) -> IssuedToken:
        return answers.issued_token(self._call(method, request))

    def _call(self, method: str, request: IssueRequest) -> Any:
        if self._closed:
            raise _closed()
        request.project = request.project or self._project
        try:
            return getattr(self._stub, method)(request, timeout=self._timeout)
        except grpc.RpcError as error:
            if self._closed:
                raise _closed() from None
            raise answers.error_of(cast("answers.FailedCall", error), self._target) from None


class _Validation(TokenMethods[Decision]):
    def __init__(self, call: Callable[[str, IssueRequest], Any]) -> None:
        self._call = call

    def _issue(self, method: str, request: IssueRequest) -> Decision:
        request.validate_only = True
        return answers.decision(self._call(method, request))
