"""Builds messages from Python values; raises InvalidRequest for values that do not fit.

The contract's own rules are not checked here: the server enforces them, and reports all violations
at once. `path` is the message's place in the request, with a dot: "" or e.g. `services[2].rtc.`.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from token_authority.v1 import (
    chat_pb2,
    education_pb2,
    rtm_pb2,
)
from token_authority_client import _value_errors
from token_authority_client._value_errors import invalid
from token_authority_client._values import RtmPermission

_RESOURCE_TYPES: Final = {
    "message_channel": rtm_pb2.RTM_RESOURCE_TYPE_MESSAGE_CHANNEL,
    "stream_channel": rtm_pb2.RTM_RESOURCE_TYPE_STREAM_CHANNEL,
    "group_channel": rtm_pb2.RTM_RESOURCE_TYPE_GROUP_CHANNEL,
    "server_group": rtm_pb2.RTM_RESOURCE_TYPE_SERVER_GROUP,
    "user": rtm_pb2.RTM_RESOURCE_TYPE_USER,
}
_ACCESSES: Final = {"read": rtm_pb2.RTM_ACCESS_READ, "write": rtm_pb2.RTM_ACCESS_WRITE}

MessageT = TypeVar("MessageT", bound=Message)
ItemT = TypeVar("ItemT")

Fields = dict[str, Any]


def build(message_type: Callable[..., MessageT], path: str, /, **fields: Any) -> MessageT:
    """Builds a message of the fields that are not None.

    Raises:
        InvalidRequest: The message cannot hold a value.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        # Protobuf would convert bytes to text and bool to int.
        if not [value for value in given.values() if isinstance(value, (bytes, bool))]:
            return message_type(**given)
    except (TypeError, ValueError):
        pass
    raise _value_errors.unfit(message_type, path, given)


def checked_text(field: str, value: object) -> str:
    """Returns a value that a field of text can hold.

    Raises:
        InvalidRequest: It is not valid text.
    """
    # Lone surrogates have no encoding.
    if isinstance(value, str) and value.encode(errors="replace").decode() == value:
        return value
    raise invalid(field, "INVALID_VALUE", _value_errors.must_be_text(value))


def one_of(oneof: str, **arguments: object) -> None:
    """Rejects mutually exclusive arguments that are passed together.

    Args:
        oneof: The path of the oneof in the request message.
        arguments: The arguments' values by their names; None for those that were not given.
    """
    if list(arguments.values()).count(None) < len(arguments) - 1:
        given = [name for name, value in arguments.items() if value is not None]
        raise _value_errors.not_one_of(oneof, given)


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
    """Returns the member of the oneof `expiration`; none for the default lifetime."""
    if ttl is None and expire_time is None and not non_expiring:
        return {}
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


def lifetimes(path: str, value: object, *rights: str) -> Fields:
    """Returns the lifetimes of privileges, whose fields are named `…_ttl`."""
    return {
        f"{right}_ttl": duration(f"{path}{right}_ttl", getattr(value, right)) for right in rights
    }


def rtm_permissions(path: str, values: Iterable[RtmPermission]) -> rtm_pb2.RtmPermissions:
    """Returns RtmPermission values as a message."""
    found = items(path.removesuffix("."), values, "RtmPermission")
    return rtm_pb2.RtmPermissions(
        permissions=[
            _permission(f"{path}permissions[{index}].", value) for index, value in enumerate(found)
        ]
    )


def _permission(path: str, value: object) -> rtm_pb2.RtmPermission:
    if not isinstance(value, RtmPermission):
        raise _value_errors.wrong_type(path.removesuffix("."), "an RtmPermission", value)
    message = build(
        rtm_pb2.RtmPermission,
        path,
        access=named(f"{path}access", value.access, _ACCESSES),
        resource_type=named(f"{path}resource_type", value.resource_type, _RESOURCE_TYPES),
    )
    for index, name in enumerate(items(f"{path}resources", value.resources, "names")):
        message.resources.append(checked_text(f"{path}resources[{index}]", name))
    return message


def chat_subject(path: str, user_id: str | None, app: bool) -> Fields:
    """Returns the member of Chat's oneof `subject`."""
    one_of(f"{path}subject", user_id=user_id, app=app or None)
    chat_user = (
        None if user_id is None else build(chat_pb2.ChatUser, f"{path}user.", user_id=user_id)
    )
    return {"user": chat_user, "app": flag(f"{path}app", app)}


def education_subject(
    path: str, user_uuid: str | None, room_uuid: str | None, role: int | None, app: bool
) -> Fields:
    """Returns the member of education's oneof `subject`."""
    in_room = room_uuid is not None or role is not None
    if app and (in_room or user_uuid is not None):
        raise invalid(f"{path}subject", "ONE_OF", "must be a user or the app, not both")
    if in_room:
        inner = f"{path}room_user."
        room_user = build(
            education_pb2.EducationRoomUser,
            inner,
            room_uuid=room_uuid,
            user_uuid=user_uuid,
            role=role,
        )
        return {"room_user": room_user}
    if user_uuid is not None:
        return {"user": build(education_pb2.EducationUser, f"{path}user.", user_uuid=user_uuid)}
    return {"app": flag(f"{path}app", app)}
