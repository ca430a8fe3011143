"""What the clients for asyncio and for threads have in common."""

from datetime import timedelta
from typing import Any, ClassVar, Final, Generic, TypeVar
from weakref import WeakSet

import grpc

from token_authority.v1.encryption_pb2 import IssueChannelKeyRequest
from token_authority.v1.inspection_pb2 import InspectTokenRequest
from token_authority_client import _authority, _encryption, _responses
from token_authority_client._authority import AuthorityMethods
from token_authority_client._call_options import CallOptions, Timeout, seconds_of
from token_authority_client._connection import AsyncTransport, BlockingTransport, Connection
from token_authority_client._encryption import ChannelKey, EncryptionMethods
from token_authority_client._families import SourceMethods, SourceT_co
from token_authority_client._inspection import InspectionMethods
from token_authority_client._security import Security
from token_authority_client._session import SessionRequest
from token_authority_client._session_methods import (
    SessionMethods,
    SessionSourceT_co,
    SessionT_co,
    fetch_session,
)
from token_authority_client._settings import Credential, ServerSettings, Tls
from token_authority_client._target import parse
from token_authority_client._token_methods import ManyT_co, OneT_co, SentTokenMethods
from token_authority_client._values import Inspection

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
    SessionMethods[SessionT_co, SessionSourceT_co],
    Generic[
        OneT_co,
        ManyT_co,
        InspectionT_co,
        InfoT_co,
        KeysT_co,
        ChannelKeyT_co,
        SourceT_co,
        SessionT_co,
        SessionSourceT_co,
    ],
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

    def _session(self, request: SessionRequest) -> SessionT_co:
        result: SessionT_co = self._run(fetch_session(self._call, request, self._project))
        return result
