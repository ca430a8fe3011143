"""Converts responses to values; an unreadable response is InternalError."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from token_authority.v1 import inspection_pb2, issued_token_pb2
from token_authority_client._errors import InternalError
from token_authority_client._values import (
    Advisory,
    Decision,
    DecodedField,
    Finding,
    FindingSeverity,
    Inspection,
    IssuedToken,
    KeyState,
    Signature,
    SignatureVerdict,
    TokenFormat,
)

_UPDATE: Final = "check that the target is a token authority, and update this client"
_STRANGE: Final = f"the server's response cannot be read: {_UPDATE}"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NANOS_PER_SECOND: Final = 1_000_000_000
# Raised for undecoded messages (None) and for times out of range.
_UNREADABLE: Final = (AttributeError, OverflowError, ValueError)
_FORMATS: Final[Mapping[int, TokenFormat]] = {
    issued_token_pb2.TOKEN_FORMAT_V006: "006",
    issued_token_pb2.TOKEN_FORMAT_V007: "007",
    issued_token_pb2.TOKEN_FORMAT_NETLESS: "netless",
}
_VERDICTS: Final[Mapping[int, SignatureVerdict]] = {
    inspection_pb2.SIGNATURE_VERDICT_VALID: "valid",
    inspection_pb2.SIGNATURE_VERDICT_INVALID: "invalid",
    inspection_pb2.SIGNATURE_VERDICT_UNKNOWN_KEY: "unknown_key",
    inspection_pb2.SIGNATURE_VERDICT_UNVERIFIABLE: "unverifiable",
}
KEY_STATES: Final[Mapping[int, KeyState]] = {
    inspection_pb2.KEY_STATE_ACTIVE: "active",
    inspection_pb2.KEY_STATE_VERIFY_ONLY: "verify_only",
    inspection_pb2.KEY_STATE_DISABLED: "disabled",
}
_SEVERITIES: Final[Mapping[int, FindingSeverity]] = {
    inspection_pb2.FINDING_SEVERITY_ERROR: "error",
    inspection_pb2.FINDING_SEVERITY_WARNING: "warning",
}

MessageT = TypeVar("MessageT")
ResultT = TypeVar("ResultT")


class _Reading:
    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, _UNREADABLE):
            raise InternalError(_STRANGE, advice=_UPDATE) from None


READING: Final = _Reading()
"""Converts exceptions of reading a response, within `with READING:`, to InternalError.

Not a generator with `contextmanager`, which takes three times as long.
"""


def issued_token(response: Any) -> IssuedToken:
    """Reads the token of an issuing method's response.

    Raises:
        InternalError: The response has no token, or is unreadable.
    """
    with READING:
        return _issued_token(response.issued_token)


def issued_tokens(response: Any, count: int) -> list[IssuedToken]:
    """Reads the tokens of a batch's response.

    Raises:
        InternalError: The response does not have `count` tokens, or is unreadable.
    """
    with READING:
        return [_issued_token(message) for message in _all(response.issued_tokens, count)]


def decision(response: Any) -> Decision:
    """Reads the decision of a validate_only response.

    Raises:
        InternalError: The response has no decision, or is unreadable.
    """
    with READING:
        return _decision(response.decision)


def decisions(response: Any, count: int) -> list[Decision]:
    """Reads the decisions of a batch's validate_only response.

    Raises:
        InternalError: The response does not have `count` decisions, or is unreadable.
    """
    with READING:
        return [_decision(message) for message in _all(response.decisions, count)]


@dataclass(frozen=True, slots=True)
class IssueMode(Generic[ResultT]):
    """Whether requests are signed or only validated, and how to read the responses."""

    validate_only: bool
    """Whether requests ask for decisions instead of tokens."""
    one: Callable[[Any], ResultT]
    """Reads the response of an issuing method."""
    many: Callable[[Any, int], list[ResultT]]
    """Reads the response of BatchIssueTokens to a number of requests."""


TOKENS: Final = IssueMode(False, issued_token, issued_tokens)
DECISIONS: Final = IssueMode(True, decision, decisions)


def inspection(response: Any) -> Inspection:
    """Reads the response of InspectToken.

    Raises:
        InternalError: The response is unreadable.
    """
    with READING:
        message: inspection_pb2.InspectTokenResponse = response
        others = tuple([_inspection(other) for other in message.others])
        return replace(_inspection(message), others=others)


def _inspection(
    message: inspection_pb2.InspectTokenResponse | inspection_pb2.OtherToken,
) -> Inspection:
    return Inspection(
        format=_FORMATS.get(message.format, "unknown") if message.format else None,
        kind=message.kind,
        token_id=message.token_id,
        fields=tuple(
            [DecodedField(field.path, field.value, field.meaning) for field in message.fields]
        ),
        omitted_field_count=message.omitted_field_count,
        issue_time=moment(message, "issue_time"),
        expire_time=moment(message, "expire_time"),
        expired=message.expired,
        time_summary=message.time_summary,
        signature=_signature(message.signature),
        findings=tuple([_finding(finding) for finding in message.findings]),
    )


def _issued_token(message: issued_token_pb2.IssuedToken) -> IssuedToken:
    if not message.token:
        raise ValueError("no token")
    return IssuedToken(
        token=message.token,
        token_id=message.token_id,
        format=_FORMATS.get(message.format, "unknown"),
        key_id=message.key_id,
        app_id=message.app_id,
        issue_time=utc(message.issue_time),
        expire_time=moment(message, "expire_time"),
        renew_time=moment(message, "renew_time"),
        advisories=_advisories(message.advisories),
    )


def _decision(message: issued_token_pb2.Decision) -> Decision:
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


def _signature(message: inspection_pb2.Signature) -> Signature:
    state = message.key_state
    return Signature(
        verdict=_VERDICTS.get(message.verdict, "unknown"),
        project=message.project,
        key_id=message.key_id,
        key_state=KEY_STATES.get(state, "unknown") if state else None,
    )


def _finding(message: inspection_pb2.Finding) -> Finding:
    return Finding(
        reason=message.reason,
        severity=_SEVERITIES.get(message.severity, "unknown"),
        problem=message.problem,
        advice=message.advice,
    )


def _all(messages: Sequence[MessageT], count: int) -> Sequence[MessageT]:
    if len(messages) != count:
        raise ValueError("too few or too many")
    return messages


def _advisories(messages: Iterable[issued_token_pb2.Advisory]) -> tuple[Advisory, ...]:
    return tuple([Advisory(message.reason, message.description) for message in messages])


def moment(message: Any, name: str) -> datetime | None:
    """Reads a time; None if it is unset."""
    return utc(getattr(message, name)) if message.HasField(name) else None


def utc(timestamp: Timestamp) -> datetime:
    """Reads a time as an aware datetime, as `Timestamp.ToDatetime` does at twice the cost.

    Raises:
        OverflowError: It is not in the years 1 to 9999.
        ValueError: `nanos` is not less than a second.
    """
    nanos = timestamp.nanos
    if not 0 <= nanos < _NANOS_PER_SECOND:
        raise ValueError("nanos out of range")
    return _EPOCH + timedelta(0, timestamp.seconds, nanos // 1000)
