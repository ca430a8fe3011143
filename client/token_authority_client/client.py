"""The clients: one for asyncio, one that blocks. They differ in how they wait, in nothing else."""

from collections.abc import Coroutine, Iterable
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import grpc

from token_authority.v1.inspection_pb2 import InspectTokenRequest
from token_authority_client import answers, batches
from token_authority_client.answers import Wanted
from token_authority_client.connection import AsyncConnection, BlockingConnection
from token_authority_client.inspection import InspectionMethods
from token_authority_client.requests import TokenMethods
from token_authority_client.token_request import TokenRequest
from token_authority_client.values import Decision, Inspection, IssuedToken

DEFAULT_TARGET: Final = "127.0.0.1:50051"
DEFAULT_TIMEOUT: Final = timedelta(seconds=5)

ResultT = TypeVar("ResultT")


class AsyncTokenMethods(TokenMethods[Coroutine[Any, Any, ResultT]]):
    """The methods for tokens, or for decisions about them, to be awaited."""

    def __init__(self, connection: AsyncConnection, project: str, wanted: Wanted[ResultT]) -> None:
        self._connection = connection
        self._project = project
        self._wanted = wanted

    async def issue(self, request: TokenRequest) -> ResultT:
        """Sends one request that `prepare` made; see `issue_many` for several.

        Raises:
            TokenAuthorityError: No token; see its subclasses.
        """
        wanted = self._wanted
        message = request.to_send(self._project, validate_only=wanted.validate_only)
        return wanted.one(await self._connection.call(request.method, message))

    async def issue_many(self, requests: Iterable[TokenRequest]) -> list[ResultT]:
        """Sends any number of requests, of any kinds, that `prepare` made.

            requests = [prepare.issue_rtc_token(channel="c", uid=n, role="publisher") for n in …]
            tokens = await client.issue_many(requests)

        Up to 500 requests of 512 KiB in all travel in one call, which issues all of their tokens or
        none. A longer list takes several calls, one after the other, each within the client's
        timeout: when one of them fails, what those before it brought is not returned, and what
        comes after it is not asked for.

        Returns:
            One answer for each request, in their order.

        Raises:
            TokenAuthorityError: Not all of them; see its subclasses. Its violations count from the
                start of the list: `requests[503].rtc.uid`.
        """
        wanted, results = self._wanted, list[ResultT]()
        parts = batches.split(requests, self._project, validate_only=wanted.validate_only)
        for part in parts:
            with part.naming_places():
                answer = await self._connection.call("BatchIssueTokens", part.message)
            results += wanted.many(answer, len(part.message.requests))
        return results


class AsyncTokenAuthorityClient(
    AsyncTokenMethods[IssuedToken], InspectionMethods[Coroutine[Any, Any, Inspection]]
):
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
        connection = AsyncConnection(target, timeout, credentials)
        super().__init__(connection, project, answers.TOKENS)

    @property
    def validate_only(self) -> AsyncTokenMethods[Decision]:
        """The same methods, which sign nothing and say why a request is allowed."""
        return AsyncTokenMethods(self._connection, self._project, answers.DECISIONS)

    async def _inspect(self, message: InspectTokenRequest) -> Inspection:
        return answers.inspection(await self._connection.call("InspectToken", message))

    async def close(self) -> None:
        """Closes the connection; calls under way fail."""
        await self._connection.close()

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


class BlockingTokenMethods(TokenMethods[ResultT]):
    """The methods for tokens, or for decisions about them, which block."""

    def __init__(
        self, connection: BlockingConnection, project: str, wanted: Wanted[ResultT]
    ) -> None:
        self._connection = connection
        self._project = project
        self._wanted = wanted

    def issue(self, request: TokenRequest) -> ResultT:
        """Sends one request that `prepare` made; see `issue_many` for several.

        Raises:
            TokenAuthorityError: No token; see its subclasses.
        """
        wanted = self._wanted
        message = request.to_send(self._project, validate_only=wanted.validate_only)
        return wanted.one(self._connection.call(request.method, message))

    def issue_many(self, requests: Iterable[TokenRequest]) -> list[ResultT]:
        """Sends any number of requests, of any kinds, that `prepare` made.

            requests = [prepare.issue_rtc_token(channel="c", uid=n, role="publisher") for n in …]
            tokens = client.issue_many(requests)

        Up to 500 requests of 512 KiB in all travel in one call, which issues all of their tokens or
        none. A longer list takes several calls, one after the other, each within the client's
        timeout: when one of them fails, what those before it brought is not returned, and what
        comes after it is not asked for.

        Returns:
            One answer for each request, in their order.

        Raises:
            TokenAuthorityError: Not all of them; see its subclasses. Its violations count from the
                start of the list: `requests[503].rtc.uid`.
        """
        wanted, results = self._wanted, list[ResultT]()
        parts = batches.split(requests, self._project, validate_only=wanted.validate_only)
        for part in parts:
            with part.naming_places():
                answer = self._connection.call("BatchIssueTokens", part.message)
            results += wanted.many(answer, len(part.message.requests))
        return results


class TokenAuthorityClient(BlockingTokenMethods[IssuedToken], InspectionMethods[Inspection]):
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
        connection = BlockingConnection(target, timeout, credentials)
        super().__init__(connection, project, answers.TOKENS)

    @property
    def validate_only(self) -> BlockingTokenMethods[Decision]:
        """The same methods, which sign nothing and say why a request is allowed."""
        return BlockingTokenMethods(self._connection, self._project, answers.DECISIONS)

    def _inspect(self, message: InspectTokenRequest) -> Inspection:
        return answers.inspection(self._connection.call("InspectToken", message))

    def close(self) -> None:
        """Closes the connection; calls under way fail."""
        self._connection.close()

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
