"""The clients: one for asyncio, one that blocks. They differ in how they wait, in nothing else."""

from collections.abc import Coroutine
from datetime import timedelta
from types import TracebackType
from typing import Any, ClassVar, Final, Generic, Self, TypeVar
from weakref import WeakSet

import grpc

from token_authority.v1.inspection_pb2 import InspectTokenRequest
from token_authority_client import _authority, _responses
from token_authority_client._authority import AuthorityInfo, AuthorityMethods, SigningKey
from token_authority_client._connection import CallOptions, Connection
from token_authority_client._inspection import InspectionMethods
from token_authority_client._security import Credential, Security, Tls
from token_authority_client._source_methods import SourceMethods, SourceT_co
from token_authority_client._sources import AsyncTokenSource, TokenSource
from token_authority_client._target import parse
from token_authority_client._token_methods import ManyT_co, OneT_co, SentTokenMethods
from token_authority_client._token_request import TokenRequest
from token_authority_client._transport import AsyncTransport, BlockingTransport
from token_authority_client._values import Decision, Inspection, IssuedToken

DEFAULT_TARGET: Final = "127.0.0.1:50051"
DEFAULT_TIMEOUT: Final = timedelta(seconds=5)

ResultT = TypeVar("ResultT")
InspectionT_co = TypeVar("InspectionT_co", covariant=True)
InfoT_co = TypeVar("InfoT_co", covariant=True)
KeysT_co = TypeVar("KeysT_co", covariant=True)


class BaseClient(
    SentTokenMethods[OneT_co, ManyT_co],
    InspectionMethods[InspectionT_co],
    AuthorityMethods[InfoT_co, KeysT_co],
    SourceMethods[SourceT_co],
    Generic[OneT_co, ManyT_co, InspectionT_co, InfoT_co, KeysT_co, SourceT_co],
):
    """What both clients are."""

    _transport_type: ClassVar[type[AsyncTransport] | type[BlockingTransport]]
    """How it waits."""

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        project: str = "",
        timeout: timedelta = DEFAULT_TIMEOUT,
        tls: Tls | None = None,
        credential: Credential | None = None,
        wait_for_ready: bool = False,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        """Makes a client, which connects at its first call.

        Args:
            target: Where the server is: "host:port", "unix:/path", "dns:///name:port" for all
                addresses of a name, IP addresses with ports and commas between them, or any other
                target of grpc's.
            project: The project to ask for where a call names none; "": your default project, else
                the only one you have grants for.
            timeout: How long a call may take, retries included, before DeadlineExceeded.
            tls: How to secure the connection; None: not at all, for loopback and unix sockets.
            credential: What shows who calls: an API key, `ApiKeyFile`, `JwtFile`, or a function
                that is called for each call and returns a credential at once. None: nothing but the
                client certificate, if there is one.
            wait_for_ready: Whether a call waits for a server, as long as `timeout` allows, where
                none is there.
            credentials: grpc's own channel credentials, instead of `tls`.

        Raises:
            ValueError: One of them cannot be used (a ConfigurationError where its type is wrong),
                or the credential would travel in plaintext.
        """
        options = CallOptions(timeout, wait_for_ready)
        where = parse(target)
        security = Security(where, tls=tls, credential=credential, credentials=credentials)
        connection = Connection(where, security, self._transport_type(where, security))
        super().__init__(connection, options, project, _responses.TOKENS)
        self._sources: WeakSet[Any] = WeakSet()

    def _inspect(self, message: InspectTokenRequest) -> InspectionT_co:
        async def inspect() -> Inspection:
            return _responses.inspection(await self._call("InspectToken", message))

        result: InspectionT_co = self._run(inspect())
        return result

    def _info(self) -> InfoT_co:
        result: InfoT_co = self._run(_authority.fetch_info(self._call))
        return result

    def _keys(self, project: str) -> KeysT_co:
        result: KeysT_co = self._run(_authority.fetch_keys(self._call, project))
        return result


class AsyncTokenMethods(
    SentTokenMethods[Coroutine[Any, Any, ResultT], Coroutine[Any, Any, list[ResultT]]],
    Generic[ResultT],
):
    """The methods for tokens, or for decisions about them, to be awaited."""


class AsyncTokenAuthorityClient(
    BaseClient[
        Coroutine[Any, Any, IssuedToken],
        Coroutine[Any, Any, list[IssuedToken]],
        Coroutine[Any, Any, Inspection],
        Coroutine[Any, Any, AuthorityInfo],
        Coroutine[Any, Any, list[SigningKey]],
        AsyncTokenSource,
    ]
):
    """Asks a token authority for tokens, from asyncio.

        async with AsyncTokenAuthorityClient("127.0.0.1:50051") as client:
            issued = await client.issue_rtc_token(channel="lesson-1", uid=7, role="publisher")

    One client serves any number of tasks of one event loop. It connects at the first call.
    """

    _transport_type: ClassVar[type[AsyncTransport] | type[BlockingTransport]] = AsyncTransport

    @property
    def validate_only(self) -> AsyncTokenMethods[Decision]:
        """The same methods, which sign nothing and say why a request is allowed."""
        return AsyncTokenMethods(
            self._connection, self._options, self._project, _responses.DECISIONS
        )

    def token_source(self, request: TokenRequest) -> AsyncTokenSource:
        """Keeps a token fresh: a source of tokens for a request that `prepare` made."""
        source = AsyncTokenSource(lambda: self.issue(request))
        self._sources.add(source)
        return source

    async def close(self) -> None:
        """Closes the connection and the token sources; calls under way fail."""
        for source in list(self._sources):
            await source.close()
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
        """Closes the client."""
        await self.close()


class BlockingTokenMethods(SentTokenMethods[ResultT, list[ResultT]], Generic[ResultT]):
    """The methods for tokens, or for decisions about them, which block."""


class TokenAuthorityClient(
    BaseClient[
        IssuedToken,
        list[IssuedToken],
        Inspection,
        AuthorityInfo,
        list[SigningKey],
        TokenSource,
    ]
):
    """Asks a token authority for tokens, and blocks for the _responses.

        with TokenAuthorityClient("127.0.0.1:50051") as client:
            issued = client.issue_rtc_token(channel="lesson-1", uid=7, role="publisher")

    One client serves any number of threads. It connects at the first call.
    """

    _transport_type: ClassVar[type[AsyncTransport] | type[BlockingTransport]] = BlockingTransport

    @property
    def validate_only(self) -> BlockingTokenMethods[Decision]:
        """The same methods, which sign nothing and say why a request is allowed."""
        return BlockingTokenMethods(
            self._connection, self._options, self._project, _responses.DECISIONS
        )

    def token_source(self, request: TokenRequest) -> TokenSource:
        """Keeps a token fresh: a source of tokens for a request that `prepare` made."""
        source = TokenSource(lambda: self.issue(request))
        self._sources.add(source)
        return source

    def close(self) -> None:
        """Closes the connection and the token sources; calls under way fail."""
        sources = list(self._sources)
        for source in sources:
            source.stop()
        self._run(self._connection.close())
        for source in sources:
            source.close()

    def __enter__(self) -> Self:
        """Opens nothing yet: the first call connects."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the client."""
        self.close()
