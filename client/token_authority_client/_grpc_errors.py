"""Failed calls as exceptions: the one place that reads grpc's words."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from token_authority_client._diagnosis import Diagnosis
from token_authority_client._errors import (
    BY_CODE,
    BY_REASON,
    DeadlineExceeded,
    FieldViolation,
    PermissionDenied,
    ResourceExhausted,
    TokenAuthorityError,
    Unauthenticated,
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


def is_unexplained(failure: FailedCall) -> bool:
    """Whether no server has answered, so that the reason has to be looked for."""
    code: grpc.StatusCode = failure.code()
    silent = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    return code in silent and _rich_details(failure) is None


def error_of(
    failure: FailedCall, target: str, cause: Diagnosis | None = None
) -> TokenAuthorityError:
    """Turns a failed call into an exception of ours.

    Args:
        failure: The call.
        target: Where it went.
        cause: Why no server answered, where that was found out; its text is the error's.
    """
    if cause is not None:
        return _caused(failure, cause)
    info = _rich_details(failure)
    if info is not None:
        return info
    code: grpc.StatusCode = failure.code()
    if code is grpc.StatusCode.CANCELLED:
        # Not by this side, which raises other exceptions: by a server that stops, for a call that
        # it did not begin (grpc/grpc#41785).
        advice = "retry: another replica, or the server's successor, can answer"
        return Unavailable(
            f"the server at {target} stopped before it answered: {advice}", advice=advice
        )
    message = failure.details() or "no details"
    cls = BY_CODE.get(code.name, TokenAuthorityError)
    advice = _ADVICE.get(cls, "").format(target=target)
    error = cls(f"{message}: {advice}" if advice else message, advice=advice)
    error.code = code.name
    return error


_ADVICE: Final[Mapping[type[TokenAuthorityError], str]] = {
    Unavailable: "is a token authority listening at {target}, and can this machine reach it?",
    DeadlineExceeded: "is {target} reachable and not overloaded? Else allow more time",
    ResourceExhausted: (
        "ask for less at once, or raise the server's max_concurrent_rpcs or max_request_bytes"
    ),
    Unimplemented: "is there a token authority at {target}, and at least as new as this client?",
    Unauthenticated: "check the API key, JWT or client certificate, and what is between here and "
    "{target}",
    PermissionDenied: "check what is between here and {target}: no token authority said this",
}
# Of the causes, those that are about who calls.
_ABOUT_THE_CALLER: Final = frozenset({"CLIENT_CERTIFICATE_REFUSED", "CLIENT_CERTIFICATE_REQUIRED"})


def _caused(failure: FailedCall, cause: Diagnosis) -> TokenAuthorityError:
    if cause.reason in _ABOUT_THE_CALLER:
        return Unauthenticated(str(cause), reason=cause.reason, advice=cause.advice)
    cls = BY_CODE[failure.code().name]
    return cls(str(cause), reason=cause.reason, advice=cause.advice)


def _rich_details(failure: FailedCall) -> TokenAuthorityError | None:
    """Reads google.rpc's details, if the server sent them: grpc's own errors have none."""
    # Not dict(): grpcio 1.78 has a `keys` there that dict would go by, and that yields pairs.
    pairs = failure.trailing_metadata() or ()
    metadata: dict[str, Any] = {key: value for key, value in pairs}  # noqa: C416
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
    cls = BY_CODE.get(code, TokenAuthorityError)
    special = BY_REASON.get(info.reason, cls)
    error = (special if issubclass(special, cls) else cls)(
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
