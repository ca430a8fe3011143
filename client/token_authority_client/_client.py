"""The clients: one for asyncio, one that blocks. They differ only in how they wait."""

from collections.abc import Coroutine
from datetime import timedelta
from types import TracebackType
from typing import Any, ClassVar, Final, Generic, Self, TypeVar
from weakref import WeakSet

import grpc

from token_authority.v1.encryption_pb2 import IssueChannelKeyRequest
from token_authority.v1.inspection_pb2 import InspectTokenRequest
from token_authority_client import _authority, _encryption, _responses
from token_authority_client._authority import AuthorityInfo, AuthorityMethods, SigningKey
from token_authority_client._call_options import CallOptions, Timeout, seconds_of
from token_authority_client._connection import AsyncTransport, BlockingTransport, Connection
from token_authority_client._encryption import ChannelKey, EncryptionMethods
from token_authority_client._families import SourceMethods, SourceT_co
from token_authority_client._inspection import InspectionMethods
from token_authority_client._security import Security
from token_authority_client._settings import Credential, ServerSettings, Tls
from token_authority_client._sources import AsyncTokenSource, TokenSource
from token_authority_client._target import parse
from token_authority_client._token_methods import ManyT_co, OneT_co, SentTokenMethods
from token_authority_client._token_request import TokenRequest
from token_authority_client._values import Decision, Inspection, IssuedToken

DEFAULT_TIMEOUT: Final = timedelta(seconds=5)

InspectionT_co = TypeVar("InspectionT_co", covariant=True)
InfoT_co = TypeVar("InfoT_co", covariant=True)
KeysT_co = TypeVar("KeysT_co", covariant=True)
ChannelKeyT_co = TypeVar("ChannelKeyT_co", covariant=True)


class BaseClient(
    SentTokenMethods[OneT_co, ManyT_co],
    InspectionMethods[InspectionT_co],
    AuthorityMethods[InfoT_co, KeysT_co],
    EncryptionMethods[ChannelKeyT_co],
    SourceMethods[SourceT_co],
    Generic[OneT_co, ManyT_co, InspectionT_co, InfoT_co, KeysT_co, ChannelKeyT_co, SourceT_co],
):
    """What both clients have in common."""

    _transport_type: ClassVar[type[AsyncTransport] | type[BlockingTransport]]

    def __init__(
        self,
        target: str | None = None,
        *,
        project: str = "",
        timeout: Timeout = DEFAULT_TIMEOUT,
        tls: Tls | None = None,
        credential: Credential | None = None,
        wait_for_ready: bool = False,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        """Creates a client, which connects at its first call.

        Args:
            target: The server: "host:port", "unix:/path", "dns:///name:port" for all addresses of a
                name, IP addresses with ports separated by commas, or any other target of gRPC.
                None: from the environment variables of the command line
                (`TOKEN_AUTHORITY_TARGET`, `_TLS`, `_CA`, `_CERT`, `_KEY`, `_SERVER_NAME` and
                `_TOKEN_FILE`), which are ignored otherwise; by default "127.0.0.1:50051".
            project: The project of calls that name none; "": your default project on the server,
                else the only project you have grants for.
            timeout: How long a call may take, retries included, before DeadlineExceeded: seconds or
                a timedelta, at most a day.
            tls: TLS settings; None: plaintext, for loopback addresses and unix sockets.
            credential: The caller's credential: an API key, `ApiKeyFile`, `JwtFile`, or a function
                that is called for each call and returns a credential without blocking. None: none,
                or only the client certificate.
            wait_for_ready: Whether a call waits until a server is reachable or `timeout` ends.
            credentials: gRPC's channel credentials, instead of `tls`.

        Raises:
            ConfigurationError: An argument is unusable, or the credential would be sent in
                plaintext over a network.
        """
        if target is None:
            settings = ServerSettings.from_environment()
            target = settings.target
            credential = settings.credential() if credential is None else credential
            tls = settings.tls_settings() if tls is None and credentials is None else tls
        options = CallOptions(seconds_of(timeout), wait_for_ready)
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

    def _channel_key(self, message: IssueChannelKeyRequest) -> ChannelKeyT_co:
        message.project = message.project or self._project

        async def issue() -> ChannelKey:
            return _encryption.channel_key(await self._call("IssueChannelKey", message))

        result: ChannelKeyT_co = self._run(issue())
        return result


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
