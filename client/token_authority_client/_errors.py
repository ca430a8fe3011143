"""The exceptions of the client. No gRPC type reaches its users."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from token_authority_client._argument_names import sentence


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field of a request that violates one rule of the contract."""

    field: str
    """The field's path in the request message of the contract, e.g. `rtm.user_id`; a oneof by its
    own name. The error's message names the Python argument."""
    reason: str
    """The violated rule, stable, e.g. `STRING_MAX_BYTES`."""
    description: str
    """What is allowed."""

    def __str__(self) -> str:
        """Returns what is wrong with the Python argument, and what is allowed."""
        return sentence(self.field, self.description)


class TokenAuthorityError(Exception):
    """The base of all exceptions of the client. Its text is `message`.

    Attributes:
        code: The gRPC status code's name, e.g. "PERMISSION_DENIED".
        reason: The machine-readable reason, stable, e.g. "GRANT_MISSING"; "" if no server answered
            and no reason was found.
        message: What is wrong, and what to do.
        advice: Only what to do.
        metadata: The values that the message mentions, by name.
        violations: The fields that violate rules of the contract.
        retry_after: How long to wait before the next attempt; None if the server sent no time.
    """

    code = "UNKNOWN"

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        advice: str = "",
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[FieldViolation] = (),
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.advice = advice
        self.metadata: dict[str, str] = dict(metadata or {})
        self.violations: tuple[FieldViolation, ...] = tuple(violations)
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Callable[..., "TokenAuthorityError"], tuple[Any, ...]]:
        """Pickles all attributes; the default loses keyword-only arguments."""
        return _restore, (type(self), self.message, self.__dict__)


def restate(error: TokenAuthorityError, message: str, advice: str) -> None:
    """Replaces the text of an error, wherever the error contains it."""
    error.message, error.advice = message, advice
    error.args = (message,)
    # gRPC's own errors have no metadata.
    if error.metadata:
        error.metadata["advice"] = advice


def _restore(
    cls: type[TokenAuthorityError], message: str, attributes: Mapping[str, Any]
) -> TokenAuthorityError:
    error = cls(message)
    error.__dict__.update(attributes)
    return error


class InvalidRequest(TokenAuthorityError, ValueError):
    """The request violates the contract; `violations` lists the fields. A retry fails again."""

    code = "INVALID_ARGUMENT"


class Unauthenticated(TokenAuthorityError):
    """The caller could not be authenticated."""

    code = "UNAUTHENTICATED"


class PermissionDenied(TokenAuthorityError):
    """The caller is not authorized to issue this token."""

    code = "PERMISSION_DENIED"

    @property
    def nearest_grant(self) -> str:
        """The name of the closest grant of the caller; "" if there is none."""
        return self.metadata.get("grant", "")

    @property
    def missing(self) -> str:
        """What that grant does not allow, e.g. `channels`; "" if the server does not name it."""
        return self.metadata.get("missing", "")


class Denied(PermissionDenied):
    """The user, channel or room is on the server's deny list until `denied_until`.

    A token source raises it from its next renewal on, and no longer returns its last token.
    """

    @property
    def denied_until(self) -> datetime | None:
        """When the denial ends; None if the server sends no time."""
        try:
            return datetime.fromisoformat(self.metadata.get("denied_until", ""))
        except ValueError:
            return None


class FailedPrecondition(TokenAuthorityError):
    """The server is not configured for this request, e.g. it has no active signing key."""

    code = "FAILED_PRECONDITION"


class ResourceExhausted(TokenAuthorityError):
    """A limit was exceeded: too many requests, or too large a request."""

    code = "RESOURCE_EXHAUSTED"


class RateLimited(ResourceExhausted):
    """The caller exceeded its rate limit; `retry_after` is the time until a retry can succeed."""


class TooManyInFlight(ResourceExhausted):
    """Too many calls are in flight, of this caller or in total."""


class Unavailable(TokenAuthorityError):
    """No server is reachable, or it is shutting down. A retry may succeed."""

    code = "UNAVAILABLE"


class DeadlineExceeded(TokenAuthorityError):
    """The call did not complete before its deadline."""

    code = "DEADLINE_EXCEEDED"


class Unimplemented(TokenAuthorityError):
    """The server does not implement the method: it is older than this client."""

    code = "UNIMPLEMENTED"


class InternalError(TokenAuthorityError):
    """The server failed. The message contains an ID that the server also logged."""

    code = "INTERNAL"


class ClientClosed(TokenAuthorityError):
    """The client was closed, or belongs to another process or event loop."""

    code = "CANCELLED"


class ConfigurationError(TokenAuthorityError, ValueError):
    """A setting of the client, such as a target, file or timeout, is unusable. Nothing was sent."""

    code = "FAILED_PRECONDITION"


BY_CODE: Final[Mapping[str, type[TokenAuthorityError]]] = {
    error.code: error
    for error in (
        InvalidRequest,
        Unauthenticated,
        PermissionDenied,
        FailedPrecondition,
        ResourceExhausted,
        Unavailable,
        DeadlineExceeded,
        Unimplemented,
        InternalError,
    )
}
"""The exception for each gRPC status code; for any other it is TokenAuthorityError."""

BY_REASON: Final[Mapping[str, type[TokenAuthorityError]]] = {
    "DENIED": Denied,
    "RATE_LIMITED": RateLimited,
    "TOO_MANY_IN_FLIGHT": TooManyInFlight,
}
"""Exceptions for reasons that callers handle differently from others of the same code."""


def unusable(problem: str, advice: str) -> ConfigurationError:
    """Returns the error for an unusable setting of the client."""
    return ConfigurationError(
        f"{problem}: {advice}", reason="UNUSABLE_CONFIGURATION", advice=advice
    )
