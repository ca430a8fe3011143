"""Builds messages from Python values; raises InvalidRequest for values that do not fit.

The contract's own rules are not checked here: the server enforces them, and reports all violations
at once. `path` is the message's place in the request, with a dot: "" or e.g. `services[2].rtc.`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from token_authority.v1 import (
    access_token_pb2,
    chat_pb2,
    education_pb2,
    rtc_pb2,
    rtm_pb2,
    whiteboard_pb2,
)
from token_authority.v1.batch_pb2 import IssueTokenRequest
from token_authority_client import _value_errors
from token_authority_client._argument_names import argument_name, sentence
from token_authority_client._errors import FieldViolation, InvalidRequest

_BATCH_MEMBERS: Final = {
    member.message_type.full_name: member.name
    for member in IssueTokenRequest.DESCRIPTOR.oneofs_by_name["request"].fields
    if member.message_type
}

MessageT = TypeVar("MessageT", bound=Message)
ItemT = TypeVar("ItemT")

Fields = dict[str, Any]
IssueMessage = (
    whiteboard_pb2.IssueWhiteboardTokenRequest
    | rtc_pb2.IssueRtcTokenRequest
    | rtm_pb2.IssueRtmTokenRequest
    | chat_pb2.IssueChatTokenRequest
    | education_pb2.IssueEducationTokenRequest
    | access_token_pb2.IssueAccessTokenRequest
)


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A request for one token, made by `prepare`, that any client can send any number of times.

    Each time issues a new token.
    """

    method: str
    """The RPC that answers it, e.g. "IssueRtcToken"."""
    message: IssueMessage = field(repr=False)
    """The request message; do not change it."""

    def to_send(self, project: str, *, validate_only: bool) -> IssueMessage:
        """Returns a copy of the message.

        Args:
            project: The project of a request that names none.
            validate_only: Whether to ask for a decision instead of a token.
        """
        message: Any = type(self.message)()
        message.CopyFrom(self.message)
        message.project = message.project or project
        message.validate_only = validate_only
        copy: IssueMessage = message
        return copy

    def to_batch_entry(self, project: str = "") -> IssueTokenRequest:
        """Returns the request as an entry of BatchIssueTokens.

        Args:
            project: The project of a request that names none.
        """
        # `validate_only` belongs to the batch.
        message = self.to_send(project, validate_only=False)
        fields: Any = {_BATCH_MEMBERS[message.DESCRIPTOR.full_name]: message}
        return IssueTokenRequest(**fields)


