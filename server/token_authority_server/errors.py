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
    CREDENTIAL_UNVERIFIABLE = "CREDENTIAL_UNVERIFIABLE"
    """The keys that would check the credential cannot be fetched at the moment."""
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
# A call takes a few milliseconds, a large batch some hundred.
_IN_FLIGHT_RETRY_SECONDS: Final = 0.1


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
    apart. `detail` is for the log alone: what the caller must not learn. `about` says what the
    request was for, for the audit trail.
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
        self.about: Mapping[str, object] = {}


def of_entry(refusal: Refusal, path: str) -> Refusal:
    """The refusal of one entry of a batch, which refuses the batch."""
    told = Refusal(
        refusal.reason,
        f"{path}: {refusal.problem}",
        refusal.advice,
        metadata={**refusal.metadata, "entry": path},
        subject=refusal.subject,
        retry_after_seconds=refusal.retry_after_seconds,
        detail=refusal.detail,
    )
    told.about = refusal.about
    return told


def credential_missing(accepted: str) -> Refusal:
    """The call brought nothing that says who asks."""
    return Refusal(
        Reason.CREDENTIAL_MISSING,
        "no credential",
        f"this server takes {accepted}",
        metadata={"accepted": accepted},
    )


def credential_invalid(detail: str) -> Refusal:
    """The credential is none of a caller's: why, only the log says."""
    return Refusal(
        Reason.CREDENTIAL_INVALID,
        "the credential is not one of a caller's",
        "check that it is whole and current, and that the server's configuration names its "
        "identity; the server's log says more",
        detail=detail,
    )


def credential_expired() -> Refusal:
    """The credential was good once."""
    return Refusal(
        Reason.CREDENTIAL_EXPIRED,
        "the credential has expired",
        "fetch a new one, and read it anew for each call",
    )


def credential_unverifiable() -> Refusal:
    """The identity provider's keys have not been fetched yet."""
    return Refusal(
        Reason.CREDENTIAL_UNVERIFIABLE,
        "the keys to check JWTs with cannot be fetched at the moment",
        "retry; if it stays so, the server's log says why",
        retry_after_seconds=5.0,
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


def oversized_issue_request(max_bytes: int) -> Refusal:
    """The request for one token is larger than any needs to be."""
    return _oversized(
        "the request for one token",
        max_bytes,
        "name fewer RTM resources, or spread them over several tokens",
    )


def oversized_request(max_bytes: int) -> Refusal:
    """The request is larger than the configuration allows."""
    return _oversized(
        "the request",
        max_bytes,
        "send fewer entries in one batch, or nothing but the token to InspectToken; or have the "
        "server's max_request_bytes raised",
    )


def _oversized(what: str, max_bytes: int, advice: str) -> Refusal:
    return Refusal(
        Reason.INVALID_REQUEST,
        f"{what} is larger than {max_bytes} bytes",
        advice,
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


def not_granted(
    reason: Reason, project: str, grant: str, missing: str, text: str, *, is_allowance: bool
) -> Refusal:
    """No grant covers the request; this one came nearest.

    Args:
        reason: What kind of permission is missing.
        project: A project that the caller has grants for.
        grant: The nearest of them.
        missing: What it lacks, by its name in the configuration.
        text: The same for people.
        is_allowance: Whether that is one of the words of `allow`.
    """
    cure = f'"{missing}" added to its `allow`' if is_allowance else f"its `{missing}` widened"
    return Refusal(
        reason,
        f"your grant '{grant}' for project '{project}' comes nearest, and does not cover {text}",
        f"ask for what it covers (GetAuthorityInfo tells), or have {cure} in the server's "
        "configuration",
        metadata={"project": project, "grant": grant, "missing": missing, "wanted": text},
    )


def allowance_missing(allowance: str, project: str) -> Refusal:
    """No grant, or none for this project, has an allowance."""
    of_project = f" for project '{project}'" if project else ""
    return Refusal(
        Reason.GRANT_MISSING,
        f"none of your grants{of_project} has the allowance '{allowance}'",
        f'have "{allowance}" added to `allow` of one in the server\'s configuration',
        metadata={"missing": allowance, **({"project": project} if project else {})},
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


def rate_limited(caller: str, rate: str, tokens: int, retry_after_seconds: float) -> Refusal:
    """The caller has had what a rate allows; it is refused before anything is charged."""
    return Refusal(
        Reason.RATE_LIMITED,
        f"caller '{caller}' may have {rate}, and {tokens} more tokens would exceed that",
        f"retry in {retry_after_seconds:.3f} s",
        metadata={
            "caller": caller,
            "rate": rate,
            "tokens": str(tokens),
            "retry_after_seconds": f"{retry_after_seconds:.3f}",
        },
        subject=f"callers/{caller}",
        retry_after_seconds=retry_after_seconds,
    )


def batch_exceeds_limit(tokens: int, max_batch: int) -> Refusal:
    """The call asks for more tokens than one of the caller's rates ever allows at once."""
    return Refusal(
        Reason.BATCH_EXCEEDS_LIMIT,
        f"a batch of {tokens} tokens is more than you may ever have at once",
        f"ask for {max_batch} at most in one call",
        metadata={"tokens": str(tokens), "max_batch": str(max_batch)},
    )


def too_many_in_flight(caller: str, max_in_flight: int, *, of_caller: bool) -> Refusal:
    """Too many calls are under way: of this caller, or of all callers together."""
    who = f"caller '{caller}'" if of_caller else "the server"
    advice = "wait for some of your calls to finish" if of_caller else "retry soon"
    return Refusal(
        Reason.TOO_MANY_IN_FLIGHT,
        f"{who} has {max_in_flight} calls under way, and more are not taken",
        advice,
        metadata={
            "bound": "caller" if of_caller else "server",
            "max_in_flight": str(max_in_flight),
        },
        subject=f"callers/{caller}" if of_caller else "server",
        retry_after_seconds=_IN_FLIGHT_RETRY_SECONDS,
    )


def audit_unavailable() -> Refusal:
    """The record of the request could not be written, and must be before a token leaves.

    Why is in the server's log: callers are not told of its disks.
    """
    return Refusal(
        Reason.AUDIT_UNAVAILABLE,
        "the audit trail cannot be written, and nothing is answered without its record",
        "retry; if it lasts, tell whoever runs the server (its log says why)",
        retry_after_seconds=1.0,
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
