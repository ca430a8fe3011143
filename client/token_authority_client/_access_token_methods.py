"""007 tokens for any composition of services."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields as fields_of
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, cast, get_args

from google.protobuf.message import Message

from token_authority.v1 import access_token_pb2
from token_authority_client._issuing_methods import IssuingMethods, ResultT_co
from token_authority_client._message_builder import (
    Fields,
    build,
    channel_fields,
    chat_subject,
    duration,
    education_subject,
    expiration,
    items,
    lifetimes,
    rtm_permissions,
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
from token_authority_client._token_request import TokenRequest
from token_authority_client._value_errors import invalid

_CHANNEL_AND_USER: Final = (
    "channel",
    "any_channel",
    "channel_pattern",
    "uid",
    "user_account",
    "any_user",
)


class AccessTokenMethods(IssuingMethods[ResultT_co]):
    """Issues tokens for compositions of services."""

    def issue_access_token(
        self,
        *,
        services: Iterable[AccessTokenService],
        ttl: timedelta | None = None,
        expire_time: datetime | None = None,
        project: str = "",
    ) -> ResultT_co:
        """Issues one 007 token for any composition of services.

        Args:
            services: 1 to 32 services such as RtcService, in any order. Several of one class are
                kept, in their order.
            ttl: The lifetime: 1 s to 24 h, whole seconds. Default: the longest lifetime of a
                service; if none has one, an hour, or 24 hours for FPA alone.
            expire_time: Or when it expires; an aware datetime.
            project: The project's name on the server; "": the client's `project`.

        Raises:
            TokenAuthorityError: The token was not issued; see its subclasses.
        """
        message = build(
            access_token_pb2.IssueAccessTokenRequest,
            "",
            project=project,
            services=_services(services),
            **expiration(ttl, expire_time),
        )
        return self.issue(TokenRequest("IssueAccessToken", message))


def _services(values: Iterable[AccessTokenService]) -> list[Message]:
    """Returns services as messages."""
    return [
        _service(f"services[{index}]", value)
        for index, value in enumerate(items("services", values, "services"))
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
            **lifetimes(path, value, *rights),
        }

    return fields


def _rtm(path: str, value: RtmService) -> Fields:
    return {"user_id": value.user_id, **lifetimes(path, value, "login")}


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
        **lifetimes(path, value, "login"),
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
