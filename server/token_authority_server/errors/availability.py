"""Errors of the server: audit trail unavailable, draining, or a defect."""

from token_authority_server.errors.refusal import Reason, Refusal


def audit_unavailable() -> Refusal:
    """The required audit record could not be written; the log has the cause."""
    return Refusal(
        Reason.AUDIT_UNAVAILABLE,
        "the audit trail cannot be written, and it is required",
        "retry; if the error persists, ask the server's operator: the server's log has the cause",
        retry_after_seconds=1.0,
    )


def draining(retry_after_seconds: float) -> Refusal:
    """The server finishes calls in flight and refuses new ones."""
    return Refusal(
        Reason.DRAINING,
        "this server is shutting down",
        "retry: another replica can answer",
        retry_after_seconds=retry_after_seconds,
    )


def internal_error(error_id: str) -> Refusal:
    """A defect of the server; the log has the details under the same id."""
    return Refusal(
        Reason.INTERNAL_ERROR,
        f"internal error {error_id}",
        "report this id to the server's operator: the server's log has the details",
        metadata={"error_id": error_id},
    )
