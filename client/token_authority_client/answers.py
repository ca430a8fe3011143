"""Answers as values, and failed calls as exceptions: the one place that reads grpc's words."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import grpc
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2, status_pb2

from token_authority.v1 import issued_token_pb2
from token_authority_client.errors import (
    BY_CODE,
    DeadlineExceeded,
    FieldViolation,
    InternalError,
    ResourceExhausted,
    TokenAuthorityError,
    Unavailable,
    Unimplemented,
)
from token_authority_client.values import Advisory, Decision, IssuedToken, TokenFormat

_DOMAIN: Final = "token-authority"
_UPDATE: Final = "check what answers there, and that this client is not older than the server"
_STRANGE: Final = f"the server's answer cannot be read: {_UPDATE}"
# What reading a strange message can raise: None for one that was not decoded, times out of range.
_UNREADABLE: Final = (AttributeError, OverflowError, ValueError)
_FORMATS: Final[Mapping[int, TokenFormat]] = {
    issued_token_pb2.TOKEN_FORMAT_V006: "006",
    issued_token_pb2.TOKEN_FORMAT_V007: "007",
    issued_token_pb2.TOKEN_FORMAT_NETLESS: "netless",
}


def issued_token(response: Any) -> IssuedToken:
    """Reads the token of an Issue answer.

    Raises:
        InternalError: The answer has no token, or cannot be read.
    """
    try:
        message: issued_token_pb2.IssuedToken = response.issued_token
        if not message.token:
            raise ValueError("no token")
        return IssuedToken(
            token=message.token,
            token_id=message.token_id,
            format=_FORMATS.get(message.format, "unknown"),
            key_id=message.key_id,
            app_id=message.app_id,
            issue_time=_datetime(message.issue_time),
            expire_time=_datetime(message.expire_time) if message.HasField("expire_time") else None,
            renew_time=_datetime(message.renew_time) if message.HasField("renew_time") else None,
            advisories=_advisories(message.advisories),
        )
    except _UNREADABLE:
        raise InternalError(_STRANGE, advice=_UPDATE) from None


def decision(response: Any) -> Decision:
    """Reads the decision of an answer to validate_only.

    Raises:
        InternalError: The answer has no decision, or cannot be read.
    """
    try:
        message: issued_token_pb2.Decision = response.decision
        if not message.caller:
            raise ValueError("no decision")
        return Decision(
            caller=message.caller,
            grant=message.grant,
            ttl=message.ttl.ToTimedelta() if message.HasField("ttl") else None,
            max_ttl=message.max_ttl.ToTimedelta(),
            key_id=message.key_id,
            advisories=_advisories(message.advisories),
        )
    except _UNREADABLE:
        raise InternalError(_STRANGE, advice=_UPDATE) from None


def _advisories(messages: Iterable[issued_token_pb2.Advisory]) -> tuple[Advisory, ...]:
    return tuple([Advisory(message.reason, message.description) for message in messages])


def _datetime(timestamp: Timestamp) -> datetime:
    return timestamp.ToDatetime(tzinfo=UTC)


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
