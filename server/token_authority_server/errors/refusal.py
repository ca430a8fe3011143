"""Refusals, their reasons and status codes, independent of the transport.

Each reason is defined with its canonical status code; `rpc.status` turns both into a gRPC status.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Code(StrEnum):
    """Canonical status codes that refusals use (google.rpc.Code), by name."""

    UNAUTHENTICATED = "UNAUTHENTICATED"
    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    UNAVAILABLE = "UNAVAILABLE"
    INTERNAL = "INTERNAL"


class Reason(StrEnum):
    """Stable, machine-readable reasons (ErrorInfo.reason, AIP-193), each with its status code."""

    code: Code

    def __new__(cls, value: str, code: Code) -> Self:
        """Attaches the status code to the reason."""
        reason = str.__new__(cls, value)
        reason._value_ = value
        reason.code = code
        return reason

    CREDENTIAL_MISSING = "CREDENTIAL_MISSING", Code.UNAUTHENTICATED
    """The call carries no credential that this listener accepts."""
    CREDENTIAL_INVALID = "CREDENTIAL_INVALID", Code.UNAUTHENTICATED
    """The credential is malformed, fails verification or matches no configured caller."""
    CREDENTIAL_EXPIRED = "CREDENTIAL_EXPIRED", Code.UNAUTHENTICATED
    """The credential was valid and has expired."""
    CREDENTIAL_UNVERIFIABLE = "CREDENTIAL_UNVERIFIABLE", Code.UNAVAILABLE
    """The identity provider's keys cannot be fetched, so the credential cannot be verified yet."""
    INVALID_REQUEST = "INVALID_REQUEST", Code.INVALID_ARGUMENT
    """The request violates the contract; the field violations name the fields."""
    BATCH_EXCEEDS_LIMIT = "BATCH_EXCEEDS_LIMIT", Code.INVALID_ARGUMENT
    """The batch has more tokens than the caller's rate limits ever allow at once."""
    GRANT_MISSING = "GRANT_MISSING", Code.PERMISSION_DENIED
    """No grant of the caller covers the request; also the answer for an unknown project."""
    TTL_FORBIDDEN = "TTL_FORBIDDEN", Code.PERMISSION_DENIED
    """The requested ttl exceeds the grant's max_ttl."""
    NON_EXPIRING_FORBIDDEN = "NON_EXPIRING_FORBIDDEN", Code.PERMISSION_DENIED
    """The grant does not allow non-expiring tokens."""
    WILDCARD_FORBIDDEN = "WILDCARD_FORBIDDEN", Code.PERMISSION_DENIED
    """The grant does not allow any_user, any_channel or channel_pattern."""
    SDK_SCOPE_FORBIDDEN = "SDK_SCOPE_FORBIDDEN", Code.PERMISSION_DENIED
    """The grant does not allow whiteboard SDK tokens."""
    DENIED = "DENIED", Code.PERMISSION_DENIED
    """A denial applies to the token's user, channel or room until some time."""
    NO_ACTIVE_KEY = "NO_ACTIVE_KEY", Code.FAILED_PRECONDITION
    """The project has keys for this product, but none of them is active."""
    PROJECT_LACKS_PRODUCT = "PROJECT_LACKS_PRODUCT", Code.FAILED_PRECONDITION
    """The project has no keys for this product."""
    RATE_LIMITED = "RATE_LIMITED", Code.RESOURCE_EXHAUSTED
    """A rate limit of the caller is exceeded."""
    TOO_MANY_IN_FLIGHT = "TOO_MANY_IN_FLIGHT", Code.RESOURCE_EXHAUSTED
    """The limit on concurrent calls is reached, for the caller or for the server."""
    AUDIT_UNAVAILABLE = "AUDIT_UNAVAILABLE", Code.UNAVAILABLE
    """The audit trail cannot be written, and it is required."""
    DRAINING = "DRAINING", Code.UNAVAILABLE
    """The server is shutting down; another replica can answer."""
    INTERNAL_ERROR = "INTERNAL_ERROR", Code.INTERNAL
    """A defect of the server; the error id in the metadata identifies it in the log."""


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field that violates one rule."""

    field: str
    """Path from the request message, e.g. `rtm.user_id`; a oneof by its own name."""
    reason: str
    """The rule, in UPPER_SNAKE_CASE; stable."""
    description: str
    """What is allowed and what to do. Never contains the value."""


class Refusal(Exception):
    """A refused request: what is wrong, and what to do about it.

    Args:
        reason: Machine-readable reason, with its status code.
        problem: What is wrong.
        advice: What to do.
        metadata: Every dynamic value of the message, so that programs need not parse it.
        violations: The fields that violate the contract.
        subject: What a quota or precondition applies to, e.g. `callers/web`.
        retry_after_seconds: When a retry can succeed; None: not known.
        detail: Written to the log only: what the caller must not learn.
        audit_fields: What the request was for, for the audit record.
    """

    def __init__(
        self,
        reason: Reason,
        problem: str,
        advice: str,
        *,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[FieldViolation] = (),
        subject: str = "",
        retry_after_seconds: float | None = None,
        detail: str = "",
        audit_fields: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(f"{problem}: {advice}")
        self.reason = reason
        self.problem = problem
        self.message = f"{problem}: {advice}"
        self.advice = advice
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)
        self.subject = subject
        self.retry_after_seconds = retry_after_seconds
        self.detail = detail
        self.audit_fields: Mapping[str, object] = dict(audit_fields or {})

    def with_audit_fields(self, fields: Mapping[str, object]) -> "Refusal":
        """Returns the same refusal with the audit fields that only its caller knows."""
        return self._copy(self.problem, self.metadata, self.violations, fields)

    def for_entry(self, path: str) -> "Refusal":
        """Returns the refusal of a batch because of one entry.

        Args:
            path: The entry's field path, e.g. `requests[3].rtc`.
        """
        metadata = {**self.metadata, "entry": path}
        return self._copy(f"{path}: {self.problem}", metadata, (), self.audit_fields)

    def _copy(
        self,
        problem: str,
        metadata: Mapping[str, str],
        violations: Sequence[FieldViolation],
        audit_fields: Mapping[str, object],
    ) -> "Refusal":
        return Refusal(
            self.reason,
            problem,
            self.advice,
            metadata=metadata,
            violations=violations,
            subject=self.subject,
            retry_after_seconds=self.retry_after_seconds,
            detail=self.detail,
            audit_fields=audit_fields,
        )
