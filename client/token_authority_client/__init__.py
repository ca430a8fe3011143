"""Client of the token authority: issues Agora tokens in one call, for asyncio and threads."""

# The order matters: the other modules import grpc.
from token_authority_client import _grpc_log as _grpc_log
from token_authority_client._authority import AuthorityInfo, CallerLimits, Grant, SigningKey
from token_authority_client._client import (
    AsyncTokenAuthorityClient,
    AsyncTokenDecisions,
    TokenAuthorityClient,
    TokenDecisions,
)
from token_authority_client._concrete_sources import (
    AsyncSessionSource,
    AsyncTokenSource,
    SessionSource,
    TokenSource,
)
from token_authority_client._connection_check import ConnectionCheck
from token_authority_client._encryption import ChannelKey
from token_authority_client._errors import (
    ClientClosed,
    ConfigurationError,
    DeadlineExceeded,
    Denied,
    FailedPrecondition,
    FieldViolation,
    InternalError,
    InvalidRequest,
    PermissionDenied,
    RateLimited,
    ResourceExhausted,
    TokenAuthorityError,
    TooManyInFlight,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from token_authority_client._families import TokenRequests, prepare
from token_authority_client._inspection import LocalInspector
from token_authority_client._services import (
    AccessTokenService,
    ChatService,
    ConvoAiService,
    EducationService,
    FcdnService,
    FpaService,
    RtcService,
    Rtm2Service,
    RtmService,
    StreamingService,
    SttService,
)
from token_authority_client._session import Session
from token_authority_client._settings import (
    DEFAULT_TARGET,
    ApiKeyFile,
    Credential,
    JwtFile,
    ServerSettings,
    Tls,
)
from token_authority_client._token_request import TokenRequest
from token_authority_client._values import (
    Advisory,
    Decision,
    DecodedField,
    Finding,
    Inspection,
    IssuedToken,
    RtcPrivileges,
    RtmAccess,
    RtmLogin,
    RtmPermission,
    RtmResourceType,
    Signature,
)

__all__ = [
    "DEFAULT_TARGET",
    "AccessTokenService",
    "Advisory",
    "ApiKeyFile",
    "AsyncSessionSource",
    "AsyncTokenAuthorityClient",
    "AsyncTokenDecisions",
    "AsyncTokenSource",
    "AuthorityInfo",
    "CallerLimits",
    "ChannelKey",
    "ChatService",
    "ClientClosed",
    "ConfigurationError",
    "ConnectionCheck",
    "ConvoAiService",
    "Credential",
    "DeadlineExceeded",
    "Decision",
    "DecodedField",
    "Denied",
    "EducationService",
    "FailedPrecondition",
    "FcdnService",
    "FieldViolation",
    "Finding",
    "FpaService",
    "Grant",
    "Inspection",
    "InternalError",
    "InvalidRequest",
    "IssuedToken",
    "JwtFile",
    "LocalInspector",
    "PermissionDenied",
    "RateLimited",
    "ResourceExhausted",
    "RtcPrivileges",
    "RtcService",
    "Rtm2Service",
    "RtmAccess",
    "RtmLogin",
    "RtmPermission",
    "RtmResourceType",
    "RtmService",
    "ServerSettings",
    "Session",
    "SessionSource",
    "Signature",
    "SigningKey",
    "StreamingService",
    "SttService",
    "Tls",
    "TokenAuthorityClient",
    "TokenAuthorityError",
    "TokenDecisions",
    "TokenRequest",
    "TokenRequests",
    "TokenSource",
    "TooManyInFlight",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "prepare",
]

# Where users import them from, which help() and tracebacks show.
for _name in __all__:
    if isinstance(globals()[_name], type):
        globals()[_name].__module__ = __name__
