"""Converts failed gRPC calls to the client's exceptions."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, Protocol

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from token_authority_client._diagnosis import Diagnosis
from token_authority_client._errors import (
    BY_CODE,
    BY_REASON,
    ClientClosed,
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
_MAX_IN_MESSAGE: Final = 5
_INVALID: Final = "invalid request: "


class FailedCall(Protocol):
    """What the errors of gRPC's asyncio and blocking APIs have in common."""

    def code(self) -> Any:
        """The status code."""

    def details(self) -> str | None:
        """The status message."""

    def trailing_metadata(self) -> Any:
        """Pairs of key and value, or None."""


def closed() -> ClientClosed:
    """Returns the error of a client that was closed."""
    advice = "create a new one"
    return ClientClosed(f"the client is closed: {advice}", advice=advice)


def forked(problem: str) -> ClientClosed:
    """Returns the error of a client that cannot be used in a forked process."""
    advice = "create the client after the fork, in each worker process"
    return ClientClosed(f"{problem}: {advice}", reason="PROCESS_FORKED", advice=advice)


def is_unexplained(failure: FailedCall) -> bool:
    """Whether no server answered, so that the cause needs a diagnosis."""
    code: grpc.StatusCode = failure.code()
    silent = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    return code in silent and _rich_details(failure) is None


def is_unanswered(failure: FailedCall) -> bool:
    """Whether no server was reachable, or the one that was stopped before it answered."""
    code: grpc.StatusCode = failure.code()
    gone = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
    return code in gone and _rich_details(failure) is None


def error_of(
    failure: FailedCall, target: str, cause: Diagnosis | None = None
) -> TokenAuthorityError:
    """Returns the exception for a failed call.

    Args:
        failure: The call.
        target: The target that was called.
        cause: Why no server answered, if known.
    """
    if cause is not None:
        return caused(cause, BY_CODE[failure.code().name])
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
    Unavailable: "check that a token authority listens at {target} and this machine can reach it",
    DeadlineExceeded: "check that {target} is reachable and not overloaded, or allow more time",
    ResourceExhausted: (
        "send less at once, or raise the server's max_concurrent_rpcs or max_request_bytes"
    ),
    Unimplemented: "check that {target} is a token authority and not older than this client",
    Unauthenticated: "check the API key, JWT or client certificate, and any proxy before {target}",
    PermissionDenied: "check any proxy before {target}: a token authority did not send this",
}
_CALLER_CAUSES: Final = frozenset({"CLIENT_CERTIFICATE_REFUSED", "CLIENT_CERTIFICATE_REQUIRED"})


def caused(cause: Diagnosis, cls: type[TokenAuthorityError]) -> TokenAuthorityError:
    """Returns the exception for a diagnosed cause.

    Args:
        cause: Why no server answered.
        cls: The exception's class, unless the cause is the client certificate.
    """
    error = Unauthenticated if cause.reason in _CALLER_CAUSES else cls
    return error(str(cause), reason=cause.reason, advice=cause.advice)


def _rich_details(failure: FailedCall) -> TokenAuthorityError | None:
    """Reads the google.rpc details that the server sent; gRPC's own errors have none."""
    # Not dict(): it would use the `keys` of grpcio 1.78's metadata, which yields pairs.
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
    return _detailed(failure.code().name, status.message, info, request, retry_after or None)


def _detailed(
    code: str,
    text: str,
    info: error_details_pb2.ErrorInfo,
    request: error_details_pb2.BadRequest,
    retry_after: timedelta | None,
) -> TokenAuthorityError:
    """Returns the exception for a status with details; it names Python arguments."""
    cls = BY_CODE.get(code, TokenAuthorityError)
    special = BY_REASON.get(info.reason, cls)
    violations = [
        FieldViolation(violation.field, violation.reason, violation.description)
        for violation in request.field_violations
    ]
    advice = info.metadata.get("advice", "")
    if violations and text.startswith(_INVALID):
        count = info.metadata.get("violation_count", "")
        sentences = [str(violation) for violation in violations[:_MAX_IN_MESSAGE]]
        hidden = (int(count) if count.isdecimal() else len(violations)) - len(sentences)
        if hidden > 0:
            sentences.append(f"and {hidden} more")
        advice = "; ".join(sentences)
        text = f"{_INVALID}{advice}"
        info.metadata["advice"] = advice
    error = (special if issubclass(special, cls) else cls)(
        text,
        reason=info.reason,
        advice=advice,
        metadata=info.metadata,
        violations=violations,
        retry_after=retry_after,
    )
    error.code = code
    return error
