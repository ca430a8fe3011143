"""Python values as messages of the contract. What a message cannot hold is InvalidRequest.

Nothing is checked here that the contract's rules say. `path` is where the message stands in the
request, with its dot: "" or like `services[2].rtc.`.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from token_authority_client._errors import FieldViolation, InvalidRequest

VALID_TEXT: Final = "must be valid text"
_MUST_BE: Final[Mapping[int, str]] = {
    FieldDescriptor.CPPTYPE_INT32: "must be an integer of at most 32 bits",
    FieldDescriptor.CPPTYPE_INT64: "must be an integer of at most 64 bits",
    FieldDescriptor.CPPTYPE_STRING: VALID_TEXT,
}

MessageT = TypeVar("MessageT", bound=Message)
ItemT = TypeVar("ItemT")

Fields = dict[str, Any]


def build(message_type: Callable[..., MessageT], path: str, /, **fields: Any) -> MessageT:
    """Makes the message of the fields that are not None."""
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        return message_type(**given)
    except (TypeError, ValueError):
        raise _unfit(message_type, path, given) from None


def _unfit(message_type: Callable[..., Message], path: str, fields: Fields) -> InvalidRequest:
    """Returns the error for the first field that its message cannot hold."""
    members = message_type().DESCRIPTOR.fields_by_name
    for name, value in fields.items():
        try:
            message_type(**{name: value})
        except (TypeError, ValueError):
            return invalid(path + name, "INVALID_VALUE", _MUST_BE[members[name].cpp_type])
    raise AssertionError("each field fits, and all of them do not")


def invalid(field: str, reason: str, description: str) -> InvalidRequest:
    """Returns the error for one field; it never shows the value."""
    return InvalidRequest(
        f"invalid request: {field} {description}",
        reason="INVALID_REQUEST",
        advice=f"{field} {description}",
        metadata={"fields": field},
        violations=[FieldViolation(field, reason, description)],
    )


def one_of(oneof: str, **arguments: object) -> None:
    """Refuses several where the message has room for one."""
    given = [name for name, value in arguments.items() if value is not None]
    if len(given) > 1:
        raise invalid(oneof, "ONE_OF", f"must be one of {', '.join(given)}, not several")


def named(field: str, name: str, values: Mapping[str, int]) -> int:
    """Returns the number of a name. A misspelt role must never become another role."""
    for known, value in values.items():
        if known == name:
            return value
    raise invalid(field, "ENUM_DEFINED_ONLY", f"must be one of {', '.join(values)}")


def flag(field: str, value: object) -> Fields | None:
    """Returns the empty message that stands for True. "no" must never mean anyone."""
    if value and value is not True:
        raise invalid(field, "INVALID_VALUE", "must be True or False")
    return {} if value else None


def duration(field: str, value: timedelta | None) -> Duration | None:
    """Returns a lifetime as a message."""
    if value is None:
        return None
    message = Duration()
    try:
        message.FromTimedelta(value)
    except (AttributeError, TypeError, ValueError):
        raise invalid(field, "INVALID_VALUE", "must be a timedelta") from None
    return message


def timestamp(field: str, value: datetime | None) -> Timestamp | None:
    """Returns a moment as a message."""
    if value is None:
        return None
    message = Timestamp()
    try:
        message.FromDatetime(value.astimezone(UTC))
    except (AttributeError, TypeError, ValueError, OverflowError):
        must_be = "must be a datetime of the years 1 to 9999"
        raise invalid(field, "INVALID_VALUE", must_be) from None
    if value.tzinfo is None:
        # Whose midnight? The server's, the caller's and Agora's may differ.
        raise invalid(field, "TIME_ZONE_MISSING", "must have a time zone: datetime.now(UTC) + …")
    return message


def items(field: str, values: Iterable[ItemT], of_what: str) -> list[ItemT]:
    """Returns the items of a list; a single item, or text, is none."""
    try:
        found = list(values)
    except TypeError:
        found = None
    if found is None or isinstance(values, (str, bytes)):
        raise invalid(field, "INVALID_VALUE", f"must be a list of {of_what}")
    return found
