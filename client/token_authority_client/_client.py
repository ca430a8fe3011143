"""The clients: one for asyncio, one that blocks. They differ only in how they wait."""

from collections.abc import Coroutine
from types import TracebackType
from typing import Any, ClassVar, Self

from token_authority_client import _responses
from token_authority_client._authority import AuthorityInfo, SigningKey
from token_authority_client._base_client import BaseClient
from token_authority_client._concrete_sources import (
    AsyncSessionSource,
    AsyncTokenSource,
    SessionSource,
    TokenSource,
)
from token_authority_client._connection import AsyncTransport, BlockingTransport
from token_authority_client._encryption import ChannelKey
from token_authority_client._session import Session, SessionRequest
from token_authority_client._token_methods import SentTokenMethods
from token_authority_client._token_request import TokenRequest
from token_authority_client._values import Decision, Inspection, IssuedToken


class AsyncTokenDecisions(
    SentTokenMethods[Coroutine[Any, Any, Decision], Coroutine[Any, Any, list[Decision]]]
):
    """The issuing methods, which sign nothing and return decisions, to be awaited."""


class TokenDecisions(SentTokenMethods[Decision, list[Decision]]):
    """The issuing methods, which sign nothing and return decisions."""


class AsyncTokenAuthorityClient(
    BaseClient[
        Coroutine[Any, Any, IssuedToken],
        Coroutine[Any, Any, list[IssuedToken]],
        Coroutine[Any, Any, Inspection],
        Coroutine[Any, Any, AuthorityInfo],
        Coroutine[Any, Any, list[SigningKey]],
        Coroutine[Any, Any, ChannelKey],
        AsyncTokenSource,
        Coroutine[Any, Any, Session],
        AsyncSessionSource,
    ]
):
    """A client of a token authority for asyncio.

        async with AsyncTokenAuthorityClient("127.0.0.1:50051") as client:
            issued = await client.issue_rtc_token(channel="lesson-1", uid=7, role="publisher")

    One client serves any number of tasks of one event loop. It connects at the first call. A
    process that is forked after a first call cannot use it: create clients after the fork.
    """

    _transport_type: ClassVar[type[AsyncTransport] | type[BlockingTransport]] = AsyncTransport

    @property
    def validate_only(self) -> AsyncTokenDecisions:
        """The issuing methods, which sign nothing and return why a request is allowed."""
        return AsyncTokenDecisions(
            self._connection, self._options, self._project, _responses.DECISIONS
        )

    def token_source(self, request: TokenRequest) -> AsyncTokenSource:
        """Returns a source that renews the token of a request made by `prepare`."""
        source = AsyncTokenSource(lambda: self.issue(request), self._connection.check_process)
        self._sources.add(source)
        return source

    def _session_source(self, request: SessionRequest) -> AsyncSessionSource:
        source = AsyncSessionSource(lambda: self._session(request), self._connection.check_process)
        self._sources.add(source)
        return source

    async def close(self) -> None:
        """Closes the connection and the token sources; calls in flight fail."""
        for source in list(self._sources):
            await source.close()
        await self._connection.close()

    async def __aenter__(self) -> Self:
        """Returns the client, which connects at its first call."""
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the client."""
        await self.close()


class TokenAuthorityClient(
    BaseClient[
        IssuedToken,
        list[IssuedToken],
        Inspection,
        AuthorityInfo,
        list[SigningKey],
        ChannelKey,
        TokenSource,
        Session,
        SessionSource,
    ]
):
    """A client of a token authority that blocks.

        with TokenAuthorityClient("127.0.0.1:50051") as client:
            issued = client.issue_rtc_token(channel="lesson-1", uid=7, role="publisher")

    One client serves any number of threads. It connects at the first call. A process that is
    forked after the first call cannot use it: create another client there.
    """

    _transport_type: ClassVar[type[AsyncTransport] | type[BlockingTransport]] = BlockingTransport

    @property
    def validate_only(self) -> TokenDecisions:
        """The issuing methods, which sign nothing and return why a request is allowed."""
        return TokenDecisions(self._connection, self._options, self._project, _responses.DECISIONS)

    def token_source(self, request: TokenRequest) -> TokenSource:
        """Returns a source that renews the token of a request made by `prepare`."""
        source = TokenSource(lambda: self.issue(request), self._connection.check_process)
        self._sources.add(source)
        return source

    def _session_source(self, request: SessionRequest) -> SessionSource:
        source = SessionSource(lambda: self._session(request), self._connection.check_process)
        self._sources.add(source)
        return source

    def close(self) -> None:
        """Closes the connection and the token sources; calls in flight fail."""
        sources = list(self._sources)
        for source in sources:
            source.stop()
        self._run(self._connection.close())
        for source in sources:
            source.close()

    def __enter__(self) -> Self:
        """Returns the client, which connects at its first call."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the client."""
        self.close()
