"""The methods of the clients, written once: arguments in, request message out.

What a client does with the message (await an answer, block for it, only ask whether it would be
allowed, keep it for later) is up to the subclass. Nothing is checked here that the contract's rules
say: the server enforces those, and answers with all violations at once.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, Generic, Literal, TypeVar

from token_authority.v1 import (
    access_token_pb2,
    chat_pb2,
    education_pb2,
    issued_token_pb2,
    rtc_pb2,
    rtm_pb2,
    whiteboard_pb2,
)
from token_authority_client import _request_fields
from token_authority_client._message_builder import (
    Fields,
    build,
    duration,
    flag,
    named,
    one_of,
    timestamp,
)
from token_authority_client._services import AccessTokenService
from token_authority_client._token_request import TokenRequest
from token_authority_client._values import RtcPrivileges, RtmLogin, RtmPermission

ResultT_co = TypeVar("ResultT_co", covariant=True)

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
    def issue(self, request: TokenRequest) -> ResultT_co:
        """Does with a request what the methods below do with theirs."""

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
            project: The project's name on the server; "": the client's, else your default project,
                else the only one you have grants for.

        Raises:
            TokenAuthorityError: No token; see its subclasses.
        """
        message = build(
            whiteboard_pb2.IssueWhiteboardTokenRequest,
            "",
            project=project,
            role=named("role", role, _WHITEBOARD_ROLES),
            **_request_fields.whiteboard_scope("", room, task, sdk),
            **_expiration(ttl, expire_time, non_expiring),
        )
        return self.issue(TokenRequest("IssueWhiteboardToken", message))

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
            project: The project's name on the server; "": the client's, else your default project,
                else the only one you have grants for.

        Raises:
            TokenAuthorityError: No token; see its subclasses.
        """
        one_of("rights", role=role, privileges=privileges)
        message = build(
            rtc_pb2.IssueRtcTokenRequest,
            "",
            project=project,
            **_request_fields.channel("", channel, any_channel),
            **_request_fields.user("", uid, user_account, any_user),
            role=None if role is None else named("role", role, _RTC_ROLES),
            privileges=None
            if privileges is None
            else _request_fields.privileges("privileges.", privileges),
            **_expiration(ttl, expire_time),
            format=None if format is None else named("format", format, _FORMATS),
            rtm=None if rtm is None else _request_fields.rtm_login("rtm.", rtm),
        )
        return self.issue(TokenRequest("IssueRtcToken", message))

    def issue_rtm_token(
        self,
        *,
        user_id: str,
        permissions: Iterable[RtmPermission] | None = None,
        ttl: timedelta | None = None,
        expire_time: datetime | None = None,
        format: Literal["006", "007"] | None = None,  # noqa: A002  # the contract's word
        project: str = "",
    ) -> ResultT_co:
        """Issues an RTM (Signaling) token: a login, with resource permissions where given.

        Args:
            user_id: The user who logs in: 1 to 64 printable ASCII characters except
                "*", no space in front.
            permissions: What the user may reach, at most one for each pair of access and resource
                type; 007 only. Empty: nothing. Unset: whatever the project allows any user.
            ttl: How long it lives: 1 s to 24 h, whole seconds. Unset: an hour.
            expire_time: Or when it ends; with a time zone.
            format: How to encode it; unset: 007.
            project: The project's name on the server; "": the client's, else your default project,
                else the only one you have grants for.

        Raises:
            TokenAuthorityError: No token; see its subclasses.
        """
        message = build(
            rtm_pb2.IssueRtmTokenRequest,
            "",
            project=project,
            user_id=user_id,
            permissions=None
            if permissions is None
            else _request_fields.rtm_permissions("permissions.", permissions),
            **_expiration(ttl, expire_time),
            format=None if format is None else named("format", format, _FORMATS),
        )
        return self.issue(TokenRequest("IssueRtmToken", message))

    def issue_chat_token(
        self,
        *,
        user_id: str | None = None,
        app: bool = False,
        ttl: timedelta | None = None,
        expire_time: datetime | None = None,
        project: str = "",
    ) -> ResultT_co:
        """Issues a Chat token for one of a user and the app.

        Args:
            user_id: The Chat user ID: 1 to 64 of a-z, 0-9, "_", "-" and ".". Upper-case letters and
                the UUID that Chat assigned at registration are accepted too.
            app: Or the app, which may call Chat's REST API with all rights: for servers only.
            ttl: How long it lives: 1 s to 24 h, whole seconds. Unset: an hour.
            expire_time: Or when it ends; with a time zone.
            project: The project's name on the server; "": the client's, else your default project,
                else the only one you have grants for.

        Raises:
            TokenAuthorityError: No token; see its subclasses.
        """
        message = build(
            chat_pb2.IssueChatTokenRequest,
            "",
            project=project,
            **_request_fields.chat_subject("", user_id, app),
            **_expiration(ttl, expire_time),
        )
        return self.issue(TokenRequest("IssueChatToken", message))

    def issue_education_token(
        self,
        *,
        user_uuid: str | None = None,
        room_uuid: str | None = None,
        role: int | None = None,
        app: bool = False,
        ttl: timedelta | None = None,
        expire_time: datetime | None = None,
        project: str = "",
    ) -> ResultT_co:
        """Issues a Flexible Classroom (education, aPaaS) token.

        For a user in a room, name user, room and role: the token logs in to RTM and Chat too. For a
        user outside any room, name the user alone. For the app, set `app` alone.

        Args:
            user_uuid: The user: 1 to 64 printable ASCII characters except
                "*", no space in front.
            room_uuid: The room, likewise.
            role: The user's role in the room, 0 to 32767, of Agora's open set. There is no default.
            app: The app, which may call the REST API with all rights: for servers only.
            ttl: How long it lives: 1 s to 24 h, whole seconds. Unset: an hour.
            expire_time: Or when it ends; with a time zone.
            project: The project's name on the server; "": the client's, else your default project,
                else the only one you have grants for.

        Raises:
            TokenAuthorityError: No token; see its subclasses.
        """
        message = build(
            education_pb2.IssueEducationTokenRequest,
            "",
            project=project,
            **_request_fields.education_subject("", user_uuid, room_uuid, role, app),
            **_expiration(ttl, expire_time),
        )
        return self.issue(TokenRequest("IssueEducationToken", message))

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
            services: 1 to 32, in any order: RtcService, RtmService, …. Several of one class are all
                kept, in their order.
            ttl: How long it lives: 1 s to 24 h, whole seconds. Unset: the longest lifetime of a
                service; where none has one, an hour, or 24 hours for FPA alone.
            expire_time: Or when it ends; with a time zone.
            project: The project's name on the server; "": the client's, else your default project,
                else the only one you have grants for.

        Raises:
            TokenAuthorityError: No token; see its subclasses.
        """
        message = build(
            access_token_pb2.IssueAccessTokenRequest,
            "",
            project=project,
            services=_request_fields.services("services", services),
            **_expiration(ttl, expire_time),
        )
        return self.issue(TokenRequest("IssueAccessToken", message))


class _Preparation(TokenMethods[TokenRequest]):
    def issue(self, request: TokenRequest) -> TokenRequest:
        return request


prepare: Final[TokenMethods[TokenRequest]] = _Preparation()
"""The methods of the clients, which send nothing: they return requests for `issue_many`."""


def _expiration(
    ttl: timedelta | None, expire_time: datetime | None, non_expiring: bool = False
) -> Fields:
    """Returns the member of the oneof `expiration`."""
    one_of("expiration", ttl=ttl, expire_time=expire_time, non_expiring=non_expiring or None)
    return {
        "ttl": duration("ttl", ttl),
        "expire_time": timestamp("expire_time", expire_time),
        "non_expiring": flag("non_expiring", non_expiring),
    }
