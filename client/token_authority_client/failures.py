"""Failed calls as exceptions: the one place that reads grpc's words."""

from typing import Any, Final, Protocol

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from token_authority_client.errors import (
    BY_CODE,
    DeadlineExceeded,
    FieldViolation,
    ResourceExhausted,
    TokenAuthorityError,
    Unavailable,
    Unimplemented,
)

_DOMAIN: Final = "token-authority"


class FailedCall(Protocol):
    """What a failed call has, of asyncio or not."""

    def code(self) -> Any:
        """The status code."""

    def details(self) -> str | None:
        """The status message."""

    def trailing_metadata(self) -> Any:
        """Pairs of key and value, or None."""


def error_of(failure: FailedCall, target: str) -> TokenAuthorityError:
    """Turns a failed call into an exception of ours."""
    code: grpc.StatusCode = failure.code()
    info = _rich_details(failure)
    if info is not None:
        return info
    message = failure.details() or "no details"
    cls = BY_CODE.get(code.name, TokenAuthorityError)
    advice = ""
    if cls is Unavailable:
        advice = f"is a token authority listening at {target}, and can this machine reach it?"
    elif cls is DeadlineExceeded:
        advice = f"is {target} reachable and not overloaded? Else allow more time"
    elif cls is ResourceExhausted:
        advice = (
            "ask for less at once, or raise the server's max_concurrent_rpcs or max_request_bytes"
        )
    elif cls is Unimplemented:
        advice = f"is there a token authority at {target}, and at least as new as this client?"
    error = cls(f"{message}: {advice}" if advice else message, advice=advice)
    error.code = code.name
    return error


def _rich_details(failure: FailedCall) -> TokenAuthorityError | None:
    """Reads google.rpc's details, if the server sent them: grpc's own errors have none."""
    metadata: dict[str, Any] = dict(failure.trailing_metadata() or ())
    info = error_details_pb2.ErrorInfo()
    request = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    try:
        status = status_pb2.Status.FromString(metadata.get("grpc-status-details-bin", b""))
        for detail in status.details:
            for message in (info, request, retry):
                detail.Unpack(message)
        retry_after = retry.retry_delay.ToTimedelta()
    except (DecodeError, OverflowError, ValueError):
        return None
    if info.domain != _DOMAIN:
        return None
    code = failure.code().name
    error = BY_CODE.get(code, TokenAuthorityError)(
        status.message,
        reason=info.reason,
        advice=info.metadata.get("advice", ""),
        metadata=info.metadata,
        violations=[
            FieldViolation(violation.field, violation.reason, violation.description)
            for violation in request.field_violations
        ],
        retry_after=retry_after or None,
    )
    error.code = code
    return error
