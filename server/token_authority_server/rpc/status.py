"""Refusals as gRPC statuses, with the details of google.rpc (AIP-193)."""

from collections.abc import Mapping
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from token_authority_server.errors import Reason, Refusal

DOMAIN: Final = "token-authority"

CODES: Final[Mapping[Reason, StatusCode]] = {
    Reason.INVALID_REQUEST: StatusCode.INVALID_ARGUMENT,
    Reason.GRANT_MISSING: StatusCode.PERMISSION_DENIED,
    Reason.NO_ACTIVE_KEY: StatusCode.FAILED_PRECONDITION,
    Reason.PROJECT_LACKS_PRODUCT: StatusCode.FAILED_PRECONDITION,
    Reason.DRAINING: StatusCode.UNAVAILABLE,
    Reason.INTERNAL_ERROR: StatusCode.INTERNAL,
}


def details(refusal: Refusal) -> bytes:
    """Returns the google.rpc.Status that travels as `grpc-status-details-bin`."""
    number, _ = CODES[refusal.reason].value
    status = status_pb2.Status(code=number, message=refusal.message)
    for detail in _details(refusal):
        status.details.add().Pack(detail)
    return status.SerializeToString()


def _details(refusal: Refusal) -> list[Message]:
    found: list[Message] = [
        error_details_pb2.ErrorInfo(
            reason=refusal.reason,
            domain=DOMAIN,
            metadata={**refusal.metadata, "advice": refusal.advice},
        )
    ]
    if refusal.violations:
        found.append(
            error_details_pb2.BadRequest(
                field_violations=[
                    error_details_pb2.BadRequest.FieldViolation(
                        field=violation.field,
                        reason=violation.reason,
                        description=violation.description,
                    )
                    for violation in refusal.violations
                ]
            )
        )
    if CODES[refusal.reason] is StatusCode.FAILED_PRECONDITION:
        found.append(
            error_details_pb2.PreconditionFailure(
                violations=[
                    error_details_pb2.PreconditionFailure.Violation(
                        type=refusal.reason, subject=refusal.subject, description=refusal.message
                    )
                ]
            )
        )
    if refusal.retry_after_seconds is not None:
        delay = Duration()
        delay.FromMilliseconds(round(refusal.retry_after_seconds * 1000))
        found.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return found
