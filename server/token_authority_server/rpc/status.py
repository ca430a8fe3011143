"""Refusals as gRPC statuses, with the details of google.rpc (AIP-193)."""

from collections.abc import Sequence
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from token_authority_server.errors import Code, FieldViolation, Reason, Refusal

DOMAIN: Final = "token-authority"

# gRPC clients refuse trailers of more than 8 KiB, base64 included, by default.
_MAX_BAD_REQUEST_BYTES: Final = 3_500


def status_code(reason: Reason) -> StatusCode:
    """Returns the gRPC status code of a reason."""
    return StatusCode[reason.code]


def details(refusal: Refusal) -> bytes:
    """Returns the google.rpc.Status that travels as `grpc-status-details-bin`."""
    number, _ = status_code(refusal.reason).value
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
        found.append(_bad_request(refusal.violations))
    if refusal.reason.code is Code.FAILED_PRECONDITION:
        found.append(
            error_details_pb2.PreconditionFailure(
                violations=[
                    error_details_pb2.PreconditionFailure.Violation(
                        type=refusal.reason, subject=refusal.subject, description=refusal.message
                    )
                ]
            )
        )
    if refusal.reason.code is Code.RESOURCE_EXHAUSTED:
        found.append(
            error_details_pb2.QuotaFailure(
                violations=[
                    error_details_pb2.QuotaFailure.Violation(
                        subject=refusal.subject, description=refusal.message
                    )
                ]
            )
        )
    if refusal.retry_after_seconds is not None:
        delay = Duration()
        delay.FromMilliseconds(round(refusal.retry_after_seconds * 1000))
        found.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return found


def _bad_request(violations: Sequence[FieldViolation]) -> error_details_pb2.BadRequest:
    """Returns as many violations as a status has room for; ErrorInfo has their number."""
    message = error_details_pb2.BadRequest()
    size = 0
    for violation in violations:
        shown = error_details_pb2.BadRequest.FieldViolation(
            field=violation.field, reason=violation.reason, description=violation.description
        )
        size += shown.ByteSize() + 2
        if size > _MAX_BAD_REQUEST_BYTES:
            break
        message.field_violations.append(shown)
    return message
