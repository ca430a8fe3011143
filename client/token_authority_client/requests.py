"""The methods of the clients, written once: arguments in, request message out.

What a client does with the message (await an answer, block for it, only ask whether it would be
allowed) is up to the subclass. Nothing is checked here that the contract's rules say: the server
enforces those, and answers with all violations at once.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, Literal, TypeVar, cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from token_authority.v1 import issued_token_pb2, rtc_pb2, whiteboard_pb2
from token_authority_client.errors import FieldViolation, InvalidRequest
from token_authority_client.values import RtcPrivileges, RtmLogin

IssueRequest = whiteboard_pb2.IssueWhiteboardTokenRequest | rtc_pb2.IssueRtcTokenRequest
ResultT_co = TypeVar("ResultT_co", covariant=True)

_INT64: Final = FieldDescriptor.CPPTYPE_INT64
_WHITEBOARD_ROLES: Final = {
    "admin": whiteboard_pb2.WHITEBOARD_ROLE_ADMIN,
    "writer": whiteboard_pb2.WHITEBOARD_ROLE_WRITER,
    "reader": whiteboard_pb2.WHITEBOARD_ROLE_READER,
}
_RTC_ROLES: Final = {
    "publisher": rtc_pb2.RTC_ROLE_PUBLISHER,
    "subscriber": rtc_pb2.RTC_ROLE_SUBSCRIBER,
}
_FORMATS: Final = {
    "006": issued_token_pb2.TOKEN_FORMAT_V006,
    "007": issued_token_pb2.TOKEN_FORMAT_V007,
}


class TokenMethods(ABC, Generic[ResultT_co]):
    """One method for each kind of token."""

    @abstractmethod
    def _issue(self, method: str, request: IssueRequest) -> ResultT_co:
        """Does with a request what this client does."""

    def issue_whiteboard_token(
        self,
        *,
        role: Literal["admin", "writer", "reader"],
        room: str | None = None,
        task: str | None = None,
        sdk: bool = False,
        ttl: timedelta | None = None,
        expire_time: datetime | None = None,
        non_expiring: bool = False,
        project: str = "",
    ) -> ResultT_co:
        """Issues an Interactive Whiteboard token for one of a room, a task or the whole project.

        Args:
            role: What its holder may do.
            room: The room's UUID.
            task: The file-conversion task's UUID.
            sdk: An SDK token, which opens everything: for servers only.
            ttl: How long it lives: 1 ms to 10 years, whole milliseconds. Unset: an hour.
            expire_time: Or when it ends; with a time zone.
            non_expiring: Or never: it lives as long as the key pair that signed it.
            project: The project's name on the server; "": the client's, else the server's only one.

        Raises:
            TokenAuthorityError: No token; see its subclasses.
        """
        _one_of("scope", room=room, task=task, sdk=sdk or None)
        _one_of("expiration", ttl=ttl, expire_time=expire_time, non_expiring=non_expiring or None)
        request = _build(
            whiteboard_pb2.IssueWhiteboardTokenRequest,
            project=project,
            role=_named("role", role, _WHITEBOARD_ROLES),
            room=None if room is None else {"room_uuid": room},
            task=None if task is None else {"task_uuid": task},
            sdk={} if sdk else None,
            ttl=_duration("ttl", ttl),
            expire_time=_timestamp("expire_time", expire_time),
            non_expiring={} if non_expiring else None,
        )
        return self._issue("IssueWhiteboardToken", request)

    def issue_rtc_token(
        self,
        *,
        channel: str | None = None,
        any_channel: bool = False,
        uid: int | None = None,
        user_account: str | None = None,
        any_user: bool = False,
        role: Literal["publisher", "subscriber"] | None = None,
        privileges: RtcPrivileges | None = None,
        ttl: timedelta | None = None,
        expire_time: datetime | None = None,
        format: Literal["006", "007"] | None = None,  # noqa: A002  # the contract's word
        rtm: RtmLogin | None = None,
        project: str = "",
    ) -> ResultT_co:
        """Issues an RTC token: name a channel, a user, and a role or privileges.

        Args:
            channel: The channel's name, exactly as the client joins it: 1 to 64 bytes.
            any_channel: Or every channel; 007 only, never with `any_user`.
            uid: The integer uid of the user, 1 to 4294967295.
            user_account: Or the string account, 1 to 255 bytes.
            any_user: Or whoever holds the token.
            role: What its holder may do.
            privileges: Or each right with a lifetime of its own.
            ttl: How long it lives: 1 s to 24 h, whole seconds. Unset: the longest privilege, else
                an hour.
            expire_time: Or when it ends; with a time zone.
            format: How to encode it; unset: 007.
            rtm: An RTM login in the same token; 007 only.
            project: The project's name on the server; "": the client's, else the server's only one.

        Raises:
            TokenAuthorityError: No token; see its subclasses.
        """
        _one_of("channel", channel=channel, any_channel=any_channel or None)
        _one_of("user", uid=uid, user_account=user_account, any_user=any_user or None)
        _one_of("rights", role=role, privileges=privileges)
        _one_of("expiration", ttl=ttl, expire_time=expire_time)
        request = _build(
            rtc_pb2.IssueRtcTokenRequest,
            project=project,
            channel_name=channel,
            any_channel={} if any_channel else None,
            uid=uid,
            user_account=user_account,
            any_user={} if any_user else None,
            role=None if role is None else _named("role", role, _RTC_ROLES),
            privileges=None if privileges is None else _privileges(privileges),
            ttl=_duration("ttl", ttl),
            expire_time=_timestamp("expire_time", expire_time),
            format=None if format is None else _named("format", format, _FORMATS),
            rtm=None if rtm is None else _rtm_login(rtm),
        )
        return self._issue("IssueRtcToken", request)


RequestT = TypeVar("RequestT", bound=IssueRequest)


def _build(request_type: Callable[..., RequestT], **fields: Any) -> RequestT:
    """Makes the message of the fields that are set."""
    request = request_type()
    for name, value in fields.items():
        if value is not None:
            try:
                request.MergeFrom(cast("Any", request_type(**{name: value})))
            except (TypeError, ValueError):
                is_number = request.DESCRIPTOR.fields_by_name[name].cpp_type == _INT64
                must_be = "an integer of at most 64 bits" if is_number else "valid text"
                raise _invalid(name, "INVALID_VALUE", f"must be {must_be}") from None
    return request


def _invalid(field: str, reason: str, description: str) -> InvalidRequest:
    return InvalidRequest(
        f"invalid request: {field} {description}",
        reason="INVALID_REQUEST",
        advice=f"{field} {description}",
        metadata={"fields": field},
        violations=[FieldViolation(field, reason, description)],
    )


def _one_of(oneof: str, **arguments: object) -> None:
    given = [name for name, value in arguments.items() if value is not None]
    if len(given) > 1:
        raise _invalid(oneof, "ONE_OF", f"must be one of {', '.join(given)}, not several")


def _named(field: str, name: str, values: Mapping[str, int]) -> int:
    # A misspelt role must never become another role.
    for known, value in values.items():
        if known == name:
            return value
    raise _invalid(field, "ENUM_DEFINED_ONLY", f"must be one of {', '.join(values)}")


def _duration(field: str, value: timedelta | None) -> Duration | None:
    if value is None:
        return None
    duration = Duration()
    try:
        duration.FromTimedelta(value)
    except (AttributeError, TypeError, ValueError):
        raise _invalid(field, "INVALID_VALUE", "must be a timedelta") from None
    return duration


def _timestamp(field: str, value: datetime | None) -> Timestamp | None:
    if value is None:
        return None
    timestamp = Timestamp()
    try:
        timestamp.FromDatetime(value.astimezone(UTC))
    except (AttributeError, TypeError, ValueError, OverflowError):
        must_be = "must be a datetime of the years 1 to 9999"
        raise _invalid(field, "INVALID_VALUE", must_be) from None
    if value.tzinfo is None:
        # Whose midnight? The server's, the caller's and Agora's may differ.
        raise _invalid(field, "TIME_ZONE_MISSING", "must have a time zone: datetime.now(UTC) + …")
    return timestamp


def _privileges(privileges: RtcPrivileges) -> rtc_pb2.RtcPrivileges:
    path = "privileges.{}_ttl".format
    try:
        return rtc_pb2.RtcPrivileges(
            join_channel_ttl=_duration(path("join_channel"), privileges.join_channel),
            publish_audio_ttl=_duration(path("publish_audio"), privileges.publish_audio),
            publish_video_ttl=_duration(path("publish_video"), privileges.publish_video),
            publish_data_ttl=_duration(path("publish_data"), privileges.publish_data),
        )
    except AttributeError:
        raise _invalid("privileges", "INVALID_VALUE", "must be RtcPrivileges") from None


def _rtm_login(rtm: RtmLogin) -> dict[str, Any]:
    try:
        return {"user_id": rtm.user_id, "ttl": _duration("rtm.ttl", rtm.ttl)}
    except AttributeError:
        raise _invalid("rtm", "INVALID_VALUE", "must be an RtmLogin") from None