def build(message_type: Callable[..., MessageT], path: str, /, **fields: Any) -> MessageT:
    """Builds a message of the fields that are not None.

    Raises:
        InvalidRequest: The message cannot hold a value.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        # Protobuf would convert bytes to text and bool to int.
        if not any(isinstance(value, bytes | bool) for value in given.values()):
            return message_type(**given)
    except (TypeError, ValueError):
        pass
    raise _unfit(message_type, path, given)


def _unfit(message_type: Callable[..., Message], path: str, fields: Fields) -> InvalidRequest:
    """Returns the error for the first value that its message cannot hold."""
    members = message_type().DESCRIPTOR.fields_by_name
    for name, value in fields.items():
        if not _fits(message_type, name, value):
            return invalid(
                path + name, "INVALID_VALUE", _value_errors.must_be(members[name], value)
            )
    raise AssertionError("the fields are valid separately, but not together")


def _fits(message_type: Callable[..., Message], name: str, value: object) -> bool:
    try:
        message_type(**{name: value})
    except (TypeError, ValueError):
        return False
    return not isinstance(value, bytes | bool)


def checked_text(field: str, value: object) -> str:
    """Returns a value that a field of text can hold.

    Raises:
        InvalidRequest: It is not valid text.
    """
    # Lone surrogates have no encoding.
    if isinstance(value, str) and value.encode(errors="replace").decode() == value:
        return value
    raise invalid(field, "INVALID_VALUE", _value_errors.must_be_text(value))


def invalid(field: str, reason: str, description: str) -> InvalidRequest:
    """Returns the error for one field; its text names the Python argument.

    Args:
        field: The field's path in the request message.
        reason: The violated rule.
        description: What is allowed. It follows the argument's name.
    """
    violation = FieldViolation(field, reason, description)
    return _invalid(violation, sentence(violation))


def _invalid(violation: FieldViolation, text: str) -> InvalidRequest:
    return InvalidRequest(
        f"invalid request: {text}",
        reason="INVALID_REQUEST",
        advice=text,
        metadata={"fields": violation.field},
        violations=[violation],
    )


def one_of(oneof: str, **arguments: object) -> None:
    """Rejects mutually exclusive arguments that are passed together.

    Args:
        oneof: The path of the oneof in the request message.
        arguments: The arguments' values by their names; None for those that were not given.
    """
    given = [name for name, value in arguments.items() if value is not None]
    if len(given) > 1:
        names = ", ".join(given)
        prefix = argument_name(oneof).rpartition(".")[0]
        text = f"{prefix}: " if prefix else ""
        violation = FieldViolation(oneof, "ONE_OF", f"must be one of {names}, not several")
        raise _invalid(violation, f"{text}pass only one of {names}")


def channel_fields(
    path: str, name: str | None, any_channel: bool, pattern: str | None = None
) -> Fields:
    """Returns the member of the oneof `channel`; only RTC has patterns."""
    one_of(f"{path}channel", channel=name, any_channel=any_channel or None, channel_pattern=pattern)
    fields = {"channel_name": name, "any_channel": flag(f"{path}any_channel", any_channel)}
    return fields if pattern is None else {**fields, "channel_pattern": pattern}


def user_fields(path: str, uid: int | None, user_account: str | None, any_user: bool) -> Fields:
    """Returns the member of the oneof `user`."""
    one_of(f"{path}user", uid=uid, user_account=user_account, any_user=any_user or None)
    return {"uid": uid, "user_account": user_account, "any_user": flag(f"{path}any_user", any_user)}


def expiration(
    ttl: timedelta | None, expire_time: datetime | None, non_expiring: bool = False
) -> Fields:
    """Returns the member of the oneof `expiration`."""
    one_of("expiration", ttl=ttl, expire_time=expire_time, non_expiring=non_expiring or None)
    return {
        "ttl": duration("ttl", ttl),
        "expire_time": timestamp("expire_time", expire_time),
        "non_expiring": flag("non_expiring", non_expiring),
    }


def named(field: str, name: str, values: Mapping[str, int]) -> int:
    """Returns the number of an enum value's name; rejects unknown names."""
    for known, value in values.items():
        if known == name:
            return value
    raise invalid(field, "ENUM_DEFINED_ONLY", f"must be one of {', '.join(values)}")


def flag(field: str, value: object) -> Fields | None:
    """Returns the empty message that represents True; rejects other truthy values, e.g. "no"."""
    if value and value is not True:
        raise invalid(field, "INVALID_VALUE", f"must be True or False; got {type(value).__name__}")
    return {} if value else None


def duration(field: str, value: timedelta | None) -> Duration | None:
    """Returns a timedelta as a message."""
    if value is None:
        return None
    message = Duration()
    try:
        message.FromTimedelta(value)
    except (AttributeError, TypeError, ValueError):
        raise invalid(field, "INVALID_VALUE", _value_errors.must_be_timedelta(value)) from None
    return message


def timestamp(field: str, value: datetime | None) -> Timestamp | None:
    """Returns a datetime as a message."""
    if value is None:
        return None
    message = Timestamp()
    try:
        message.FromDatetime(value.astimezone(UTC))
    except (AttributeError, TypeError, ValueError, OverflowError):
        must_be = "must be a datetime of the years 1 to 9999, e.g. datetime.now(UTC) + …"
        raise invalid(field, "INVALID_VALUE", must_be) from None
    if value.tzinfo is None:
        # The time zones of the server, the caller and Agora may differ.
        raise invalid(field, "TIME_ZONE_MISSING", "must have a time zone: datetime.now(UTC) + …")
    return message


def items(field: str, values: Iterable[ItemT], of_what: str) -> list[ItemT]:
    """Returns the items of an iterable; rejects str and bytes, which are iterable too."""
    try:
        found = list(values)
    except TypeError:
        found = None
    if found is None or isinstance(values, (str, bytes)):
        raise invalid(field, "INVALID_VALUE", f"must be a list of {of_what}")
    return found
