"""Refusals: every way in which a request can be turned down, without a word of transport.

`rpc.status` maps each reason to a gRPC status, once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """Stable, machine-readable reasons; callers branch on them (ErrorInfo.reason, AIP-193)."""

    CREDENTIAL_MISSING = "CREDENTIAL_MISSING"
    """The call brought no credential that this listener takes."""
    CREDENTIAL_INVALID = "CREDENTIAL_INVALID"
    """The credential is unknown, wrong, or none of a caller's."""
    CREDENTIAL_EXPIRED = "CREDENTIAL_EXPIRED"
    """The credential was good once."""
    INVALID_REQUEST = "INVALID_REQUEST"
    """The request breaks a rule of the contract; the violations say which, field by field."""
    BATCH_EXCEEDS_LIMIT = "BATCH_EXCEEDS_LIMIT"
    """The batch has more tokens than the caller may ever ask for at once."""
    GRANT_MISSING = "GRANT_MISSING"
    """The caller may not do this; also the answer for a project that does not exist."""
    TTL_FORBIDDEN = "TTL_FORBIDDEN"
    """The token would live longer than the grant allows."""
    NON_EXPIRING_FORBIDDEN = "NON_EXPIRING_FORBIDDEN"
    """The grant does not allow tokens that never expire."""
    WILDCARD_FORBIDDEN = "WILDCARD_FORBIDDEN"
    """The grant does not allow any_user or any_channel."""
    SDK_SCOPE_FORBIDDEN = "SDK_SCOPE_FORBIDDEN"
    """The grant does not allow whiteboard SDK tokens."""
    NO_ACTIVE_KEY = "NO_ACTIVE_KEY"
    """The project has keys for this product, but none of them is active."""
    PROJECT_LACKS_PRODUCT = "PROJECT_LACKS_PRODUCT"
    """The project has no keys for this product at all."""
    RATE_LIMITED = "RATE_LIMITED"
    """The caller has had its tokens for now."""
    TOO_MANY_IN_FLIGHT = "TOO_MANY_IN_FLIGHT"
    """Too many calls are under way, of this caller or in all."""
    AUDIT_UNAVAILABLE = "AUDIT_UNAVAILABLE"
    """The audit trail cannot be written, and no token leaves without its record."""
    DRAINING = "DRAINING"
    """The server is shutting down; another one will answer."""
    INTERNAL_ERROR = "INTERNAL_ERROR"
    """A defect of ours; the error id in the metadata finds it in the log."""


# How many violations a message tells of; the details have more, a batch may have thousands.
_MAX_TOLD: Final = 5


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field that breaks one rule."""

    field: str
    """Path from the request message, e.g. `rtm.user_id`; a oneof by its own name."""
    reason: str
    """The rule, in UPPER_SNAKE_CASE; stable."""
    description: str
    """What to do about it. Never contains the value."""


class Refusal(Exception):
    """A request that is turned down: what is wrong, and what to do about it.

    `metadata` holds every dynamic value of the message, so that programs need not take the message
    apart.
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


def of_entry(refusal: Refusal, path: str) -> Refusal:
    """The refusal of one entry of a batch, which refuses the batch."""
    return Refusal(
        refusal.reason,
        f"{path}: {refusal.problem}",
        refusal.advice,
        metadata={**refusal.metadata, "entry": path},
        subject=refusal.subject,
        retry_after_seconds=refusal.retry_after_seconds,
    )


def invalid_request(violations: Sequence[FieldViolation]) -> Refusal:
    """The request breaks these rules."""
    told = violations[:_MAX_TOLD]
    sentences = [f"{violation.field} {violation.description}" for violation in told]
    if len(violations) > len(told):
        sentences.append(f"and {len(violations) - len(told)} more")
    return Refusal(
        Reason.INVALID_REQUEST,
        "invalid request",
        "; ".join(sentences),
        metadata={
            "fields": ",".join([violation.field for violation in told]),
            "violation_count": str(len(violations)),
        },
        violations=violations,
    )


def undecodable_request(message_name: str) -> Refusal:
    """The request's bytes are not the message they should be."""
    return Refusal(
        Reason.INVALID_REQUEST,
        f"the request is not a valid {message_name}",
        "generate the client from this server's version of the contract",
        metadata={"message": message_name},
    )


def unknown_fields(message_name: str) -> Refusal:
    """The request has fields that this server's version of the contract has not."""
    return Refusal(
        Reason.INVALID_REQUEST,
        f"the request sets fields that this server does not know, in {message_name}",
        "update the server, or do not set what is new in the client's version of the contract",
        metadata={"message": message_name},
    )


def oversized_request(max_bytes: int) -> Refusal:
    """The request for one token is larger than any needs to be."""
    return Refusal(
        Reason.INVALID_REQUEST,
        f"the request for one token is larger than {max_bytes} bytes",
        "name fewer RTM resources, or spread them over several tokens",
        metadata={"max_bytes": str(max_bytes)},
    )


def project_not_granted(project: str) -> Refusal:
    """The project does not exist or is none of the caller's business: which, is not said."""
    return Refusal(
        Reason.GRANT_MISSING,
        f"project '{project}' does not exist or is not granted to you",
        "check its spelling against the server's configuration",
        metadata={"project": project},
    )


def project_lacks_product(project: str, product: str) -> Refusal:
    """The project has no keys of the kind that would sign."""
    return Refusal(
        Reason.PROJECT_LACKS_PRODUCT,
        f"project '{project}' has no {product} keys",
        f"add [projects.{project}.{product}] to the server's configuration",
        metadata={"project": project, "product": product},
        subject=f"projects/{project}",
    )


def no_active_key(project: str, product: str) -> Refusal:
    """The project's keys of the kind that would sign are all retired or disabled."""
    return Refusal(
        Reason.NO_ACTIVE_KEY,
        f"no {product} key of project '{project}' is active",
        'set the state of one to "active" in the server\'s configuration',
        metadata={"project": project, "product": product},
        subject=f"projects/{project}",
    )


def draining(retry_after_seconds: float) -> Refusal:
    """The server finishes what it has begun and takes nothing new."""
    return Refusal(
        Reason.DRAINING,
        "this server is shutting down",
        "retry, and another one will answer",
        retry_after_seconds=retry_after_seconds,
    )


def internal_error(error_id: str) -> Refusal:
    """A defect of ours, which the log explains under the same id."""
    return Refusal(
        Reason.INTERNAL_ERROR,
        f"internal error {error_id}",
        "the server's log has the details under this id",
        metadata={"error_id": error_id},
    )
