"""Errors with which requests are refused, by area; independent of the transport."""

from token_authority_server.errors.access import (
    allowance_missing,
    denied,
    no_active_key,
    not_granted,
    project_lacks_product,
    project_not_granted,
)
from token_authority_server.errors.authentication import (
    credential_expired,
    credential_invalid,
    credential_missing,
    credential_unverifiable,
)
from token_authority_server.errors.availability import (
    audit_unavailable,
    draining,
    internal_error,
)
from token_authority_server.errors.limits import (
    batch_exceeds_limit,
    rate_limited,
    too_many_in_flight,
    too_many_open_requests,
    too_many_unread_responses,
)
from token_authority_server.errors.refusal import (
    Code,
    FieldViolation,
    Reason,
    Refusal,
)
from token_authority_server.errors.requests import (
    invalid_request,
    missing_request,
    overdue_request,
    oversized_issue_request,
    oversized_request,
    undecodable_compression,
    undecodable_request,
    unknown_fields,
)

__all__ = [
    "Code",
    "FieldViolation",
    "Reason",
    "Refusal",
    "allowance_missing",
    "audit_unavailable",
    "batch_exceeds_limit",
    "credential_expired",
    "credential_invalid",
    "credential_missing",
    "credential_unverifiable",
    "denied",
    "draining",
    "internal_error",
    "invalid_request",
    "missing_request",
    "no_active_key",
    "not_granted",
    "overdue_request",
    "oversized_issue_request",
    "oversized_request",
    "project_lacks_product",
    "project_not_granted",
    "rate_limited",
    "too_many_in_flight",
    "too_many_open_requests",
    "too_many_unread_responses",
    "undecodable_compression",
    "undecodable_request",
    "unknown_fields",
]
