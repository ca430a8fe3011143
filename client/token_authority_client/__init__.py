"""Client of the token authority: Agora tokens in one call, for asyncio and for threads."""

from token_authority_client.client import (
    DEFAULT_TARGET,
    AsyncTokenAuthorityClient,
    TokenAuthorityClient,
)
from token_authority_client.errors import (
    ClientClosed,
    DeadlineExceeded,
    FailedPrecondition,
    FieldViolation,
    InternalError,
    InvalidRequest,
    PermissionDenied,
    ResourceExhausted,
    TokenAuthorityError,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from token_authority_client.values import (
    Advisory,
    Decision,
    IssuedToken,
    RtcPrivileges,
    RtmLogin,
)

__all__ = [
    "DEFAULT_TARGET",
    "Advisory",
    "AsyncTokenAuthorityClient",
    "ClientClosed",
    "DeadlineExceeded",
    "Decision",
    "FailedPrecondition",
    "FieldViolation",
    "InternalError",
    "InvalidRequest",
    "IssuedToken",
    "PermissionDenied",
    "ResourceExhausted",
    "RtcPrivileges",
    "RtmLogin",
    "TokenAuthorityClient",
    "TokenAuthorityError",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
]
