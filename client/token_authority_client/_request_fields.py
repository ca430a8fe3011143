"""Values that requests contain, such as services and permissions, as messages of the contract."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields as fields_of
from typing import Any, Final, NamedTuple, cast, get_args

from google.protobuf.message import Message

from token_authority.v1 import (
    access_token_pb2,
    chat_pb2,
    education_pb2,
    rtc_pb2,
    rtm_pb2,
    whiteboard_pb2,
)
from token_authority_client._message_builder import (
    Fields,
    build,
    channel_fields,
    checked_text,
    duration,
    flag,
    invalid,
    items,
    named,
    one_of,
    user_fields,
)
from token_authority_client._services import (
    AccessTokenService,
    ChatService,
    EducationService,
    FcdnService,
    RtcService,
    Rtm2Service,
    RtmService,
    StreamingService,
)
from token_authority_client._values import RtcPrivileges, RtmLogin, RtmPermission

_RESOURCE_TYPES: Final = {
    "message_channel": rtm_pb2.RTM_RESOURCE_TYPE_MESSAGE_CHANNEL,
    "stream_channel": rtm_pb2.RTM_RESOURCE_TYPE_STREAM_CHANNEL,
    "group_channel": rtm_pb2.RTM_RESOURCE_TYPE_GROUP_CHANNEL,
    "server_group": rtm_pb2.RTM_RESOURCE_TYPE_SERVER_GROUP,
    "user": rtm_pb2.RTM_RESOURCE_TYPE_USER,
}
_ACCESSES: Final = {"read": rtm_pb2.RTM_ACCESS_READ, "write": rtm_pb2.RTM_ACCESS_WRITE}
_CHANNEL_AND_USER: Final = (
    "channel",
    "any_channel",
    "channel_pattern",
    "uid",
    "user_account",
    "any_user",
)
_RTC_RIGHTS: Final = ("join_channel", "publish_audio", "publish_video", "publish_data")


def privileges(path: str, value: object) -> rtc_pb2.RtcPrivileges:
    """Returns RtcPrivileges as a message."""
    if not isinstance(value, RtcPrivileges):
        raise invalid(
            path.removesuffix("."),
            "INVALID_VALUE",
            f"must be an RtcPrivileges; got {type(value).__name__}",
        )
    return build(rtc_pb2.RtcPrivileges, path, **_rights(path, value, *_RTC_RIGHTS))


def rtm_login(path: str, value: object) -> rtc_pb2.RtmLogin:
    """Returns an RtmLogin as a message."""
    if not isinstance(value, RtmLogin):
        raise invalid(
            path.removesuffix("."),
            "INVALID_VALUE",
            f"must be an RtmLogin; got {type(value).__name__}",
        )
    ttl = duration(f"{path}ttl", value.ttl)
    return build(rtc_pb2.RtmLogin, path, user_id=value.user_id, ttl=ttl)


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
        raise invalid(
            path.removesuffix("."),
            "INVALID_VALUE",
            f"must be an RtmPermission; got {type(value).__name__}",
        )
    message = build(
        rtm_pb2.RtmPermission,
        path,
        access=named(f"{path}access", value.access, _ACCESSES),
        resource_type=named(f"{path}resource_type", value.resource_type, _RESOURCE_TYPES),
    )
    for index, name in enumerate(items(f"{path}resources", value.resources, "names")):
        message.resources.append(checked_text(f"{path}resources[{index}]", name))
    return message


def whiteboard_scope(path: str, room: str | None, task: str | None, sdk: bool) -> Fields:
    """Returns the member of the whiteboard's oneof `scope`."""
    one_of(f"{path}scope", room=room, task=task, sdk=sdk or None)
    room_scope, task_scope = whiteboard_pb2.WhiteboardRoomScope, whiteboard_pb2.WhiteboardTaskScope
    return {
        "room": None if room is None else build(room_scope, f"{path}room.", room_uuid=room),
        "task": None if task is None else build(task_scope, f"{path}task.", task_uuid=task),
        "sdk": flag(f"{path}sdk", sdk),
    }


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


def services(path: str, values: Iterable[AccessTokenService]) -> list[Message]:
    """Returns services as messages."""
    return [
        _service(f"{path}[{index}]", value)
        for index, value in enumerate(items(path, values, "services"))
    ]


def _service(path: str, value: object) -> access_token_pb2.AccessTokenService:
    service = _SERVICE_MESSAGES.get(type(value))
    if service is None:
        known = ", ".join(known.__name__ for known in _SERVICE_MESSAGES)
        raise invalid(path, "INVALID_VALUE", f"must be one of {known}")
    inner = f"{path}.{service.name}."
    message = build(service.message_type, inner, **service.fields(inner, value))
    return access_token_pb2.AccessTokenService(**cast("Any", {service.name: message}))


class _ServiceMessage(NamedTuple):
    """How a service is written as a member of AccessTokenService."""

    name: str
    message_type: Callable[..., Message]
    fields: Callable[[str, Any], Fields]


def _in_channel(*rights: str) -> Callable[[str, Any], Fields]:
    """Returns the reader of a service with a channel, a user and privileges."""

    def fields(path: str, value: RtcService | StreamingService | FcdnService) -> Fields:
        pattern = value.channel_pattern if isinstance(value, RtcService) else None
        return {
            **channel_fields(path, value.channel, value.any_channel, pattern),
            **user_fields(path, value.uid, value.user_account, value.any_user),
            **_rights(path, value, *rights),
        }

    return fields


def _rights(path: str, value: object, *rights: str) -> Fields:
    """Returns the lifetimes of privileges, whose fields are named `…_ttl`."""
    return {
        f"{right}_ttl": duration(f"{path}{right}_ttl", getattr(value, right)) for right in rights
    }


def _rtm(path: str, value: RtmService) -> Fields:
    return {"user_id": value.user_id, **_rights(path, value, "login")}


def _chat(path: str, value: ChatService) -> Fields:
    ttl = duration(f"{path}ttl", value.ttl)
    return {**chat_subject(path, value.user_id, value.app), "ttl": ttl}


def _education(path: str, value: EducationService) -> Fields:
    subject = education_subject(path, value.user_uuid, value.room_uuid, value.role, value.app)
    return {**subject, "ttl": duration(f"{path}ttl", value.ttl)}


def _rtm2(path: str, value: Rtm2Service) -> Fields:
    permissions = rtm_permissions(f"{path}permissions.", value.permissions)
    return {
        "user_id": value.user_id,
        "permissions": permissions,
        **_rights(path, value, "login"),
    }


def _nothing(_: str, __: object) -> Fields:
    return {}


_READERS: Final[Mapping[type, Callable[[str, Any], Fields]]] = {
    RtmService: _rtm,
    ChatService: _chat,
    EducationService: _education,
    Rtm2Service: _rtm2,
}
"""The services with more fields than a channel, a user and lifetimes."""


def _service_message(service: type) -> _ServiceMessage:
    """Finds the message of a service: it has the same name."""
    fields = access_token_pb2.AccessTokenService.DESCRIPTOR.fields
    (name,) = [
        field.name
        for field in fields
        if field.message_type and field.message_type.name == service.__name__
    ]
    rights = [field.name for field in fields_of(service) if field.name not in _CHANNEL_AND_USER]
    reader = _READERS.get(service) or (_in_channel(*rights) if rights else _nothing)
    return _ServiceMessage(name, getattr(access_token_pb2, service.__name__), reader)


_SERVICE_MESSAGES: Final[Mapping[type, _ServiceMessage]] = {
    service: _service_message(service) for service in get_args(AccessTokenService)
}
