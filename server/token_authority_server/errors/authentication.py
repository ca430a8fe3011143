"""Errors of authentication: the credential is missing, invalid, expired or unverifiable."""

from token_authority_server.errors.refusal import Reason, Refusal


def credential_missing(accepted: str) -> Refusal:
    """The call carries no credential.

    Args:
        accepted: The credentials that the listener accepts, as a phrase.
    """
    return Refusal(
        Reason.CREDENTIAL_MISSING,
        "no credential",
        f"this server accepts {accepted}",
        metadata={"accepted": accepted},
    )


def credential_invalid(detail: str) -> Refusal:
    """The credential matches no caller; `detail` goes to the log only."""
    return Refusal(
        Reason.CREDENTIAL_INVALID,
        "invalid credential: it matches no configured caller",
        "check that it is complete and meant for this server; the server's log has the details",
        detail=detail,
    )


def credential_expired(detail: str = "") -> Refusal:
    """The credential was valid and has expired; `detail` goes to the log only."""
    return Refusal(
        Reason.CREDENTIAL_EXPIRED,
        "the credential has expired",
        "obtain a new one; if it comes from a file or a service, read it for every call",
        detail=detail,
    )


def credential_unverifiable() -> Refusal:
    """The identity provider's keys cannot be fetched."""
    return Refusal(
        Reason.CREDENTIAL_UNVERIFIABLE,
        "the JWT cannot be verified: the identity provider's keys cannot be fetched",
        "retry; if the error persists, ask the server's operator: the server's log has the cause",
        retry_after_seconds=5.0,
    )
