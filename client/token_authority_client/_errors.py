"""What can go wrong, as exceptions of our own: no grpc type ever reaches the caller."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field of a request that breaks one rule of the contract."""

    field: str
    """Path from the request message, e.g. `rtm.user_id`; a oneof by its own name."""
    reason: str
    """The rule, stable, e.g. `STRING_MAX_BYTES`."""
    description: str
    """What to do about it."""


class TokenAuthorityError(Exception):
    """A call that brought no token. The text says what is wrong and what to do.

    Attributes:
        code: The gRPC status code's name, e.g. "PERMISSION_DENIED".
        reason: Stable and machine-readable, e.g. "GRANT_MISSING"; "" where the server did not get
            to say one.
        message: What is wrong, and what to do.
        advice: What to do, alone.
        metadata: Every value that the message mentions, by name.
        violations: The fields that break a rule of the contract.
        retry_after: How long to wait before another attempt, where the server said so.
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
        """Pickles all of it: keyword-only arguments would get lost."""
        return _restore, (type(self), self.message, self.__dict__)


def _restore(
    cls: type[TokenAuthorityError], message: str, attributes: Mapping[str, Any]
) -> TokenAuthorityError:
    error = cls(message)
    error.__dict__.update(attributes)
    return error


class InvalidRequest(TokenAuthorityError, ValueError):
    """The request breaks the contract: `violations` says where. Asking again will not help."""

    code = "INVALID_ARGUMENT"


class Unauthenticated(TokenAuthorityError):
    """The server does not know who asks."""

    code = "UNAUTHENTICATED"


class PermissionDenied(TokenAuthorityError):
    """The caller may not have this token."""

    code = "PERMISSION_DENIED"

    @property
    def nearest_grant(self) -> str:
        """The name of the caller's grant that comes closest to the request; "" where none does."""
        return self.metadata.get("grant", "")

    @property
    def missing(self) -> str:
        """What that grant lacks; "" where the server does not say."""
        return self.metadata.get("missing", "")


class FailedPrecondition(TokenAuthorityError):
    """The server is not set up for this: no key, or none that is active."""

    code = "FAILED_PRECONDITION"


class ResourceExhausted(TokenAuthorityError):
    """A limit was reached: too much at once, or too large."""

    code = "RESOURCE_EXHAUSTED"


class RateLimited(ResourceExhausted):
    """The caller has had its tokens for now: `retry_after` says when there are more."""


class TooManyInFlight(ResourceExhausted):
    """Too many calls are under way at once, of this caller or in all."""


class Unavailable(TokenAuthorityError):
    """No server answered, or it is shutting down. Asking again may help."""

    code = "UNAVAILABLE"


class DeadlineExceeded(TokenAuthorityError):
    """No answer came in time."""

    code = "DEADLINE_EXCEEDED"


class Unimplemented(TokenAuthorityError):
    """The server does not know the method: it is older than this client."""

    code = "UNIMPLEMENTED"


class InternalError(TokenAuthorityError):
    """The server failed; the message has an id that its log has too."""

    code = "INTERNAL"


class ClientClosed(TokenAuthorityError):
    """The client was closed before the call."""

    code = "CANCELLED"


class ConfigurationError(TokenAuthorityError, ValueError):
    """What the client was told to use, a file say, cannot be used. Nothing was sent."""

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
"""The exception for each gRPC status code; any other is a TokenAuthorityError."""

BY_REASON: Final[Mapping[str, type[TokenAuthorityError]]] = {
    "RATE_LIMITED": RateLimited,
    "TOO_MANY_IN_FLIGHT": TooManyInFlight,
}
"""The exception for reasons that callers treat apart from others of their status code."""
